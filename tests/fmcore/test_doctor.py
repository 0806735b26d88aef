"""The doctor: what it says here, where captures are not possible, and where a part fails."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import h5py
import pytest

from fmcore.cli import main
from fmcore.doctor import installation
from fmcore.errors import FmcoreError

ROOT = Path(__file__).parents[2]
CHECKED = ["compression", "Keras start", "capture", "store"]


def said_lines(capsys) -> dict[str, str]:
    """What was printed, by the first words of each line; the last line by an empty name."""
    *lines, last = capsys.readouterr().out.splitlines()
    return {line[:12].strip(): line[13:] for line in lines} | {"": last}


@pytest.mark.keras
def test_all_is_well_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(["doctor"]) == 0
    said = said_lines(capsys)
    assert said[""] == "all is well"
    assert said["fmcore"] == version("feature-map-dashboard")
    assert said["Python"].startswith(platform.python_version())
    assert said["HDF5"] == h5py.version.hdf5_version
    for name in ("NumPy", "SciPy", "h5py", "isal", "numcodecs", "Keras", "TensorFlow", "Dash"):
        assert said[name] == version(name), name
    assert said["platform"] == platform.platform()
    assert said["CPU cores"] == f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}"
    assert said["memory"].endswith((" MB", " GB"))
    assert said["temp folder"].startswith(f"{tmp_path}, ")
    assert "MB/s on one core" in said["compression"]
    assert "; GPUs: " in said["Keras start"]
    assert said["store"] == "no problem found"
    assert not any(tmp_path.iterdir())  # nothing is left


@pytest.mark.keras
def test_json_says_the_same(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    versions = {one["name"]: one["version"] for one in found["libraries"]}
    assert versions["Keras"] == version("keras")
    assert not any(one["remedy"] for one in found["libraries"])
    assert found["machine"]["memory_bytes"] > 100e6
    assert found["machine"]["temporary_free_bytes"] > 0
    assert [one["name"] for one in found["parts"]] == CHECKED
    assert {one["state"] for one in found["parts"]} == {"well"}
    assert found["parts"][0]["values"]["megabytes_per_second"] > 1
    assert isinstance(found["parts"][1]["values"]["gpus"], list)
    assert found["well"]
    assert found["verdict"] == "all is well"


@pytest.mark.keras
def test_tensorflow_writes_nothing_on_the_terminal():
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-m", "fmcore.cli", "doctor"], capture_output=True, text=True, env=clean
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "all is well"


def fail(error: Exception):
    def raises(*_, **__):
        raise error

    return raises


@pytest.mark.keras
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FmcoreError("the disk is full;\nfree some space"), r"the disk is full;\nfree some space"),
        (TypeError("no\x1b[31m"), r"TypeError: no\x1b[31m (FMCORE_DEBUG=1 shows where)"),
    ],
)
def test_a_part_that_fails_is_named_in_one_line(error, words, capsys, monkeypatch):
    monkeypatch.setattr("fmcore.doctor.trial.capture_activations", fail(error))
    assert main(["doctor"]) == 1
    said = said_lines(capsys)
    assert said["capture"] == f"FAILED: {words}"
    assert said[""] == "not well: capture failed"
    assert "store" not in said  # there is none to be looked at
    assert said["NumPy"] == version("numpy")


@pytest.mark.keras
def test_a_store_with_problems_is_not_well(capsys, monkeypatch):
    monkeypatch.setattr(
        "fmcore.doctor.trial.problems", lambda _: iter(["it has no seal", "and no end"])
    )
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["parts"][-1]["words"] == "it has no seal; and no end"
    assert found["verdict"] == "not well: store failed"
    assert not found["well"]


def test_keras_that_does_not_start_is_said(capsys, monkeypatch):
    """It is installed, and broken: unlike where it is not installed, something is wrong."""
    monkeypatch.setattr("fmcore.doctor.installation._version", lambda _: "1.0")
    monkeypatch.setattr("fmcore.doctor.trial.need_keras", fail(FmcoreError("this needs Keras")))
    assert main(["doctor"]) == 1
    said = said_lines(capsys)
    assert said["Keras start"] == "FAILED: this needs Keras"
    assert said[""] == "not well: Keras start failed"
    assert "capture" not in said


def test_values_that_change_on_the_way_are_said(capsys, monkeypatch):
    monkeypatch.setattr("fmcore.doctor.installation._version", lambda _: None)
    monkeypatch.setattr("fmcore.doctor.trial.undo_filters", lambda data, dtype, shape, codec: -1)
    assert main(["doctor"]) == 1
    said = said_lines(capsys)
    assert said["compression"].startswith("FAILED: values differ after they were compressed")
    assert said[""] == "not well: compression failed"


@pytest.mark.keras
def test_without_a_folder_for_temporary_files_the_rest_is_said(capsys, monkeypatch):
    error = FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")
    monkeypatch.setattr(tempfile, "gettempdir", fail(error))
    monkeypatch.setattr(tempfile, "mkdtemp", fail(error))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # hiding TensorFlow's notes takes such a file
    assert main(["doctor"]) == 1
    said = said_lines(capsys)
    assert said["temp folder"] == "none can be written; set one with TMPDIR"
    assert "No usable temporary directory" in said["capture"]
    assert said["h5py"] == h5py.__version__


def test_a_viewer_without_keras_is_a_sound_installation(viewer):
    command = [viewer, "-m", "fmcore.cli", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "TensorFlow   not installed; pip install 'feature-map-dashboard[train]'" in lines
    assert lines[-2] == (
        "capture      not possible: Keras and TensorFlow are not installed here; "
        "pip install 'feature-map-dashboard[train]'"
    )
    assert lines[-1] == (
        "all is well for reading and viewing stores; captures are not possible here"
    )
    assert any(line.startswith("compression ") and "MB/s" in line for line in lines)

    done = subprocess.run([*command, "--json"], capture_output=True, text=True, cwd=ROOT)
    found = json.loads(done.stdout)
    remedies = {one["name"]: one["remedy"] for one in found["libraries"] if not one["version"]}
    assert remedies == dict.fromkeys(
        ("Keras", "TensorFlow"), "pip install 'feature-map-dashboard[train]'"
    )
    assert [(one["name"], one["state"]) for one in found["parts"]] == [
        ("compression", "well"),
        ("capture", "impossible"),
    ]
    assert found["well"]


def test_a_python_that_lacks_fixes_is_a_line_of_its_own(monkeypatch):
    monkeypatch.setattr(installation, "warnings", lambda: ("Python 3.11.9 lacks fixes",))
    assert ("warning", "Python 3.11.9 lacks fixes") in installation.facts().lines()
