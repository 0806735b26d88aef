"""Streams of images: however long they are, they never fill a disk, and nothing stays behind."""

from __future__ import annotations

import collections
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from numpy.testing import assert_array_equal

from fmcore import capture_activations, capture_callback, open_store
from fmcore.dataset import is_stream, labelled_images, spool, stream
from fmcore.errors import DatasetError, OutputError

pytestmark = pytest.mark.keras
SHAPE = (6, 5, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), dtype=np.uint8)
LABELS = np.arange(10) % 3


def batches(start: int = 0, stop: int = 10):
    for index in range(start, stop, 4):
        yield IMAGES[index : min(index + 4, stop)], LABELS[index : min(index + 4, stop)]


class Batches(keras.utils.PyDataset):
    """What people write for data that does not fit in memory."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return next(itertools.islice(batches(), index, None))


class Endless(keras.utils.PyDataset):
    num_batches = None

    def __getitem__(self, index):
        return IMAGES[:4], LABELS[:4]


class Loader:
    """What PyTorch's loaders are: a length, and an iterator."""

    def __len__(self):
        return 3

    def __iter__(self):
        return batches()


class OneByOne:
    """What PyTorch's data sets are: a length, and a sample at each index."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return IMAGES[index], LABELS[index]


def tf_dataset():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(4)


def flow():
    return ImageDataGenerator(dtype="uint8").flow(IMAGES, LABELS, batch_size=4, shuffle=False)


FINITE = {
    "tf.data": tf_dataset,
    "a tf.data iterator": lambda: iter(tf_dataset()),
    "PyDataset": Batches,
    "ImageDataGenerator.flow": flow,
    "a generator": batches,
    "a loader": Loader,
    "a data set of samples": OneByOne,
}
ENDLESS = {
    "tf.data repeat": lambda: tf_dataset().repeat(),
    "its iterator": lambda: iter(tf_dataset().repeat()),
    "its NumPy iterator": lambda: tf_dataset().repeat().as_numpy_iterator(),
    "repeat, then map": lambda: tf_dataset().repeat().map(lambda x, y: (x, y)).prefetch(1),
    "PyDataset without an end": Endless,
    "itertools.cycle": lambda: itertools.cycle(batches()),
}


@pytest.fixture
def spools(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files."""
    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    maps = layers.Conv2D(2, 3, name="conv")(image)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(maps)))


@pytest.mark.parametrize("name", FINITE)
def test_a_finite_stream_is_spooled_whole(name, spools):
    images, labels = spool(FINITE[name]())
    assert_array_equal(images, IMAGES)
    assert_array_equal(labels, LABELS)
    assert images.dtype == np.uint8
    assert list(spools.iterdir()) == []  # its file has no name, so nothing can be left behind


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_stream_is_refused_before_anything_is_written(name, spools, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("a file was made"))
    endless = ENDLESS[name]()
    with pytest.raises(DatasetError, match=r"\(\w+\) is endless.*such as steps=100") as caught:
        spool(endless)
    assert type(endless).__name__.lstrip("_") in str(caught.value)
    assert caught.value.field == "steps"


@pytest.mark.parametrize("name", [*ENDLESS, "a generator", "ImageDataGenerator.flow"])
def test_steps_bound_every_stream(name, spools):
    images, labels = spool((ENDLESS | FINITE)[name](), steps=2)
    assert_array_equal(images[:4], IMAGES[:4])
    assert len(images) == len(labels) == 8


def test_steps_are_at_most_what_a_stream_has(spools):
    assert len(spool(batches(), steps=100)[0]) == 10


@pytest.mark.parametrize("steps", [0, -1, 2.5, "3", True])
def test_steps_are_a_whole_number(steps):
    with pytest.raises(DatasetError, match="expected the number of elements") as caught:
        spool(batches(), steps=steps)
    assert caught.value.field == "steps"


def test_steps_are_for_streams_only():
    with pytest.raises(DatasetError, match="steps=2 is for streams of images"):
        labelled_images(IMAGES, LABELS, where="here", steps=2)


def forever():
    while True:
        yield IMAGES, LABELS


