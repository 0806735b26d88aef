"""Opens a file as a store: only what is one, of a version we read, and nothing outside itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import h5py

from fmcore.errors import FmcoreError, InputFileError, StoreError, UnsupportedVersionError
from fmcore.storage.attributes import read_text
from fmcore.storage.schema import FORMAT, FORMAT_VERSION
from fmcore.storage.walk import walk

# What h5py raises for a part that is missing, a checksum that fails, or a file that was cut short.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError)


def open_file(path: Path) -> h5py.File:
    """An open HDF5 file that is a store, read-only.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is no store, or reaches outside its own file.
        UnsupportedVersionError: if its format is of another major version.
    """
    file = _open_hdf5(path)
    try:
        with damage_named(path):
            _check_format(file, path)
            for _ in walk(file, path):
                pass  # before anything is read, all of it is seen to be the file's own
    except FmcoreError:
        file.close()
        raise
    return file


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what h5py raises for a damaged file into a `StoreError` that says what to do."""
    try:
        yield
    except FmcoreError:
        raise
    except DAMAGE as error:
        raise StoreError(
            f"{path} is a damaged or incomplete store ({error}); capture again, or restore it "
            "from a copy"
        ) from error


def _open_hdf5(path: Path) -> h5py.File:
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(f"cannot open store {path}: {found}; `fmcore capture` writes one")
    try:
        path.open("rb").close()  # h5py says the same of a file it may not read and of no HDF5 file
        if not h5py.is_hdf5(path):
            raise StoreError(
                f"{path} is no store: it is not an HDF5 file; `fmcore capture` writes one"
            )
        # A store never changes under its name, so no lock is needed; and that of a writer who is
        # about to let go, or a file system without locks, is not in the way.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputFileError(f"cannot open store {path}: {reason}") from error


def _check_format(file: h5py.File, path: Path) -> None:
    if read_text(file, "format") != FORMAT:
        raise StoreError(
            f"{path} is an HDF5 file but no store: its attribute `format` is "
            f"{read_text(file, 'format')!r}, expected {FORMAT!r}; `fmcore capture` writes one"
        )
    found = read_text(file, "format_version")
    if found.split(".")[0] != FORMAT_VERSION.split(".")[0]:
        raise UnsupportedVersionError(
            f"{path} has format version {found}, this fmcore reads {FORMAT_VERSION}; "
            "install a fitting version of feature-map-dashboard, or capture again"
        )
