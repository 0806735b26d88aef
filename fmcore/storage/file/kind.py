"""Which files `--force` replaces where a store is written."""

from __future__ import annotations

from typing import BinaryIO

from fmcore.files import Kind
from fmcore.storage.format.schema import FORMAT

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The attribute that names the format lies in the first kilobyte; other programs may move it.
_HEAD_BYTES = 1 << 20


def _is_store(stream: BinaryIO) -> bool:
    """Whether a file is a store, whole or damaged: HDF5 whose beginning names the format.

    HDF5 is not asked: a damaged file may end the process in it.
    """
    head = stream.read(_HEAD_BYTES)
    return head.startswith(_SIGNATURE) and FORMAT.encode() in head


STORE_KIND = Kind("a store", _is_store)
