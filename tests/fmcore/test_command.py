"""Whatever goes wrong, a command says one line and leaves nothing half-written."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.factories import make_store
from helpers.sharded import copy_store
from hypothesis import given
from hypothesis import strategies as st

from fmcore import cli
from fmcore.cli import main
from fmcore.command import command_text
from fmcore.errors import OutputError, one_line
from fmcore.files import locked, locked_folder, publish, safe_names, size_text

FMCORE = [sys.executable, "-m", "fmcore.cli"]


def run(*arguments, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FMCORE, *map(str, arguments)], capture_output=True, text=True, **options
    )


def verbs() -> dict[str, argparse.ArgumentParser]:
    parser = cli._parser()
    return {"": parser, **parser._subparsers._group_actions[0].choices}


@pytest.mark.parametrize("verb", verbs())
def test_the_help_fits_a_terminal_and_says_each_default_alike(verb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser = verbs()[verb]
    assert max(map(len, parser.format_help().splitlines())) <= 80
    for action in parser._actions:
        if action.dest == argparse.SUPPRESS:  # the commands
            continue
        assert action.help, action.dest
        # A bracket at the end would be a default in another form.
        assert not re.search(r"(?<!default: )\([^:()]+\)$", action.help), action.help
        is_default = action.default not in (None, [], {}, False, argparse.SUPPRESS)
        if action.option_strings and action.nargs != 0 and (is_default or action.default == 0):
            assert "(default: " in action.help, action.dest


@pytest.mark.parametrize("verb", ["info", "validate", "export", "figure"])
@pytest.mark.parametrize("kind", ["missing", "folder", "text", "other", "newer", "cut", "name"])
def test_what_is_no_store_is_said_in_one_line(verb, kind, store_path, tmp_path, capsys):
    path = tmp_path / "given.h5"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("hello")
    elif kind == "other":
        h5py.File(path, "w").close()
    elif kind == "newer":
        copy_store(store_path, path)
        with h5py.File(path, "r+") as file:
            file.attrs.modify("format_version", "2.0")
    elif kind == "cut":
        path.write_bytes(store_path.read_bytes()[:-99_999])
    elif kind == "name":
        path = tmp_path / ("n" * 300)
    out = [] if verb in ("info", "validate") else ["--out", str(tmp_path / "out")]
    assert main([verb, str(path), *out]) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.startswith("fmcore: error: ")
    assert not (tmp_path / "out").exists()


def test_wrong_usage_exits_with_2(capsys):
    for arguments in (
        [],
        ["capture", "m.keras"],
        ["train", "--out", "m.keras", "--epochs", "0"],
        ["train", "--out", "m.keras", "--seed", "-1"],
        ["capture", "m.keras", "--out", "s.h5", "--batch-size", "abc"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "expected a whole number from 1 to 1000000, found 'abc'" in capsys.readouterr().err


def test_a_defect_is_said_in_one_line_and_shown_when_asked(monkeypatch, capsys, store_path):
    def broken(_options):
        raise ZeroDivisionError("oh\nno")

    monkeypatch.setattr("fmcore.cli.info._info", broken)
    assert main(["info", str(store_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert r"unexpected ZeroDivisionError: oh\nno (a defect" in said
    monkeypatch.setenv("FMCORE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["info", str(store_path)])


def test_control_characters_are_escaped():
    assert one_line("a\nb\x1b[31mc ü ②") == r"a\nb\x1b[31mc ü ②"


def test_a_reader_that_has_seen_enough_is_no_error(store_path):
    command = " ".join([*FMCORE, "info", str(store_path), "--json"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    full = subprocess.run(["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True)
    assert full.returncode == 1
    assert full.stderr.count("\n") == 1


# A capture that takes long enough to be interrupted, without Keras.
SLOW = """
import sys, time
sys.path.insert(0, sys.argv[2])
from helpers import factories
from fmcore import cli
class Slow(factories.NumpyProbe):
    def __call__(self, images, others=None):
        time.sleep(0.05)
        return super().__call__(images)
factories.NumpyProbe = Slow
from pathlib import Path
target = Path(sys.argv[1])
cli.info._info = lambda options: factories.make_store(target, 2000, batch_size=10)
sys.argv = ["fmcore", "info", "x"]
sys.exit(cli.main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_capture_that_is_stopped_leaves_nothing(tmp_path, number):
    tests = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "s.h5"), tests],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob("*/store.h5")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("wait_ms", [0, 5, 10, 15, 20, 30])
