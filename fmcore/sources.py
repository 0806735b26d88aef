"""Opens a model and the images for it by what a person calls them: each may depend on the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fmcore.dataset import (
    AS_GIVEN,
    FITS,
    Dataset,
    Fitting,
    Preprocessing,
    default_preprocessing,
    from_folder,
    from_idx,
    is_idx,
    is_image,
    labelled_images,
    load_dataset,
)
from fmcore.errors import DatasetError, InputFileError, SelectionError
from fmcore.hdf5_guard import foreign_arrays
from fmcore.model.opening import model_image, need_keras, open_model
from fmcore.selection import near_matches

if TYPE_CHECKING:
    import keras

# Between the path of an HDF5 file and the arrays in it: images and, where there are any, labels;
# and before the array that a named input of the model gets.
INSIDE, FOR_INPUT = "::", "="
KERAS_DATA = ("cifar10", "cifar100", "fashion_mnist")


@dataclass(frozen=True, slots=True)
class DataOptions:
    """How images are found and read.

    Attributes:
        data_dir: where named data sets lie.
        size: (y, x) or (y, x, channel) that images of files are brought to; the model's where left
            out.
        fit: how, see `fmcore.dataset.Fitting`.
        skip_bad: leave out images that cannot be decoded.
        class_names: a file with the name of each class, one in a line.
        progress: show how a download goes on.
    """

    data_dir: Path | None = None
    size: tuple[int, ...] | None = None
    fit: str = "stretch"
    skip_bad: bool = False
    class_names: Path | None = None
    progress: bool = False


def open_both(
    model: str | Path,
    data: str,
    options: DataOptions,
    *,
    custom: Sequence[str] = (),
    trusted: bool = False,
    weights: Path | None = None,
) -> tuple[keras.Model, Dataset]:
    """A model and its test set.

    Args:
        model: see `fmcore.model.opening.open_model`.
        data: `mnist`, or one of `KERAS_DATA`; an npz file with x_test and y_test; idx files;
            `FILE.h5::IMAGES,LABELS`; a folder of images with a subfolder for each class; or an
            image. For each further input of the model x_test_NAME in an npz file, or
            `NAME=ARRAY` after those of an HDF5 file.
        options: how they are read.
        custom: of the model.
        trusted: of the model.
        weights: of the model.

    Raises:
        InputFileError, ModelError, DatasetError, SelectionError: as the parts do.
    """

    def opened(shape: tuple[int, int, int] | None) -> keras.Model:
        return open_model(model, custom=custom, trusted=trusted, weights=weights, image_shape=shape)

    path = Path(data)
    known = data in ("mnist", *KERAS_DATA)  # a folder of the name is ./mnist
    if not known and (path.is_dir() or (path.is_file() and is_image(path))):
        if options.size is None:
            made = opened(None)
            shape = model_image(made)
        else:
            height, width, channels = (*options.size, 3)[:3]
            made = opened((height, width, channels))
            shape = model_image(made, size=(height, width, channels))
            if shape[:2] != (height, width):
                raise DatasetError(
                    f"the model takes images of {shape[0]}x{shape[1]}, not of {height}x{width}; "
                    "leave out --size"
                )
        fitting = Fitting(shape, options.fit)
        dataset = from_folder(path, fitting, skip_bad=options.skip_bad)
    else:
        if options.size is not None or options.skip_bad or options.fit != FITS[0]:
            raise SelectionError(
                f"--size, --fit and --skip-bad are for images of files, and --data {data!r} is "
                "neither a folder nor an image; leave them out"
            )
        dataset = load(data, options)
        made = opened(dataset.test.image_shape)
    return made, _named(dataset, options.class_names)


def load(data: str, options: DataOptions) -> Dataset:
    """Images that have a size of their own; see `open_both`.

    Raises:
        InputFileError: if there is no such file.
        DatasetError: if it holds no images.
    """
    path = Path(data)
    if INSIDE in data:
        return _from_hdf5(data)
    if is_idx(path) and path.is_file():
        return from_idx(path)
    if data in KERAS_DATA:
        need_keras()
        from fmcore.model.keras_names import keras_dataset

        return keras_dataset(data)
    return load_dataset(data, data_dir=options.data_dir, progress=options.progress)


def preprocessing_of(
    model: keras.Model, dataset: Dataset, *, name: str = ""
) -> tuple[Preprocessing, str]:
    """What is done to pixels where a person says nothing, and why.

    Args:
        model: one that scales pixels itself gets them as they are.
        dataset: its uint8 pixels are divided by 255 else; of other types they are as given.
        name: what the model was called: an architecture of `keras.applications` has its own.
    """
    from fmcore.model.keras_names import application_preprocessing, scales_itself

    if dataset.test.images.dtype != np.uint8:  # somebody has scaled them already
        return AS_GIVEN, ""
    habit = application_preprocessing(name)
    if habit is not None:
        return habit, f"as {name} was trained"
    if scales_itself(model):
        return AS_GIVEN, "the model scales pixels itself"
    return default_preprocessing(dataset.test.images.dtype), ""


def _from_hdf5(data: str) -> Dataset:
    text, _, inside = data.partition(INSIDE)
    parts = [part.strip() for part in inside.split(",") if part.strip()]
    plain = [part for part in parts if FOR_INPUT not in part]  # images, unless named; labels
    named = [part.partition(FOR_INPUT) for part in parts if FOR_INPUT in part]
    inputs = {name.strip(): array.strip() for name, _, array in named}
    image_named = parts[:1] != plain[:1]
    whole = len(inputs) == len(named) and all(inputs) and all(inputs.values())
    if not parts or len(plain) > 2 - image_named or not whole:
        raise DatasetError(
            f"--data {data!r}; expected FILE.h5{INSIDE}IMAGES,LABELS or FILE.h5{INSIDE}IMAGES, and "
            f"after it NAME{FOR_INPUT}ARRAY, once for each further input of the model"
        )
    path, where = Path(text), f"{text} ({', '.join(parts)})"
    arrays = foreign_arrays(path, [*plain, *inputs.values()])
    given = dict(zip(inputs, arrays[len(plain) :], strict=True))
    if image_named:
        samples = labelled_images(given, arrays[0] if plain else None, where=where)
    else:
        labels = arrays[1] if len(plain) == 2 else None
        samples = labelled_images(arrays[0], labels, where=where, others=given)
    return Dataset(path.stem, f"file {path.name}", (), samples, None)


def _named(dataset: Dataset, path: Path | None) -> Dataset:
    """A data set whose classes have the names in a file."""
    if path is None:
        return dataset
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot read the class names in {path}: {error}") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise DatasetError(f"{path} holds no class names; expected one in a line")
    test = dataset.test
    if dataset.class_names:  # of folders, which are classes by their names
        for name in dataset.class_names:
            if name not in names:
                raise DatasetError(f"{path} names no class {name}{near_matches(name, names)}")
        places = np.array([names.index(name) for name in dataset.class_names])
        test = dataclasses.replace(test, labels=places[test.known_labels])
    return dataclasses.replace(dataset, class_names=names, test=test)
