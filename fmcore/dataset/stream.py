"""Images that come one by one or in batches, as from `tf.data`: laid down on disk, not held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import DatasetError

EXPECTED = "expected (images, labels), or images alone, in batches or one by one"


def is_stream(images: object) -> bool:
    """Whether it is to be iterated: a `tf.data.Dataset`, or an iterator such as a generator."""
    return hasattr(images, "as_numpy_iterator") or isinstance(images, Iterator)


def spool(stream: Any) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """All images of a stream, in a temporary file that goes with the array, and their labels.

    Args:
        stream: gives `(images, labels)` or images: in batches, [sample, y, x, channel], or one by
            one. Labels are class indices, or one-hot.

    Returns:
        The images, <uint8 or float32>[sample, y, x, channel], read from disk where they are asked
        for; and <int64>[sample], or None where there are none.

    Raises:
        DatasetError: if there is nothing, or a batch is of another kind than the first.
    """
    batches: Iterable[Any] = (
        stream.as_numpy_iterator() if hasattr(stream, "as_numpy_iterator") else stream
    )
    labels: list[NDArray[Any]] = []
    first: NDArray[Any] | None = None
    n_images = 0
    with tempfile.TemporaryFile(prefix="fmcore-") as file:
        for index, batch in enumerate(batches):
            images, known = _parts(batch, index)
            first = images[:1].copy() if first is None else first
            if images.shape[1:] != first.shape[1:] or images.dtype != first.dtype:
                raise DatasetError(
                    f"batch {index} of the images is {images.dtype}{images.shape[1:]}, the first "
                    f"{first.dtype}{first.shape[1:]}; every image must be of one size and type"
                )
            if known is not None:
                labels.append(known)
            if len(labels) not in (0, index + 1):
                raise DatasetError(f"batch {index} has no labels as others have; {EXPECTED}")
            images.tofile(file)
            n_images += len(images)
        if first is None or not n_images:
            raise DatasetError("the images end before they begin; nothing can be captured")
        file.flush()
        found = np.memmap(file, first.dtype, "r", shape=(n_images, *first.shape[1:]))
    return found, np.concatenate(labels) if labels else None


def _parts(batch: Any, index: int) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Images [sample, y, x, channel] and labels [sample] of one element of a stream."""
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
    if classes is not None and classes.ndim == 2:
        one_hot = (classes.sum(axis=1) == 1) & (classes.max(axis=1) == 1)
        classes = classes[:, 0] if classes.shape[1] == 1 else classes
        if classes.ndim == 2 and one_hot.all():
            classes = classes.argmax(axis=1)
    if classes is not None and (classes.ndim != 1 or len(classes) != len(pixels)):
        raise DatasetError(
            f"element {index} has {len(pixels)} images and labels {classes.shape}; {EXPECTED}"
        )
    return pixels, classes


def _is_single(pixels: NDArray[Any], classes: NDArray[Any] | None) -> bool:
    """Whether an element is one image: of a grey one beside its label nothing else tells."""
    if pixels.ndim == 3 and classes is not None:
        return classes.ndim == 0 or (classes.ndim == 1 and len(classes) != len(pixels))
    return pixels.ndim < 4
