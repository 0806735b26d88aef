"""Opens a file as a store: only what is one, of a version we read, and nothing outside itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py

from fmcore.errors import FmcoreError, InputFileError, StoreError
from fmcore.storage.file.nodes import damage_named, iter_nodes
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import verify_seal
from fmcore.storage.file.structure import check_format

ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A store that is open twice: HDF5 reads its metadata, and we its chunks.

    Attributes:
        hdf5: HDF5's.
        bytes: ours.
    """

    hdf5: h5py.File
    bytes: FileBytes

    def close(self) -> None:
        """Lets go of both; safe to call twice."""
        self.hdf5.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hdf5_version() -> str:
    """Of the HDF5 that h5py runs with, such as `1.14.6`."""
    return str(h5py.version.hdf5_version)


def open_file(path: Path, *, check_seal: bool = True) -> OpenFile:
    """An open HDF5 file that is a store, read-only.

    Args:
        path: the file.
        check_seal: refuse damaged metadata before HDF5, which they may crash, sees them.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is no store, or reaches outside its own file.
        UnsupportedVersionError: if its format is of another major version.
    """
    opened = _open_twice(path, check_seal=check_seal)
    try:
        with damage_named(path):
            check_format(opened.hdf5, path)
            for _ in iter_nodes(opened.hdf5, path):
                pass  # before anything is read, all of it is seen to be the file's own
    except FmcoreError:
        opened.close()
        raise
    return opened


def _open_twice(path: Path, *, check_seal: bool) -> OpenFile:
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(f"cannot open store {path}: {found}; `fmcore capture` writes one")
    try:
        for _ in range(ATTEMPTS):
            # h5py says the same of a file it may not read and of no HDF5 file, so ours is first.
            ours = FileBytes(path)
            if check_seal:
                verify_seal(ours)
            if not h5py.is_hdf5(path):
                raise StoreError(
                    f"{path} is no store: it is not an HDF5 file; `fmcore capture` writes one"
                )
            # A store never changes under its name, so no lock is needed; and that of a writer who
            # is about to let go, or a file system without locks, is not in the way.
            file = h5py.File(path, "r", locking=False)
            if ours.is_same_as(file):
                return OpenFile(file, ours)
            file.close()  # replaced between our opening and HDF5's
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputFileError(f"cannot open store {path}: {reason}") from error
    raise InputFileError(f"cannot open store {path}: it is replaced again and again; try later")
