"""A capture of full MNIST against what people write today, its own floor, and zarr; in turn.

Every ratio is of medians of rounds that took turns in one run; the model is loaded, and traced by
each way itself.

python tests/benchmarks/capture.py [--rounds N] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import keras
import numpy as np
import zarr
from isal import isal_zlib

from fmcore import capture_activations, open_store
from fmcore.dataset import load_dataset
from fmcore.model.probe import KerasProbe
from fmcore.model.train import train_tutorial_network
from fmcore.statistics import LayerSums, Pooled

BATCH, READS = 256, 20


class Data:
    """The test set, a trained model, and the layers of a capture."""

    def __init__(self) -> None:
        dataset = load_dataset("mnist")
        self.source, self.labels = dataset.source, dataset.test.labels
        self.images = dataset.test.images.astype(np.float32) / np.float32(255)
        self.model = train_tutorial_network(
            dataset.train, n_classes=10, epochs=1, seed=0, progress=False
        ).model
        self.layers = [one for one in self.model.layers if isinstance(one, keras.layers.Conv2D)]

    def batches(self, run: Callable) -> list:
        return [run(self.images[i : i + BATCH]) for i in range(0, len(self.images), BATCH)]


def usual(data: Data, folder: Path) -> list[np.ndarray]:
    """(a) predict with its default batch, gzip with automatic chunks; no statistics."""
    model = keras.Model(data.model.inputs, [layer.output for layer in data.layers])
    found = model.predict(data.images, verbose=0)
    with h5py.File(folder / "usual.h5", "w") as file:
        for layer, values in zip(data.layers, found, strict=True):
            file.create_dataset(layer.name, data=values, compression="gzip")
        file["labels"] = data.labels
    return found


def usual_with_statistics(data: Data, folder: Path) -> None:
    """(a') and then the statistics a store has, by numpy."""
    for values in usual(data, folder):
        flat = values.reshape(len(values), -1, values.shape[3])
        flat.mean(axis=1, dtype=np.float64), (flat == 0).mean(axis=1)
        np.unravel_index(flat.argmax(axis=1), values.shape[1:3]), flat.max(axis=1)
        for label in range(10):
            members = values[data.labels == label]
            members.mean(axis=(0, 1, 2), dtype=np.float64), members.std((0, 1, 2), dtype=np.float64)
            members.min(axis=(0, 1, 2)), members.max(axis=(0, 1, 2))
            (members == 0).mean(axis=(0, 1, 2)), np.isfinite(members).sum(axis=(0, 1, 2))
            members.mean(axis=0, dtype=np.float64), members.std(axis=0, dtype=np.float64)


def to_zarr(data: Data, folder: Path) -> None:
    """(c) the same traced forward, one sample a chunk, zarr's default codec; no statistics."""
    probe = KerasProbe(data.model)
    root = zarr.open_group(folder / "store.zarr", mode="w")
    arrays = [
        root.create_array(
            one.path, shape=(len(data.images), *one.shape), chunks=(1, *one.shape), dtype="f4"
        )
        for one in probe.layers
    ]
    for start in range(0, len(data.images), BATCH):
        captured = probe(data.images[start : start + BATCH])
        for array, values in zip(arrays, captured.activations, strict=True):
            array[start : start + len(values)] = values


def ours(data: Data, folder: Path) -> None:
    capture_activations(data.model, data.images, data.labels, folder / "ours.h5", overwrite=True)


def forward(data: Data, _: Path) -> list:
    return data.batches(KerasProbe(data.model))


def compress(captured: list) -> None:
    def one(batch) -> None:
        for values in batch.activations:
            for sample in values:
                isal_zlib.compress(sample.data, 1)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(one, captured))


def reduce(data: Data, captured: list) -> None:
    def one(index: int) -> None:
        sums = LayerSums.empty(10, captured[0].activations[index].shape[1:])
        for place, batch in enumerate(captured):
            values = batch.activations[index]
            labels = data.labels[place * BATCH : place * BATCH + len(values)]
            sums.add(values, labels, Pooled.from_batch(values))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(one, range(len(data.layers))))


