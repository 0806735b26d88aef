"""Labels from streams and files reach the store as the classes that they name."""

from __future__ import annotations

from pathlib import Path

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_array_equal
from PIL import Image

from fmcore import capture_activations, capture_callback, open_store
from fmcore.cli import main
from fmcore.dataset import labelled_images
from fmcore.errors import DatasetError
from fmcore.records import Target

pytestmark = pytest.mark.keras
KINDS = ("cat", "dog", "emu")


def model(n_classes: int = 3, *, activation: str = "softmax") -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(2, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(n_classes, activation=activation),
        ]
    )


def folder(root: Path, kinds=KINDS) -> Path:
    rng = np.random.default_rng(0)
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for index in range(3):
            pixels = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / kind / f"{index}.png")
    return root


@pytest.mark.parametrize("mode", ["int", "categorical"])
def test_streams_of_keras_have_labels_and_names_in_every_mode(mode, tmp_path):
    made = keras.utils.image_dataset_from_directory(
        folder(tmp_path / "images"), label_mode=mode, image_size=(6, 6), batch_size=4,
        shuffle=False, verbose=False,
    )  # fmt: skip
    path = capture_activations(model(), made, None, tmp_path / "s.h5")
    with open_store(path) as store:
        assert store.class_names == KINDS
        assert_array_equal(store.labels, np.repeat(np.arange(3), 3))
        assert store.has_labels
    callback = capture_callback(made, None, tmp_path / "epochs")
    trained = model()
    trained.compile(loss="categorical_crossentropy")
    images = np.zeros((3, 6, 6, 3))
    trained.fit(images, np.eye(3), verbose=0, callbacks=[callback])
    with open_store(tmp_path / "epochs" / "epoch-001.h5") as store:
        assert store.class_names == KINDS
        assert_array_equal(store.labels, np.repeat(np.arange(3), 3))


def test_a_binary_stream_of_keras_is_of_two_classes(tmp_path):
    made = keras.utils.image_dataset_from_directory(
        folder(tmp_path / "images", KINDS[:2]), label_mode="binary", image_size=(6, 6),
        batch_size=4, shuffle=False, verbose=False,
    )  # fmt: skip
    path = capture_activations(model(1, activation="sigmoid"), made, None, tmp_path / "s.h5")
    with open_store(path) as store:
        assert store.class_names == KINDS[:2]
        assert_array_equal(store.labels, np.repeat([0, 1], 3))


def test_labels_of_a_stream_are_told_apart_over_all_of_it():
    """The first batch of several labels may look like one-hot rows."""
    images = np.zeros((4, 6, 6, 3))
    rows = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
    stream = tf.data.Dataset.from_tensor_slices((images, rows)).batch(2)
    samples = labelled_images(stream, None, where="here")
    assert samples.truth.kind == Target.LABELS
    assert_array_equal(samples.truth.values, rows)
    texts = tf.data.Dataset.from_tensor_slices((images, ["b", "a", "c", "a"])).batch(2)
    samples = labelled_images(texts, None, where="here")
    assert (samples.labels.tolist(), samples.truth.names) == ([1, 0, 2, 0], ("a", "b", "c"))
    boxes = ((image, row) for image, row in zip(images, np.arange(16.0).reshape(4, 4), strict=True))
    assert labelled_images(boxes, None, where="here").truth.kind == Target.NUMBER
    uneven = iter([(images[:2], rows[:2]), (images[2:], rows[2:, :2])])
    with pytest.raises(DatasetError, match=r"labels of batch 1 are \(2,\) .* the first \(3,\)"):
        labelled_images(uneven, None, where="here")


TEXTS = np.array(["emu", "cat", "dog", "cat", "emu", "dog"])
INDICES = np.array([2, 0, 1, 0, 2, 1])
IMAGES = np.random.default_rng(0).random((6, 6, 6, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "labels", [TEXTS, list(TEXTS), pd.Series(TEXTS), pd.Categorical(TEXTS), TEXTS[:, np.newaxis],
               pd.get_dummies(pd.Series(TEXTS))],
)  # fmt: skip
def test_names_as_labels_are_the_names_of_classes(labels, tmp_path):
    capture_activations(model(), IMAGES, labels, tmp_path / "s.h5")
    with open_store(tmp_path / "s.h5") as store:
        assert store.class_names == KINDS
        assert_array_equal(store.labels, INDICES)
        assert (
            "names of classes" in store.about()["model"]["output"]
            or "one-hot" in (store.about()["model"]["output"])
        )


def test_names_as_labels_are_put_into_the_order_of_the_models_classes(tmp_path):
    order = ["emu", "fox", "dog", "cat"]
    capture_activations(model(4), IMAGES, TEXTS, tmp_path / "s.h5", class_names=order)
    with open_store(tmp_path / "s.h5") as store:
        assert store.class_names == tuple(order)
        assert [order[index] for index in store.labels] == TEXTS.tolist()
    with pytest.raises(DatasetError, match="do not name the class 'cat' of the labels"):
        capture_activations(
            model(), IMAGES, TEXTS, tmp_path / "t.h5", class_names=["emu", "dog", "cow"]
        )


def test_names_of_some_classes_need_those_of_all(tmp_path, capsys):
    """Else the index of a name would be that of another class of the model."""
    words = r"3 classes, such as 'cat', but the model has 4; .* \(class_names= in Python\)"
    with pytest.raises(DatasetError, match=words):
        capture_activations(model(4), IMAGES, TEXTS, tmp_path / "s.h5")
    model(4).save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=TEXTS)
    command = ["capture", str(tmp_path / "m.keras"), "--data", str(tmp_path / "d.npz")]
    command += ["--out", str(tmp_path / "s.h5")]
    assert main(command) == 1
    assert "--class-names FILE, one per line" in capsys.readouterr().err
    (tmp_path / "names.txt").write_text("ant\ncat\ndog\nemu\n")
    assert main([*command, "--class-names", str(tmp_path / "names.txt")]) == 0
    with open_store(tmp_path / "s.h5") as store:
        assert_array_equal(store.labels, INDICES + 1)


