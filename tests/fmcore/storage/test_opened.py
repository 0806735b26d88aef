"""A store is opened past locks, never before its seal is tested, or it is said why not."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from fmcore.errors import InputFileError, StoreError
from fmcore.storage.file import opened
from fmcore.storage.file.opened import open_file


@pytest.fixture
def copied(tmp_path, store_path) -> Path:
    return Path(shutil.copy(store_path, tmp_path / "copy.h5"))


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


def test_a_disk_that_refuses_is_said_with_its_reason(copied, monkeypatch):
    def refuse(path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(opened, "FileBytes", refuse)
    with pytest.raises(InputFileError, match=r"cannot open store .*copy\.h5: Input/output error$"):
        open_file(copied)


def test_a_store_that_is_replaced_again_and_again_is_given_up(copied, monkeypatch):
    attempts = []
    monkeypatch.setattr(opened.FileBytes, "is_same_as", lambda *_: attempts.append(1))
    with pytest.raises(InputFileError, match="it is being replaced again and again"):
        open_file(copied)
    assert len(attempts) > 3


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
