"""NumPy's own format: one array a file, memory-mappable with `np.load(path, mmap_mode="r")`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

import numpy as np

from fmcore.export.contents import ArraySource, Format, Group, Part


def header(array: ArraySource) -> bytes:
    """What stands before the values."""
    out = io.BytesIO()
    about = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(out, about)
    return out.getvalue()


def write(array: ArraySource, stream: BinaryIO) -> None:
    """Writes the header, then each block as it comes."""
    stream.write(header(array))
    for block in array.blocks():
        stream.write(np.ascontiguousarray(block).data.cast("B"))


def _parts(groups: Sequence[Group]) -> list[Part]:
    arrays = [array for group in groups for array in group.arrays]
    beside = {array.path: array for group in groups for array in group.beside}
    return [
        Part(f"{array.path}.npy", {"": array}, array.nbytes, write=partial(write, array))
        for array in (*arrays, *beside.values())
    ]


FORMAT = Format(
    "npy",
    "one NumPy file for each array, memory-mappable",
    _parts,
    ("maps", "pooled", "statistics"),
    exact_bytes=True,
)
