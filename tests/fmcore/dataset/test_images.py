"""Images of files: folders, idx, HDF5; decoded and fitted as asked, bad ones named."""

from __future__ import annotations

import gzip
import importlib
import shutil
import struct
import zlib
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from fmcore import capture_activations, open_store
from fmcore.cli import main
from fmcore.dataset import (
    Fitting,
    Preprocessing,
    from_folder,
    from_idx,
    preprocessing_named,
)
from fmcore.dataset.preprocessing import NAMES
from fmcore.errors import DatasetError, SelectionError
from fmcore.model.keras_names import application_preprocessing
from fmcore.sources import DataOptions, load
from fmcore.storage import problems

pytestmark = pytest.mark.keras
RNG = np.random.default_rng(0)
SIZE = Fitting((8, 10, 3))


def picture(path: Path, size: tuple[int, int] = (10, 8), mode: str = "RGB", **options) -> None:
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = RNG.integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if bands > 1 else pixels[..., 0], mode).save(path, **options)


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "animals"
    for index in range(4):
        picture(root / "cat" / f"{index}.png")
        picture(root / "dog" / "young" / f"{index}.jpg", (23, 31))
    (root / "cat" / "Thumbs.db").write_bytes(b"no image")
    (root / "cat" / ".hidden.png").write_bytes(b"no image")
    (root / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def model_path(tmp_path) -> Path:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input(SIZE.shape),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_a_folder_of_images_is_captured_as_pillow_decodes_it(folder, model_path, tmp_path, capsys):
    out = tmp_path / "s.h5"
    assert run("capture", model_path, "--data", folder, "--out", out, "--batch-size", 3) == 0
    assert "Data: 8 images in animals; 8 images to capture" in capsys.readouterr().out
    files = [*sorted(folder.glob("cat/?.png")), *sorted(folder.glob("dog/young/*.jpg"))]
    pixels = np.stack(
        [
            np.asarray(Image.open(file).convert("RGB").resize((10, 8), Image.Resampling.BILINEAR))
            for file in files
        ]
    )
    model = keras.saving.load_model(model_path)
    maps = keras.Model(model.inputs, model.layers[0].output).predict(pixels / 255, verbose=0)
    with open_store(out) as store:
        assert store.class_names == ("cat", "dog")
        assert store.labels.tolist() == [0] * 4 + [1] * 4
        assert_array_equal(np.stack([store.image(index) for index in range(8)]), pixels)
        stored = store.layers["conv"].activation[:8]
        assert_allclose(stored, maps, rtol=1e-5, atol=1e-5 * maps.max())
        words = store.about()["dataset"]["preprocessing"]
        assert words.startswith("pixels / 255 (the default for uint8; of 8 labeled samples, ")
    assert list(problems(out)) == []


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_images_are_fitted_as_asked(fit, tmp_path):
    wide = Image.new("RGB", (40, 8), (255, 0, 0))
    wide.paste((0, 255, 0), (0, 0, 10, 8))
    wide.save(tmp_path / "wide.png")
    dataset = from_folder(tmp_path / "wide.png", Fitting((8, 8, 3), fit))
    assert dataset.test.labels is None
    image = dataset.test.images[:][0]
    left, right, top = image[4, 0], image[4, 7], image[0, 4]
    expected = {
        "stretch": ([0, 255, 0], [255, 0, 0], [255, 0, 0]),
        "crop": ([255, 0, 0], [255, 0, 0], [255, 0, 0]),
        "pad": ([0, 255, 0], [255, 0, 0], [0, 0, 0]),
    }[fit]
    assert ([*left], [*right], [*top]) == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_grey_colour_and_alpha_become_what_the_model_takes(mode, channels, tmp_path):
    suffix = {"CMYK": "tif"}.get(mode, "png")
    bright = Image.new(
        {"I;16": "I;16"}.get(mode, "RGB"), (5, 5), {"I;16": 65535}.get(mode, "white")
    )
    (bright if mode == "I;16" else bright.convert(mode)).save(tmp_path / f"x.{suffix}")
    image = from_folder(tmp_path, Fitting((5, 5, channels))).test.images[0]
    assert image.shape == (5, 5, channels)
    assert image.min() == 255


def test_values_that_nobody_can_call_black_or_white_are_refused(tmp_path):
    for mode in ("I", "F"):
        Image.new(mode, (4, 4), 200).save(tmp_path / "x.tif")
        with pytest.raises(DatasetError, match=r"x.tif holds .*expected 8 or 16 bits"):
            from_folder(tmp_path / "x.tif", SIZE).test.images[:]
    (tmp_path / "y.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(DatasetError, match=r"y.png is not an image that Pillow can read"):
        from_folder(tmp_path / "y.png", SIZE).test.images[:]


def test_what_is_hidden_is_passed_over_and_links_to_folders_are_refused(folder, tmp_path):
    picture(folder / "cat" / ".thumbnails" / "1.png")
    assert len(from_folder(folder, SIZE).test) == 8
    (folder / "dog" / "more").symlink_to(folder / "cat")
    with pytest.raises(DatasetError, match="more is a link to a folder"):
        from_folder(folder, SIZE)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("size", [(10, 8), (23, 31), (5, 4)])
def test_images_are_those_of_load_img(size, mode, channels, tmp_path):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    if mode in ("1", "P"):
        picture(tmp_path / "color.png", size)
        Image.open(tmp_path / "color.png").convert(mode).save(path)
    else:
        picture(path, size, mode)
    color = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
    loaded = keras.utils.load_img(
        path, color_mode=color, target_size=(8, 10), interpolation="bilinear"
    )
    image = from_folder(path, Fitting((8, 10, channels))).test.images[0]
    assert_array_equal(image, keras.utils.img_to_array(loaded))


def transparent(path: Path) -> None:
    picture(path, mode="RGBA")


def transparent_palette(path: Path) -> None:
    picture(path)
    Image.open(path).convert("P").save(path, transparency=3)


def turned(path: Path) -> None:
    picture(path)
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    image.save(path, exif=exif)


NOTES = {
    transparent: "is transparent and its alpha is left out, as in Keras' loaders",
    transparent_palette: "is transparent and its alpha is left out, as in Keras' loaders",
    turned: "has an EXIF orientation and is not turned, as in Keras' loaders",
}


@pytest.mark.parametrize("make", NOTES)
def test_alpha_and_orientation_are_left_alone_as_in_keras_loaders_and_it_is_said_once(
    make, tmp_path, caplog
):
    for index in range(3):
        make(tmp_path / "root" / "cat" / f"{index}.png")
    picture(tmp_path / "root" / "dog" / "plain.png")
    images = from_folder(tmp_path / "root", SIZE).test.images
    batches = keras.utils.image_dataset_from_directory(
        tmp_path / "root", shuffle=False, image_size=(8, 10), batch_size=4, verbose=0
    )
    expected = next(iter(batches))[0].numpy()
    assert_array_equal(images[:], expected)
    assert [images[index].tolist() for index in range(4)] == expected.tolist()
    one_each = [keras.utils.load_img(file) for file in sorted(tmp_path.rglob("*.png"))]
    assert_array_equal(images[:], np.stack([np.asarray(image) for image in one_each]))
    (record,) = caplog.records
    assert NOTES[make] in record.getMessage()
    assert "root/cat/" in record.getMessage()


def test_a_turned_jpeg_is_as_load_img_gives_it(tmp_path, caplog):
    picture(tmp_path / "x.jpg", exif=exif_of(8))
    image = from_folder(tmp_path / "x.jpg", SIZE).test.images[0]
    assert_array_equal(image, np.asarray(keras.utils.load_img(tmp_path / "x.jpg")))
    assert "x.jpg has an EXIF orientation and is not turned" in caplog.text
    picture(tmp_path / "y.jpg", exif=exif_of(1))
    from_folder(tmp_path / "y.jpg", SIZE).test.images[:]
    assert "y.jpg" not in caplog.text


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_alpha_stays_where_the_model_takes_it(tmp_path, caplog):
    picture(tmp_path / "x.png", mode="RGBA")
    image = from_folder(tmp_path / "x.png", Fitting((8, 10, 4))).test.images[0]
    assert_array_equal(image, np.asarray(Image.open(tmp_path / "x.png")))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("train", "validation"), "validation"),
        (("Train", "TEST", "val"), "TEST"),
        (("training_set", "test_set"), "test_set"),
        (("seg_train", "seg_test"), "seg_test"),
        (("train2017", "val2017"), "val2017"),
        (("dev", "holdout"), "holdout"),
        (("test",), "test"),
    ],
)
@pytest.mark.parametrize("around", [(), ("dataset",)])
def test_parts_of_a_data_set_are_no_classes(around, names, first, model_path, tmp_path, capsys):
    root = tmp_path / "root"
    inside = root.joinpath(*around)
    for name in names:
        for pet in ("cat", "dog"):
            picture(inside / name / pet / "1.png")
    (root / "annotations").mkdir()
    assert run("capture", model_path, "--data", root, "--out", tmp_path / "s.h5") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "parts of a data set, not classes" in error
    assert f"give --data {inside / first}" in error
    assert all(f"--data {inside / name}" in error for name in names)
    assert run("capture", model_path, "--data", inside / first, "--out", tmp_path / "s.h5") == 0
    with open_store(tmp_path / "s.h5") as store:
        assert store.class_names == ("cat", "dog")


