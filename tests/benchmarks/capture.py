"""Seconds of a capture of full MNIST, beside what people write today, its own floor, and zarr.

Every ratio is of medians of rounds that took turns in one run; the model is loaded, and traced by
each way itself. Each round writes to new files, and takes the old ones away untimed. Ours is what
`fmcore capture` does: from images of uint8, which it stores too.

python tests/benchmarks/capture.py [--quick] [--rounds N]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import h5py
import keras
import numpy as np
import zarr
from benchmarks.harness import Cell, Options, Table
from benchmarks.serving import middle
from benchmarks.stores import save_random
from isal import isal_zlib

from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture, plan_output
from fmcore.dataset import Preprocessing, class_names_for, load_dataset
from fmcore.model.probe import KerasProbe
from fmcore.model.tutorial import train_tutorial_network
from fmcore.statistics import Batch, Extent, LayerAccumulators, Pooled

BATCH, READS = 256, 20


class Data:
    """The test set, a trained model, and the layers of a capture."""

    def __init__(self, source: str) -> None:
        dataset = load_dataset(source)
        self.source, self.labels = dataset.source, dataset.test.labels
        self.dataset = dataset
        self.images = dataset.test.images.astype(np.float32) / np.float32(255)
        self.model = train_tutorial_network(
            dataset.train, n_classes=10, epochs=1, seed=0, progress=False
        ).model
        self.layers = [
            layer for layer in self.model.layers if isinstance(layer, keras.layers.Conv2D)
        ]

    def batches(self, run: Callable) -> list:
        return [run(self.images[i : i + BATCH]) for i in range(0, len(self.images), BATCH)]


def usual(data: Data, folder: Path) -> list[np.ndarray]:
    """(a) predict with its default batch, gzip with automatic chunks; no statistics."""
    model = keras.Model(data.model.inputs, [layer.output for layer in data.layers])
    activations = model.predict(data.images, verbose=0)
    with h5py.File(folder / "usual.h5", "w") as file:
        for layer, values in zip(data.layers, activations, strict=True):
            file.create_dataset(layer.name, data=values, compression="gzip")
        file["labels"] = data.labels
    return activations


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
            spec.path, shape=(len(data.images), *spec.shape), chunks=(1, *spec.shape), dtype="f4"
        )
        for spec in probe.layers
    ]
    for start in range(0, len(data.images), BATCH):
        captured = probe(data.images[start : start + BATCH])
        for array, values in zip(arrays, captured.activations, strict=True):
            array[start : start + len(values)] = values


def ours(data: Data, folder: Path, *, statistics: str = "basic") -> None:
    """With the statistics that (a') has; `all` adds histograms, scores, chance and top samples."""
    dataset, probe, scaled = data.dataset, KerasProbe(data.model), Preprocessing(scale=255.0)
    probe.use_output(plan_output(probe, dataset.test, preprocessing=scaled))
    plan = plan_capture(
        probe,
        dataset.test,
        CaptureOptions(statistics=statistics),
        class_names=class_names_for(dataset.class_names, probe.output.n_classes),
        model=probe.info,
        dataset_name=dataset.name,
        dataset_source=dataset.source,
        preprocessing=scaled,
    )
    capture(probe, dataset.test, folder / f"{'ours' if statistics == 'basic' else 'all'}.h5", plan)


def ours_with_all(data: Data, folder: Path) -> None:
    ours(data, folder, statistics="all")


def forward(data: Data, _: Path) -> list:
    return data.batches(KerasProbe(data.model))


def compress(captured: list) -> None:
    def compress_batch(batch) -> None:
        for values in batch.activations:
            for sample in values:
                isal_zlib.compress(sample.data, 1)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(compress_batch, captured))


def reduce(data: Data, captured: list) -> None:
    def reduce_layer(index: int) -> None:
        shape = captured[0].activations[index].shape[1:]
        sums = LayerAccumulators.empty(Extent(10, shape))  # no histograms
        for place, batch in enumerate(captured):
            values = batch.activations[index]
            labels = data.labels[place * BATCH : place * BATCH + len(values)]
            sums.add(Batch(values, labels, Pooled.from_batch(values), values))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(reduce_layer, range(len(data.layers))))


class Clock:
    """Wall and CPU seconds of each way, by round."""

    def __init__(self) -> None:
        self.wall, self.cpu = defaultdict(list), defaultdict(list)

    def run(self, name: str, call: Callable):
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        self.wall[name].append(time.perf_counter() - wall)
        self.cpu[name].append(time.process_time() - cpu)
        return result

    def middle(self, name: str) -> float:
        return middle(self.wall[name])


