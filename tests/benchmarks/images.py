"""Images in folders: seconds of decoding, the model and the rest, each alone, and of all together.

python tests/benchmarks/images.py [--quick] [--count N] [--rounds N]

JPEGs of 320x240 pixels in ten class folders, brought to 64x64, through a network of two
convolutions. The rest is reducing, compressing and writing, with activations that are there.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table
from PIL import Image

from fmcore.capture import CaptureOptions, capture, plan_capture, plan_output
from fmcore.dataset import Dataset, Fitting, Preprocessing, from_folder
from fmcore.model.opening import need_keras
from fmcore.records import Captured

SHAPE = (64, 64, 3)
SCALE = Preprocessing(scale=255.0)
PARTS = ("decoding", "the model", "the rest")
ALL, RATIO = "all of it", "all of it, of the longest part"


def make_images(folder: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"class{index % 10}" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((320, 240), Image.Resampling.BICUBIC).save(path, quality=90)


class Ready:
    """A probe that has the answer already."""

    def __init__(self, probe, first: Captured) -> None:
        self.layers, self._first = probe.layers, first

    def __call__(self, images, others=None) -> Captured:
        n = len(images)
        maps = tuple(one[:n] for one in self._first.activations)
        return Captured(maps, self._first.probability[:n])


class InMemory:
    """Images that cost nothing: the first ones again and again."""

    dtype = np.dtype("u1")

    def __init__(self, first: np.ndarray, count: int) -> None:
        self._first, self.shape = first, (count, *first.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self._first[: min(rows.stop, len(self)) - (rows.start or 0)]

    def digests(self):
        return iter([b""])


def main(count: int, rounds: int, folder: Path, table: Table) -> None:
    need_keras()
    from fmcore.model.probe import KerasProbe
    from fmcore.model.tutorial import tutorial_network

    (folder / "images").mkdir()
    make_images(folder / "images", count)
    dataset: Dataset = from_folder(folder / "images", Fitting(SHAPE))
    probe = KerasProbe(tutorial_network(SHAPE, n_classes=10))
    probe.use_output(plan_output(probe, dataset.test, preprocessing=SCALE))
    batch = 512
    options = CaptureOptions(batch_size=batch, overwrite=True)

    def planned(some_probe, samples):
        return plan_capture(
            some_probe,
            samples,
            options,
            class_names=dataset.class_names,
            model=probe.info,
            dataset_name="images",
            dataset_source="images",
            preprocessing=SCALE,
        )

    slices = [slice(start, start + batch) for start in range(0, count, batch)]

    def decode() -> None:
        for rows in slices:
            dataset.test.images[rows]

    first = SCALE(dataset.test.images[:batch])
    ready = Ready(probe, probe(first))

    def model() -> None:
        for rows in slices:
            probe(first[: min(rows.stop, count) - rows.start])

    without = dataclasses.replace(dataset.test, images=InMemory(dataset.test.images[:batch], count))

    def rest() -> None:
        capture(ready, without, folder / "r.h5", planned(ready, without), options)

    def whole() -> None:
        capture(probe, dataset.test, folder / "w.h5", planned(probe, dataset.test), options)

    parts = dict(zip((*PARTS, ALL), (decode, model, rest, whole), strict=True))
    taken: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(rounds):
        for name, run in parts.items():
            began = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - began)
    seconds = {name: median(times) for name, times in taken.items()}
    alone = sum(seconds[name] for name in PARTS)
    for name in parts:
        table.add(name, (seconds[name], "s"), seconds[name] / alone)
    longest = max(PARTS, key=seconds.get)
    table.add(RATIO, "", seconds[ALL] / seconds[longest], note=longest)
    print(f"{count:,} images, median of {rounds}, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_number("--count", 10_000, 40)
    parser.add_number("--rounds", 3, 1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        Table("images in folders", ("seconds", "of the parts"), (*PARTS, ALL, RATIO)) as table,
    ):
        main(options.count, options.rounds, Path(name), table)
