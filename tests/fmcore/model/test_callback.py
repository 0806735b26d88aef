"""Captures during training: each is of its epoch, and training comes out as it would without."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
from helpers.factories import sampled
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import capture_callback, open_store
from fmcore.errors import DatasetError, FmcoreError, OutputError, SelectionError
from fmcore.storage import problems

pytestmark = pytest.mark.keras
RNG = np.random.default_rng(0)
X_TRAIN, Y_TRAIN = RNG.random((64, 12, 12, 1)).astype(np.float32), RNG.integers(0, 3, 64)
X_TEST, Y_TEST = RNG.random((10, 12, 12, 1)).astype(np.float32), RNG.integers(0, 3, 10)
EPOCHS = 3


def network() -> keras.Model:
    """With all that is another thing in training, and uses random numbers."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.GaussianNoise(0.1, name="noise"),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("relu", name="relu"),
            layers.SpatialDropout2D(0.5, name="drop_maps"),
            layers.Conv2D(3, 3, activation="relu", name="second"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(3, activation="softmax", name="dense"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: keras.Model, *callbacks, epochs: int = EPOCHS) -> dict[str, list[float]]:
    keras.utils.set_random_seed(2)
    return model.fit(
        X_TRAIN,
        Y_TRAIN,
        epochs=epochs,
        batch_size=16,
        validation_split=0.25,
        verbose=0,
        callbacks=list(callbacks),
    ).history


class Weights(keras.callbacks.Callback):
    """Keeps the weights of each epoch."""

    def on_train_begin(self, logs=None):
        self.after = {}

    def on_epoch_end(self, epoch, logs=None):
        self.after[epoch + 1] = self.model.get_weights()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model, the folder of its stores, and the weights of each epoch."""
    folder = tmp_path_factory.mktemp("epochs") / "below" / "here"
    model, weights = network(), Weights()
    history = fit(model, capture_callback(X_TEST, Y_TEST, folder, layers="conv,second"), weights)
    return model, folder, weights.after, history


def test_every_epoch_has_a_whole_store(trained):
    _, folder, *_ = trained
    names = [f"epoch-{number:03}.h5" for number in range(1, EPOCHS + 1)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [list(problems(folder / name)) for name in names] == [[]] * EPOCHS


def test_training_comes_out_as_without(trained):
    model, _, _, history = trained
    alone = network()
    assert fit(alone) == history
    for one, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        assert_array_equal(one, other)
    for one, other in zip(model.optimizer.variables, alone.optimizer.variables, strict=True):
        assert_array_equal(keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other))


def test_layers_are_as_they_were(trained):
    model, *_ = trained
    for layer in model._flatten_layers():
        assert not {"call", "quantized_call"} & set(vars(layer)), layer.name


@pytest.mark.parametrize("number", range(1, EPOCHS + 1))
def test_a_store_holds_what_the_model_of_its_epoch_predicts(trained, number):
    """As `predict` does, so without dropout and noise, and with moving averages."""
    _, folder, weights, _ = trained
    again = network()
    again.set_weights(weights[number])
    paths = ("conv", "second")
    expected = keras.Model(again.inputs, [again.get_layer(path).output for path in paths]).predict(
        X_TEST, verbose=0
    )
    with open_store(folder / f"epoch-{number:03}.h5") as store:
        for path, values in zip(paths, expected, strict=True):
            found = store.layers[path].activation[:10]
            assert_allclose(found, values, rtol=1e-5, atol=1e-5 * np.abs(values).max())
        probabilities = again.predict(X_TEST, verbose=0)
        assert_allclose(store.probabilities, probabilities, rtol=1e-5, atol=1e-6)
        assert_array_equal(store.labels, Y_TEST)


def test_epochs_differ(trained):
    _, folder, *_ = trained
    with open_store(folder / "epoch-001.h5") as one, open_store(folder / "epoch-003.h5") as other:
        first, last = (each.layers["second"].activation[:10] for each in (one, other))
    assert np.abs(first - last).max() > 1e-3


@pytest.mark.share
@pytest.mark.parametrize(
    "epochs", sampled(2, [[3, 1], iter((1, 3)), np.array([1, 3, 99]), range(1, 9, 2)])
)
def test_only_chosen_epochs_are_captured(epochs, tmp_path):
    fit(
        network(), capture_callback(X_TEST, Y_TEST, str(tmp_path), epochs=epochs, policy="*=pooled")
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-001.h5", "epoch-003.h5"]
    with open_store(tmp_path / "epoch-003.h5") as store:
        assert not store.layers["conv"].has_maps


@pytest.mark.share
@pytest.mark.parametrize("epochs", sampled(1, [None, [1, 3]]))
def test_a_store_that_exists_is_refused_before_training(epochs, tmp_path):
    there = tmp_path / "epoch-003.h5"
    there.write_text("mine")
    model = network()
    before = model.get_weights()
    with pytest.raises(OutputError, match=r"epoch-003\.h5 exists"):
        fit(model, capture_callback(X_TEST, Y_TEST, tmp_path, epochs=epochs))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-003.h5"]
    assert there.read_text() == "mine"
    for one, other in zip(model.get_weights(), before, strict=True):
        assert_array_equal(one, other)
    replacing = capture_callback(X_TEST, Y_TEST, tmp_path, epochs=epochs, overwrite=True)
    with pytest.raises(OutputError, match="it is not a store"):
        fit(model, replacing)
    assert there.read_text() == "mine"
    there.unlink()
    for _ in range(2):  # the second time over a store
        fit(model, replacing)
        assert list(problems(there)) == []


def test_what_training_does_not_reach_is_not_in_the_way(tmp_path):
    (tmp_path / "epoch-003.h5").write_text("mine")
    (tmp_path / "epoch-001.h5").write_text("mine")
    fit(network(), capture_callback(X_TEST, Y_TEST, tmp_path, epochs=[2, 3]), epochs=2)
    assert list(problems(tmp_path / "epoch-002.h5")) == []


def test_names_sort_as_epochs_do_however_many(tmp_path):
    callback = capture_callback(X_TEST, Y_TEST, tmp_path, epochs=[1000])
    callback.set_params({"epochs": 1000})
    assert [callback._path(number).name for number in (1, 999, 1000)] == [
        "epoch-0001.h5",
        "epoch-0999.h5",
        "epoch-1000.h5",
    ]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"cannot write .*file"):
        fit(network(), capture_callback(X_TEST, Y_TEST, tmp_path / "file"))


@pytest.mark.parametrize(
    "epochs", [[0], [1, -2], [1.5], ["1"], "12", 3, [True], [None], [], [np.float32(2)], [[1]]]
)
def test_epochs_that_are_none_are_refused_at_once(epochs, tmp_path):
    with pytest.raises(SelectionError, match=r"epochs.*expected whole numbers from 1") as caught:
        capture_callback(X_TEST, Y_TEST, tmp_path, epochs=epochs)
    assert caught.value.field == "epochs"


def test_wrong_arguments_are_refused_at_once(tmp_path):
    with pytest.raises(DatasetError, match="10 images but 9 labels"):
        capture_callback(X_TEST, Y_TEST[:9], tmp_path)
    with pytest.raises(TypeError, match="layer"):
        capture_callback(X_TEST, Y_TEST, tmp_path, layer="conv")


def test_without_keras_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "fmcore.model.trace", raising=False)  # which imports it
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(FmcoreError, match=r"pip install 'feature-map-dashboard\[train\]'"):
        capture_callback(X_TEST, Y_TEST, tmp_path)


def test_a_subclassed_model_is_captured_once_it_is_built(tmp_path):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = layers.Conv2D(2, 3, activation="relu", name="conv")
            self.flatten = layers.Flatten()
            self.dense = layers.Dense(3, activation="softmax")

        def call(self, x):
            return self.dense(self.flatten(self.conv(x)))

    model = Net()
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    fit(model, capture_callback(X_TEST, Y_TEST, tmp_path, epochs=[1]))
    assert list(problems(tmp_path / "epoch-001.h5")) == []