@pytest.mark.parametrize("names", [("train", "car"), ("tests", "trains"), ("valley", "devon")])
def test_classes_that_sound_like_parts_are_classes(names, tmp_path, caplog):
    for name in names:
        picture(tmp_path / name / "1.png")
    assert from_folder(tmp_path, SIZE).class_names == tuple(sorted(names))
    assert caplog.text == ""


def test_parts_within_each_class_are_taken_together_and_it_is_said(tmp_path, caplog):
    for pet in ("cat", "dog"):
        for part in ("train", "test"):
            picture(tmp_path / pet / part / "1.png")
    assert from_folder(tmp_path, SIZE).test.known_labels.tolist() == [0, 0, 1, 1]
    assert "cat holds test and train; the images of all are taken" in caplog.text


def test_bad_images_are_named_or_left_out_and_counted(folder, model_path, tmp_path, capsys):
    whole = (folder / "dog" / "young" / "1.jpg").read_bytes()
    (folder / "dog" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "text.png").write_text("not an image")
    capture = ("capture", model_path, "--data", folder, "--out", tmp_path / "s.h5")
    assert run(*capture) == 1
    message = capsys.readouterr().err
    assert "cut.jpg is not a complete image: " in message
    assert message.count("\n") == 1
    assert not (tmp_path / "s.h5").exists()
    assert run(*capture, "--skip-bad") == 0
    assert "2 of 10 images cannot be decoded and are left out: " in capsys.readouterr().err
    with open_store(tmp_path / "s.h5") as store:
        assert store.n_samples == 8
        source = store.about()["dataset"]["source"]
        assert source == "8 images in animals; 2 that cannot be decoded were left out"


