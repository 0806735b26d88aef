"""Opens a model and its images by path or name; each may depend on the other."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fmcore.dataset import (
    DEFAULT_MEMORY,
    FITS,
    Dataset,
    Fitting,
    from_folder,
    from_idx,
    is_idx,
    is_image,
    labelled_images,
    load_dataset,
    npz_arrays,
    with_shared_names,
)
from fmcore.errors import DatasetError, InputFileError, SelectionError
from fmcore.hdf5_guard import foreign_arrays, foreign_names, is_hdf5
from fmcore.model.opening import model_image, need_keras, open_model, require_keras
from fmcore.selection import near_matches

if TYPE_CHECKING:
    import keras

# What separates an HDF5 file from the names of arrays in it, and an input's name from its array.
INSIDE, FOR_INPUT = "::", "="
# 100,000 names of 80 bytes.
MOST_NAMES_BYTES = 8 << 20
KERAS_DATA = ("cifar10", "cifar100", "fashion_mnist")


@dataclass(frozen=True, slots=True)
class DataOptions:
    """How images are found and read.

    Attributes:
        data_dir: folder of data sets that have a name.
        size: (y, x) or (y, x, channel) to which images of files are resized; the model's size where
            left out.
        fit: how images are resized, see `fmcore.dataset.Fitting`.
        skip_bad: leave out images that cannot be decoded.
        class_names: a file with the names of the classes, one per line.
        progress: show the progress of a download.
        memory: the bytes that images of files may take while they are decoded, and that compressed
            arrays may be inflated to.
    """

    data_dir: Path | None = None
    size: tuple[int, ...] | None = None
    fit: str = "stretch"
    skip_bad: bool = False
    class_names: Path | None = None
    progress: bool = False
    memory: int = DEFAULT_MEMORY


def open_both(
    model: str | Path,
    data: str,
    options: DataOptions,
    *,
    custom: Sequence[str] = (),
    trusted: bool = False,
    weights: Path | None = None,
) -> tuple[keras.Model, Dataset]:
    """Opens a model and its test set.

    Args:
        model: path or name of a model, see `fmcore.model.opening.open_model`.
        data: `mnist`, or one of `KERAS_DATA`; an npz file with x_test and y_test; idx files;
            `FILE.h5::IMAGES,LABELS` or `FILE.npz::IMAGES,LABELS`; a folder of images with a
            subfolder for each class; or an image. For each further input of the model, x_test_NAME
            in the npz file, or `NAME=ARRAY` after the names of the arrays.
        options: how the images are found and read.
        custom: classes of the model that are not Keras' own, as `MODULE:NAME`.
        trusted: run code that is in the model's file.
        weights: a file of weights, where `model` is the name of an architecture.

    Raises:
        InputFileError, ModelError, DatasetError, SelectionError: if the model or the images cannot
            be read, or do not fit each other.
        MissingLibraryError: if Keras or TensorFlow is not installed.
    """

    def open_for(shape: tuple[int, int, int] | None) -> keras.Model:
        return open_model(model, custom=custom, trusted=trusted, weights=weights, image_shape=shape)

    require_keras()  # before data are read or downloaded
    path = Path(data)
    _require_reachable(data)
    has_name = data in ("mnist", *KERAS_DATA)  # a folder of that name is given as ./mnist
    if not has_name and (path.is_dir() or (path.is_file() and is_image(path))):
        if options.size is None:
            opened = open_for(None)
            shape = model_image(opened)
        else:
            height, width, channels = (*options.size, 3)[:3]
            opened = open_for((height, width, channels))
            shape = model_image(opened, size=(height, width, channels))
            if shape[:2] != (height, width):
                raise DatasetError(
                    f"the model takes images of {shape[0]}x{shape[1]}, not of {height}x{width}; "
                    "leave out --size"
                )
        fitting = Fitting(shape, options.fit)
        dataset = from_folder(path, fitting, skip_bad=options.skip_bad, memory=options.memory)
    else:
        if options.size is not None or options.skip_bad or options.fit != FITS[0]:
            raise SelectionError(
                f"--size, --fit and --skip-bad are for image files, and --data {data!r} is neither "
                "a folder nor an image; leave them out"
            )
        dataset = load(data, options)
        opened = open_for(dataset.test.image_shape)
    return opened, _with_class_names(dataset, options.class_names)


def load(data: str, options: DataOptions) -> Dataset:
    """Opens a data set whose images have a fixed size; `data` is as for `open_both`.

    Raises:
        InputFileError: if there is no such file.
        DatasetError: if the file holds no images.
    """
    path = Path(data)
    _require_reachable(data)
    if INSIDE in data:
        return _from_named_arrays(data, options.memory)
    if path.is_file() and is_hdf5(path):
        names = foreign_names(path)
        raise DatasetError(
            f"{path} is an HDF5 file; name the arrays in it that hold the images and the labels: "
            f"--data '{path}{INSIDE}IMAGES,LABELS'; it has {', '.join(names[:20]) or 'none'}"
        )
    if is_idx(path) and path.is_file():
        return from_idx(path, memory=options.memory)
    if data in KERAS_DATA:
        need_keras()
        from fmcore.model.keras_names import keras_dataset

        return keras_dataset(data)
    return load_dataset(
        data, data_dir=options.data_dir, progress=options.progress, memory=options.memory
    )


def _require_reachable(data: str) -> None:
    """Refuses a path that cannot even be looked up; one that is not there is left to others.

    Raises:
        InputFileError: with the system's reason.
    """
    path = Path(data.partition(INSIDE)[0])
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(f"cannot read data set {path}: {reason}; give another path") from error


def _from_named_arrays(data: str, memory: int) -> Dataset:
    """Reads a data set from arrays of an HDF5 or npz file that are named after the file."""
    text, _, inside = data.partition(INSIDE)
    parts = [part.strip() for part in inside.split(",") if part.strip()]
    unnamed = [part for part in parts if FOR_INPUT not in part]  # images, unless named; labels
    pairs = [part.partition(FOR_INPUT) for part in parts if FOR_INPUT in part]
    inputs = {name.strip(): array.strip() for name, _, array in pairs}
    image_is_named = parts[:1] != unnamed[:1]
    is_valid = len(inputs) == len(pairs) and all(inputs) and all(inputs.values())
    if not parts or len(unnamed) > 2 - image_is_named or not is_valid:
        raise DatasetError(
            f"--data {data!r}; expected FILE{INSIDE}IMAGES,LABELS or FILE{INSIDE}IMAGES with the "
            f"names of arrays in an HDF5 or npz file, and then NAME{FOR_INPUT}ARRAY for each "
            "further input of the model"
        )
    path, where = Path(text), f"{text} ({', '.join(parts)})"
    names = [*unnamed, *inputs.values()]
    if not path.is_file():
        reason = "it is no file" if path.exists() else "there is no such file"
        raise InputFileError(f"cannot read {path}: {reason}; expected an HDF5 or npz file")
    if zipfile.is_zipfile(path):
        by_name = npz_arrays(path, names, memory=memory)
        arrays = [by_name[name] for name in names]
    else:
        arrays = foreign_arrays(path, names)
    by_input = dict(zip(inputs, arrays[len(unnamed) :], strict=True))
    if image_is_named:
        samples = labelled_images(by_input, arrays[0] if unnamed else None, where=where)
    else:
        labels = arrays[1] if len(unnamed) == 2 else None
        samples = labelled_images(arrays[0], labels, where=where, others=by_input)
    return with_shared_names(Dataset(path.stem, f"file {path.name}", (), samples, None))


def _with_class_names(dataset: Dataset, path: Path | None) -> Dataset:
    """A data set whose classes have the names in a file; unchanged without a file."""
    if path is None:
        return dataset
    try:
        with path.open("rb") as stream:
            text = stream.read(MOST_NAMES_BYTES + 1)
        lines = text.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot read the class names in {path}: {error}") from error
    if len(text) > MOST_NAMES_BYTES:
        raise InputFileError(
            f"{path} holds no class names: it is larger than {MOST_NAMES_BYTES:,} bytes"
        )
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise DatasetError(f"{path} holds no class names; expected one per line")
    test = dataset.test
    if dataset.class_names:  # folders whose names are the classes
        for name in dataset.class_names:
            if name not in names:
                raise DatasetError(
                    f"{path} does not name the class {name}{near_matches(name, names)}"
                )
        new_labels = np.array([names.index(name) for name in dataset.class_names])
        new_labels = new_labels[test.known_labels]
        targets = None if test.targets is None else dataclasses.replace(test.targets, names=names)
        test = dataclasses.replace(test, labels=new_labels, targets=targets)
    return dataclasses.replace(dataset, class_names=names, test=test)
