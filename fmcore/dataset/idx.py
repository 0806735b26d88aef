"""Labelled images in MNIST's own format, idx, gzipped or not."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import Dataset, LabelledImages, labelled_images
from fmcore.errors import DatasetError

IMAGES, LABELS = "images-idx3", "labels-idx1"
TRAIN, TEST = "train-", "t10k-"
MOST_BYTES = 16 << 30


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
