"""The seal: a digest of everything but the chunks, behind the HDF5 part of a store.

HDF5 may crash on damaged metadata (`free(): invalid pointer`, 1 of 510 flipped bits), and keeps
some of them outside every checksum of its own. So they are checked here before HDF5 sees them. No
HDF5 program looks behind the end that the superblock states; a program that changes the file cuts
the seal off, as it should.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StoreError
from fmcore.storage.file.nodes import all_chunk_extents, gaps, merge_adjacent
from fmcore.storage.file.raw_bytes import FileBytes

MAGIC = b"FMCSEAL1"
# Bytes of the HDF5 part, number of runs of chunks, SHA-256, and MAGIC at the very end.
_FOOTER = struct.Struct("<QQ32s8s")
_RUN_BYTES = 16
_PIECE_BYTES = 4 << 20
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def seal(path: Path, expected: Mapping[str, NDArray[np.int64]] | None = None) -> None:
    """Appends the seal to a file that HDF5 has closed.

    Args:
        path: the file.
        expected: where each chunk of some arrays must lie, <int64>[chunk, (start, stop)], by array.

    Raises:
        OSError: if the disk refuses.
        RuntimeError: if HDF5 reads a chunk at another place than expected.
    """
    file = FileBytes(path)
    with h5py.File(path, "r", locking=False) as opened:
        extents = all_chunk_extents(opened, path)
    for name, expected_extents in (expected or {}).items():
        if not np.array_equal(extents[name], expected_extents):
            raise RuntimeError(f"{name}: HDF5 reads its chunks at other places than were written")
    runs = merge_adjacent(list(extents.values()))
    digest = _digest(file, file.size, runs)
    with path.open("ab") as end:
        end.write(runs.tobytes() + _FOOTER.pack(file.size, len(runs), digest, MAGIC))


def verify_seal(file: FileBytes) -> bool:
    """Whether a file has a valid seal; a file that is not HDF5, or that HDF5 changed, has none.

    Raises:
        StoreError: if the seal does not fit, or the file does not end where it should.
        OSError: if the disk refuses.
    """
    stated = _stated_size(file)
    footer = file.read(max(0, file.size - _FOOTER.size), _FOOTER.size)
    if len(footer) == _FOOTER.size and footer.endswith(MAGIC):
        size, n_runs, digest, _ = _FOOTER.unpack(footer)
        table = n_runs * _RUN_BYTES
        if size + table + _FOOTER.size == file.size:
            runs = np.frombuffer(file.read(size, table), "<i8").reshape(-1, 2)
            if _are_runs(runs, size) and _digest(file, size, runs) == digest:
                return True
        raise _damage_error(file, "its metadata differ from their seal")
    if stated is not None and stated != file.size:
        damage = "is cut short" if file.size < stated else "has a damaged seal, or is cut short"
        raise _damage_error(
            file, f"it {damage}: it has {file.size:,} bytes, its superblock states {stated:,}"
        )
    return False


def stated_digest(file: FileBytes) -> str | None:
    """The digest in the seal of a file, in hex; None if it has no seal."""
    footer = file.read(max(0, file.size - _FOOTER.size), _FOOTER.size)
    if len(footer) != _FOOTER.size or not footer.endswith(MAGIC):
        return None
    digest: bytes = _FOOTER.unpack(footer)[2]
    return digest.hex()


def _stated_size(file: FileBytes) -> int | None:
    """Length of the HDF5 part, from its superblock; None if that is not one of HDF5 1.10."""
    head = file.read(0, 36)
    if len(head) < 36 or head[:8] != _SIGNATURE or head[8] not in (2, 3) or head[9] != 8:
        return None
    return int.from_bytes(head[28:36], "little")


def _are_runs(runs: NDArray[np.int64], size: int) -> bool:
    """Whether runs lie within the file and in order, without overlap."""
    flat = runs.reshape(-1)
    return not len(flat) or bool(flat[0] >= 0 and flat[-1] <= size and (np.diff(flat) > 0).all())


def _digest(file: FileBytes, size: int, runs: NDArray[np.int64]) -> bytes:
    digest = hashlib.sha256(MAGIC + size.to_bytes(8, "little") + runs.tobytes())
    for start, stop in gaps(runs, size):
        for place in range(start, stop, _PIECE_BYTES):
            digest.update(file.read(place, min(_PIECE_BYTES, stop - place)))
    return digest.digest()


def _damage_error(file: FileBytes, problem: str) -> StoreError:
    return StoreError(
        f"{file.path} is a damaged or incomplete store: {problem}; `fmcore validate` lists what "
        "can still be read; capture again, or restore it from a copy"
    )
