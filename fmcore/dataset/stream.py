"""Streams of images, such as `tf.data` datasets, which are spooled to disk, not held in memory.

A stream may be endless, so its length is asked for before its first element, and what is written is
bounded by `steps`, by the stream's own length, and by the room on the disk.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import DatasetError, OutputError
from fmcore.files import output_errors, size_text

log = logging.getLogger(__name__)

EXPECTED = "expected (images, labels), or images alone, in batches or one by one"
# What `tf.data.Dataset.cardinality` says of datasets that never end.
INFINITE = -1
# A stream that does not say how long it is may be endless; beyond this it needs the user's consent.
MOST_UNKNOWN_BYTES = 10_000_000_000
# Room that is left to others: a share of the disk, and at most so many bytes.
ROOM_SHARE, MOST_ROOM_BYTES = 0.05, 1_000_000_000
# The first line about progress, in seconds; each further one after twice the time.
QUIET_SECONDS = 10.0


def is_stream(images: object) -> bool:
    """Whether images are a stream of batches or of single images, not an array of them.

    A stream is whatever can be iterated over or has an element at each index, and is neither an
    array nor a list: a `tf.data.Dataset`, a generator, a `keras.utils.PyDataset`, what
    `ImageDataGenerator.flow` returns, a loader of PyTorch.
    """
    is_array = any(hasattr(images, name) for name in ("shape", "__array__", "__array_interface__"))
    if is_array or isinstance(images, Sequence | Mapping | Set | bytes | bytearray):
        return False
    return (
        isinstance(images, Iterable)
        or (hasattr(images, "__getitem__") and hasattr(images, "__len__"))
        or hasattr(type(images), "num_batches")
    )


def spool(stream: Any, *, steps: int | None = None) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Writes all images of a stream to a temporary file, which lives as long as the array.

    The file has no name: it is gone when the process ends, however it ends.

    Args:
        stream: yields `(images, labels)` or images: in batches, [sample, y, x, channel], or one by
            one.
        steps: the number of elements (batches, or single images) to take, at most; None for all.

    Returns:
        The images, <uint8 or float32>[sample, y, x, channel], read from disk on access; and the
        labels as they came, [sample] or [sample, n], or None if the stream has none.

    Raises:
        DatasetError: if the stream is endless and `steps` is None, if there are no images, or a
            batch differs in kind from the first.
        OutputError: if the disk has no room for it.
    """
    length = _bounded_length(stream, steps)
    labels: list[NDArray[Any]] = []
    first: NDArray[Any] | None = None
    n_images = 0
    progress = _Progress(length)
    with _Spool() as written:
        for index, batch in enumerate(_elements(stream, length)):
            images, batch_labels = _split_element(batch, index)
            if first is None:
                first = images[:1].copy()
                written.require((length or 1) * images.nbytes)
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
            written.write(images)
            n_images += len(images)
            progress.say(index + 1, written.n_bytes)
            if length is None and written.n_bytes > MOST_UNKNOWN_BYTES:
                raise DatasetError(
                    f"{_name(stream)} has yielded {index + 1:,} elements, "
                    f"{size_text(written.n_bytes)}, and does not say whether it ends; give the "
                    f"number of elements to take, such as steps={index + 1}"
                )
        if first is None or not n_images:
            raise DatasetError("the stream of images is empty; nothing can be captured")
        spooled = written.array(first.dtype, (n_images, *first.shape[1:]))
    return spooled, np.concatenate(labels) if labels else None


def _bounded_length(stream: Any, steps: int | None) -> int | None:
    """The largest number of elements to take; None where neither the stream nor `steps` says.

    Raises:
        DatasetError: if the stream is endless and there are no steps, or `steps` is no number.
    """
    if steps is not None and (
        not hasattr(steps, "__index__") or isinstance(steps, bool) or steps < 1
    ):
        raise DatasetError(
            f"steps={steps!r}; expected the number of elements to take from a stream of images, "
            "from 1, or None for all",
            field="steps",
        )
    length = _length(stream)
    if length == math.inf and steps is None:
        raise DatasetError(
            f"{_name(stream)} is endless, so that its images would fill the disk; give the number "
            "of elements to take, such as steps=100, or leave out what repeats it, such as "
            ".repeat()",
            field="steps",
        )
    bounds = [int(bound) for bound in (length, steps) if bound is not None and bound != math.inf]
    return min(bounds) if bounds else None


