"""Streams of images, such as `tf.data` datasets, which are spooled to disk, not held in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import DatasetError

EXPECTED = "expected (images, labels), or images alone, in batches or one by one"


def is_stream(images: object) -> bool:
    """Whether images are a stream: a `tf.data.Dataset`, or an iterator such as a generator."""
    return hasattr(images, "as_numpy_iterator") or isinstance(images, Iterator)


def spool(stream: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Writes all images of a stream to a temporary file, which lives as long as the array.

    Args:
        stream: yields `(images, labels)` or images: in batches, [sample, y, x, channel], or one by
            one.

    Returns:
        The images, <uint8 or float32>[sample, y, x, channel], read from disk on access; and the
        labels as they came, [sample] or [sample, n], or None if the stream has none.

    Raises:
        DatasetError: if there are no images, or a batch differs in kind from the first.
    """
    batches: Iterable[Any] = (
        stream.as_numpy_iterator() if hasattr(stream, "as_numpy_iterator") else stream
    )
    labels: list[NDArray[Any]] = []
    first: NDArray[Any] | None = None
    n_images = 0
    with tempfile.TemporaryFile(prefix="fmcore-") as file:
        for index, batch in enumerate(batches):
            images, batch_labels = _split_element(batch, index)
            first = images[:1].copy() if first is None else first
            if images.shape[1:] != first.shape[1:] or images.dtype != first.dtype:
                raise DatasetError(
                    f"batch {index} of the images is {images.dtype}{images.shape[1:]}, but the "
                    f"first is {first.dtype}{first.shape[1:]}; all images must have one shape and "
                    "dtype"
                )
            if batch_labels is not None:
                if labels and batch_labels.shape[1:] != labels[0].shape[1:]:
                    raise DatasetError(
                        f"the labels of batch {index} are {batch_labels.shape[1:]} for each image, "
                        f"those of the first {labels[0].shape[1:]}; all must have one shape"
                    )
                labels.append(batch_labels)
            if len(labels) not in (0, index + 1):
                has_labels = "has no labels" if batch_labels is None else "has labels"
                raise DatasetError(
                    f"batch {index} {has_labels}, unlike the batches before it; {EXPECTED}"
                )
            images.tofile(file)
            n_images += len(images)
        if first is None or not n_images:
            raise DatasetError("the stream of images is empty; nothing can be captured")
        file.flush()
        spooled = np.memmap(file, first.dtype, "r", shape=(n_images, *first.shape[1:]))
    return spooled, np.concatenate(labels) if labels else None


def _split_element(batch: Any, index: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The images [sample, y, x, channel] and labels [sample, ...] of one element of a stream."""
    images, labels = batch, None
    if isinstance(batch, tuple | list):
        if len(batch) not in (1, 2):
            raise DatasetError(f"element {index} has {len(batch)} parts; {EXPECTED}")
        images, labels = (*batch, None)[:2]
    pixels = np.asarray(images)
    if pixels.dtype.kind not in "uif" or pixels.ndim not in (2, 3, 4):
        raise DatasetError(f"element {index} is {pixels.dtype}{pixels.shape}; {EXPECTED}")
    classes = None if labels is None else np.asarray(labels)
    if _is_single(pixels, classes):
        pixels = pixels[np.newaxis]
        classes = None if classes is None else classes[np.newaxis]
    if pixels.ndim == 3:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype != np.uint8:
        pixels = pixels.astype(np.float32 if pixels.dtype.kind == "f" else np.int64)
    if classes is not None and (not classes.ndim or len(classes) != len(pixels)):
        raise DatasetError(
            f"element {index} has {len(pixels)} images and labels {classes.shape}; {EXPECTED}"
        )
    return pixels, classes


def _is_single(pixels: NDArray[Any], classes: NDArray[Any] | None) -> bool:
    """Whether an element is one image; with 3 axes, the labels decide (or it is a gray batch)."""
    if pixels.ndim == 3 and classes is not None:
        return classes.ndim == 0 or (classes.ndim == 1 and len(classes) != len(pixels))
    return pixels.ndim < 4
