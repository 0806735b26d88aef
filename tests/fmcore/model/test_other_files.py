"""Files that are no model of Keras 3: the refusal says what they are, and its advice works.

`keras2/` holds models that tf_keras 2.21.0 saved, with settings and operations that Keras 3 does
not know, and their weights as NumPy has them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_array_equal

from fmcore import capture_activations
from fmcore.cli import main
from fmcore.errors import ModelError
from fmcore.model.opening import open_model

pytestmark = pytest.mark.keras
KERAS_2 = Path(__file__).parent / "keras2"
IMAGES = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1])


def depth() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.DepthwiseConv2D(3, name="depth"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ]
    )


def operations(activation: str | None = None) -> keras.Model:
    image = keras.Input((8, 8, 1))
    maps = keras.ops.relu(layers.Conv2D(2, 3, name="conv")(image / 255.0))
    scores = layers.Dense(3, activation=activation, name="dense")(layers.Flatten()(maps))
    return keras.Model(image, scores)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize(("name", "build"), [("depth", depth), ("ops", operations)])
def test_a_file_of_keras_2_is_named_and_its_weights_go_into_the_same_model(
    name, build, suffix, tmp_path
):
    path = KERAS_2 / f"{name}{suffix}"
    with pytest.raises(ModelError, match=r"saved by Keras 2\.21\.0 \(tf\.keras\)") as caught:
        open_model(path)
    message = str(caught.value)
    assert f"model.load_weights({str(path)!r})" in message
    assert "--custom" not in message
    assert len(message) < 700
    # What the message advises.
    model = build()
    model.load_weights(str(path))
    expected = np.load(KERAS_2 / f"{name}.weights.npz").values()
    for stored, loaded in zip(expected, model.get_weights(), strict=True):
        assert_array_equal(stored, loaded)
    model.save(tmp_path / "model.keras")
    capture_activations(tmp_path / "model.keras", IMAGES, LABELS, tmp_path / "s.h5", target="class")


def test_the_older_format_does_not_hold_operations_and_the_newer_does(tmp_path):
    model = operations()
    model.save(tmp_path / "m.h5")
    with pytest.raises(ModelError, match=r"Unknown layer.*model\.save\('model\.keras'\)"):
        open_model(tmp_path / "m.h5")
    model.save(tmp_path / "m.keras")
    open_model(tmp_path / "m.keras")


def test_a_saved_model_is_named_and_the_model_itself_is_captured(tmp_path):
    model = operations()
    model.export(tmp_path / "saved", verbose=False)
    with pytest.raises(ModelError, match=r"is a SavedModel.*model\.save\('model\.keras'\)"):
        open_model(tmp_path / "saved")
    model.save(tmp_path / "model.keras")
    assert open_model(tmp_path / "model.keras").count_params() == model.count_params()


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("model.onnx", "an ONNX model"),
        ("model.tflite", "TensorFlow Lite"),
        ("model.PT", "PyTorch"),
        ("model.pkl", "a pickle"),
        ("frozen.pb", "a graph of TensorFlow"),
        ("weights.npz", "a file of arrays"),
        ("model.unknown", r"expected a file that ends in \.keras"),
    ],
)
def test_other_models_are_named(name, what, tmp_path):
    (tmp_path / name).write_bytes(b"something")
    with pytest.raises(ModelError, match=f"{what}.*model.save"):
        open_model(tmp_path / name)


@pytest.mark.parametrize("value", [object(), tf.Module(), layers.Dense(3)])
def test_an_object_that_is_no_model_is_named(value, tmp_path):
    with pytest.raises(ModelError, match=r"expected a model of Keras 3 .* found .*\."):
        capture_activations(value, IMAGES, LABELS, tmp_path / "s.h5")


def own_loss(expected, found):
    return keras.ops.mean(keras.ops.square(expected - found))


class OwnMetric(keras.metrics.MeanSquaredError):
    pass


COMPILED = {
    "a lambda": {"loss": lambda expected, found: keras.ops.mean(expected - found)},
    "a function": {"loss": own_loss},
    "a metric": {"loss": "mse", "metrics": [OwnMetric()]},
    "an optimizer's schedule": {
        "loss": "mse",
        "optimizer": keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1, 2, 0.5)),
    },
}


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_how_a_model_was_compiled_does_not_matter(name, suffix, tmp_path):
    model, path = depth(), tmp_path / f"model{suffix}"
    model.compile(**COMPILED[name])
    model.save(path)
    capture_activations(path, IMAGES, LABELS, tmp_path / "s.h5", target="class")


def test_a_lambda_layer_is_refused_all_the_same(tmp_path):
    inner = keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3)], name="inner")
    inner.compile(loss=lambda expected, found: keras.ops.mean(expected - found))
    image = keras.Input((8, 8, 1))
    for build, what in (
        (lambda: layers.Lambda(lambda x: x, name="mine")(image), "layer 'mine' is a Lambda"),
        # Keras compiles a model inside a model, and runs the code of its loss.
        (lambda: inner(image), "__lambda__"),
    ):
        keras.Model(image, layers.Flatten()(build())).save(tmp_path / "m.keras")
        config = json.loads(__import__("zipfile").ZipFile(tmp_path / "m.keras").read("config.json"))
        if what == "__lambda__" and "__lambda__" not in json.dumps(config):
            continue  # this Keras does not keep how a model inside was compiled
        with pytest.raises(ModelError, match=what):
            open_model(tmp_path / "m.keras")


def fmcore(*arguments, **environment) -> subprocess.CompletedProcess:
    """The command in a process of its own, where nothing is imported yet."""
    import os

    return subprocess.run(
        [sys.executable, "-m", "fmcore.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy", "nonsense"])
def test_another_backend_is_named_and_tensorflow_helps(backend, tmp_path):
    operations("softmax").save(tmp_path / "m.keras")
    ended = fmcore("layers", tmp_path / "m.keras", KERAS_BACKEND=backend)
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("fmcore: error")]
    assert ended.returncode == 1
    assert f"Keras runs on {backend}" in line.replace("'", "")
    assert "KERAS_BACKEND=tensorflow" in line
    assert "Traceback" not in ended.stderr
    if backend == "nonsense":
        assert fmcore("layers", tmp_path / "m.keras", KERAS_BACKEND="tensorflow").returncode == 0


WITHOUT = """
import sys
for name in {names!r}:
    sys.modules[name] = None
