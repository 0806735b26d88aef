"""A store is opened past locks, never before its seal is tested, or it is said why not."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import h5py
import pytest
from helpers.sharded import copy_store

from fmcore.errors import InputFileError, StoreError
from fmcore.storage.file import opened
from fmcore.storage.file.opened import open_file


@pytest.fixture
def copied(tmp_path, store_path) -> Path:
    return copy_store(store_path, tmp_path / "copy.h5")


def test_a_store_that_a_writer_has_locked_is_opened(copied):
    with copied.open("r+b") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        with open_file(copied) as store:
            assert "layers" in store.hdf5


def test_the_seal_is_tested_unless_that_is_not_wanted(copied):
    data = bytearray(copied.read_bytes())
    data[-50] ^= 1  # in the digest
    copied.write_bytes(data)
    with pytest.raises(StoreError, match="differ from their seal"):
        open_file(copied)
    with open_file(copied, check_seal=False) as store:
        assert "layers" in store.hdf5


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), OSError("own words")])
def test_a_disk_that_refuses_is_said_with_its_reason(copied, monkeypatch, error):
    def refuse(path):
        raise error

    monkeypatch.setattr(opened, "FileBytes", refuse)
    why = error.strerror or "own words"
    with pytest.raises(InputFileError, match=rf"cannot open store .*copy\.h5: {why}$"):
        open_file(copied)


def test_a_store_that_is_replaced_again_and_again_is_given_up(copied, monkeypatch):
    attempts = []
    monkeypatch.setattr(opened.FileBytes, "is_same_as", lambda *file: attempts.append(file))
    with pytest.raises(InputFileError, match="it is being replaced again and again"):
        open_file(copied)
    assert len(attempts) > 3
    assert not any(hdf5 for _, hdf5 in attempts)  # all are closed


def test_another_file_of_hdf5_is_refused_and_closed(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = 1
    handed_out = []
    compare = opened.FileBytes.is_same_as
    monkeypatch.setattr(
        opened.FileBytes,
        "is_same_as",
        lambda self, file: handed_out.append(file) or compare(self, file),
    )
    with pytest.raises(StoreError, match="is an HDF5 file but not a store"):
        open_file(tmp_path / "a.h5")
    assert [bool(file) for file in handed_out] == [False]


@pytest.mark.parametrize("kind", ["folder", "missing", "text"])
def test_what_is_no_file_of_hdf5_is_said(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("text")
    why = {"folder": "it is a folder", "missing": "there is no such file", "text": "not an HDF5"}
    with pytest.raises(StoreError if kind == "text" else InputFileError, match=why[kind]):
        open_file(path)
