"""Labelled images and data sets, and the checks that arrays must pass to become them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.labels import truth_of
from fmcore.dataset.stream import is_stream, spool
from fmcore.errors import DatasetError
from fmcore.records import LabelSource, Target, Truth

BLOCK = 256  # images that are checked or digested together
ALL = slice(None)


class LazyImages(Protocol):
    """Images that are decoded on access, <uint8>[sample, image_y, image_x, image_channel]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(sample, image_y, image_x, image_channel)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the decoded images."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]: ...

    def digests(self, rows: slice = ALL) -> Iterator[bytes]:
        """SHA-256 of the source of each of these images, without decoding it."""


Images = NDArray[np.uint8] | NDArray[np.float32] | LazyImages


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images, each with what is true of it: its class, its labels, or numbers.

    Attributes:
        images: <uint8 or float32>[sample, image_y, image_x, image_channel], before preprocessing;
            an array, or files that are decoded on access.
        labels: <int64>[sample], each in `range(n_classes)`; None if they are unknown, or are no
            classes.
        others: the values for the model's other inputs by name, <float32>[sample, ...].
        labels_are: where the labels come from.
        targets: the labels as they came, where more is known than `labels` says; see `truth`.
    """

    images: Images
    labels: NDArray[np.int64] | None
    others: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    labels_are: LabelSource = LabelSource.GIVEN
    targets: Truth | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(image_y, image_x, image_channel)."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def known_labels(self) -> NDArray[np.int64]:
        """The labels, <int64>[sample].

        Raises:
            DatasetError: if the images have no labels.
        """
        if self.labels is None:
            what = "no labels" if self.targets is None else f"{self.targets.words} as labels"
            raise DatasetError(f"the images have {what}; expected the class of each image")
        return self.labels

    @property
    def truth(self) -> Truth | None:
        """What is true of each sample; None if nobody said it."""
        targets = self.targets
        if targets is not None and targets.kind != Target.CLASS:
            return targets
        if self.labels is None or self.labels_are != LabelSource.GIVEN:
            return None
        return dataclasses.replace(targets or Truth(Target.CLASS, self.labels), values=self.labels)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of dtype, shape and bytes of images, labels and other inputs, in hex."""
        digest = hashlib.sha256()
        digest.update(f"{self.images.dtype.str}{self.images.shape}".encode())
        if isinstance(self.images, np.ndarray):
            for start in range(0, len(self.images), BLOCK):
                # A view with other strides, such as reversed channels, is copied block by block.
                digest.update(np.ascontiguousarray(self.images[start : start + BLOCK]).data)
        else:
            for image_digest in self.images.digests():
                digest.update(image_digest)
        labels = () if self.truth is None else (self.truth.values,)
        for array in (*labels, *self.others.values()):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def digests(self, rows: slice = ALL) -> Iterator[bytes]:
        """SHA-256 of each of these images, or of its file."""
        if isinstance(self.images, np.ndarray):
            return (
                hashlib.sha256(np.ascontiguousarray(image).data).digest()
                for image in self.images[rows]
            )
        return self.images.digests(rows)

    def images_of(self, rows: NDArray[np.integer]) -> NDArray[Any]:
        """Images by their indices, [sample, image_y, image_x, image_channel].

        Args:
            rows: <int>[sample], at least one index.
        """
        if isinstance(self.images, np.ndarray):
            return self.images[rows]
        return np.concatenate([self.images[int(row) : int(row) + 1] for row in rows])

    def others_of(self, rows: slice) -> dict[str, NDArray[np.float32]]:
        """The values for the model's other inputs, for some samples, by name."""
        return {name: values[rows] for name, values in self.others.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A test set, and the training set where there is one.

    Attributes:
        name: the name of the data set, such as `mnist`.
        source: where the images came from, in plain words.
        class_names: the name of each class, by its index; empty if classes have no names.
        test: the images to capture.
        train: the images to train a model on, or None.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    test: LabelledImages
    train: LabelledImages | None

    @property
    def n_classes(self) -> int:
        """The number of classes in the labels of the test and training images."""
        parts = [part for part in (self.test, self.train) if part is not None]
        return 1 + max(int(part.known_labels.max()) for part in parts)


def labelled_images(
    images: object,
    labels: object,
    *,
    where: str,
    others: Mapping[str, object] | None = None,
    steps: int | None = None,
) -> LabelledImages:
    """Parses arrays into `LabelledImages`.

    Args:
        images: <integer 0-255, or float>[sample, y, x] or [sample, y, x, channel]; or a mapping of
            input names to arrays, for a model with several inputs, where the first array that holds
            maps is the image; or a stream with its labels, see `fmcore.dataset.stream`.
        labels: classes, several labels, or numbers, in one of the forms that `truth_of` takes;
            None if they are unknown.
        where: the file or argument the arrays came from, for the message.
        others: the values for the model's other inputs by name, if `images` is the image only.
        steps: the number of elements to take from a stream, at most; None for all.

    Raises:
        DatasetError: naming the array, what was expected and what was found.
        OutputError: if the disk has no room for a stream.
    """
    names = tuple(getattr(images, "class_names", ()) or ())  # a data set that Keras made of folders
    other_inputs = {name: np.asarray(values) for name, values in (others or {}).items()}
    if is_stream(images):
        if labels is not None:
            raise DatasetError(
                f"{where}: a stream of images yields its own labels; pass labels=None"
            )
        images, labels = spool(images, steps=steps)
    elif steps is not None:
        raise DatasetError(
            f"{where}: steps={steps!r} is for streams of images; of arrays pass a part, such as "
            "images[:1000] and labels[:1000]",
            field="steps",
        )
    elif isinstance(images, Mapping):
        images, other_inputs = _split_inputs(images, where=where)
    pixels = np.asarray(images)
    if pixels.dtype.kind not in "uif":
        raise DatasetError(f"{where}: images must be numbers, found dtype {pixels.dtype}")
    if pixels.ndim not in (3, 4):
        raise DatasetError(
            f"{where}: images must have the axes [sample, y, x] or [sample, y, x, channel], "
            f"found shape {pixels.shape}"
        )
    truth = None if labels is None else truth_of(labels, where=where, names=names)
    if truth is not None and len(pixels) != len(truth.values):
        raise DatasetError(f"{where}: {len(pixels)} images but {len(truth.values)} labels")
    if len(pixels) == 0:
        raise DatasetError(f"{where}: there are 0 images; nothing can be captured")
    if 0 in pixels.shape:
        raise DatasetError(f"{where}: images have an empty axis, shape {pixels.shape}")
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float32, copy=False)
        blocks = (pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK))
        finite = np.concatenate(
            [np.isfinite(block.reshape(len(block), -1)).all(axis=1) for block in blocks]
        )
        if not finite.all():
            row = int(np.argmin(finite))
            raise DatasetError(
                f"{where}: image {row} holds NaN, or a value beyond the range of float32"
            )
    elif pixels.dtype != np.uint8:
        if pixels.min() < 0 or pixels.max() > 255:
            raise DatasetError(
                f"{where}: integer images must lie in 0-255, found {pixels.min()} to {pixels.max()}"
            )
        pixels = pixels.astype(np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    other_values = {
        name: _check_other_input(name, values, len(pixels), where=where)
        for name, values in other_inputs.items()
    }
    is_class = truth is not None and truth.kind == Target.CLASS
    classes = np.asarray(truth.values, np.int64) if truth is not None and is_class else None
    return LabelledImages(pixels, classes, other_values, targets=truth)


def _split_inputs(
    inputs: Mapping[Any, object], *, where: str
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """The image among several inputs, and the other inputs by name."""
    arrays = {str(name): np.asarray(values) for name, values in inputs.items()}
    image = next((name for name, values in arrays.items() if values.ndim in (3, 4)), None)
    if image is None:
        shapes = ", ".join(f"{name} {values.shape}" for name, values in arrays.items())
        raise DatasetError(
            f"{where}: none of the inputs is [sample, y, x] or [sample, y, x, channel]: "
            f"{shapes or 'there are none'}"
        )
    return arrays.pop(image), arrays


def _check_other_input(
    name: str, values: NDArray[Any], n_images: int, *, where: str
) -> NDArray[np.float32]:
    """Checks the values for an input other than the image, <float32>[sample, ...]."""
    if values.dtype.kind not in "buif" or not values.ndim:
        raise DatasetError(
            f"{where}: {name} must be numbers with one row per image, found {values.dtype} of "
            f"shape {values.shape}"
        )
    if len(values) != n_images:
        raise DatasetError(
            f"{where}: {name} has {len(values)} rows, but there are {n_images} images"
        )
    return values.astype(np.float32)


def check_labels(
    labels: NDArray[np.int64], n_classes: int, *, where: str, of: str = "the model's"
) -> None:
    """Refuses labels outside the classes.

    Args:
        labels: <int64>[sample].
        n_classes: the number of classes.
        where: the file or argument the labels came from, for the message.
        of: the owner of the classes, for the message, such as `the model's`.

    Raises:
        DatasetError: naming the first label outside and its sample.
    """
    outside = labels >= n_classes
    if outside.any():
        row = int(np.argmax(outside))
        raise DatasetError(
            f"{where}: label {labels[row]} of sample {row} is outside {of} {n_classes} "
            f"classes (0-{n_classes - 1})"
        )


def class_names_for(names: Sequence[str], n_classes: int) -> tuple[str, ...]:
    """A name for each class; its number if it has no name in `names`.

    Raises:
        DatasetError: if there are more names than classes.
    """
    if len(names) > n_classes:
        raise DatasetError(f"{len(names)} class names for a model with {n_classes} classes")
    return tuple(names) + tuple(str(index) for index in range(len(names), n_classes))


def as_pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """The image in colors where it has three channels, else its first channel in gray.

    uint8 stays as it is; floats from 0 to 1 are multiplied by 255; others are stretched from their
    smallest to their largest value, since nobody knows what they mean.

    Args:
        image: <uint8 or float32>[image_y, image_x, image_channel].

    Returns:
        <uint8>[image_y, image_x, 3] in colors, or <uint8>[image_y, image_x] in gray.
    """
    channels = image if image.shape[2] == 3 else image[:, :, 0]
    if channels.dtype == np.uint8:
        return channels
    values = np.nan_to_num(channels.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        values = (values - low) / ((high - low) or 1.0)
    pixels: NDArray[np.uint8] = np.round(values * 255).astype(np.uint8)
    return pixels