class Clock:
    """Wall and CPU seconds of each way, by round."""

    def __init__(self) -> None:
        self.wall, self.cpu = defaultdict(list), defaultdict(list)

    def run(self, name: str, call: Callable):
        wall, cpu = time.perf_counter(), time.process_time()
        found = call()
        self.wall[name].append(time.perf_counter() - wall)
        self.cpu[name].append(time.process_time() - cpu)
        return found

    def middle(self, name: str) -> float:
        return statistics.median(self.wall[name])


def reads(folder: Path, n_samples: int) -> dict[str, float]:
    """Median seconds to read conv1 of one random sample."""
    samples = np.random.default_rng(0).integers(0, n_samples, READS)
    with h5py.File(folder / "usual.h5") as file, open_store(folder / "ours.h5") as store:
        layer = store.layers["conv1"]
        array = zarr.open_group(folder / "store.zarr", mode="r")["conv1"]
        ways = {"usual": file["conv1"].__getitem__, "ours": layer.feature_maps}
        ways |= {"zarr": array.__getitem__, "ours, raw chunk": layer.chunk_bytes}
        found = {}
        for name, read in ways.items():
            read(0)  # the index of chunks is read once
            times = []
            for sample in samples:
                started = time.perf_counter()
                read(int(sample))
                times.append(time.perf_counter() - started)
            found[name] = statistics.median(times)
    return found


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of the activations on the disk."""
    with h5py.File(folder / "usual.h5") as file, open_store(folder / "ours.h5") as store:
        names = list(store.layers)
        zarr_files = (folder / "store.zarr").rglob("c/**/*")
        return {
            "usual": sum(file[name].id.get_storage_size() for name in names),
            "ours": sum(layer.stored_bytes for layer in store.layers.values()),
            "zarr": sum(path.stat().st_size for path in zarr_files if path.is_file()),
        }


def main(rounds: int, *, as_json: bool) -> None:
    data, clock = Data(), Clock()
    ways = {"usual": usual, "usual+statistics": usual_with_statistics, "zarr": to_zarr}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ours(data, folder)  # the first run of TensorFlow is nobody's
        for _ in range(rounds):
            for key, way in {"ours": ours, **ways}.items():
                clock.run(key, lambda way=way: way(data, folder))
            captured = clock.run("forward", lambda: forward(data, folder))
            clock.run("compress", lambda captured=captured: compress(captured))
            clock.run("statistics", lambda captured=captured: reduce(data, captured))
            del captured
        found = {"reads": reads(folder, len(data.images)), "sizes": sizes(folder)}
        shutil.rmtree(folder / "store.zarr")
    mine = clock.middle("ours")
    floor = clock.middle("forward") + clock.middle("compress")
    found["ratios"] = {
        "as fast as (a) predict + gzip": clock.middle("usual") / mine,
        "as fast as (a') with numpy's statistics": clock.middle("usual+statistics") / mine,
        "as fast as (c) zarr": clock.middle("zarr") / mine,
        "times the floor (b) forward + compression": mine / floor,
        "times the floor (b) with statistics": mine / (floor + clock.middle("statistics")),
        "activation bytes of (a)'s": found["sizes"]["ours"] / found["sizes"]["usual"],
        "one sample, as fast as (a)": found["reads"]["usual"] / found["reads"]["ours"],
        "its raw chunk": found["reads"]["usual"] / found["reads"]["ours, raw chunk"],
    }
    found["seconds"] = {key: clock.middle(key) for key in clock.wall}
    found["cpu"] = {key: statistics.median(value) for key, value in clock.cpu.items()}
    if as_json:
        print(json.dumps(found))
        return
    print(f"{data.source}: {len(data.images):,} samples, {rounds} rounds in turn")
    for key, seconds in found["seconds"].items():
        print(f"  {key:18} {seconds:7.2f} s wall {found['cpu'][key]:7.2f} s CPU")
    for key, value in found["sizes"].items():
        print(f"  {key:18} {value / 1e6:7.1f} MB of activations")
    for key, seconds in found["reads"].items():
        print(f"  {key:18} {seconds * 1e3:7.3f} ms to read conv1 of one sample")
    for key, ratio in found["ratios"].items():
        print(f"  {ratio:7.2f} {key}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    main(options.rounds, as_json=options.json)