def test_folders_that_hold_no_test_set_are_refused(folder, model_path, tmp_path, capsys):
    def refusal(data, *more) -> str:
        assert run("capture", model_path, "--data", data, "--out", tmp_path / "s.h5", *more) == 1
        error = capsys.readouterr().err
        assert error.count("\n") == 1, error
        return error

    (tmp_path / "empty").mkdir()
    assert "holds no images (.jpg, .jpeg" in refusal(tmp_path / "empty")
    picture(folder / "loose.png")
    assert "holds images (loose.png) and subfolders (cat)" in refusal(folder)
    (folder / "loose.png").unlink()
    picture(tmp_path / "elsewhere.png")
    (folder / "cat" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    assert "link.png is a link that leaves the folder" in refusal(folder)
    (folder / "cat" / "link.png").unlink()
    assert "the model takes images of 8x10, not of 9x9" in refusal(folder, "--size", "9x9")
    for name in ("elk", "fox"):
        picture(folder / name / "x.png")
    assert "4 classes, such as 'cat', but the model has 2; name the classes" in refusal(folder)
    png = (folder / "elk" / "x.png").read_bytes()
    head = png[12:16] + struct.pack(">II", 60_000, 60_000) + png[24:29]
    (folder / "elk" / "x.png").write_bytes(
        png[:12] + head + struct.pack(">I", zlib.crc32(head)) + png[33:]
    )
    for name in ("cat", "dog"):
        shutil.rmtree(folder / name)
    assert "could be decompression bomb" in refusal(folder)


def test_an_empty_class_folder_is_a_class_without_samples(folder, model_path, tmp_path, caplog):
    (folder / "bird").mkdir()
    dataset = from_folder(folder, SIZE)
    assert dataset.class_names == ("bird", "cat", "dog")
    assert set(dataset.test.known_labels) == {1, 2}
    assert "bird holds no images" in caplog.text


def test_images_without_labels_have_the_classes_that_the_model_predicts(
    folder, model_path, tmp_path, capsys
):
    out = tmp_path / "s.h5"
    assert run("capture", model_path, "--data", folder / "cat", "--out", out) == 0
    output = capsys.readouterr()
    assert "the images have no labels: classes are what the model predicts" in output.err
    assert "no labels: classes are what the model predicts" in output.out
    with open_store(out) as store:
        assert not store.has_labels
        assert_array_equal(store.labels, store.predictions)
    model = keras.saving.load_model(model_path)
    images = RNG.random((5, *SIZE.shape)).astype(np.float32)
    capture_activations(model, images, None, tmp_path / "python.h5")
    with open_store(tmp_path / "python.h5") as store:
        assert_array_equal(store.labels, model.predict(images, verbose=0).argmax(axis=1))


def test_the_names_of_classes_come_from_a_file(folder, model_path, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("dog\ncat\n")
    common = ("capture", model_path, "--data", folder, "--out", tmp_path / "s.h5")
    assert run(*common, "--class-names", tmp_path / "names.txt") == 0
    with open_store(tmp_path / "s.h5") as store:
        assert store.class_names == ("dog", "cat")
        assert store.labels.tolist() == [1] * 4 + [0] * 4, "folders are the classes of their names"
    (tmp_path / "names.txt").write_text("wolf\ncat\n")
    assert run(*common, "--force", "--class-names", tmp_path / "names.txt") == 1
    assert "does not name the class dog" in capsys.readouterr().err


def idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    (gzip.open if path.suffix == ".gz" else open)(path, "wb").write(head + array.tobytes())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_are_read(suffix, tmp_path):
    images, labels = RNG.integers(0, 256, (7, 6, 5), dtype=np.uint8), np.arange(7, dtype=np.uint8)
    for part in ("train", "t10k"):
        idx(tmp_path / f"{part}-images-idx3-ubyte{suffix}", images)
        idx(tmp_path / f"{part}-labels-idx1-ubyte{suffix}", labels)
    path = tmp_path / f"t10k-images-idx3-ubyte{suffix}"
    dataset = from_idx(path)
    assert_array_equal(dataset.test.images[..., 0], images)
    assert_array_equal(dataset.train.known_labels, labels)
    idx(path, images[:3])
    with pytest.raises(DatasetError, match="3 images but 7 labels"):
        from_idx(path)
    data = (gzip.open if suffix else open)(path, "rb").read()
    for bad, message in (
        (data[:40], "truncated: it has 24 of 90"),
        (b"\1" + data[1:], "not an idx file"),
    ):
        (gzip.open if suffix else open)(path, "wb").write(bad)
        with pytest.raises(DatasetError, match=message):
            from_idx(path)


def test_arrays_of_an_hdf5_file_are_named(model_path, tmp_path, capsys):
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["test/x"] = RNG.integers(0, 256, (6, *SIZE.shape), dtype=np.uint8)
        file["test/y"] = np.arange(6) % 2
        file["out"] = h5py.SoftLink("/test")
    out = tmp_path / "s.h5"

    def capture(inside: str) -> str:
        data = f"{tmp_path / 'd.h5'}::{inside}"
        code = run("capture", model_path, "--data", data, "--out", out, "--force")
        output = capsys.readouterr()
        return output.err if code else output.out

    assert "/out is a link to another place" in capture("test/x,test/y")
    with h5py.File(tmp_path / "d.h5", "a") as file:
        del file["out"]
    assert "6 samples" in capture("test/x,test/y")
    assert "no labels" in capture("test/x")
    assert "has no array 'test/z'; did you mean test/" in capture("test/z")
    assert "expected FILE::IMAGES,LABELS" in capture("a,b,c")


@pytest.mark.parametrize("name", NAMES)
def test_preprocessing_equals_that_of_keras(name):
    images = RNG.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)
    module = importlib.import_module(f"keras.applications.{name}")
    expected = np.asarray(module.preprocess_input(images.astype(np.float32)))
    assert_array_equal(preprocessing_named(name)(images), expected)


def test_preprocessing_is_declared_recorded_and_not_stored(folder, model_path, tmp_path, capsys):
    common = ("capture", model_path, "--data", folder, "--out", tmp_path / "s.h5", "--force")
    model = keras.saving.load_model(model_path)
    maps = keras.Model(model.inputs, model.layers[0].output)
    for options, words, expected in (
        (["--scale", "1"], "none: images as given", Preprocessing()),
        (
            ["--scale", "255", "--mean", "0.5", "--std", "0.1,0.2,0.3"],
            "pixels / 255; minus 0.5; divided by 0.1, 0.2, 0.3",
            Preprocessing(255.0, (0.5,), (0.1, 0.2, 0.3)),
        ),
        (["--mean", "0.5"], "pixels / 255; minus 0.5", Preprocessing(255.0, (0.5,))),
        (
            ["--preprocess", "resnet_v2"],
            "resnet_v2 of keras.applications: pixels / 127.5; minus 1",
            preprocessing_named("resnet_v2"),
        ),
    ):
        assert run(*common, *options) == 0
        with open_store(tmp_path / "s.h5") as store:
            assert store.about()["dataset"]["preprocessing"] == words
            images = np.stack([store.image(index) for index in range(8)])
            assert images.dtype == np.uint8
            values = maps.predict(expected(images), verbose=0)
            stored = store.layers["conv"].activation[:8]
            assert_allclose(stored, values, rtol=1e-5, atol=1e-5 * abs(values).max())
    capsys.readouterr()
    assert run(*common, "--preprocess", "vgg16", "--scale", "255") == 1
    assert "--preprocess sets all of it" in capsys.readouterr().err
    assert run(*common, "--mean", "1,2") == 1
    assert "--mean has 2 numbers, but images have 3 channels" in capsys.readouterr().err


def test_options_of_files_are_not_passed_over_for_arrays(model_path, tmp_path, capsys):
    np.savez(tmp_path / "d.npz", x_test=np.zeros((2, *SIZE.shape)), y_test=[0, 1])
    capture = ("capture", model_path, "--data", tmp_path / "d.npz", "--out", tmp_path / "s.h5")
    for options in (["--size", "8x10"], ["--skip-bad"], ["--fit", "pad"]):
        assert run(*capture, *options) == 1
        assert "--size, --fit and --skip-bad are for image files" in capsys.readouterr().err


def test_architectures_have_their_preprocessing_by_name():
    assert application_preprocessing("resnet50v2") == preprocessing_named("resnet_v2")
    assert application_preprocessing("m.keras") is None
    with pytest.raises(SelectionError, match="'resnt'; expected one of convnext, densenet"):
        preprocessing_named("resnt")


def streams(images, labels):
    """The same images and labels in the forms in which they come."""
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    one_hot = tf.data.Dataset.from_tensor_slices((images, np.eye(2)[labels]))
    return {
        "batches": dataset.batch(3),
        "one by one": dataset,
        "one-hot": one_hot.batch(4),
        "a column": tf.data.Dataset.from_tensor_slices((images, labels[:, np.newaxis])).batch(4),
        "a generator": ((images[i : i + 4], labels[i : i + 4]) for i in range(0, 7, 4)),
        "a generator of single ones": zip(images, labels, strict=True),
    }


@pytest.mark.parametrize("name", streams(np.zeros((7, 1)), np.zeros(7, int)))
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_streams_are_captured_as_arrays_are(name, dtype, model_path, tmp_path):
    images = RNG.integers(0, 2, (7, *SIZE.shape)).astype(dtype)
    labels = np.arange(7) % 2
    stream = streams(images, labels)[name]
    capture_activations(model_path, stream, None, tmp_path / "stream.h5")
    capture_activations(model_path, images, labels, tmp_path / "arrays.h5")
    with (
        open_store(tmp_path / "stream.h5") as streamed,
        open_store(tmp_path / "arrays.h5") as stored,
    ):
        assert streamed.has_labels
        assert_array_equal(streamed.labels, labels)
        first, second = streamed.layers["conv"].activation[:7], stored.layers["conv"].activation[:7]
        assert_array_equal(first, second)
        assert (
            streamed.about()["dataset"]["fingerprint"] == stored.about()["dataset"]["fingerprint"]
        )


def test_streams_that_are_no_test_set_are_refused(model_path, tmp_path):
    image = np.zeros((2, *SIZE.shape), np.uint8)

    def refusal(*elements) -> str:
        with pytest.raises(DatasetError) as caught:
            capture_activations(model_path, iter(elements), None, tmp_path / "s.h5")
        return str(caught.value)

    assert "is empty; nothing can be captured" in refusal()
    assert "batch 1 of the images is uint8(7, 10, 3), but the first is uint8(8, 10, 3)" in refusal(
        image, image[:, 1:]
    )
    assert "batch 1 has no labels, unlike the batches before it" in refusal((image, [0, 1]), image)
    assert "2 images and labels (3,)" in refusal((image, [0, 1, 0]))
    assert "has 3 parts" in refusal((image, [0, 1], [1, 1]))
    assert "element 0 is <U1(); expected (images, labels)" in refusal("x")
    with pytest.raises(DatasetError, match="yields its own labels; pass labels=None"):
        capture_activations(model_path, iter([image]), [0, 1], tmp_path / "s.h5")
    assert {path.name for path in tmp_path.iterdir()} == {"m.keras"}


def test_data_sets_of_keras_are_had_by_name(model_path, tmp_path, capsys, monkeypatch):
    images = RNG.integers(0, 256, (6, *SIZE.shape), dtype=np.uint8)
    labels = np.array([[0], [1]] * 3)
    monkeypatch.setattr(
        keras.datasets.cifar10, "load_data", lambda: ((images, labels), (images[:4], labels[:4]))
    )
    loaded = load("cifar10", DataOptions())
    assert loaded.class_names[:2] == ("airplane", "automobile")
    assert (len(loaded.test), len(loaded.train)) == (4, 6)
    assert loaded.test.known_labels.tolist() == [0, 1, 0, 1]

    def offline():
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    assert run("capture", model_path, "--data", "cifar10", "--out", tmp_path / "s.h5") == 1
    message = capsys.readouterr().err
    assert "cifar10 is not in Keras' cache and cannot be downloaded: no route to host" in message


@pytest.fixture
def two_inputs(tmp_path) -> Path:
    """A model of an image and of two numbers beside it."""
    keras.utils.set_random_seed(0)
    image, age = keras.Input(SIZE.shape, name="image"), keras.Input((2,), name="age")
    conv = layers.Conv2D(4, 3, name="conv")(image)
    both = layers.Concatenate()([layers.GlobalMaxPooling2D()(conv), age])
    model = keras.Model([age, image], layers.Dense(3, activation="softmax")(both))
    model.save(tmp_path / "two.keras")
    return tmp_path / "two.keras"


def hdf5_of(path: Path, arrays: dict[str, np.ndarray]) -> str:
    """The same arrays in an HDF5 file, as --data names them."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[f"test/{name}"] = values
    inputs = [name for name in arrays if name.startswith("x_test_")]
    parts = [f"test/{name}" for name in ("x_test", "y_test") if name in arrays]
    parts += [f"{name.removeprefix('x_test_')}=test/{name}" for name in inputs]
    return f"{path}::{','.join(parts if 'x_test' in arrays else parts[::-1])}"


@pytest.mark.parametrize("image", ["x_test", "x_test_image"])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("form", ["npz", "hdf5"])
def test_several_inputs_come_from_files(form, labelled, image, two_inputs, tmp_path, capsys):
    pixels, ages = RNG.integers(0, 256, (7, *SIZE.shape), dtype=np.uint8), RNG.random((7, 2))
    arrays = {"x_test_age": ages, image: pixels} | (
        {"y_test": np.arange(7) % 3} if labelled else {}
    )
    data = tmp_path / "d.npz"
    np.savez(data, **arrays)
    if form == "hdf5":
        data = hdf5_of(tmp_path / "d.h5", arrays)
    out = tmp_path / "s.h5"
    assert run("capture", two_inputs, "--data", data, "--out", out, "--batch-size", 3) == 0
    model = keras.models.load_model(two_inputs)
    fed = pixels.astype(np.float32) / 255
    expected = model.predict([ages, fed], verbose=0)
    with open_store(out) as store:
        maps = keras.Model(model.inputs, model.get_layer("conv").output)
        maps_of_samples = np.stack([store.layers["conv"].feature_maps(index) for index in range(7)])
        assert_allclose(maps_of_samples, maps.predict([ages, fed], verbose=0), rtol=1e-5, atol=1e-5)
        probability = np.stack([store.probability(index) for index in range(7)])
        assert_allclose(probability, expected, rtol=1e-5, atol=1e-6)
        assert_array_equal(store.image(2), pixels[2])
        assert_array_equal(store.labels, np.arange(7) % 3 if labelled else expected.argmax(axis=1))


@pytest.mark.parametrize("form", ["npz", "hdf5"])
def test_inputs_that_do_not_fit_the_model_are_refused_by_name(form, two_inputs, tmp_path, capsys):
    images = np.zeros((4, *SIZE.shape), np.uint8)
    good = {"x_test": images, "y_test": np.arange(4) % 3, "x_test_age": np.zeros((4, 2))}

    def refused(**changes: np.ndarray | None) -> str:
        arrays = {name: array for name, array in (good | changes).items() if array is not None}
        data = tmp_path / "d.npz"
        np.savez(data, **arrays)
        if form == "hdf5":
            data = hdf5_of(tmp_path / "d.h5", arrays)
        assert run("capture", two_inputs, "--data", data, "--out", tmp_path / "s.h5") == 1
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        return message

    takes = "besides images the model takes age, found "
    assert f"{takes}nothing; give each by name" in refused(x_test_age=None)
    assert f"{takes}years;" in refused(x_test_age=None, x_test_years=np.zeros((4, 2)))
    assert f"{takes}age, years;" in refused(x_test_years=np.zeros((4, 2)))
    assert "age has 3 rows, but there are 4 images" in refused(x_test_age=np.zeros((3, 2)))
    assert "age is 3 for each sample, the model takes 2" in refused(x_test_age=np.zeros((4, 3)))
    assert "age is one number for each sample, the" in refused(x_test_age=np.zeros(4))
    assert "age must be numbers with one row per image" in refused(
        x_test_age=np.array([b"a", b"b"] * 2)
    )
    assert "none of the inputs is [sample, y, x]" in refused(x_test=None)
    assert "input 'image' is the model's image, but another array" in refused(x_test_image=images)
    assert not (tmp_path / "s.h5").exists()


def test_what_names_inputs_in_an_hdf5_file_is_read_strictly(two_inputs, tmp_path, capsys):
    hdf5_of(tmp_path / "d.h5", {"x_test": np.zeros((4, *SIZE.shape))})
    for inside in ("age=", "x,y,=a", "x,y,z,age=a", "image=x,y,z", "x,age=a,age=b"):
        data = f"{tmp_path / 'd.h5'}::{inside}"
        assert run("capture", two_inputs, "--data", data, "--out", tmp_path / "s.h5") == 1
        assert "and then NAME=ARRAY for each" in capsys.readouterr().err
