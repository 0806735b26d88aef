"""NumPy's own format: one array a file, memory-mappable with `np.load(path, mmap_mode="r")`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.export.record import Format


def write(
    stream: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]
) -> None:
    """Writes the header, then each block as it comes."""
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for block in blocks:
        stream.write(np.ascontiguousarray(block, dtype=dtype).data)


FORMAT = Format("npy", ".npy", "one NumPy file for each array, memory-mappable", write)
