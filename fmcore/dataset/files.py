"""Labelled images from files of arrays: npz, and idx, the original format of MNIST."""

from __future__ import annotations

import dataclasses
import gzip
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import Dataset, LabelledImages, labelled_images
from fmcore.dataset.room import DEFAULT_MEMORY, require_room
from fmcore.errors import DatasetError, InputFileError
from fmcore.selection import near_matches
from fmcore.zip_guard import npz_array, npz_contents, open_zip

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# The prefix of the arrays for further inputs of a model.
INPUT = "x_test_"
# What NumPy raises if a file is not npz, is truncated, is damaged, or holds Python objects.
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


# How files that people have in place of an npz file are read in Python, by their ending.
READERS = {
    ".npy": "images = np.load('{name}')",
    ".csv": "table = np.loadtxt('{name}', delimiter=',')",
    ".tsv": "table = np.loadtxt('{name}')",
    ".txt": "table = np.loadtxt('{name}')",
    ".mat": "contents = scipy.io.loadmat('{name}')",
    ".parquet": "table = pandas.read_parquet('{name}')",
    ".pkl": "contents = pandas.read_pickle('{name}')",
    ".pickle": "contents = pandas.read_pickle('{name}')",
}
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
MOST_LISTED = 20


IMAGES, LABELS = "images-idx3", "labels-idx1"
TRAIN, TEST = "train-", "t10k-"
MOST_BYTES = 16 << 30
# Read at once of a compressed file.
PIECE_BYTES = 1 << 20


def from_npz(path: Path, *, name: str, source: str, memory: int = DEFAULT_MEMORY) -> Dataset:
    """Reads a data set from `x_test`, `y_test`, and `x_train`, `y_train` if the file has them.

    If a model has several inputs, `x_test_NAME` holds the values for input NAME. Without `x_test`,
    the first of these that holds maps is the image.

    Args:
        path: the file.
        name: the name of the data set.
        source: where the images came from, in plain words.
        memory: the bytes that compressed arrays may be inflated to, see `require_room`.

    Raises:
        InputFileError: if there is no such file.
        DatasetError: if it is not an npz file, or its arrays are not labelled images.
    """
    if not path.is_file():
        problem = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(
            f"cannot read data set {path}: {problem}; expected `mnist`, or an npz file with x_test "
            "and y_test"
        )
    if not zipfile.is_zipfile(path):
        raise DatasetError(f"{path} is not a readable npz file: {_what_else(path)}")
    names = [key for key in npz_shapes(path) if _is_used(key)]
    arrays = npz_arrays(path, names, memory=memory)
    test = _test(arrays, path)
    if test is None:
        raise DatasetError(
            f"{path}: expected arrays x_test and y_test (and x_train, y_train to train); "
            f"{_what_is_there(path)}"
        )
    return with_shared_names(Dataset(name, source, (), test, _train(arrays, path)))


def with_shared_names(dataset: Dataset) -> Dataset:
    """A data set whose classes are those that its labels name, in both parts, in sorted order."""
    parts = [part for part in (dataset.test, dataset.train) if part is not None]
    by_part = [part.targets.names if part.targets else () for part in parts]
    if not any(by_part):
        return dataset
    if not all(by_part):
        raise DatasetError(f"{dataset.source}: y_test or y_train are names of classes, not both")
    names = tuple(sorted(set().union(*by_part)))
    test, *train = (
        dataclasses.replace(
            part,
            labels=np.array([names.index(name) for name in own])[part.known_labels],
            targets=part.targets and dataclasses.replace(part.targets, names=names),
        )
        for part, own in zip(parts, by_part, strict=True)
    )
    return dataclasses.replace(dataset, class_names=names, test=test, train=next(iter(train), None))


def _what_else(path: Path) -> str:
    """What a file is that is no npz file, and how its arrays get into one."""
    reader = READERS.get(path.suffix.lower())
    if reader is not None:
        return (
            f"it is a {path.suffix.lower()} file; put images and labels into an npz file, in "
            f"Python: {reader.format(name=path.name)}, and then np.savez('data.npz', "
            "x_test=images, y_test=labels) with images [sample, y, x] or [sample, y, x, channel] "
            "and labels [sample]"
        )
    if path.suffix.lower() in PACKED:
        return "it is a packed file; unpack it, and give the folder of images or the file in it"
    return "it is not a complete zip archive"


def _what_is_there(path: Path) -> str:
    """The arrays of an npz file, and how those that may be images and labels are named."""
    shapes = npz_shapes(path)
    listed = [f"{name} {dtype}{shape}" for name, (shape, dtype) in shapes.items()]
    contents = f"it has {', '.join(listed[:MOST_LISTED]) or 'no arrays'}"
    images = [name for name, (shape, _) in shapes.items() if len(shape) in (3, 4)]
    labels = [name for name, (shape, _) in shapes.items() if len(shape) == 1]
    names = f"{images[0] if images else 'IMAGES'},{labels[0] if labels else 'LABELS'}"
    return f"{contents}; name those that hold the images and the labels: --data '{path}::{names}'"


