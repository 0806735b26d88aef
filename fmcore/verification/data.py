"""The first difference between a data set and what a store holds of it; no model is needed."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages
from fmcore.records import Target
from fmcore.storage import Store
from fmcore.verification.differences import Difference, Subject, first_unequal
from fmcore.verification.outputs import AXES, NOUNS

PIXEL_AXES = ("y", "x", "channel")
SCANNED = 256  # images that are read together where a difference is looked for
MOST_NAMED = 8  # classes in one message


def data_difference(
    store: Store, samples: LabelledImages, rows: NDArray[np.int64], class_names: Sequence[str]
) -> Difference | None:
    """The first difference between the data and what the store holds of them.

    Only the rows are read where the data have the fingerprint that the store recorded; otherwise
    the first difference is looked for in all samples.
    """
    for what, expected, stored in (
        ("size of the images", samples.images.shape[1:], store.images.shape[1:]),
        ("number of images", len(samples), store.n_samples),
        ("type of the pixels", samples.images.dtype, np.dtype(store.images.stored_dtype)),
    ):
        if expected != stored:
            return Difference(Subject.PIXELS, what, str(expected), str(stored))
    fingerprint = store.about()["dataset"]["fingerprint"]
    labels = _as_in_store(samples, store, class_names)
    if isinstance(labels, Difference):
        return labels
    is_same = fingerprint == labels.fingerprint
    if not is_same or not np.array_equal(samples.images_of(rows), store.images[rows]):
        difference = _image_difference(store, samples)
        if difference is not None:
            return difference
    difference = _label_difference(store, labels)
    if difference is not None or is_same:
        return difference
    parts = ", ".join(("images", "labels", *samples.others))
    return Difference(
        Subject.DATA,
        f"fingerprint of {parts}",
        f"{labels.fingerprint[:12]}…",
        f"{str(fingerprint)[:12]}…",
    )


def _as_in_store(
    samples: LabelledImages, store: Store, class_names: Sequence[str]
) -> LabelledImages | Difference:
    """The data with labels of the kind that the store holds: several, numbers, or its classes."""
    truth = samples.truth
    read = None if truth is None else truth.read_as(store.target)
    n_targets = len(store.target_names)
    if not n_targets:
        return _labels_by_name(samples, store, class_names)
    fits = read is not None and read.values.shape[1:] == (n_targets,)
    if fits != (store.truth is not None):
        held = (
            f"{n_targets} {NOUNS[store.target]} of each image"
            if store.truth is not None
            else "none"
        )
        return Difference(Subject.LABELS, "", "none" if truth is None else truth.words, held)
    if not fits:
        if store.target == Target.LABELS and samples.labels is None:
            samples = dataclasses.replace(samples, targets=read)
        return _labels_by_name(samples, store, class_names)
    names = store.target_names[: len(class_names)]
    if class_names and tuple(class_names) != names:
        expected, stored = (
            ", ".join(map(repr, words[:MOST_NAMED])) for words in (class_names, store.target_names)
        )
        return Difference(Subject.LABELS, f"names of {NOUNS[store.target]}", expected, stored)
    return dataclasses.replace(samples, labels=None, targets=read)


def _labels_by_name(
    samples: LabelledImages, store: Store, class_names: Sequence[str]
) -> LabelledImages | Difference:
    """The data with the class indices of the store, which may number other classes too."""
    stored, targets = store.class_names, samples.targets
    if not class_names and targets is not None and targets.by_name:
        class_names = targets.names
    if samples.labels is None or not class_names:
        return samples
    absent = [name for name in class_names if name not in stored]
    if absent:
        expected, names = f"the class {absent[0]!r}", ", ".join(map(repr, stored[:MOST_NAMED]))
        return Difference(Subject.LABELS, "class names", expected, names)
    indices = np.array([stored.index(name) for name in class_names])
    return dataclasses.replace(samples, labels=indices[samples.labels])


def _label_difference(store: Store, samples: LabelledImages) -> Difference | None:
    every, stored = np.arange(store.n_samples), store.truth
    if stored is not None:
        truth, axis = samples.truth, AXES[store.target]
        assert truth is not None  # noqa: S101 (`_as_in_store` has refused other data)
        return first_unequal(Subject.LABELS, truth.values, stored, every, (axis,))
    if samples.labels is None and not store.has_labels:
        return None
    if samples.labels is None or not store.has_labels:
        expected = "none" if samples.labels is None else "a label for each image"
        source = f"labels are {store.labels_are}" if store.has_labels else store.why_no_outcomes
        return Difference(Subject.LABELS, "", expected, source)
    return first_unequal(Subject.LABELS, samples.labels, store.labels, every)


def _image_difference(store: Store, samples: LabelledImages) -> Difference | None:
    """The first difference between all images of the data and of the store: pixels, or order."""
    expected = _digests(samples.images)
    stored = _digests(store.images)
    unequal = [index for index, pair in enumerate(zip(expected, stored, strict=True))
               if pair[0] != pair[1]]  # fmt: skip
    if not unequal:
        return None
    first = unequal[0]
    if Counter(expected) == Counter(stored):
        place, other = f"sample {first}", expected.index(stored[first])
        return Difference(Subject.ORDER, place, f"image {first} of the data", f"its image {other}")
    # Where images are in another order too, an image that is nowhere in the store says more.
    in_store = set(stored)
    first = next((index for index in unequal if expected[index] not in in_store), first)
    rows = np.array([first])
    return first_unequal(
        Subject.PIXELS, samples.images_of(rows), store.images[rows], rows, PIXEL_AXES
    )


def _digests(images: Any) -> list[bytes]:
    """SHA-256 of the pixels of each image."""
    return [
        hashlib.sha256(np.ascontiguousarray(image).data).digest()
        for start in range(0, images.shape[0], SCANNED)
        for image in np.asarray(images[start : start + SCANNED])
    ]