def reads(folder: Path, n_samples: int) -> dict[str, float]:
    """Median seconds to read conv1 of one random sample."""
    samples = np.random.default_rng(0).integers(0, n_samples, READS)
    with h5py.File(folder / "usual.h5") as file, open_store(folder / "ours.h5") as store:
        layer = store.layers["conv1"]
        array = zarr.open_group(folder / "store.zarr", mode="r")["conv1"]
        ways = {"usual": file["conv1"].__getitem__, "ours": layer.feature_maps}
        ways |= {"zarr": array.__getitem__, "ours, raw": layer.activation.raw_chunks}
        seconds = {}
        for name, read in ways.items():
            read(0)  # the index of chunks is read once
            times = []
            for sample in samples:
                started = time.perf_counter()
                read(int(sample))
                times.append(time.perf_counter() - started)
            seconds[name] = middle(times)
    return seconds


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
    ours_with_all(data, folder)  # the first run of TensorFlow is nobody's
    for _ in range(rounds):
        for file in folder.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        for key, way in WAYS.items():
            if key == "usual+statistics":
                (folder / "usual.h5").unlink()
            clock.run(key, lambda way=way: way(data, folder))
        captured = clock.run("forward", lambda: forward(data, folder))
        clock.run("compression", lambda captured=captured: compress(captured))
        clock.run("statistics", lambda captured=captured: reduce(data, captured))
        del captured
    return clock


WAYS = {
    "ours": ours,
    "ours, all statistics": ours_with_all,
    "usual": usual,
    "usual+statistics": usual_with_statistics,
    "zarr": to_zarr,
}
PARTS = (*WAYS, "forward", "compression", "statistics")
ROWS = (
    "(a) predict, gzip; no statistics: times as fast",
    "(a') and numpy's: times as fast",
    "(b) forward + compression alone: times as long",
    "(b) and the statistics alone: times as long",
    "all statistics, of the capture with the basic ones",
    "(c) zarr-python 3, its default codec: times as fast",
    "activations on the disk, of (a)'s",
    "one sample's conv1, of (a)'s file: times as fast",
    "one sample's conv1, of zarr's: times as fast",
    "its stored bytes, as sent, of (a)'s: times as fast",
)


def compared(
    clock: Clock, size: dict[str, int], read: dict[str, float]
) -> list[tuple[Cell, Cell, Cell]]:
    """Theirs, ours and the ratio of each of `ROWS`."""

    def row(theirs: float, mine: float, unit: str, ratio: float) -> tuple[Cell, Cell, Cell]:
        return (theirs, unit), (mine, unit), ratio

    def quicker(theirs: float, mine: float, unit: str) -> tuple[Cell, Cell, Cell]:
        return row(theirs, mine, unit, theirs / mine)

    mine, seconds = clock.middle("ours"), clock.middle
    floor = seconds("forward") + seconds("compression")
    whole, megabytes = floor + seconds("statistics"), {k: v / 1e6 for k, v in size.items()}
    with_all, ms = seconds("ours, all statistics"), {k: 1e3 * v for k, v in read.items()}
    return [
        quicker(seconds("usual"), mine, "s"),
        quicker(seconds("usual+statistics"), mine, "s"),
        row(floor, mine, "s", mine / floor),
        row(whole, mine, "s", mine / whole),
        row(mine, with_all, "s", with_all / mine),
        quicker(seconds("zarr"), mine, "s"),
        row(megabytes["usual"], megabytes["ours"], "MB", size["ours"] / size["usual"]),
        quicker(ms["usual"], ms["ours"], "ms"),
        quicker(ms["zarr"], ms["ours"], "ms"),
        quicker(ms["usual"], ms["ours, raw"], "ms"),
    ]


def main(source: str, folder: Path, rounds: int) -> None:
    with Table("capture", ("theirs", "ours", "ratio"), ROWS) as table:
        data = Data(source)
        clock = measured(data, folder, rounds)
        read = reads(folder, len(data.images))
        for name, cells in zip(ROWS, compared(clock, sizes(folder), read), strict=True):
            table.add(name, *cells)
    print(f"{data.source}: {len(data.images):,} samples, {rounds} rounds in turn, medians")
    print("ours is with basic statistics where nothing is said\n")
    with Table("part", ("wall", "CPU", "cores", "of ours' CPU"), PARTS) as table:
        for key in PARTS:
            cpu, wall = middle(clock.cpu[key]), clock.middle(key)
            share = f"{cpu / middle(clock.cpu['ours']):.0%}"
            table.add(key, (wall, "s"), (cpu, "s"), cpu / wall, share)


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_number("--rounds", 5, 1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = "mnist"
        if options.quick:
            save_random(Path(source := f"{name}/random.npz"))
        (folder := Path(name) / "files").mkdir()
        main(source, folder, options.rounds)