from {package}.cli import main
sys.exit(main({arguments!r}))
"""


def without(names, package, *arguments) -> subprocess.CompletedProcess:
    code = WITHOUT.format(names=names, package=package, arguments=[*map(str, arguments)])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


TRAIN = ("keras", "tensorflow", "pooch", "requests", "mlxtend")
DASHBOARD = ("dash", "plotly", "uvicorn", "starlette", "fastapi", "flask", "argon2", "a2wsgi")


@pytest.mark.parametrize(
    ("missing", "package", "arguments", "extra"),
    [
        (TRAIN, "fmcore", ("capture", "m.keras", "--data-dir", "none", "--out", "s.h5"), "train"),
        (TRAIN, "fmcore", ("capture", "ResNet50", "--out", "s.h5"), "train"),
        (TRAIN, "fmcore", ("capture", "m.keras", "--data", "d.npz", "--out", "s.h5"), "train"),
        (("tensorflow",), "fmcore", ("layers", "m.keras"), "train"),
        (DASHBOARD, "dashboard", ("serve", "m.keras"), "dashboard"),
        (DASHBOARD[1:], "dashboard", ("serve", "m.keras"), "dashboard"),
        (("argon2",), "dashboard", ("user", "list", "--users", "people"), "dashboard"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(
    missing, package, arguments, extra, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    operations("softmax").save("m.keras")
    np.savez("d.npz", x_test=IMAGES, y_test=LABELS)
    ended = without(missing, package, *arguments)
    assert ended.returncode == 1, ended.stderr
    assert f"pip install 'feature-map-dashboard[{extra}]'" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_without_its_extra_fmdash_still_says_what_it_is():
    assert without(DASHBOARD, "dashboard", "--help").returncode == 0


DATA = {"images": IMAGES, "classes": LABELS, "weights": np.ones((5, 2))}


def test_an_npz_file_with_other_names_lists_them_and_they_can_be_named(tmp_path, capsys):
    operations("softmax").save(tmp_path / "m.keras")
    data = tmp_path / "d.npz"
    np.savez(data, **DATA)
    common = ("capture", str(tmp_path / "m.keras"), "--out", str(tmp_path / "s.h5"), "--data")
    assert main([*common, str(data)]) == 1
    message = capsys.readouterr().err
    assert "it has images float32(5, 8, 8, 1), classes int64(5,), weights float64(5, 2)" in message
    advised = f"{data}::images,classes"
    assert f"--data '{advised}'" in message
    assert main([*common, advised]) == 0
    assert main([*common, f"{data}::imges,classes", "--force"]) == 1
    assert "has no array 'imges'; did you mean images?" in capsys.readouterr().err


def test_a_file_that_is_no_npz_file_says_how_it_becomes_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    operations("softmax").save("m.keras")
    np.save("images.npy", IMAGES)
    np.savetxt("table.csv", IMAGES.reshape(5, -1), delimiter=",")
    __import__("scipy.io").io.savemat("d.mat", {"x": IMAGES})
    for name, namespace in (
        ("images.npy", "images"),
        ("table.csv", "table"),
        ("d.mat", "contents"),
    ):
        assert main(["capture", "m.keras", "--data", name, "--out", "s.h5"]) == 1
        message = capsys.readouterr().err
        reader = message.split("in Python: ")[1].split(", and then ")[0]
        import scipy.io

        values = {"np": np, "scipy": scipy}
        exec(reader, values)
        held = values[namespace]
        images = np.asarray(held["x"] if name == "d.mat" else held).reshape(IMAGES.shape)
        exec(
            message.split("and then ")[1].split(" with images")[0],
            {"np": np, "images": images, "labels": LABELS},
        )
        assert main(["capture", "m.keras", "--data", "data.npz", "--out", "s.h5", "--force"]) == 0
        Path("data.npz").unlink()
        Path("s.h5").unlink()


def test_an_hdf5_file_without_names_lists_its_arrays(tmp_path, capsys):
    import h5py

    operations("softmax").save(tmp_path / "m.keras")
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["test/x"], file["test/y"] = IMAGES, LABELS
    common = ("capture", str(tmp_path / "m.keras"), "--out", str(tmp_path / "s.h5"), "--data")
    assert main([*common, str(tmp_path / "d.h5")]) == 1
    message = capsys.readouterr().err
    assert "is an HDF5 file" in message
    assert "it has test/x, test/y" in message
    assert main([*common, f"{tmp_path / 'd.h5'}::test/x,test/y"]) == 0
