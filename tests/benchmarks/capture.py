"""A capture of full MNIST against what people write today, its own floor, and zarr; in turn.

Every ratio is of medians of rounds that took turns in one run; the model is loaded, and traced by
each way itself. Each round writes to new files, and takes the old ones away untimed. Ours is what
`fmcore capture` does: from images of uint8, which it stores too.

python tests/benchmarks/capture.py [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
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

from fmcore import open_store
from fmcore.capture import capture, plan_capture
from fmcore.dataset import Preprocessing, class_names_for, load_dataset
from fmcore.model.probe import KerasProbe
from fmcore.model.tutorial import train_tutorial_network
from fmcore.statistics import LayerAccumulators, Pooled

sys.path.insert(0, str(Path(__file__).parent))

import memory

BATCH, READS = 256, 20


class Data:
    """The test set, a trained model, and the layers of a capture."""

    def __init__(self) -> None:
        dataset = load_dataset("mnist")
        self.source, self.labels = dataset.source, dataset.test.labels
        self.dataset = dataset
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


def ours(data: Data, folder: Path, *, statistics: str = "basic") -> None:
    """With the statistics that (a') has; `all` adds histograms, scores, chance and top samples."""
    dataset, probe = data.dataset, KerasProbe(data.model)
    plan = plan_capture(
        probe,
        dataset.test,
        class_names=class_names_for(dataset.class_names, probe.n_classes),
        model=probe.info,
        dataset_name=dataset.name,
        dataset_source=dataset.source,
        preprocessing=Preprocessing(scale=255.0),
        statistics=statistics,
    )
    capture(probe, dataset.test, folder / f"{'ours' if statistics == 'basic' else 'all'}.h5", plan)


def ours_with_all(data: Data, folder: Path) -> None:
    ours(data, folder, statistics="all")


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
        sums = LayerAccumulators.empty(
            10, captured[0].activations[index].shape[1:]
        )  # no histograms
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
        ways |= {"zarr": array.__getitem__, "ours, raw": layer.chunk_bytes}
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


def measured(data: Data, folder: Path, rounds: int) -> Clock:
    clock = Clock()
    ways = {
        "ours": ours,
        "ours, all statistics": ours_with_all,
        "usual": usual,
        "usual+statistics": usual_with_statistics,
    }
    ways["zarr"] = to_zarr
    ours_with_all(data, folder)  # the first run of TensorFlow is nobody's
    for _ in range(rounds):
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        for key, way in ways.items():
            if key == "usual+statistics":
                (folder / "usual.h5").unlink()
            clock.run(key, lambda way=way: way(data, folder))
        captured = clock.run("forward", lambda: forward(data, folder))
        clock.run("compression", lambda captured=captured: compress(captured))
        clock.run("statistics", lambda captured=captured: reduce(data, captured))
        del captured
    return clock


def table(clock: Clock, size: dict[str, int], read: dict[str, float]) -> list[tuple[str, ...]]:
    """Rows of: what, theirs, ours, the ratio."""

    def row(what: str, theirs: float, mine: float, unit: str, ratio: float) -> tuple[str, ...]:
        return what, f"{theirs:,.3g} {unit}", f"{mine:,.3g} {unit}", f"{ratio:,.2f}"

    def quicker(what: str, theirs: float, mine: float, unit: str) -> tuple[str, ...]:
        return row(what, theirs, mine, unit, theirs / mine)

    mine, middle = clock.middle("ours"), clock.middle
    floor = middle("forward") + middle("compression")
    whole, megabytes = floor + middle("statistics"), {k: v / 1e6 for k, v in size.items()}
    ms = {key: 1e3 * seconds for key, seconds in read.items()}
    return [
        quicker("(a) predict, gzip; no statistics: times as fast", middle("usual"), mine, "s"),
        quicker("(a') and numpy's: times as fast", middle("usual+statistics"), mine, "s"),
        row("(b) forward + compression alone: times as long", floor, mine, "s", mine / floor),
        row("(b) and the statistics alone: times as long", whole, mine, "s", mine / whole),
        row(
            "all statistics, of the capture with the basic ones",
            *(mine, middle("ours, all statistics"), "s"),
            middle("ours, all statistics") / mine,
        ),
        quicker("(c) zarr-python 3, its default codec: times as fast", middle("zarr"), mine, "s"),
        row(
            "activations on the disk, of (a)'s",
            *(megabytes["usual"], megabytes["ours"], "MB", size["ours"] / size["usual"]),
        ),
        quicker("one sample's conv1, of (a)'s file", ms["usual"], ms["ours"], "ms"),
        quicker("the same, of zarr's", ms["zarr"], ms["ours"], "ms"),
        quicker("its stored bytes, as sent, of (a)'s", ms["usual"], ms["ours, raw"], "ms"),
    ]


def memory_rows() -> list[tuple[str, ...]]:
    few, many = (memory.peak_megabytes(count) for count in memory.COUNTS)
    large, budget = memory.peak_megabytes(memory.LARGE_SAMPLES, memory.LARGE), 2**10
    return [
        (
            "peak memory, 10,000 and 100,000 samples",
            *(f"{few:,.0f} MB", f"{many:,.0f} MB", f"{many / few:.2f}"),
        ),
        (
            "112x112x64, 1,000 classes, of --memory",
            *(f"{budget:,} MB", f"{large:,.0f} MB", f"{large / budget:.2f}"),
        ),
    ]


def main(rounds: int) -> None:
    data = Data()
    with tempfile.TemporaryDirectory() as name:
        clock = measured(data, Path(name), rounds)
        rows = table(clock, sizes(Path(name)), reads(Path(name), len(data.images)))
    rows = [("what", "theirs", "ours", "ratio"), *rows, *memory_rows()]
    print(f"{data.source}: {len(data.images):,} samples, {rounds} rounds in turn, medians")
    for what, *others in rows:
        print(f"{what:52}" + "".join(f"{other:>12}" for other in others))
    print("ours is with basic statistics where nothing is said")
    print(f"\n{'part':20}{'wall':>9}{'CPU':>9}{'cores':>7}{'of the CPU of ours':>20}")
    for key, seconds in clock.cpu.items():
        cpu, wall = statistics.median(seconds), clock.middle(key)
        share = cpu / statistics.median(clock.cpu["ours"])
        print(f"{key:20}{wall:7.2f} s{cpu:7.2f} s{cpu / wall:7.2f}{share:20.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args().rounds)
