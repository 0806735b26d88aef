"""Ablations: seconds beside a copy of the model with a layer that replaces, and how well signs of
filters predict what these cost: python tests/benchmarks/ablation.py [--quick]

Three models are trained on MNIST: the tutorial's, one with batch normalization, one with residuals.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import keras
import numpy as np
import tensorflow as tf
from helpers.ablated import Replaced
from keras import layers as L
from scipy.stats import spearmanr

from fmcore import ablate_store, capture_activations, open_store
from fmcore.ablation.curves import SIGNS, layer_signs
from fmcore.dataset import load_dataset
from fmcore.model.tutorial import tutorial_network

NAIVE_BATCH = 256


def batch_norm(n_classes: int) -> keras.Model:
    image = x = keras.Input((28, 28, 1))
    for index, n_filters in enumerate((16, 32), start=1):
        x = L.Conv2D(n_filters, 3, use_bias=False, name=f"conv{index}")(x)
        x = L.MaxPooling2D()(L.ReLU()(L.BatchNormalization()(x)))
    x = L.GlobalAveragePooling2D()(x)
    return keras.Model(image, L.Dense(n_classes, activation="softmax")(x))


def residual(n_classes: int) -> keras.Model:
    image = keras.Input((28, 28, 1))
    x = L.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="conv1")(image)
    y = L.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    y = L.Conv2D(16, 3, padding="same", name="conv3")(y)
    x = L.MaxPooling2D()(L.ReLU()(L.Add()([x, y])))
    x = L.Flatten()(L.Conv2D(24, 3, activation="relu", name="conv4")(x))
    return keras.Model(image, L.Dense(n_classes, activation="softmax")(x))


MODELS = {
    "tutorial": lambda n: tutorial_network((28, 28, 1), n_classes=n),
    "batch norm": batch_norm,
    "residual": residual,
}


def clocks() -> np.ndarray:
    """Seconds, and those of CPU, since some moment."""
    return np.array([time.perf_counter(), time.process_time()])


def naive_seconds(model: keras.Model, pixels: np.ndarray, store: Path) -> np.ndarray:
    """Seconds, and those of CPU, of a compiled copy of the model, all samples for each filter."""
    seconds = np.zeros(2)
    with open_store(store) as opened:
        for path, layer in opened.layers.items():
            copy = Replaced(model, path, layer.n_filters)
            run = tf.function(
                lambda x, copy=copy: copy.model(x, training=False),
                input_signature=[tf.TensorSpec([None, *pixels.shape[1:]])],
            )
            run(tf.constant(pixels[:NAIVE_BATCH]))
            begun = clocks()
            for index in range(layer.n_filters):
                copy.set(index)
                for start in range(0, len(pixels), NAIVE_BATCH):
                    np.asarray(run(tf.constant(pixels[start : start + NAIVE_BATCH])))
            seconds += clocks() - begun
    return seconds


def speed(model: keras.Model, pixels: np.ndarray, store: Path) -> None:
    """Prints seconds of an ablation beside the copy, in turn."""
    for _ in range(2):
        naive = naive_seconds(model, pixels, store)
        estimates: list[float] = []
        begun = clocks()
        ablate_store(
            store,
            model,
            overwrite=True,
            on_plan=lambda p, e=estimates: e.append(p.seconds) or True,
        )
        seconds = clocks() - begun
        print(f"{len(pixels):,} samples: estimate {estimates[0]:.1f} s")
        for word, own, copy in zip(("seconds", "of CPU"), seconds, naive, strict=True):
            print(f"  {word}: {own:.1f}, a copy of the model {copy:.1f}: {copy / own:.1f} times")


def deep(n_images: int) -> None:
    """Prints the estimate of one layer of 512 filters of ResNet50 beside what it took."""
    model = keras.applications.ResNet50(weights=None, classes=10)
    images = np.random.default_rng(0).random((n_images, 224, 224, 3), dtype=np.float32)
    layer = "conv5_block3_2_conv"
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "r.h5"
        capture_activations(
            model, images, np.arange(n_images) % 10, store, layers=layer, statistics="basic"
        )
        begun: list[float] = []
        estimates: list[float] = []

        def on_plan(plan):
            estimates.append(plan.seconds)
            begun.append(time.perf_counter())
            return True

        ablate_store(store, model, on_plan=on_plan)
        wall = time.perf_counter() - begun[0]
        print(
            f"ResNet50, {layer}, {n_images} images: {wall:.1f} s, estimate {estimates[0]:.1f} s: "
            f"{estimates[0] / wall:.2f} of it"
        )


def signs(n_train: int, n_test: int, epochs: int, *, by: str) -> None:
    """Prints rank correlations of signs with measured costs, as a table of Markdown."""
    data = load_dataset("mnist")
    assert data.train is not None
    train, test = data.train, data.test
    print(f"| model | layer | filters | {' | '.join(SIGNS)} |")
    print(f"|---|---|---|{'---|' * len(SIGNS)}")
    pixels = np.asarray(test.images[:n_test], np.float32) / 255
    for name, build in MODELS.items():
        keras.utils.set_random_seed(0)
        model = build(10)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x = np.asarray(train.images[:n_train], np.float32) / 255
        model.fit(x, train.labels[:n_train], epochs=epochs, batch_size=64, verbose=0)
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "s.h5"
            tap = "activation" if name == "batch norm" else "output"
            capture_activations(model, pixels, test.labels[:n_test], store, tap=tap)
            ablate_store(store, model, by=by)
            with open_store(store) as opened:
                for path in opened.layers:
                    cost = opened.ablation(by).layer(path).costs().loss.value
                    signs = layer_signs(opened.layers[path])
                    cells = [
                        f"{spearmanr(signs[sign], cost)[0]:+.2f}" if sign in signs else "–"
                        for sign in SIGNS
                    ]
                    print(f"| {name} | {path} | {len(cost)} | {' | '.join(cells)} |", flush=True)
            if name == "tutorial":
                speed(model, pixels, store)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only try that it runs")
    parser.add_argument("--by", default="zero")
    parser.add_argument("--only", choices=("signs", "deep"))
    parser.add_argument("--images", type=int, default=200, help="of ResNet50 (%(default)s)")
    options = parser.parse_args()
    if options.only != "deep":
        sizes = (500, 200, 1) if options.quick else (20000, 10000, 3)
        signs(*sizes, by=options.by)
    if options.only != "signs" and not options.quick:
        deep(options.images)
    return 0


if __name__ == "__main__":
    sys.exit(main())
