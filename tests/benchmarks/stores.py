"""Makes the stores that benchmarks read: python tests/benchmarks/stores.py FOLDER [--quick]

`mnist.h5` is of the tutorial's network and the test set of MNIST. `large.h5` is of a Keras model of
large layers: `conv512` is 512 filters of 14×14, `conv64` is 64 of 224×224; its images are digits of
MNIST, eight times as large and with noise, so that maps are not flat. With --quick both are of
random images, and small. A process of its own, because TensorFlow stays in one.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options

from fmcore.cli import main as fmcore
from fmcore.dataset import load_dataset
from fmcore.model.opening import need_keras

STORES = ("mnist", "large")
NOISE = 20.0


@dataclass(frozen=True, slots=True)
class Size:
    """How large the model of large layers is.

    Attributes:
        samples: of the test set.
        times: images are so many times as large as MNIST's.
        filters: of the three layers.
    """

    samples: int
    times: int
    filters: tuple[int, int, int]


FULL, QUICK = Size(64, 8, (64, 128, 512)), Size(64, 1, (8, 8, 12))
N_TRAIN = 32


def made_stores(folder: Path, *names: str, quick: bool) -> list[Path]:
    """Makes stores in a process of its own; their paths."""
    command = [sys.executable, __file__, str(folder), "--only", *names]
    subprocess.run([*command, *(["--quick"] if quick else [])], check=True, stdout=sys.stderr)
    return [folder / f"{name}.h5" for name in names]


def enlarged(images: np.ndarray, times: int) -> np.ndarray:
    """<uint8>[sample, 28, 28] as <uint8>[sample, y, x], with Gaussian noise."""
    large = images.repeat(times, axis=1).repeat(times, axis=2).astype(np.float32)
    large += np.random.default_rng(0).normal(0, NOISE, large.shape)
    return large.clip(0, 255).astype(np.uint8)


def save_random(path: Path) -> None:
    """A data set in the place of MNIST."""
    rng, n = np.random.default_rng(0), 2 * QUICK.samples
    images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = np.arange(n) % 10
    half = slice(n // 2), slice(n // 2, n)
    arrays = {"x_train": images[half[0]], "y_train": labels[half[0]]}
    np.savez(path, **arrays, x_test=images[half[1]], y_test=labels[half[1]])


def save_large(path: Path, source: str, size: Size) -> None:
    """The data set of the model of large layers."""
    data, arrays = load_dataset(source), {}
    for name, part, n in (("train", data.train, N_TRAIN), ("test", data.test, size.samples)):
        images = np.asarray(part.images[:n]).reshape(n, 28, 28)
        arrays |= {f"x_{name}": enlarged(images, size.times), f"y_{name}": part.labels[:n]}
    np.savez(path, **arrays)


def save_large_model(path: Path, size: Size) -> None:
    """A Keras model, untrained."""
    need_keras()
    import keras

    keras.utils.set_random_seed(1)
    layers, (first, second, third) = keras.layers, size.filters
    usual = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input((28 * size.times, 28 * size.times, 1)),
            layers.Conv2D(first, 3, name="conv64", **usual),
            layers.MaxPool2D(4),
            layers.Conv2D(second, 3, strides=2, name="conv128", **usual),
            layers.MaxPool2D(2),
            layers.Conv2D(third, 3, name="conv512", **usual),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(path)


def run(*words: str | Path) -> None:
    """Runs a command of fmcore's in this process.

    Raises:
        SystemExit: if it fails.
    """
    if code := fmcore(list(map(str, words))):
        raise SystemExit(code)


def main(folder: Path, names: list[str], *, quick: bool) -> None:
    source, size = "mnist", FULL
    if quick:
        source, size = str(folder / "random.npz"), QUICK
        save_random(folder / "random.npz")
    if "mnist" in names:
        model = folder / "mnist.keras"
        run("train", "--data", source, "--epochs", "1", "--out", model)
        run("capture", model, "--data", source, "--out", folder / "mnist.h5")
    if "large" in names:
        model, data = folder / "large.keras", folder / "large.npz"
        save_large(data, source, size)
        save_large_model(model, size)
        words = ("--data", data, "--layers", "conv64,conv512", "--out", folder / "large.h5")
        run("capture", model, *words)


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=STORES, default=STORES)
    options = parser.parse_args()
    main(options.folder, options.only, quick=options.quick)
