"""Tables that `--force` replaces: those of the same kind, known by their columns."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from typing import BinaryIO

from fmcore.files import Kind

# The names of the columns lie in so many bytes: at the beginning of text, and of Parquet's footer.
_HEAD_BYTES = 64 << 10
_FOOTER_END = 8  # the length of a footer, and PAR1


def table_kind(words: str, columns: Collection[str]) -> Kind:
    """The kind of a table, in one of the formats that `FORMATS` writes.

    Args:
        words: what it is, such as `a table of statistics`.
        columns: the names of its columns, in order.
    """

    def is_of(stream: BinaryIO) -> bool:
        head = stream.read(_HEAD_BYTES)
        if head.startswith(b"PAR1"):
            schema = _parquet_schema(stream)
            return all(bytes([len(name)]) + name.encode() in schema for name in columns)
        if head == b"[]\n":
            return True
        return _names(head) == list(columns)

    return Kind(words, is_of)


def _names(head: bytes) -> list[str]:
    """The names of the columns of a table as text, by its first bytes; empty if it is none."""
    first, _, following = head.partition(b"\n")
    if first != b"[":
        return first.decode("utf-8", "replace").split(",")
    try:
        row = json.loads(following.partition(b"\n")[0].removesuffix(b","))
    except (ValueError, RecursionError):
        return []
    return list(row) if isinstance(row, dict) else []


def _parquet_schema(stream: BinaryIO) -> bytes:
    """The first bytes of a Parquet file's footer, where its schema lies; empty if it has none."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _FOOTER_END))
    end = stream.read()
    start = size - _FOOTER_END - int.from_bytes(end[:4], "little")
    if not end.endswith(b"PAR1") or start < 0:
        return b""
    stream.seek(start)
    return stream.read(min(_HEAD_BYTES, size - start))
