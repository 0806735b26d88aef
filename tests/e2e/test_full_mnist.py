"""The promise on the full MNIST, held against Keras and numpy over the whole arrays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import open_store
from fmcore.storage import problems

pytestmark = pytest.mark.keras
LAYERS = ("conv1", "conv2")


@pytest.fixture(scope="module")
def mnist() -> Path:
    path = Path(os.environ.get("FMCORE_DATA", "data")) / "mnist.npz"
    if not path.exists():
        pytest.skip(f"the full MNIST is not at {path}")
    return path


@pytest.fixture(scope="module")
def captured(mnist, tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("mnist")
    model, store = folder / "mnist.keras", folder / "mnist.h5"
    fmcore = [sys.executable, "-m", "fmcore.cli"]
    subprocess.run([*fmcore, "train", "--out", model], check=True)
    subprocess.run([*fmcore, "capture", model, "--out", store], check=True)
    return model, store


def test_the_whole_test_set_is_stored_as_keras_predicts_it(captured, mnist):
    import keras

    path, store_path = captured
    model = keras.saving.load_model(path)
    with np.load(mnist) as data:
        images, labels = data["x_test"], data["y_test"]
    outputs = [model.get_layer(name).output for name in LAYERS]
    scaled = images[..., np.newaxis].astype(np.float32) / 255
    predicted = keras.Model(model.inputs, [*outputs, model.outputs[0]]).predict(scaled, verbose=0)
    with open_store(store_path) as store:
        assert store.n_samples == 10_000
        assert_array_equal(store.labels, labels)
        assert_array_equal(store.image(9_999)[..., 0], images[9_999])
        assert_array_equal(store.predictions, predicted[2].argmax(axis=1))
        accuracy = (predicted[2].argmax(axis=1) == labels).mean()
        assert accuracy >= 0.98
        assert store.about()["model"]["test_accuracy"] == pytest.approx(accuracy)
        for name, expected in zip(LAYERS, predicted, strict=False):
            layer = store.layers[name]
            stored = layer.activation(0, 10_000)
            assert_allclose(stored, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
            check_statistics(layer, stored, labels)
    assert list(problems(store_path)) == []


def check_statistics(layer, stored, labels):
    for index in range(10):
        of_class = stored[labels == index].astype(np.float64)
        flat = of_class.reshape(-1, layer.n_filters)
        for statistic, expected in (
            ("mean", flat.mean(axis=0)),
            ("std", flat.std(axis=0)),
            ("min", flat.min(axis=0)),
            ("max", flat.max(axis=0)),
            ("zero_fraction", (flat == 0).mean(axis=0)),
        ):
            assert_allclose(layer.statistic(statistic)[index], expected, rtol=1e-6)
        mean_map = layer.mean_map(index, 3)
        assert_allclose(mean_map, of_class[..., 3].mean(axis=0), rtol=1e-6, atol=1e-9)
    assert_allclose(layer.pooled("mean"), stored.mean(axis=(1, 2), dtype=np.float64), rtol=1e-6)
    assert_array_equal(layer.pooled("max"), stored.max(axis=(1, 2)))


def test_memory_does_not_grow_with_the_number_of_samples():
    script = Path(__file__).parents[1] / "benchmarks" / "memory.py"
    said = subprocess.run(
        [sys.executable, script, "--counts", "2000,10000"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    peak = {int(count): megabytes for count, megabytes in json.loads(said).items()}
    assert peak[10_000] <= 1.05 * peak[2_000], peak
