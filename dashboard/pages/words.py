"""Sentences on samples and layers that several pages say.

A sample's label and prediction; where there are no classes, why, and its labels or numbers instead;
and what the boxes of receptive fields are where they are not exact.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np

from dashboard.stores.source import Snapshot
from fmcore.numbers import fraction_text, number_text
from fmcore.records import Policy, Target
from fmcore.statistics import Change, Replacement
from fmcore.storage import Layer

# Labels or numbers of a sample that are listed.
MOST_TARGETS = 8
# Those of them that stand in a few lines.
FEW_TARGETS = 3
# What a model gives that gives no class, what follows, and the score that is named first.
_GIVES = {
    Target.LABELS: ("several labels for each sample", "so there is no single class"),
    Target.NUMBER: ("numbers", "so there are no classes"),
}
_SCORES = {
    Target.LABELS: ("label_auc", "the scores of each label"),
    Target.NUMBER: ("pearson", "the correlation of each filter with each number"),
}


def names_of(snapshot: Snapshot, sample: int) -> tuple[str | None, str | None]:
    """The names of a sample's label and prediction; None for what nobody knows."""
    names, predictions = snapshot.catalog.class_names, snapshot.predictions
    label = names[snapshot.labels[sample]] if snapshot.store.has_labels else None
    return label, None if predictions is None else names[predictions[sample]]


def outcome_words(label: str | None, predicted: str | None) -> str:
    """A sample's label and prediction in words; empty where neither is known."""
    words = [] if label is None else [f"label {label}"]
    if predicted is not None:
        right = "" if label is None else " (right)" if label == predicted else " (wrong)"
        words.append(f"predicted {predicted}{right}")
    return ", ".join(words)


def why_no_predictions(snapshot: Snapshot) -> str:
    """A sentence for where predictions would stand; the store says what the model puts out."""
    target = snapshot.store.target
    if target in _GIVES:
        return f"The model gives {_GIVES[target][0]}, so it predicts no class."
    output = str(snapshot.about()["model"]["output"]).removeprefix("no class distribution: ")
    what = "predictions" if snapshot.store.has_labels else "predictions and no labels"
    return f"This store has no {what}: {output}, no distribution over classes."


def outcome_signs(sample: int, label: str | None, predicted: str | None) -> str:
    """A sample's label and prediction in few signs; its index where neither is known."""
    if label is None or predicted is None:
        return label or predicted or f"#{sample}"
    return f"{label} ✓" if label == predicted else f"{label} ✗ {predicted}"


def why_no_classes(snapshot: Snapshot) -> str:
    """Why samples are not told apart by class, and where scores of what the model gives are."""
    target = snapshot.store.target
    if target not in _GIVES:
        return "The images have no labels, and the model predicts no class."
    reason = f"The model gives {', '.join(_GIVES[target])}"
    family, what = _SCORES[target]
    command = f"fmcore stats {shlex.quote(snapshot.file_name)} --statistic {family}"
    if all(f"{family}_mean" in snapshot.statistics(path) for path in snapshot.catalog.n_filters):
        return f"{reason}; `{command}` has {what}."
    if snapshot.store.truth_of(0) is None:
        kind = "labels" if target == Target.LABELS else "numbers"
        return f"{reason}. No {kind} of the samples are known, to score filters by."
    return f"{reason}; `{command} --recompute` computes {what}."


def sample_targets(snapshot: Snapshot, sample: int) -> tuple[list[str], list[list[str]], str]:
    """Head and rows of a table of a sample's labels or numbers, and what is left out of it.

    Of labels first those that are true, then the likeliest; all empty where the model gives
    neither labels nor numbers.
    """
    store = snapshot.store
    truth, answer, names = store.truth_of(sample), store.answer(sample), store.target_names
    if answer is None:
        return [], [], ""
    of_labels = store.target == Target.LABELS
    places: Sequence[int] = range(min(len(names), MOST_TARGETS))
    if of_labels:
        true = np.zeros(len(names), np.bool_) if truth is None else truth
        places = np.lexsort((-answer, ~true))[:MOST_TARGETS].tolist()
    head, columns = ["Label" if of_labels else "Number"], [[names[at] for at in places]]
    if truth is not None:
        head.append("True")
        columns.append([_text(truth[at], of_labels=of_labels) for at in places])
    head.append("Probability" if of_labels else "Predicted")
    columns.append([_text(answer[at], of_labels=of_labels) for at in places])
    rows = [list(row) for row in zip(*columns, strict=True)]
    if len(places) == len(names):
        return head, rows, ""
    which = "labels: true ones, then the likeliest" if of_labels else "numbers, the first"
    return head, rows, f"{len(places)} of {len(names):,} {which}."