def _length(stream: Any) -> float | None:
    """How many elements a stream has; infinity if it never ends, None if it does not say."""
    # TensorFlow's iterators have their data set there, and there is no public name for it.
    dataset = getattr(stream, "_dataset", stream)
    if hasattr(dataset, "cardinality"):
        cardinality = int(dataset.cardinality())
        if cardinality == INFINITE:
            return math.inf
        return cardinality if cardinality >= 0 and dataset is stream else None
    try:
        if hasattr(type(stream), "num_batches"):  # of keras.utils.PyDataset
            return math.inf if stream.num_batches is None else int(stream.num_batches)
        if hasattr(stream, "__len__"):
            return len(stream)
    except (NotImplementedError, TypeError):  # how Keras and PyTorch say that they do not know
        return None
    return math.inf if isinstance(stream, itertools.cycle | itertools.count) else None


def _elements(stream: Any, length: int | None) -> Iterator[Any]:
    """The elements of a stream, at most `length` of them."""
    if hasattr(stream, "as_numpy_iterator"):
        return itertools.islice(stream.as_numpy_iterator(), length)
    # Keras iterates over a PyDataset by index, and some of them never end if they are iterated.
    if length is not None and hasattr(stream, "__getitem__"):
        return map(stream.__getitem__, range(length))
    return itertools.islice(iter(stream), length)


def _name(stream: object) -> str:
    return f"the stream of images ({type(stream).__name__.lstrip('_')})"


class _Spool:
    """A temporary file without a name, which never takes the last room on its disk."""

    def __init__(self) -> None:
        self.n_bytes = 0
        with output_errors(Path("the temporary file of images")):
            self._folder = tempfile.gettempdir()
        with output_errors(self._place):
            self._file = tempfile.TemporaryFile(prefix="fmcore-")  # noqa: SIM115 (see __exit__)

    @property
    def _place(self) -> Path:
        return Path(self._folder) / "the temporary file of images"

    def require(self, n_bytes: int) -> None:
        """Refuses what does not fit on the disk.

        Raises:
            OutputError: saying how many bytes are needed and free.
        """
        disk = shutil.disk_usage(self._folder)
        free = max(0, disk.free - min(int(disk.total * ROOM_SHARE), MOST_ROOM_BYTES))
        if n_bytes > free:
            raise OutputError(
                f"the stream of images needs {size_text(self.n_bytes + n_bytes)} in a temporary "
                f"file in {self._folder}, but only {size_text(self.n_bytes + free)} of it are "
                "free for that; name a folder with more room in the environment variable TMPDIR, "
                "or take fewer elements with steps="
            )

    def write(self, images: NDArray[Any]) -> None:
        """Appends images.

        Raises:
            OutputError: if the disk refuses, or would be full.
        """
        self.require(images.nbytes)
        with output_errors(self._place):
            self._file.write(np.ascontiguousarray(images).data)
        self.n_bytes += images.nbytes

    def array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """What was written, as an array that is read from disk on access."""
        with output_errors(self._place):
            self._file.flush()
            return np.memmap(self._file, dtype, "r", shape=shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of bytes that a full disk did not take
            self._file.close()


class _Progress:
    """Says how far a long stream is, more rarely the longer it takes."""

    def __init__(self, length: int | None) -> None:
        self._total = "" if length is None else f" of {length:,}"
        self._started = time.monotonic()
        self._pause = QUIET_SECONDS

    def say(self, n_elements: int, n_bytes: int) -> None:
        """Takes note of what is written so far."""
        seconds = time.monotonic() - self._started
        if seconds >= self._pause:
            self._pause *= 2
            log.warning(
                "writing the stream of images to a temporary file: %s%s elements, %s, %.0f s",
                f"{n_elements:,}",
                self._total,
                size_text(n_bytes),
                seconds,
            )


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
