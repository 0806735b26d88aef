"""What `deploy/` recommends is what runs: the unit is sound, tight, and the server lives in it."""

from __future__ import annotations

import contextlib
import ctypes
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from helpers import confined
from helpers.factories import absent, make_store, tool

from dashboard.auth.people import People
from dashboard.cli import serving

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy" / "fmdash.service"
MOST_EXPOSED = 2.0
PASSWORD = "correct horse battery"


def arguments() -> list[str]:
    """The words of the unit's command."""
    text = UNIT.read_text("utf-8").replace("\\\n", " ")
    return shlex.split(re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)[1])


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    analyze = tool("systemd-analyze", debian="systemd")
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8")
    assert text.count(arguments()[0]) == 1
    unit.write_text(text.replace(arguments()[0], sys.executable))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_exposes_little():
    analyze = tool("systemd-analyze", debian="systemd")
    command = [analyze, "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", UNIT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    level = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)[1])
    assert level <= MOST_EXPOSED


def test_the_units_command_is_one_that_the_program_knows():
    from dashboard.cli import _parser

    options = _parser().parse_args(arguments()[1:])
    assert options.run is serving._serve
    assert str(options.socket) == "/run/fmdash/socket"
    assert str(options.access_log) == "-"


def test_the_server_answers_with_the_system_calls_that_the_unit_leaves(tmp_path):
    tool("systemd-analyze", debian="systemd")
    try:
        ctypes.CDLL(confined.LIBRARY)
    except OSError:
        absent(f"{confined.LIBRARY} is not installed (Debian: apt install libseccomp2)")
    folder = tmp_path / "stores"
    folder.mkdir()
    make_store(folder / "tiny.h5")
    people = People(tmp_path / "people", create=True)
    people.add("ada", "admin", PASSWORD)
    headers = {"authorization": f"Bearer {people.make_token('ada', 'test')}"}
    path = tmp_path / "socket"
    serve = [sys.executable, "-m", "dashboard.cli", "serve", folder, "--no-open", "--workers", "2"]
    serve += ["--users", people.path, "--socket", path, "--access-log", "-"]
    command = [sys.executable, confined.__file__, UNIT, *serve]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "unix:" in process.stdout.readline(), process.communicate(timeout=20)[1]
        transport = httpx.HTTPTransport(uds=str(path))
        base = "http://127.0.0.1"
        with httpx.Client(transport=transport, base_url=base, timeout=30) as client:
            form = {"name": "ada", "password": PASSWORD}
            same = {"sec-fetch-site": "same-origin"}
            assert client.post("/login", data=form, headers=same).status_code == 303
            tiny = "/api/v1/stores/tiny"
            # With a sample, and as a long download, which asks the system to come last.
            for where in ("/readyz", "/stores/tiny/maps", f"{tiny}/maps?layer=conv2&sample=0"):
                assert client.get(where, headers=headers).status_code == 200, where
            whole = client.get(f"{tiny}/maps?layer=conv2&format=npy", headers=headers)
            assert whole.status_code == 200
            assert "fmdash_workers 2.0" in client.get("/metrics", headers=headers).text
    finally:
        process.terminate()
        errors = process.communicate(timeout=40)[1]
    assert "Traceback" not in errors, errors
    assert '"path": "/readyz", "status": 200' in errors


@pytest.mark.parametrize("call", ["mount", "chown", "ptrace", "setuid", "bpf"])
def test_the_unit_leaves_no_call_that_a_server_has_no_use_for(call):
    tool("systemd-analyze", debian="systemd")
    assert call not in confined.allowed(UNIT.read_text("utf-8"))


def test_a_backup_of_a_file_of_people_in_use_lets_the_same_people_in(tmp_path):
    people = People(tmp_path / "people", create=True)
    people.add("ada", "admin", PASSWORD)  # still in the write-ahead log
    with (
        contextlib.closing(sqlite3.connect(tmp_path / "people")) as file,
        contextlib.closing(sqlite3.connect(tmp_path / "backup")) as copy,
    ):
        file.backup(copy)  # what sqlite3's `.backup` does
    restored = People(tmp_path / "backup")
    assert restored.log_in("ada", PASSWORD, "192.0.2.1").session
    assert restored.get("ada").role == "admin"
