"""Labelled images from an npz file."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fmcore.dataset.images import Dataset, LabelledImages, labelled_images
from fmcore.errors import DatasetError, InputFileError

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
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


def from_npz(path: Path, *, name: str, source: str) -> Dataset:
    """The images of `x_test`, `y_test`, and of `x_train`, `y_train` where they are there.

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
            arrays = {key: archive[key] for key in archive.files if key in ARRAYS}
    except READ_ERRORS as error:
        raise DatasetError(f"{path} is no readable npz file: {error}") from error
    test = _pair(arrays, "test", path)
    if test is None:
        raise DatasetError(
            f"{path}: expected arrays x_test and y_test (and x_train, y_train to train), "
            f"found {', '.join(sorted(arrays)) or 'none of them'}"
        )
    train = _pair(arrays, "train", path)
    return Dataset(name, source, (), test, train)


def _pair(arrays: Mapping[str, object], part: str, path: Path) -> LabelledImages | None:
    images, labels = f"x_{part}", f"y_{part}"
    if images not in arrays or (labels not in arrays and part == "train"):
        return None
    found = arrays.get(labels)
    names = images if found is None else f"{images}, {labels}"
    return labelled_images(arrays[images], found, where=f"{path} ({names})")