@pytest.mark.parametrize("form", ["npz", "hdf5"])
def test_names_as_labels_come_from_files(form, tmp_path):
    model().save(tmp_path / "m.keras")
    data = tmp_path / "d.npz"
    np.savez(data, x_test=IMAGES, y_test=TEXTS)
    if form == "hdf5":
        with h5py.File(tmp_path / "d.h5", "w") as file:
            file["x"] = IMAGES
            file["y"] = TEXTS.tolist()  # text of variable length
        data = f"{tmp_path / 'd.h5'}::x,y"
    command = ["capture", tmp_path / "m.keras", "--data", data, "--out", tmp_path / "s.h5"]
    assert main([str(word) for word in command]) == 0
    with open_store(tmp_path / "s.h5") as store:
        assert store.class_names == KINDS
        assert_array_equal(store.labels, INDICES)


def test_training_and_test_labels_share_their_names(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=IMAGES[:2], y_test=["emu", "cat"], x_train=IMAGES,
             y_train=TEXTS)  # fmt: skip
    from fmcore.sources import DataOptions, load

    dataset = load(str(tmp_path / "d.npz"), DataOptions())
    assert dataset.class_names == KINDS
    assert dataset.test.known_labels.tolist() == [2, 0]
    assert_array_equal(dataset.train.known_labels, INDICES)
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=INDICES, x_train=IMAGES, y_train=TEXTS)
    with pytest.raises(DatasetError, match="y_test or y_train are names of classes, not both"):
        load(str(tmp_path / "d.npz"), DataOptions())


def test_labels_that_are_no_classes_leave_one_class(tmp_path, caplog):
    numbers = np.random.default_rng(0).random((6, 2))
    made = model(2, activation="linear")
    capture_activations(made, IMAGES, numbers, tmp_path / "s.h5")
    assert "the labels are 2 numbers, not classes: all images are in one class" in caplog.text
    rows = np.array([[1, 1, 0]] * 3 + [[0, 0, 1]] * 3)
    made = model(3, activation="sigmoid")
    capture_activations(made, IMAGES, rows, tmp_path / "t.h5", class_names=["a", "b", "c"])
    for name in ("s.h5", "t.h5"):
        with open_store(tmp_path / name) as store:
            assert store.class_names == ("all",)
            assert not store.has_predictions


def test_classes_group_samples_of_a_model_that_predicts_something_else(tmp_path):
    made = model(4, activation="linear")
    capture_activations(made, IMAGES, TEXTS, tmp_path / "s.h5", target="number")
    made = model(4, activation="sigmoid")
    capture_activations(made, IMAGES, TEXTS, tmp_path / "t.h5", target="labels")
    for name in ("s.h5", "t.h5"):
        with open_store(tmp_path / name) as store:
            assert store.class_names == KINDS
            assert_array_equal(store.labels, INDICES)


@pytest.mark.parametrize("source", ["names in a file", "names of folders"])
def test_names_of_classes_are_never_taken_for_numbers(source, tmp_path, caplog):
    """Their indices are numbers, whose order is that of letters."""
    from PIL import Image

    data = tmp_path / "data"
    if source == "names in a file":
        np.savez(data.with_suffix(".npz"), x_test=IMAGES, y_test=TEXTS)
        data = data.with_suffix(".npz")
    else:
        for index, name in enumerate(TEXTS):
            (data / name).mkdir(parents=True, exist_ok=True)
            pixels = (IMAGES[index] * 255).astype(np.uint8)
            Image.fromarray(pixels).save(data / name / f"{index}.png")
    made = model(1, activation="linear")
    made.compile(loss="mse")
    made.save(tmp_path / "m.keras")
    command = ["capture", tmp_path / "m.keras", "--data", data, "--out", tmp_path / "s.h5"]
    assert main([*map(str, command)]) == 1
    assert main([*map(str, command), "--target", "number"]) == 0
    assert "are not compared with the answers, which are numbers (1 for" in caplog.text
    with open_store(tmp_path / "s.h5") as store:
        assert store.truth is None
        assert store.class_names == KINDS
