"""Captures of the networks of keras.applications beside `predict` alone, in turn, both warm.

python tests/benchmarks/networks.py [--quick] [--network NAME …] [--samples N] [--rounds N]

Crops of photographs of 224x224 pixels go through networks with random weights, whose answers have
ten classes. Each network has a process of its own. Beside the seconds: the size of the store, and
what the plan said that it would be.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table
from sklearn.datasets import load_sample_images

from fmcore.capture import CaptureOptions, capture, plan_capture, plan_output
from fmcore.dataset import LabelledImages, Preprocessing, class_names_for
from fmcore.model.opening import need_keras

NETWORKS = ("ResNet50", "MobileNetV3Large", "EfficientNetV2S", "VGG16")
QUICK = ("MobileNet",)
CLASSES = 10
WAYS = {
    "auto": CaptureOptions(target="class", allow_large=True),
    "deflate": CaptureOptions(target="class", allow_large=True, compression="deflate"),
    "none": CaptureOptions(target="class", allow_large=True, compression="none"),
    "basic statistics": CaptureOptions(target="class", allow_large=True, statistics="basic"),
    "pooled": CaptureOptions(target="class", allow_large=True, policy="*=pooled"),
}
COLUMNS = ("predict", "capture", "times", "its CPU", "store", "of the plan")


def crops(n: int, size: int) -> np.ndarray:
    """Parts of photographs, <uint8>[sample, y, x, 3]."""
    photographs, rng = load_sample_images().images, np.random.default_rng(0)
    corners = rng.integers(0, [427 - size, 640 - size], size=(n, 2))
    return np.stack(
        [
            photographs[index % len(photographs)][y : y + size, x : x + size]
            for index, (y, x) in enumerate(corners)
        ]
    )


class Network:
    """A network and the images that it gets."""

    def __init__(self, name: str, n: int, size: int) -> None:
        need_keras()
        import keras

        from fmcore.model.probe import KerasProbe

        network = getattr(keras.applications, name)
        self.model = network(weights=None, classes=CLASSES, input_shape=(size, size, 3))
        self.samples = LabelledImages(crops(n, size), np.arange(n) % CLASSES)
        self._probe = KerasProbe

    def predict(self) -> None:
        self.model.predict(self.samples.images.astype(np.float32), verbose=0)

    def capture(self, path: Path, options: CaptureOptions) -> int:
        """Writes a store, and returns the bytes that its plan said."""
        probe, pixels = self._probe(self.model), Preprocessing()
        probe.use_output(plan_output(probe, self.samples, options, preprocessing=pixels))
        plan = plan_capture(
            probe,
            self.samples,
            options,
            class_names=class_names_for((), probe.output.n_classes),
            model=probe.info,
            dataset_name="crops",
            dataset_source="parts of two photographs",
            preprocessing=pixels,
        )
        capture(probe, self.samples, path, plan, options)
        return plan.estimate.store_bytes


def rows(name: str) -> list[str]:
    return [f"{name}, {way}" for way in WAYS]


def measure(name: str, options: argparse.Namespace) -> None:
    """Prints the rows of one network."""
    network = Network(name, options.samples, options.size)
    wall: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, tuple[int, int]] = {}

    def timed(key: str, call: Callable):
        started, used = time.perf_counter(), time.process_time()
        result = call()
        wall[key].append(time.perf_counter() - started)
        cpu[key].append(time.process_time() - used)
        return result

    with (
        Table(name, COLUMNS, rows(name), width=34) as table,
        tempfile.TemporaryDirectory(dir=options.folder) as folder,
    ):
        path = Path(folder) / "store.h5"
        network.predict()
        network.capture(path, WAYS["auto"])  # the first run of each is nobody's
        path.unlink()
        for _ in range(options.rounds):
            timed("predict", network.predict)
            for way, captured in WAYS.items():
                planned = timed(way, lambda captured=captured: network.capture(path, captured))
                sizes[way] = path.stat().st_size, planned
                path.unlink()
        for row, way in zip(rows(name), WAYS, strict=True):
            alone, ours = median(wall["predict"]), median(wall[way])
            size, planned = sizes[way]
            cells = ((alone, "s"), (ours, "s"), ours / alone, (median(cpu[way]), "s"))
            table.add(row, *cells, (size / 1e6, "MB"), planned / size)


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument("--network", nargs="+", metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--folder", help="where stores are written; a temporary folder without it")
    parser.add_number("--samples", 100, 6)
    parser.add_number("--size", 224, 32, help="pixels of an edge")
    parser.add_number("--rounds", 3, 1)
    options = parser.parse_args()
    names = options.network or (QUICK if options.quick else NETWORKS)
    if len(names) == 1:
        measure(names[0], options)
        return
    for name in names:
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--network", name], check=True)


if __name__ == "__main__":
    main()
