"""The Keras side: the network, a capture that equals `predict`, models that are refused."""

from __future__ import annotations

import json
import re
import shutil
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.cli import main
from fmcore.errors import DatasetError, InputFileError, ModelError, OutputError, SelectionError
from fmcore.storage import problems

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.keras

RNG = np.random.default_rng(0)
X_TEST = RNG.random((50, 28, 28, 1)).astype(np.float32)
Y_TEST = RNG.integers(0, 10, 50)
LAYERS = ("conv1", "conv2")


@pytest.fixture(scope="module")
def model():
    from fmcore.model.tutorial import tutorial_network

    keras.utils.set_random_seed(0)
    return tutorial_network((28, 28, 1), n_classes=10)


@pytest.fixture(scope="module")
def model_path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def test_the_network_is_the_tutorials(model):
    described = [(type(layer).__name__, layer.name) for layer in model.layers]
    assert described == [
        ("InputLayer", "image"),
        ("Conv2D", "conv1"),
        ("MaxPooling2D", "pool1"),
        ("Conv2D", "conv2"),
        ("MaxPooling2D", "pool2"),
        ("Flatten", "flatten"),
        ("Dense", "dense"),
    ]
    conv1, conv2 = map(model.get_layer, LAYERS)
    assert (conv1.filters, conv1.kernel_size, conv1.activation.__name__) == (16, (3, 3), "relu")
    assert (conv2.filters, conv2.kernel_size, conv2.activation.__name__) == (32, (3, 3), "relu")
    assert model.layers[-1].activation.__name__ == "softmax"
    assert type(model.optimizer).__name__ == "Adam"
    assert model.loss == "sparse_categorical_crossentropy"


def test_a_capture_equals_predict(model, tmp_path):
    path = capture_activations(model, X_TEST, Y_TEST, tmp_path / "s.h5", batch_size=16)
    expected = keras.Model(model.inputs, [model.get_layer(n).output for n in LAYERS]).predict(
        X_TEST, verbose=0
    )
    with open_store(path) as store:
        for name, values in zip(LAYERS, expected, strict=True):
            stored = store.layers[name].activation[:50]
            assert_allclose(stored, values, rtol=1e-5, atol=1e-5 * np.abs(values).max())
        probability = model.predict(X_TEST, verbose=0)
        found = np.stack([store.probability(index) for index in range(50)])
        assert_allclose(found, probability, rtol=1e-5, atol=1e-6)
        assert_array_equal(store.predictions, found.argmax(axis=1))
        words = store.about()["model"]["output"]
        assert words.startswith("the model's own probabilities (it ends in a softmax; ")
        assert store.layers["conv1"].attributes["kernel_size"] == [3, 3]
        kernel = store.file.hdf5["layers/conv1/kernel"][...]
        assert_array_equal(kernel, np.asarray(model.get_layer("conv1").kernel))
        assert store.architecture()["config"]["name"] == "tutorial_cnn"
    assert list(problems(path)) == []


def test_the_same_model_has_the_same_digest_after_saving(model, model_path, tmp_path):
    digests = []
    for index, one in enumerate((model, model_path)):
        path = capture_activations(one, X_TEST[:2], Y_TEST[:2], tmp_path / f"{index}.h5")
        with open_store(path) as store:
            digests.append(store.about()["model"]["digest"])
    assert digests[0] == digests[1]


def test_globs_choose_layers(model, tmp_path):
    path = capture_activations(model, X_TEST, Y_TEST, tmp_path / "s.h5", layers="*2")
    with open_store(path) as store:
        assert list(store.layers) == ["conv2"]
    with pytest.raises(SelectionError, match=r"'conf1' matches no .* did you mean conv1"):
        capture_activations(model, X_TEST, Y_TEST, tmp_path / "t.h5", layers="conf1")
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_other_convolutions_and_logits_are_captured(tmp_path):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="gelu", name="strided"),
            layers.Conv2D(4, 1, activation=layers.LeakyReLU(0.1), name="leaky"),
            layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", name="depthwise"),
            layers.SeparableConv2D(5, (1, 3), use_bias=False, name="separable"),
            layers.Conv2DTranspose(2, 2, strides=2, name="transposed"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3),
        ]
    )
    images = RNG.random((9, 12, 10, 3)).astype(np.float32)
    options = {"batch_size": 4, "target": "class"}
    path = capture_activations(model, images, np.arange(9) % 3, tmp_path / "s.h5", **options)
    inner = [layer for layer in model.layers if hasattr(layer, "kernel_size")]
    expected = keras.Model(model.inputs, [layer.output for layer in inner]).predict(
        images, verbose=0
    )
    with open_store(path) as store:
        assert list(store.layers) == ["strided", "leaky", "depthwise", "separable", "transposed"]
        activations = [one.attributes["activation_function"] for one in store.layers.values()]
        assert activations == ["gelu", "LeakyReLU", "linear", "linear", "linear"]
        for layer, values in zip(store.layers.values(), expected, strict=True):
            stored = layer.activation[:9]
            assert_allclose(stored, values, rtol=1e-5, atol=1e-5 * np.abs(values).max())
        assert store.about()["model"]["output"] == "softmax of the model's output (as was chosen)"
        assert store.probability(0).sum() == pytest.approx(1)
    assert list(problems(path)) == []


