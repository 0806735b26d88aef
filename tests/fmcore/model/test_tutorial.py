"""The tutorial's steps, with Keras and matplotlib alone, on the file that `fmcore train` writes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from fmcore import open_store
from fmcore.cli import main

pytestmark = pytest.mark.keras
COLUMNS = 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The files of `fmcore train` and `fmcore capture`, and the images as the model takes them."""
    folder = tmp_path_factory.mktemp("tutorial")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    labels = np.arange(40) % 10
    np.savez(
        folder / "d.npz", x_train=images, y_train=labels, x_test=images[:12], y_test=labels[:12]
    )
    model, data, store = folder / "mnist.keras", folder / "d.npz", folder / "mnist.h5"
    assert main(["train", "--data", str(data), "--epochs", "1", "--out", str(model)]) == 0
    assert main(["capture", str(model), "--data", str(data), "--out", str(store)]) == 0
    return model, store, images[:12, ..., np.newaxis].astype(np.float32) / 255


def test_the_tutorials_steps_run_on_the_file_that_train_writes(trained, tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    path, store_path, x_test = trained
    model = keras.models.load_model(path)
    names = [layer.name for layer in model.layers if "conv" in layer.name]
    assert names == ["conv1", "conv2"]
    outputs = [model.get_layer(name).output for name in names]
    activation_model = keras.Model(inputs=model.input, outputs=outputs)
    activations = activation_model.predict(x_test[:1], verbose=0)
    assert [maps.shape for maps in activations] == [(1, 26, 26, 16), (1, 11, 11, 32)]

    for name, maps in zip(names, activations, strict=True):
        n_filters = maps.shape[-1]
        rows = n_filters // COLUMNS
        figure = plt.figure(figsize=(COLUMNS, rows))
        for index in range(n_filters):
            axis = figure.add_subplot(rows, COLUMNS, index + 1)
            axis.imshow(maps[0, :, :, index], cmap="viridis")
            axis.axis("off")
        figure.suptitle(f"Layer: {name}")
        figure.savefig(tmp_path / f"{name}.png")
        assert len(figure.axes) == n_filters
        assert figure.get_suptitle() == f"Layer: {name}"
        plt.close(figure)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["conv1.png", "conv2.png"]

    with open_store(store_path) as store:
        for name, maps in zip(names, activations, strict=True):
            stored = store.layers[name].feature_maps(0)
            assert_allclose(stored, maps[0], rtol=1e-5, atol=1e-5 * np.abs(maps).max())


def test_the_model_that_train_writes_goes_on_training(trained):
    path, _, x_test = trained
    model = keras.models.load_model(path)
    assert model.evaluate(x_test, np.arange(12) % 10, verbose=0, return_dict=True).keys() == {
        "accuracy",
        "loss",
    }