def test_ctrl_c_while_hdf5_is_at_work_waits_until_it_is_done(tmp_path, wait_ms):
    # Delivered inside HDF5 it ended in a segmentation fault, in 3 of 60 runs.
    command = [sys.executable, "-c", SLOW, str(tmp_path / "s.h5"), str(Path(__file__).parents[1])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("*/store.h5")) and process.poll() is None:
        time.sleep(0.001)
    time.sleep(wait_ms / 1000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.count("\n")) == (130, 1), said
    assert not list(tmp_path.iterdir())


def test_after_a_kill_the_same_command_writes_the_store(tmp_path, store_path):
    from helpers.factories import make_store

    tests = str(Path(__file__).parents[1])
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "s.h5"), tests])
    while not list(tmp_path.glob("*/store.h5")) and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["s.h5.partial"]
    make_store(tmp_path / "s.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def limit_file_size():
    # Else Python leaves compiled modules of 4,000 bytes in the environment, and cannot read them.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["export", "figure"])
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(verb, store_path, tmp_path):
    done = run(verb, store_path, "--out", tmp_path / "out", preexec_fn=limit_file_size)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"fmcore: error: cannot write {tmp_path}")
    assert "File too large" in done.stderr
    assert re.search(r"[\d.]+ [kMG]B are free", done.stderr)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []


def test_an_export_that_cannot_fit_leaves_the_earlier_one_whole(store_path, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert main(["export", str(store_path), "--out", str(out)]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    larger = make_store(tmp_path / "more.h5", 300)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9))
    options = ["--out", str(out), "--format", "npz", "--force"]
    assert main(["export", str(larger), *options]) == 1
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be nobody")
def test_a_folder_that_cannot_be_written_is_said_in_one_line(store_path, tmp_path):
    for folder in (store_path.parent, *tmp_path.parents[:2], tmp_path):
        folder.chmod(0o755)

    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        try:
            with publish(tmp_path / "s.h5"):
                pass
        except OutputError as error:
            os._exit(0 if "Permission denied" in str(error) else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not list(tmp_path.iterdir())


def test_links_and_devices_are_not_overwritten(tmp_path):
    from helpers.factories import make_store

    precious = tmp_path / "precious"
    precious.write_text("mine")
    (tmp_path / ".s.fmcore-partial.h5").symlink_to(precious)
    with pytest.raises(OutputError), publish(tmp_path / "s.h5"):
        pass
    (tmp_path / "s.h5.partial").mkdir()
    (tmp_path / "s.h5.partial" / "store.h5").symlink_to(precious)
    make_store(tmp_path / "s.h5", 3)  # the link is removed, not followed
    assert not (tmp_path / "s.h5").is_symlink()
    assert precious.read_text() == "mine"
    with pytest.raises(OutputError, match="not a regular file"):
        make_store(Path("/dev/null"), 3, overwrite=True)
    (tmp_path / "link.h5").symlink_to(tmp_path / "target.h5")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"it is a link, to .*target\.h5; give the file"):
            make_store(tmp_path / "link.h5", 3, overwrite=overwrite)
    assert (tmp_path / "link.h5").is_symlink()
    assert not (tmp_path / "target.h5").exists()


