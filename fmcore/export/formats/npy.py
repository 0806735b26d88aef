"""NumPy's own format: one array a file, memory-mappable with `np.load(path, mmap_mode="r")`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import numpy as np

from fmcore.export.contents import ArraySource, Format, Group, Part


def header(array: ArraySource) -> bytes:
    """The header of an npy file, which stands before the values."""
    stream = io.BytesIO()
    fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def write(array: ArraySource, stream: BinaryIO) -> None:
    """Writes the header of an array, then its blocks."""
    stream.write(header(array))
    for block in array.blocks():
        stream.write(np.ascontiguousarray(block).data.cast("B"))


def _parts(groups: Sequence[Group]) -> list[Part]:
    arrays = [array for group in groups for array in group.arrays]
    samples = {array.path: array for group in groups for array in group.samples}
    return [
        Part(f"{array.path}.npy", {"": array}, array.nbytes, write=partial(write, array))
        for array in (*arrays, *samples.values())
    ]


FORMAT = Format(
    "npy",
    "one NumPy file for each array, memory-mappable",
    ("maps", "pooled", "statistics"),
    exact_bytes=True,
    array_parts=_parts,
    array_header=header,
)