def test_layers_of_another_model_are_captured_where_this_one_calls_them(model, tmp_path):
    """As in transfer learning: the layers have been called before, in another model."""
    reused = small(
        *model.layers[1:-1], keras.layers.Dense(3, activation="softmax"), shape=(28, 28, 1)
    )
    images, labels = X_TEST[:6], np.arange(6) % 3
    path = capture_activations(reused, images, labels, tmp_path / "s.h5")
    expected = keras.Model(model.inputs, model.get_layer("conv2").output).predict(images, verbose=0)
    with open_store(path) as store:
        stored = store.layers["conv2"].activation[:6]
        assert_allclose(stored, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_probabilities_are_not_softmaxed_again(tmp_path):
    inputs = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(inputs))
    head = keras.Sequential([keras.Input((72,)), keras.layers.Dense(3, activation="softmax")])
    images, labels = RNG.random((4, 8, 8, 1)).astype(np.float32), np.array([0, 1, 2, 0])
    for name, output in (
        ("op", keras.ops.softmax(keras.layers.Dense(3)(flat))),
        ("nested", head(flat)),
    ):
        model = keras.Model(inputs, output)
        path = capture_activations(model, images, labels, tmp_path / f"{name}.h5")
        with open_store(path) as store:
            found = np.stack([store.probability(index) for index in range(4)])
            assert_allclose(found, model.predict(images, verbose=0), rtol=1e-5, atol=1e-6)


def small(*layers, shape=(8, 8, 1)):
    return keras.Sequential([keras.Input(shape), *layers])


def test_models_that_cannot_be_captured_are_refused_by_name(tmp_path):
    layers = keras.layers

    def head():
        return [layers.Flatten(), layers.Dense(3, activation="softmax")]

    images, labels = np.zeros((2, 8, 8, 1), np.float32), np.array([0, 1])
    volume = small(layers.Reshape((8, 4, 2, 1)), layers.Conv3D(2, 2, name="cube"), *head())
    for model, said in (
        (small(*head()), "has no convolutional layer; its layers are flatten"),
        (volume, r"'cube' .* puts out volumes, \(7, 3, 1, 2\); only maps"),
        (small(*head(), shape=(64,)), "expected images"),
        (
            small(layers.Conv2D(2, 3, name="a b"), layers.Flatten(), layers.Dense(3)),
            "cannot be run as a graph: 'a b' is not a valid",
        ),
        (Failing(), "was never built, and cannot be called with images of 8x8x1: no such luck"),
        (Compiled(), "compiled_conv is not captured: it runs inside a tf.function"),
    ):
        with pytest.raises(ModelError, match=said):
            capture_activations(model, images, labels, tmp_path / "s.h5")
    assert not list(tmp_path.iterdir())


class Failing(keras.Model):
    def call(self, x):
        raise RuntimeError("no such luck")


