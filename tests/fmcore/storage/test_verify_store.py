"""No store is published that cannot be opened, and a store that is replaced is gone only then."""

from __future__ import annotations

import hashlib
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import NumpyProbe, count, make_store

from fmcore.errors import OutputError
from fmcore.records import LayerSpec
from fmcore.storage import open_store, problems, validate, writer

N, BATCH = 500, 32
TESTS = Path(__file__).parents[2]

# A capture that replaces a store, and is killed at a call, or whose files may not grow.
CHILD = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from fmcore.storage import writer
from helpers.factories import make_store
path, moment, rows = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
replace, verify = Path.replace, writer.verify_store
if moment == "unverified":
    writer.verify_store = die
elif moment == "verified":
    writer.verify_store = lambda *a, **k: (verify(*a, **k), die())
elif moment == "renamed":
    def replaced(self, target):
        result = replace(self, target)
        if Path(target) == path:
            die()
        return result
    Path.replace = replaced
print("ready", flush=True)
make_store(path, {n}, batch_size={batch}, checkpoint_rows=rows, overwrite=True)
""".replace("{n}", str(N)).replace("{batch}", str(BATCH))

# Samples between two checkpoints; WHOLE: more than there are.
WHOLE, CHECKED = 2 * N, 2 * BATCH


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def child(path: Path, moment: str, rows: int, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(TESTS), str(path), moment, str(rows)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.fixture
def good(tmp_path) -> Path:
    """A store that is about to be replaced."""
    return make_store(tmp_path / "store.h5", 37)


def broken_file(monkeypatch) -> None:
    """The disk holds other bytes than were written, somewhere in the metadata."""
    seal = writer.seal

    def sealed(path, expected):
        seal(path, expected)
        with path.open("r+b") as file:
            file.seek(200)
            file.write(b"\0" * 64)

    monkeypatch.setattr(writer, "seal", sealed)


def missing_attribute(monkeypatch) -> None:
    """A part that the format needs is not written."""
    finish = writer.StoreWriter._finish

    def without(self):
        del self._file["model"].attrs["digest"]
        finish(self)

    monkeypatch.setattr(writer.StoreWriter, "_finish", without)


def wrong_digest(monkeypatch) -> None:
    """Attributes that differ from their digest."""
    monkeypatch.setattr(writer, "attributes_digest", lambda _: "0" * 64)


def wrong_shape(monkeypatch) -> None:
    """A probe whose layer has a bias of another length than it has filters."""
    spec = LayerSpec("conv2", (4, 4, 3), bias=np.ones(12, "f4"))
    init = NumpyProbe.__init__

    def made(self, *arguments):
        init(self, *arguments)
        self.layers = (self.layers[0], spec)

    monkeypatch.setattr(NumpyProbe, "__init__", made)


@pytest.mark.parametrize("fault", [broken_file, missing_attribute, wrong_digest, wrong_shape])
@pytest.mark.parametrize("rows", [WHOLE, CHECKED], ids=["whole", "with checkpoints"])
def test_an_unreadable_store_is_never_published(fault, rows, good, monkeypatch):
    before = digest(good)
    fault(monkeypatch)
    with pytest.raises(OutputError, match="was not written: what lies on the disk is no readable"):
        make_store(good, N, batch_size=BATCH, checkpoint_rows=rows, overwrite=True)
    assert digest(good) == before
    with pytest.raises(OutputError, match=r"new\.h5.*was not written"):
        make_store(good.with_name("new.h5"), N, batch_size=BATCH)
    # What a checkpoint keeps stays; the same command goes on there.
    left = ["store.h5"] if rows == WHOLE else ["store.h5", "store.h5.partial"]
    assert sorted(path.name for path in good.parent.iterdir()) == left
    monkeypatch.undo()
    options = {"batch_size": BATCH, "checkpoint_rows": rows, "overwrite": True}
    if fault is wrong_shape and rows == CHECKED:  # what lies there is of another layer
        with pytest.raises(OutputError, match=r"cannot be taken up .*--restart discards it"):
            make_store(good, N, **options)
        options["restart"] = True
    make_store(good, N, **options)  # as the message says
    assert list(problems(good)) == []


def test_what_is_verified_is_the_partial_file_before_the_old_one_is_gone(good, monkeypatch):
    before, seen = digest(good), []

    def verified(path, *, name):
        assert path != name
        assert digest(good) == before
        assert list(problems(path)) == []
        seen.append(name)
        return validate.verify_store(path, name=name)

    monkeypatch.setattr(writer, "verify_store", verified)
    make_store(good, N, batch_size=BATCH, overwrite=True)
    assert seen == [good]
    assert digest(good) != before


def what_is_there(path: Path, before: str) -> str:
    """Which store has the name; it is read whole."""
    if digest(path) == before:
        return "old"
    assert list(problems(path)) == []
    with open_store(path) as store:
        assert store.n_samples == N
    return "new"


@pytest.mark.parametrize(
    ("moment", "expected"), [("unverified", "old"), ("verified", "old"), ("renamed", "new")]
)
@pytest.mark.parametrize("rows", [WHOLE, CHECKED], ids=["whole", "with checkpoints"])
def test_a_kill_leaves_the_old_store_or_the_new_one(moment, expected, rows, good):
    before = digest(good)
    process = child(good, moment, rows)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert what_is_there(good, before) == expected


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_a_store_that_can_be_read(good):
    before, generator = digest(good), random.Random(0)
    process = child(good.with_name("timing.h5"), "never", CHECKED)
    process.stdout.readline()
    began = time.perf_counter()
    process.communicate(timeout=300)
    seconds = time.perf_counter() - began
    for _ in range(count(2, 20)):
        process = child(good, "never", CHECKED)
        process.stdout.readline()
        time.sleep(generator.uniform(0, seconds))
        process.kill()
        process.communicate()
        what_is_there(good, before)
        before = digest(good)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_store(good):
    before, generator = digest(good), random.Random(0)
    size = make_store(good.with_name("whole.h5"), N, batch_size=BATCH).stat().st_size
    for turn in range(count(3, 20)):
        limit = [size - 1, size - 200][turn] if turn < 2 else generator.randrange(1, size)

        def limited(limit=limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = child(good, "never", WHOLE, preexec_fn=limited)
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 1
        assert "OutputError" in stderr
        assert digest(good) == before
    assert {path.name for path in good.parent.iterdir()} == {"store.h5", "whole.h5"}
