"""Which classes a capture has: the model's, those of the labels, or one for all samples."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.capture.cost import DEFAULT_BATCH_SIZE
from fmcore.dataset import LabelledImages, Preprocessing, check_labels, class_names_for
from fmcore.errors import DatasetError
from fmcore.records import ModelInfo

log = logging.getLogger(__name__)

# The one class of samples that nobody tells apart.
EVERYTHING = "all"


class Classifier(Protocol):
    """What is asked of a model here."""

    n_classes: int | None
    info: ModelInfo

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The probabilities, <float32>[sample, class]."""


def with_labels(
    model: Classifier,
    samples: LabelledImages,
    names: Sequence[str],
    *,
    all_named: bool,
    preprocessing: Preprocessing,
    where: str,
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Samples that all have a label, and the name of each class; says where one was made up.

    Args:
        model: its classes are meant where it has an output of them.
        samples: the test set.
        names: of the classes, as far as they are known.
        all_named: whether a class beyond these is a mistake.
        preprocessing: what is done to pixels before the model sees them.
        where: the file or argument the samples came from, for the message.

    Raises:
        DatasetError: if labels or names do not fit the classes.
    """
    n_classes, labels = model.n_classes, samples.labels
    if n_classes is None:
        log.warning("%s: the store has no predictions", model.info.output)
        return _without_model(samples, names, all_named=all_named, where=where)
    if all_named and names and len(names) != n_classes:
        raise DatasetError(
            f"{where}: {len(names)} classes, such as {names[0]!r}, the model "
            f"has {n_classes}; name the model's, one in a line, with --class-names FILE"
        )
    if labels is None:
        log.warning("the images have no labels: classes are what the model predicts")
        samples = _predicted(model, samples, preprocessing)
    else:
        check_labels(labels, n_classes, of="the model's", where=where)
    return samples, class_names_for(names, n_classes)


def _without_model(
    samples: LabelledImages, names: Sequence[str], *, all_named: bool, where: str
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Classes are those of the labels."""
    if samples.labels is None:
        if names:
            raise DatasetError(
                f"{where}: {len(names)} class names, such as {names[0]!r}, but the images have no "
                "labels, and the model predicts no class; leave the names out"
            )
        log.warning("the images have no labels either: all are of one class, %r", EVERYTHING)
        labels = np.zeros(len(samples), np.int64)
        return dataclasses.replace(samples, labels=labels, labels_are="none"), (EVERYTHING,)
    n_classes = max(len(names), int(samples.labels.max()) + 1)
    if all_named and names:
        check_labels(samples.labels, len(names), of="the", where=where)
    return samples, class_names_for(names, n_classes)


def _predicted(
    model: Classifier, samples: LabelledImages, preprocessing: Preprocessing
) -> LabelledImages:
    """Samples whose labels are the model's predictions: a pass of its own, before the capture."""
    labels = np.empty(len(samples), np.int64)
    for start in range(0, len(samples), DEFAULT_BATCH_SIZE):
        rows = slice(start, start + DEFAULT_BATCH_SIZE)
        images = preprocessing(np.asarray(samples.images[rows]))
        labels[rows] = model.predict(images, samples.others_of(rows)).argmax(axis=1)
    return dataclasses.replace(samples, labels=labels, labels_are="predicted")
