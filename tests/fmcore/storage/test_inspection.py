"""A store is looked through apart before it is read; what that finds is one line."""

from __future__ import annotations

import contextlib
import sys

import h5py
import numpy as np
import pytest
from helpers.factories import make_store
from helpers.hostile import HOSTILE, make_hostile, unsealed

from fmcore import hdf5_guard
from fmcore.cli import main
from fmcore.errors import FmcoreError, InputFileError, StoreError
from fmcore.hdf5_guard import foreign_arrays, foreign_names, foreign_problems
from fmcore.storage import FileBytes, inspect_store, inspection, open_store, opened_apart

CRASH = "helpers.hostile:crash"


def test_a_store_that_was_looked_through_is_the_one_that_is_opened(store_path):
    with opened_apart(store_path) as store, open_store(store_path) as other:
        assert store.digest == other.digest
        assert store.path == store_path


def test_commands_say_in_a_line_that_a_file_ends_hdf5(store_path, monkeypatch, capsys):
    monkeypatch.setattr(inspection, "LOOK", CRASH)
    for words in (["info"], ["stats"], ["health"], ["export", "--out", "nowhere"]):
        verb, *rest = words
        assert main([verb, str(store_path), *rest]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "damaged or incomplete store: HDF5 itself crashes on it (SIGSEGV)" in line


def test_arrays_of_a_file_that_ends_hdf5_are_refused_in_a_line(tmp_path, monkeypatch):
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(100), compression="gzip")
    assert np.array_equal(foreign_arrays(path, ["x"])[0], np.arange(100))
    assert foreign_names(path) == ["x"]
    monkeypatch.setattr(hdf5_guard, "LOOK", CRASH)
    for read in (foreign_names, lambda path: foreign_arrays(path, ["x"])):
        with pytest.raises(InputFileError, match=r"HDF5 itself crashes on it .SIGSEGV"):
            read(path)
    with pytest.raises(InputFileError, match="SIGSEGV"):
        list(foreign_problems(path))
    with path.open("rb") as member, pytest.raises(InputFileError, match="SIGSEGV"):
        list(foreign_problems(member))


def test_an_open_file_is_read_on_whatever_lies_at_its_path(tmp_path, store_path):
    path = tmp_path / "s.h5"
    path.write_bytes(store_path.read_bytes())
    file = FileBytes(path)
    path.rename(tmp_path / "moved.h5")
    make_store(path, 5)
    with open_store("label.h5", file=file) as store, open_store(store_path) as before:
        assert store.digest == before.digest
        assert store.path.name == "label.h5"
    assert file.real_path() == (tmp_path / "moved.h5").resolve()


@pytest.mark.parametrize("count", [300, 2])
def test_attributes_beyond_those_of_any_store_are_not_read(tmp_path, store_path, count):
    path = tmp_path / "s.h5"
    for place in ("/", "model", "layers", "class"):
        path.write_bytes(store_path.read_bytes())
        unsealed(path)
        with h5py.File(path, "r+") as file:
            for n in range(count):
                file[place].attrs[f"note {n}"] = np.zeros(1 if count > 2 else 1 << 20, np.uint8)
        with pytest.raises(StoreError, match="attributes"):
            open_store(path)


def test_a_text_of_variable_length_may_not_be_longer_either(tmp_path, store_path):
    path = tmp_path / "s.h5"
    path.write_bytes(store_path.read_bytes())
    unsealed(path)
    with h5py.File(path, "r+") as file:
        file["model"].attrs["note"] = "x" * (60 << 20)
    with pytest.raises(StoreError, match="too long"):
        opened_apart(path)


def test_tables_may_not_take_a_hundred_times_the_bytes_of_the_file(store_path, monkeypatch):
    with open_store(store_path) as store:
        inspect_store(store)
        monkeypatch.setattr(inspection, "FREE_BYTES", 0)
        monkeypatch.setattr(inspection, "MOST_RATIO", 1e-3)
        with pytest.raises(StoreError, match=r"its tables would take .* bytes in memory"):
            inspect_store(store)


def test_chunks_may_not_take_many_times_the_bytes_of_the_file(store_path, monkeypatch):
    monkeypatch.setattr(inspection, "FREE_CHUNK_BYTES", 0)
    monkeypatch.setattr(inspection, "MOST_CHUNK_RATIO", 1e-3)
    with open_store(store_path) as store, pytest.raises(StoreError, match="has chunks of"):
        inspect_store(store)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a fork")
@pytest.mark.parametrize("seed", range(len(HOSTILE)))
def test_a_hostile_store_is_opened_or_refused_in_a_line(tmp_path, store_path, seed):
    path = tmp_path / "s.h5"
    make_hostile(path, store_path, seed)
    with contextlib.suppress(FmcoreError):  # no other error, and no death
        opened_apart(path).close()
