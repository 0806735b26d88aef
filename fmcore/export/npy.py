"""NumPy's own format: one array a file, memory-mappable with `np.load(path, mmap_mode="r")`."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from fmcore.export.record import ArrayInBlocks, Format


def write(stream: BinaryIO, array: ArrayInBlocks) -> None:
    """Writes the header, then each block as it comes."""
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in array.blocks:
        stream.write(np.ascontiguousarray(block, dtype=array.dtype).data)


FORMAT = Format("npy", ".npy", "one NumPy file for each array, memory-mappable", write)
