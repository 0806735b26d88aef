"""Our chunks against what everybody writes, in turn on the same ReLU maps: time, size, one read."""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from fmcore.storage import codec, layout

N, SHAPE, ROUNDS = 2_000, (26, 26, 16), 3


def relu_maps() -> np.ndarray:
    """Smooth blobs on a background of one value for each filter, as a first layer puts out."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:26, :26]
    centre = rng.uniform(6, 20, (N, 2, 1, 1))
    blob = np.exp(-((y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2) / 20)[..., np.newaxis]
    maps = blob * rng.normal(size=16) + rng.normal(size=16) / 20
    maps[np.broadcast_to(blob < 0.02, maps.shape)] = 0.03125
    return np.maximum(maps, 0).astype(np.float32)


def write_usual(path: Path, maps: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("activation", data=maps, compression="gzip")


def write_ours(path: Path, maps: np.ndarray) -> None:
    with h5py.File(path, "w", libver=("v110", "v110")) as file, ThreadPoolExecutor(2) as threads:
        chunk = layout.activation_chunk(N, SHAPE)
        space = h5py.h5s.create_simple(maps.shape)
        properties = codec.creation_properties(chunk)
        array = h5py.h5d.create(file.id, b"activation", h5py.h5t.IEEE_F32LE, space, properties)
        blocks = list(layout.blocks(maps, chunk, 0))
        encoded = threads.map(lambda block: codec.encode([block[1]])[0], blocks, chunksize=16)
        for (offset, _), data in zip(blocks, encoded, strict=True):
            array.write_direct_chunk(offset, data)


def read_one(path: Path) -> float:
    with h5py.File(path) as file:
        array, rng = file["activation"], np.random.default_rng(1)
        started = time.perf_counter()
        for index in rng.integers(0, N, 30):
            array[index]
        return (time.perf_counter() - started) / 30


if __name__ == "__main__":
    maps = relu_maps()
    times: dict[str, list[tuple[float, float]]] = {"usual": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for name, write in (("usual", write_usual), ("ours", write_ours)):
                path = Path(folder) / f"{name}.h5"
                started = time.perf_counter()
                write(path, maps)
                times[name].append((time.perf_counter() - started, read_one(path)))
        sizes = {name: (Path(folder) / f"{name}.h5").stat().st_size / 1e6 for name in times}
    middle = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in times.items()
    }
    titles = {"usual": "h5py gzip, automatic chunks", "ours": "one sample a chunk, ISA-L"}
    for name, title in titles.items():
        write, read = middle[name]
        print(f"{title:30} write {write:6.2f} s  {sizes[name]:6.1f} MB  one {read * 1e3:7.3f} ms")
    write, read = (usual / ours for usual, ours in zip(*middle.values(), strict=True))
    print(f"ratio: {write:.1f} times as fast to write, {read:.0f} times as fast to read one sample")