class Compiled(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = keras.layers.Conv2D(2, 3, name="compiled_conv")

    @tf.function
    def call(self, x):
        return tf.reduce_mean(self.conv(x), axis=(1, 2))


def test_data_that_do_not_fit_the_model_are_refused(model, tmp_path):
    with pytest.raises(DatasetError, match="images are 27x28x1, the model takes 28x28x1"):
        capture_activations(model, X_TEST[:, 1:], Y_TEST, tmp_path / "s.h5")
    with pytest.raises(DatasetError, match="label 10 of sample 0 is outside"):
        capture_activations(model, X_TEST, np.full(50, 10), tmp_path / "s.h5")
    with pytest.raises(DatasetError, match="batch_size 0; expected a whole number from 1"):
        capture_activations(model, X_TEST, Y_TEST, tmp_path / "s.h5", batch_size=0)
    (tmp_path / "s.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        capture_activations(model, X_TEST, Y_TEST, tmp_path / "s.h5")
    assert (tmp_path / "s.h5").read_text() == "mine"


def test_files_that_are_no_whole_model_are_refused(model_path, tmp_path):
    def said(path):
        with pytest.raises((ModelError, InputFileError)) as caught:
            capture_activations(path, X_TEST, Y_TEST, tmp_path / "s.h5")
        return str(caught.value)

    assert "there is no such file" in said(tmp_path / "none.keras")
    whole = model_path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        cut = tmp_path / "cut.keras"
        cut.write_bytes(whole[:size])
        assert f"{size:,} bytes are not a whole zip" in said(cut)
    shutil.copy(model_path, tmp_path / "model.bin")
    assert "ends in .keras, .h5, .hdf5" in said(tmp_path / "model.bin")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("readme", "hello")
    assert "holds no config.json" in said(tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as archive:
        archive.writestr("config.json", "{")
        archive.writestr("metadata.json", "{}")
    assert "its configuration is not JSON" in said(tmp_path / "bad.keras")


def test_a_model_that_would_run_code_is_refused(tmp_path):
    model = small(
        keras.layers.Lambda(lambda x: x * 2, name="twice"),
        keras.layers.Conv2D(2, 3),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    )
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ModelError, match="'twice' is a Lambda, which runs code"):
        capture_activations(
            tmp_path / "lambda.keras", np.zeros((1, 8, 8, 1)), np.array([0]), tmp_path / "s.h5"
        )


def test_the_commands_from_training_to_pictures(tmp_path, capsys):
    images = RNG.integers(0, 256, (60, 12, 12), dtype=np.uint8)
    labels = RNG.integers(0, 3, 60)
    data = tmp_path / "data.npz"
    np.savez(data, x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20])
    model, store = tmp_path / "m.keras", tmp_path / "s.h5"

    def run(*arguments):
        assert main([str(each) for each in arguments]) == 0
        return capsys.readouterr().out

    assert "Wrote" in run("train", "--data", data, "--epochs", 2, "--out", model)
    history = json.loads((tmp_path / "m.history.json").read_text())
    assert len(history["history"]["val_accuracy"]) == 2
    assert "20 samples, layers conv1, conv2" in run(
        "capture", model, "--data", data, "--out", store
    )
    assert "conv1: 16 filters of 10x10, Conv2D, relu" in run("info", store)
    about = json.loads(run("info", store, "--json"))
    assert about["samples"] == 20
    reason = "as the model's file records of its training"
    assert about["dataset"]["preprocessing"] == f"pixels / 255 ({reason})"
    assert "no problem found" in run("validate", store)
    assert "manifest.json" in run("export", store, "--out", tmp_path / "out")
    assert "matches its checksum" in run("export", store, "--out", tmp_path / "out", "--check")
    assert "conv2_sample0.png" in run("figure", store, "--out", tmp_path / "figures")
    with open_store(store) as opened:
        expected = keras.saving.load_model(model).predict(
            images[:20, ..., None].astype(np.float32) / 255, verbose=0
        )
        assert_array_equal(opened.predictions, expected.argmax(axis=1))


def test_training_twice_with_one_seed_gives_one_model(tmp_path):
    from fmcore.dataset import labelled_images
    from fmcore.model.tutorial import train_tutorial_network

    samples = labelled_images(
        RNG.integers(0, 256, (40, 12, 12), dtype=np.uint8), np.arange(40) % 4, where="here"
    )
    weights = [
        train_tutorial_network(
            samples, n_classes=4, epochs=1, seed=5, progress=False
        ).model.get_weights()
        for _ in range(2)
    ]
    for one, other in zip(*weights, strict=True):
        assert_array_equal(one, other)


def test_a_dry_run_says_what_a_capture_would_take_and_writes_nothing(model_path, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x_test=X_TEST, y_test=Y_TEST)
    command = ["capture", model_path, "--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5"]
    options = ["--dry-run", "--policy", "conv1=pooled", "--policy", "conv2=float16"]
    assert main([str(each) for each in [*command, *options]]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^conv1 +pooled .* no maps$", said, re.MULTILINE)
    assert re.search(
        r"^conv2 +float16 .* (none|(shuffle\+)?deflate): .* \d+% of", said, re.MULTILINE
    )
    assert "nothing was written" in said
    assert f"free in {tmp_path}: " in said
    assert "too little" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["d.npz"]


def test_a_large_capture_begins_with_a_policy_or_yes_only(
    model_path, tmp_path, capsys, monkeypatch
):
    np.savez(tmp_path / "d.npz", x_test=X_TEST, y_test=Y_TEST)
    words = ["capture", model_path, "--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5"]
    command = [str(word) for word in words]
    for module in ("capture.run", "cli.capture"):
        monkeypatch.setattr(f"fmcore.{module}.LARGE_STORE_BYTES", 1_000)
    assert main([*command, "--dry-run"]) == 0
    assert "begins only with --policy or --yes" in capsys.readouterr().out
    assert main(command) == 1
    assert "or confirm with --yes" in capsys.readouterr().err
    assert main([*command, "--policy", "conv1=float16"]) == 0
    assert main([*command, "--force", "--yes"]) == 0
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert main([*command, "--dry-run", "--force"]) == 0
    assert "the capture would not begin" in capsys.readouterr().out


def test_a_policy_that_is_none_or_fits_no_layer_is_named(model_path, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x_test=X_TEST, y_test=Y_TEST)
    command = ["capture", model_path, "--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5"]
    for policy, said in [
        ("conv1=flot16", "did you mean float16"),
        ("conf1=pooled", "did you mean conv1"),
        ("conv1", "expected GLOB=POLICY"),
    ]:
        assert main([str(each) for each in [*command, "--policy", policy]]) == 1
        assert said in capsys.readouterr().err
