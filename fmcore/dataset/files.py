"""Labelled images from files of arrays: npz, and the idx files that MNIST came in."""

from __future__ import annotations

import gzip
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import Dataset, LabelledImages, labelled_images
from fmcore.errors import DatasetError, InputFileError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# Before the name of a model's input, where it has several.
INPUT = "x_test_"
# What numpy raises for a file that is no npz, is cut short, is damaged, or holds Python objects.
READ_ERRORS = (
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    RuntimeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


IMAGES, LABELS = "images-idx3", "labels-idx1"
TRAIN, TEST = "train-", "t10k-"
MOST_BYTES = 16 << 30


def from_npz(path: Path, *, name: str, source: str) -> Dataset:
    """The images of `x_test`, `y_test`, and of `x_train`, `y_train` where they are there.

    Of a model with several inputs each further one gets `x_test_NAME`; the image is the first of
    these with maps, where there is no `x_test`.

    Raises:
        InputFileError: if there is no such file.
        DatasetError: if it is no npz file, or its arrays are no labelled images.
    """
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(
            f"cannot read data set {path}: {found}; give `mnist`, or an npz file with x_test and "
            "y_test"
        )
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path} is no readable npz file: it is no whole zip archive")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files if _is_taken(key)}
    except READ_ERRORS as error:
        raise DatasetError(f"{path} is no readable npz file: {error}") from error
    test = _test(arrays, path)
    if test is None:
        raise DatasetError(
            f"{path}: expected arrays x_test and y_test (and x_train, y_train to train), "
            f"found {', '.join(sorted(arrays)) or 'none of them'}"
        )
    return Dataset(name, source, (), test, _train(arrays, path))


def _is_taken(key: str) -> bool:
    return key in ARRAYS or (key.startswith(INPUT) and key != INPUT)


def _test(arrays: Mapping[str, object], path: Path) -> LabelledImages | None:
    images, labels = arrays.get("x_test"), arrays.get("y_test")
    inputs = {key[len(INPUT) :]: one for key, one in arrays.items() if key.startswith(INPUT)}
    names = [key for key in arrays if key in ("x_test", "y_test") or key.startswith(INPUT)]
    where = f"{path} ({', '.join(names)})"
    if images is not None:
        return labelled_images(images, labels, where=where, others=inputs)
    return labelled_images(inputs, labels, where=where) if inputs else None


def _train(arrays: Mapping[str, object], path: Path) -> LabelledImages | None:
    if "x_train" not in arrays or "y_train" not in arrays:
        return None
    where = f"{path} (x_train, y_train)"
    return labelled_images(arrays["x_train"], arrays["y_train"], where=where)


def is_idx(path: Path) -> bool:
    """Whether a file is named as images in idx are."""
    return IMAGES in path.name


def from_idx(path: Path) -> Dataset:
    """The images of an idx file, with the labels that lie beside it under the same name.

    Of `t10k-images-idx3-ubyte.gz`, `train-images-idx3-ubyte.gz` is the training set.

    Raises:
        DatasetError: if it is no idx file, is cut short, or images and labels do not fit.
    """
    test = _pair(path)
    beside = path.with_name(path.name.replace(TEST, TRAIN))
    train = _pair(beside) if TEST in path.name and beside.is_file() else None
    return Dataset(path.parent.name or "idx", f"file {path.name}", (), test, train)


def _pair(path: Path) -> LabelledImages:
    labels = path.with_name(path.name.replace(IMAGES, LABELS))
    found = _read(labels) if labels.is_file() else None
    return labelled_images(_read(path), found, where=str(path))


def _read(path: Path) -> NDArray[np.uint8]:
    """An array of unsigned bytes; <http://yann.lecun.com/exdb/mnist/> has the format."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] != 8 or not 1 <= head[3] <= 4:
                raise DatasetError(f"{path} is no idx file of unsigned bytes; it begins {head!r}")
            sizes = struct.unpack(f">{head[3]}I", stream.read(4 * head[3]))
            expected = math.prod(sizes)
            if expected > MOST_BYTES:
                raise DatasetError(f"{path} declares {expected:,} bytes")
            data = stream.read(expected)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DatasetError(f"{path} is no whole idx file: {error}") from error
    if len(data) != expected:
        raise DatasetError(f"{path} is cut short: {len(data):,} of {expected:,} bytes")
    return np.frombuffer(data, np.uint8).reshape(sizes)