def test_a_second_name_of_a_published_file_is_not_emptied(tmp_path):
    from helpers.factories import make_store

    published = make_store(tmp_path / "s.h5", 3)
    before = published.read_bytes()
    os.link(published, tmp_path / ".s.fmcore-partial.h5")  # a kill between name and tidying up
    with pytest.raises(ZeroDivisionError), publish(published, overwrite=True) as partial:
        partial.write_bytes(b"x" * (1 // 0))
    assert published.read_bytes() == before


def test_a_second_export_into_a_folder_is_refused(tmp_path):
    with (
        locked_folder(tmp_path / "out"),
        pytest.raises(OutputError, match="another process is writing"),
    ):
        locked_folder(tmp_path / "out").__enter__()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_lock_keeps_a_second_writer_out_until_it_is_released(tmp_path, is_folder):
    path = tmp_path if is_folder else tmp_path / "lock"
    with locked(path, str, is_folder=is_folder) as descriptor:
        os.fstat(descriptor)
        second = locked(path, lambda held: f"busy: {os.fstat(held).st_ino}", is_folder=is_folder)
        with pytest.raises(OutputError, match=f"busy: {path.stat().st_ino}"), second:
            pass
    with locked(path, str, is_folder=is_folder):
        pass


def test_a_lock_follows_no_link_and_notices_a_file_that_was_replaced(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"), locked(tmp_path / "link", str):
        pass
    assert not (tmp_path / "elsewhere").exists()
    path, take = tmp_path / "lock", fcntl.flock

    def replace_first(descriptor, operation):
        path.unlink()
        path.touch()
        take(descriptor, operation)

    monkeypatch.setattr("fmcore.files.fcntl.flock", replace_first)
    with pytest.raises(OutputError, match="busy"), locked(path, lambda _: "busy"):
        pass


@given(st.lists(st.text(max_size=100), min_size=1, max_size=8))
def test_safe_names_are_plain_and_unique(paths):
    names = safe_names(paths)
    assert len({name.casefold() for name in names}) == len(paths)
    for name in names:
        assert name not in (".", "..")
        assert 1 <= len(name) <= 90
        assert all(char.isascii() and (char.isalnum() or char in "._-") for char in name)


def test_a_plain_name_stays_as_it_is():
    assert safe_names(["conv1", "outer/inner/conv1", "..", ""]) == [
        "conv1",
        "outer_inner_conv1",
        "_",
        "layer",
    ]


def test_no_name_is_a_device_a_parent_or_ends_in_a_dot():
    names = ["CON", "nul.txt", "com1", "..", "a.", "conv1", "Conv1", "a b", "-x"]
    safe = safe_names(names)
    assert safe == ["_CON", "_nul.txt", "_com1", "_", "a_", "conv1", "Conv1_2", "a_b", "-x"]


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0.0 kB"), (7_104, "7.1 kB"), (999_000, "999.0 kB"), (1_000_000, "1.0 MB"),
     (12_345_678, "12.3 MB"), (168_900_000, "169 MB"), (1 << 30, "1,074 MB"),
     (12_345_678_901, "12.3 GB")],
)  # fmt: skip
def test_sizes_are_written_alike(n_bytes, text):
    assert size_text(n_bytes) == text


def test_make_never_captures_over_a_store_that_is_there(tmp_path):
    store = tmp_path / "mine.h5"
    store.write_text("mine")
    os.utime(store, (0, 0))
    root = Path(__file__).parents[2]
    for verb in ("demo", "figures", "export", "serve"):
        said = subprocess.run(
            ["make", "-n", verb, f"STORE={store}"], cwd=root, capture_output=True, text=True
        ).stdout
        assert "fmcore capture" not in said, verb


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):

    target = tmp_path / "s.h5"

    def write_while_another_does():
        with publish(target) as partial:
            partial.write_text("new")
            target.write_text("mine")

    with pytest.raises(OutputError, match="exists"):
        write_while_another_does()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("s.h5", "mine")]


def test_training_replaces_no_history(tmp_path):
    np.savez(
        tmp_path / "d.npz",
        x_train=np.zeros((20, 12, 12)),
        y_train=np.arange(20) % 2,
        x_test=np.zeros((2, 12, 12)),
        y_test=np.arange(2),
    )
    (tmp_path / "m.history.json").write_text("mine")
    done = run("train", "--data", tmp_path / "d.npz", "--out", tmp_path / "m.keras")
    assert done.returncode == 1
    assert "m.history.json exists" in done.stderr
    assert not (tmp_path / "m.keras").exists()


def test_a_command_is_recorded_as_it_was_typed_but_for_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.npz").touch()
    typed = ["capture", "/home/ada/m.keras", "--data=data/a b.npz::x,y", "--weights", "~/w.h5"]
    kept = ["capture", "m.keras", "--data=a b.npz::x,y", "--weights", "w.h5"]
    others = ["--layer", "outer/conv*", "--scale", "255"]
    for out in (["--out", "s.h5"], ["--out=s.h5"], []):
        text = command_text([*typed, *out, *others], without="--out")
        assert text == shlex.join([*kept, *others])
