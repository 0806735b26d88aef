"""Where the chunks of a file lie, and what lies between them, as HDF5 says."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.storage.walk import walk


def chunk_places(dataset: h5py.Dataset) -> NDArray[np.int64]:
    """Where each stored chunk of an array lies, <int64>[chunk, (start, stop)], in HDF5's order."""
    places = array("q")  # pairs of tuples for 200,000 chunks would take 25 MB
    dataset.id.chunk_iter(
        lambda chunk: places.extend((chunk.byte_offset, chunk.byte_offset + chunk.size))
    )
    return np.array(places, dtype="<i8").reshape(-1, 2)


def all_places(file: h5py.File, path: Path) -> dict[str, NDArray[np.int64]]:
    """The same of every array in chunks, by its path."""
    return {
        name.lstrip("/"): chunk_places(node)
        for name, node in walk(file, path)
        if isinstance(node, h5py.Dataset) and node.chunks
    }


def joined(places: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Chunks that lie back to back as one, sorted, <int64>[run, (start, stop)]."""
    ends = np.concatenate([np.zeros((0, 2), "<i8"), *places])
    ends = ends[np.argsort(ends[:, 0])]
    begins_run = np.append(True, ends[1:, 0] != ends[:-1, 1])[: len(ends)]
    ends_run = np.append(begins_run[1:], True)[: len(ends)]
    return np.stack([ends[begins_run, 0], ends[ends_run, 1]], axis=1)


def between(runs: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file of a size, (start, stop), that no run covers."""
    ends = [0, *runs.reshape(-1).tolist(), size]
    return zip(ends[::2], ends[1::2], strict=True)
