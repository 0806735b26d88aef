"""The classes of a capture: those of the model, those of the labels, or one for all samples."""

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
from fmcore.records import LabelSource, OutputPlan, Target
from fmcore.selection import near_matches

log = logging.getLogger(__name__)

# The name of the only class if there are neither labels nor predictions.
SINGLE_CLASS = "all"


class Classifier(Protocol):
    """The part of a model that labels are made with."""

    output: OutputPlan

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The class probabilities, <float32>[sample, class]."""


def with_labels(
    model: Classifier,
    samples: LabelledImages,
    names: Sequence[str],
    *,
    all_named: bool,
    preprocessing: Preprocessing,
    where: str,
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Gives every sample a label, and every class a name; warns if labels are made up.

    Args:
        model: the model, whose classes count if it predicts any.
        samples: the test set.
        names: the names of the classes, possibly not of all.
        all_named: whether a class beyond `names` is an error.
        preprocessing: the preprocessing of pixels for the model.
        where: the file or argument the samples came from, for the message.

    Returns:
        The samples, all with a label, and the name of each class.

    Raises:
        DatasetError: if labels or names do not fit the classes.
    """
    plan = model.output
    samples = in_order_of(names, samples, where=where)
    own = samples.targets
    if own is not None and own.names:
        names = names or own.names
        all_named = all_named or own.by_name
    n_classes, labels = plan.n_classes, samples.labels
    if n_classes is None:
        if plan.target == Target.NONE:
            log.warning("%s: the store has no predictions", plan.record)
        _warn_of_other_labels(plan, samples)
        if plan.target == Target.LABELS:
            return _label_of_several(samples, plan, names, where=where)
        if plan.target == Target.NUMBER and plan.has_truth:
            n_numbers = 0 if plan.output is None else plan.output.n_values or 0
            samples = _as_truth(samples, Target.NUMBER, class_names_for(names, n_numbers))
            names = ()
        return _label_without_model(samples, names, all_named=all_named, where=where)
    if all_named and names and len(names) != n_classes:
        raise DatasetError(
            f"{where}: {len(names)} classes, such as {names[0]!r}, but the model has {n_classes}; "
            "name the classes of the model, in its order, with --class-names FILE, one per line "
            "(class_names= in Python)"
        )
    if labels is None:
        log.warning("the images have no labels: classes are what the model predicts")
        samples = _label_by_prediction(model, samples, preprocessing)
    else:
        check_labels(labels, n_classes, of="the model's", where=where)
    return samples, class_names_for(names, n_classes)


def in_order_of(names: Sequence[str], samples: LabelledImages, *, where: str) -> LabelledImages:
    """Samples whose labels, if they came as names, are indices of `names`; else unchanged.

    Args:
        names: the names of the classes, in the model's order; empty if nobody gave them.
        samples: the test set.
        where: the file or argument the samples came from, for the message.

    Raises:
        DatasetError: if a label is none of the names.
    """
    targets = samples.targets
    if not names or targets is None or not targets.by_name or samples.labels is None:
        return samples
    for name in targets.names:
        if name not in names:
            raise DatasetError(
                f"{where}: the class names do not name the class {name!r} of the labels"
                f"{near_matches(name, names)}"
            )
    order = np.array([names.index(name) for name in targets.names], np.int64)
    return dataclasses.replace(
        samples,
        labels=order[samples.labels],
        targets=dataclasses.replace(
            targets, names=tuple(names), words="names of classes, in the order of the class names"
        ),
    )


def _warn_of_other_labels(plan: OutputPlan, samples: LabelledImages) -> None:
    """Says that labels are not compared with answers of another kind, or another number."""
    truth, output = samples.truth, plan.output
    if plan.target == Target.NONE or plan.has_truth or truth is None or output is None:
        return
    log.warning(
        "the labels are %s, and are not compared with the answers, which are %s (%d for each "
        "image)",
        truth.words,
        "numbers" if plan.target == Target.NUMBER else "several labels",
        output.n_values,
    )


def _as_truth(samples: LabelledImages, kind: Target, names: tuple[str, ...] = ()) -> LabelledImages:
    """Samples whose labels are no classes."""
    truth = None if samples.truth is None else samples.truth.read_as(kind)
    if truth is not None and names:
        truth = dataclasses.replace(truth, names=names)
    return dataclasses.replace(samples, labels=None, targets=truth)


def _label_of_several(
    samples: LabelledImages, plan: OutputPlan, names: Sequence[str], *, where: str
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Labels and class names for a model of several labels: one class, or those of the samples."""
    if not plan.has_truth and samples.labels is not None:
        return _label_without_model(samples, names, all_named=False, where=where)
    n_labels = 0 if plan.output is None else plan.output.n_values or 0
    samples = _as_truth(samples, Target.LABELS, class_names_for(names, n_labels))
    return _label_without_model(samples, (), all_named=False, where=where)


def _label_without_model(
    samples: LabelledImages, names: Sequence[str], *, all_named: bool, where: str
) -> tuple[LabelledImages, tuple[str, ...]]:
    """Labels and class names for a model that predicts no classes."""
    if samples.labels is None:
        if names:
            raise DatasetError(
                f"{where}: {len(names)} class names, such as {names[0]!r}, but the images have no "
                "labels and the model predicts no classes; leave the class names out"
            )
        if samples.targets is None:
            log.warning("the images have no labels either: all are in one class, %r", SINGLE_CLASS)
        else:
            log.warning(
                "the labels are %s, not classes: all images are in one class, %r",
                samples.targets.words,
                SINGLE_CLASS,
            )
        labels = np.zeros(len(samples), np.int64)
        samples = dataclasses.replace(samples, labels=labels, labels_are=LabelSource.NONE)
        return samples, (SINGLE_CLASS,)
    n_classes = max(len(names), int(samples.labels.max()) + 1)
    if all_named and names:
        check_labels(samples.labels, len(names), of="the", where=where)
    return samples, class_names_for(names, n_classes)


def _label_by_prediction(
    model: Classifier, samples: LabelledImages, preprocessing: Preprocessing
) -> LabelledImages:
    """Labels the samples with the model's predictions, in a separate pass before the capture."""
    labels = np.empty(len(samples), np.int64)
    for start in range(0, len(samples), DEFAULT_BATCH_SIZE):
        rows = slice(start, start + DEFAULT_BATCH_SIZE)
        images = preprocessing(np.asarray(samples.images[rows]))
        labels[rows] = model.predict(images, samples.others_of(rows)).argmax(axis=1)
    return dataclasses.replace(samples, labels=labels, labels_are=LabelSource.PREDICTED)