def npz_shapes(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and dtype of each array of an npz file, in its order; reads no values.

    Raises:
        DatasetError: if it is not a readable npz file.
    """
    try:
        with open_zip(path) as archive:
            return {
                name: (array.shape, str(array.dtype))
                for name, array in npz_contents(archive).items()
            }
    except READ_ERRORS as error:
        raise DatasetError(f"{path} is not a readable npz file: {error}") from error


def npz_arrays(
    path: Path, names: Sequence[str], *, memory: int = DEFAULT_MEMORY
) -> dict[str, NDArray[Any]]:
    """Reads arrays of an npz file by their names.

    Args:
        path: the file.
        names: the names of the arrays.
        memory: the bytes that compressed arrays may be inflated to, see `require_room`.

    Raises:
        DatasetError: if it is not a readable npz file, has no such array, or its arrays are far
            larger than it.
    """
    try:
        with open_zip(path) as archive:
            contents = npz_contents(archive)
            _require_names(path, names, list(contents))
            arrays = {name: contents[name] for name in names}
            n_bytes = sum(array.nbytes for array in arrays.values())
            stored_bytes = sum(array.stored_bytes for array in arrays.values())
            require_room(path, n_bytes, stored_bytes, memory)
            return {name: npz_array(archive, array) for name, array in arrays.items()}
    except DatasetError:
        raise
    except READ_ERRORS as error:
        raise DatasetError(f"{path} is not a readable npz file: {error}") from error


def _require_names(path: Path, names: Sequence[str], contents: Sequence[str]) -> None:
    for name in names:
        if name not in contents:
            raise DatasetError(
                f"{path} has no array {name!r}{near_matches(name, contents)}; it has "
                f"{', '.join(contents[:MOST_LISTED]) or 'none'}"
            )


def _is_used(key: str) -> bool:
    return key in ARRAYS or (key.startswith(INPUT) and key != INPUT)


def _test(arrays: Mapping[str, object], path: Path) -> LabelledImages | None:
    images, labels = arrays.get("x_test"), arrays.get("y_test")
    inputs = {key[len(INPUT) :]: array for key, array in arrays.items() if key.startswith(INPUT)}
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
    """Whether the name of a file is that of idx images."""
    return IMAGES in path.name


def from_idx(path: Path, *, memory: int = DEFAULT_MEMORY) -> Dataset:
    """Reads images from an idx file, and their labels from the idx file beside it.

    The labels of `t10k-images-idx3-ubyte.gz` are in `t10k-labels-idx1-ubyte.gz`, and its training
    set in `train-images-idx3-ubyte.gz`.

    Args:
        path: the file of images.
        memory: the bytes that a compressed file may be inflated to, see `require_room`.

    Raises:
        DatasetError: if it is not an idx file, is truncated, or images and labels do not match.
    """
    test = _read_pair(path, memory)
    train_path = path.with_name(path.name.replace(TEST, TRAIN))
    train = _read_pair(train_path, memory) if TEST in path.name and train_path.is_file() else None
    return Dataset(path.parent.name or "idx", f"file {path.name}", (), test, train)


def _read_pair(path: Path, memory: int) -> LabelledImages:
    """Reads an idx file of images and the idx file of its labels."""
    labels_path = path.with_name(path.name.replace(IMAGES, LABELS))
    labels = _read_array(labels_path, memory) if labels_path.is_file() else None
    return labelled_images(_read_array(path, memory), labels, where=str(path))


def _read_array(path: Path, memory: int) -> NDArray[np.uint8]:
    """Reads an array of unsigned bytes in the format of <http://yann.lecun.com/exdb/mnist/>."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            head = stream.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] != 8 or not 1 <= head[3] <= 4:
                raise DatasetError(
                    f"{path} is not an idx file of unsigned bytes; it begins with {head!r}"
                )
            sizes = struct.unpack(f">{head[3]}I", stream.read(4 * head[3]))
            expected = math.prod(sizes)
            if expected > MOST_BYTES:
                raise DatasetError(
                    f"{path} declares {expected:,} bytes; expected at most {MOST_BYTES:,}"
                )
            if path.suffix == ".gz":
                require_room(path, expected, path.stat().st_size, memory)
            else:
                size = os.fstat(stream.fileno()).st_size - stream.tell()
                if size < expected:
                    raise DatasetError(
                        f"{path} is truncated: it has {size:,} of {expected:,} bytes"
                    )
            data = bytearray()
            while len(data) < expected:
                piece = stream.read(min(PIECE_BYTES, expected - len(data)))
                if not piece:
                    break
                data += piece
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DatasetError(f"{path} is not a complete idx file: {error}") from error
    if len(data) != expected:
        raise DatasetError(f"{path} is truncated: it has {len(data):,} of {expected:,} bytes")
    return np.frombuffer(data, np.uint8).reshape(sizes)