def test_a_stream_that_does_not_say_how_long_it_is_ends_at_a_bound(spools, monkeypatch):
    monkeypatch.setattr(stream, "MOST_UNKNOWN_BYTES", 5 * IMAGES.nbytes)
    with pytest.raises(DatasetError, match=r"does not say whether it ends.*steps=6") as caught:
        spool(forever())
    assert "(generator) has yielded 6 elements" in str(caught.value)
    # What the message advises.
    assert len(spool(forever(), steps=6)[0]) == 60


Disk = collections.namedtuple("Disk", "total used free")


def test_what_does_not_fit_is_refused_before_it_is_written(spools, monkeypatch):
    disk = Disk(10_000, 0, 1200)  # 500 of them are left to others: a batch fits, three do not
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    monkeypatch.setattr(
        stream._Spool, "write", lambda *_: pytest.fail("the length was known before")
    )
    with pytest.raises(OutputError, match=r"needs 1\.1 kB .*only 0\.7 kB .*TMPDIR.*steps="):
        spool(Batches())


@pytest.mark.parametrize("make", [batches, forever])
def test_a_stream_of_unknown_length_stops_before_the_disk_is_full(make, spools, monkeypatch):
    left = [IMAGES.nbytes // 2 + 500]

    def usage(_):
        return Disk(10_000, 0, left[0])

    def write(self, images):
        stream._Spool.require(self, images.nbytes)
        left[0] -= images.nbytes
        assert left[0] >= 500

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.setattr(stream._Spool, "write", write)
    with pytest.raises(OutputError, match="are free for that"):
        spool(make())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_named_and_nothing_stays(spools, monkeypatch):
    def full(**_):
        return open("/dev/full", "wb", buffering=0)  # noqa: PTH123

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match=r"No space left on device.*are free in"):
        spool(batches())
    assert list(spools.iterdir()) == []


def test_an_error_of_the_stream_itself_is_not_taken_for_one_of_the_disk(spools):
    def broken():
        yield IMAGES, LABELS
        raise FileNotFoundError("my/own/file.png")

    with pytest.raises(FileNotFoundError, match="my/own"):
        spool(broken())
    assert list(spools.iterdir()) == []
    assert not any("fmcore-" in str(path) for path in map(os.readlink, open_files()))


def open_files():
    folder = Path("/proc/self/fd")
    return [path for path in folder.iterdir() if path.is_symlink()] if folder.exists() else []


def test_a_long_stream_says_how_far_it_is(spools, monkeypatch, caplog):
    monkeypatch.setattr(stream, "QUIET_SECONDS", 0)
    spool(Batches())
    assert "writing the stream of images to a temporary file: 1 of 3 elements" in caplog.text


@pytest.mark.parametrize(
    "images",
    [IMAGES, IMAGES.tolist(), tf.constant(IMAGES), {"x": IMAGES}, "images", None],
    ids=["an array", "a list", "a tensor", "inputs by name", "a text", "nothing"],
)
def test_what_is_no_stream(images):
    assert not is_stream(images)


@pytest.mark.parametrize("name", FINITE)
def test_streams_are_captured_as_their_arrays_are(name, model, spools, tmp_path):
    capture_activations(model, FINITE[name](), None, tmp_path / "stream.h5")
    capture_activations(model, IMAGES, LABELS, tmp_path / "arrays.h5")
    with open_store(tmp_path / "stream.h5") as one, open_store(tmp_path / "arrays.h5") as other:
        assert_array_equal(one.labels, LABELS)
        assert_array_equal(one.layers["conv"].activation[:], other.layers["conv"].activation[:])


def test_an_endless_stream_is_captured_with_steps(model, spools, tmp_path):
    with pytest.raises(DatasetError, match="is endless"):
        capture_activations(model, tf_dataset().repeat(), None, tmp_path / "s.h5")
    with pytest.raises(DatasetError, match="is endless"):
        capture_callback(tf_dataset().repeat(), None, tmp_path / "epochs")
    assert {path.name for path in tmp_path.iterdir()} == {"spools"}
    capture_activations(model, tf_dataset().repeat(), None, tmp_path / "s.h5", steps=4)
    with open_store(tmp_path / "s.h5") as store:
        assert_array_equal(store.images[:], np.concatenate([IMAGES, IMAGES[:4]]))