def target_lines(snapshot: Snapshot, sample: int) -> list[str]:
    """A sample's labels or numbers in few lines: each number, or true labels and likeliest ones.

    Empty where the model gives neither.
    """
    store = snapshot.store
    truth, answer, names = store.truth_of(sample), store.answer(sample), store.target_names
    if answer is None:
        return []
    if store.target != Target.LABELS:
        true = (
            [""] * len(names)
            if truth is None
            else [f"true {number_text(value, digits=4)}, " for value in truth]
        )
        return [
            f"{name}: {words}predicted {number_text(value, digits=4)}"
            for name, words, value in zip(names, true, answer, strict=True)
        ][:FEW_TARGETS]
    likeliest = (-answer).argsort(kind="stable")[:FEW_TARGETS].tolist()
    lines = [
        f"Likeliest: {', '.join(f'{names[at]} {fraction_text(answer[at])}' for at in likeliest)}"
    ]
    if truth is None:
        return lines
    has = [names[at] for at in truth.nonzero()[0].tolist()]
    more = f" and {len(has) - MOST_TARGETS} more" if len(has) > MOST_TARGETS else ""
    return [f"True labels: {', '.join(has[:MOST_TARGETS]) or 'none'}{more}", *lines]


def _text(value: np.generic, *, of_labels: bool) -> str:
    """A flag in a word, a probability with four decimals, a number with four digits."""
    if value.dtype == np.bool_:
        return "yes" if value else "no"
    return fraction_text(value) if of_labels else number_text(value, digits=4)


def not_as_computed(layer: Layer) -> str:
    """A sentence on stored maps that are not the values that the model put out; else empty."""
    if layer.policy != Policy.FLOAT16:
        return ""
    words = f"Its maps are stored as {layer.value_words}"
    return f"{words}; statistics are of the values before that."


# How a store says that units may see less than their boxes.
AT_MOST = "at most"


def is_bound(layer: Layer) -> bool:
    """Whether the units of a layer may see less than their boxes."""
    return layer.field_words.startswith(AT_MOST)


def not_exact(layer: Layer) -> str:
    """One sentence on the boxes of a layer; empty where they are exact."""
    words = layer.field_words
    if is_bound(layer):
        return f"A unit of this layer sees at most its box{words.removeprefix(AT_MOST)}."
    if layer.receptive_fields() is None:
        why = words.removeprefix("unknown")
        return f"What a unit of this layer sees is unknown{why}: images have no box."
    return ""


# What took the place of a filter's output, a sentence without its full stop.
_REPLACED = {
    Replacement.ZERO: "Replaced by zero",
    Replacement.MEAN: "Replaced by its mean",
    Replacement.RESAMPLE: "Replaced by its output for another sample",
}


def replaced_words(by: Replacement) -> str:
    """What took the place of a filter's output."""
    return _REPLACED[by]


def interval_text(change: Change, index: int) -> str:
    """A mean change with its interval, as a number."""
    value, low, high = (
        number_text(ends[index], digits=3) for ends in (change.value, change.low, change.high)
    )
    return f"{value} (95% interval {low} to {high})"


def cost_text(accuracy: Change, index: int) -> str:
    """A change of accuracy in points, with its interval."""
    value, low, high = (
        f"{100 * float(ends[index]) + 0.0:.3g}"
        for ends in (accuracy.value, accuracy.low, accuracy.high)
    )
    return f"{value} points (95% interval {low} to {high})"
