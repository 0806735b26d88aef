"""Opens a file as a store, if it is marked as one and has a version that we read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py

from fmcore.errors import FmcoreError, InputFileError, StoreError
from fmcore.storage.file.nodes import damage_as_store_error
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import verify_seal
from fmcore.storage.file.structure import check_format

ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A store that is open twice: HDF5 reads its metadata, fmcore its chunks.

    Attributes:
        hdf5: the file as HDF5 has opened it.
        bytes: the file as fmcore has opened it.
        is_sealed: whether it is, bit by bit, what a writer checked and sealed.
    """

    hdf5: h5py.File
    bytes: FileBytes
    is_sealed: bool

    def close(self) -> None:
        """Closes both; safe to call twice."""
        self.hdf5.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hdf5_version() -> str:
    """The version of the HDF5 library that h5py uses, such as `1.14.6`."""
    return str(h5py.version.hdf5_version)


def open_file(path: Path, *, check_seal: bool = True, file: FileBytes | None = None) -> OpenFile:
    """Opens a store read-only.

    Nothing but two attributes is read of it: `require_structure` and `require_layer` check that the
    rest lies in this file, before anything of that is read.

    Args:
        path: the file.
        check_seal: whether to refuse damaged metadata before HDF5, which may crash, sees them.
        file: the file, if it is open: this very one is opened, whatever lies at the path by now.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is not a store.
        UnsupportedVersionError: if its format has another major version.
    """
    opened = _open_twice(path, file, check_seal=check_seal)
    try:
        with damage_as_store_error(path):
            check_format(opened.hdf5, path)
    except FmcoreError:
        opened.close()
        raise
    return opened


def _open_twice(path: Path, file: FileBytes | None, *, check_seal: bool) -> OpenFile:
    try:
        if file is None and not path.is_file():
            reason = "it is a folder" if path.is_dir() else "there is no such file"
            raise InputFileError(f"cannot open store {path}: {reason}; `fmcore capture` writes one")
        for _ in range(ATTEMPTS):
            # First, because h5py does not tell a file it may not read from one that is not HDF5.
            file_bytes = file or FileBytes(path)
            is_sealed = check_seal and verify_seal(file_bytes)
            name = file_bytes.name if file else path
            if not h5py.is_hdf5(name):
                raise StoreError(
                    f"{path} is not a store: it is not an HDF5 file; `fmcore capture` writes one"
                )
            # A store never changes under its name, so no lock is needed. Without one, a writer that
            # is about to release its lock, or a file system without locks, causes no error.
            hdf5 = h5py.File(name, "r", locking=False)
            if file_bytes.is_same_as(hdf5):
                return OpenFile(hdf5, file_bytes, is_sealed)
            hdf5.close()  # it was replaced between the two openings
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputFileError(f"cannot open store {path}: {reason}") from error
    raise InputFileError(
        f"cannot open store {path}: it is being replaced again and again; try later"
    )
