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
