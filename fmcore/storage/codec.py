"""How the bytes of a chunk are made: deflate, then Fletcher32, as HDF5's own filters would.

Measured on ReLU maps: ISA-L's deflate at level 1 without shuffle is about ten times as fast as
zlib and no larger, and any HDF5 reads it back without a plugin.
"""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from isal import isal_zlib
from numcodecs import Fletcher32
from numpy.typing import NDArray

DEFLATE_LEVEL = 1
_CHECKSUM = Fletcher32()


def encode(block: NDArray[Any]) -> bytes:
    """The stored bytes of one chunk: a zlib stream and four bytes of checksum over it."""
    deflated = isal_zlib.compress(np.ascontiguousarray(block).data, DEFLATE_LEVEL)
    return bytes(_CHECKSUM.encode(deflated))


def creation_properties(chunk: tuple[int, ...]) -> h5py.h5p.PropDCID:
    """The properties of an array whose chunks are made by `encode`, or by HDF5 in the same way."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(chunk)
    properties.set_deflate(DEFLATE_LEVEL)
    properties.set_fletcher32()  # after deflate: the checksum covers the bytes on the disk
    properties.set_obj_track_times(False)
    return properties
