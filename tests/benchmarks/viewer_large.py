"""Makes a store of large layers, of a real Keras model: python viewer_large.py FOLDER

`conv512` is 512 filters of 14×14, `conv64` is 64 of 224×224; digits of MNIST, eight times as large
and with noise, so that maps are not flat. A process of its own, because TensorFlow stays in one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

N_SAMPLES, N_TRAIN, TIMES, NOISE = 64, 32, 8, 20.0


def enlarged(images: np.ndarray) -> np.ndarray:
    """<uint8>[sample, 28, 28] as <uint8>[sample, 224, 224], with Gaussian noise."""
    large = images.repeat(TIMES, axis=1).repeat(TIMES, axis=2).astype(np.float32)
    large += np.random.default_rng(0).normal(0, NOISE, large.shape)
    return large.clip(0, 255).astype(np.uint8)


def main(folder: Path) -> None:
    import keras

    from fmcore.dataset import load_dataset

    data = load_dataset("mnist")
    arrays = {}
    for name, part, n in (("train", data.train, N_TRAIN), ("test", data.test, N_SAMPLES)):
        images = np.asarray(part.images[:n]).reshape(n, 28, 28)
        arrays |= {f"x_{name}": enlarged(images), f"y_{name}": part.labels[:n]}
    np.savez(folder / "large.npz", **arrays)
    keras.utils.set_random_seed(1)
    layers = keras.layers
    usual = {"padding": "same", "activation": "relu"}
    model = keras.Sequential(
        [
            keras.Input((224, 224, 1)),
            layers.Conv2D(64, 3, name="conv64", **usual),
            layers.MaxPool2D(4),
            layers.Conv2D(128, 3, strides=2, name="conv128", **usual),
            layers.MaxPool2D(2),
            layers.Conv2D(512, 3, name="conv512", **usual),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.save(folder / "large.keras")
    command = [sys.executable, "-m", "fmcore.cli", "capture", str(folder / "large.keras")]
    command += ["--data", str(folder / "large.npz"), "--layers", "conv64,conv512"]
    subprocess.run([*command, "--out", str(folder / "large.h5")], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
