"""What the work of all layers has in common: the samples, and how right answers to them are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.ablation.curves import curve_samples, curve_steps, removals
from fmcore.ablation.options import AblationOptions
from fmcore.ablation.plan import CurvePart, LayerPart
from fmcore.errors import ModelError
from fmcore.records import Target
from fmcore.statistics import Curve
from fmcore.storage import Layer, Store

# The rest of a model is tried for at least this long before the time is estimated.
TRIAL_SECONDS = 0.5
MOST_TRIALS = 5
# How far the answers of the rest may lie from the stored ones: another batch size, and half
# precision, where a model has it.
CLOSE = 1e-3
# What all variants of some samples have in common, by their places; and the answers of variants.
Share = Callable[[NDArray[np.int64]], Any]
Answers = Callable[[Any, NDArray[np.bool_]], NDArray[np.float32]]


class Samples(Protocol):
    """Preprocessed images, and the values of other inputs, by their indices in the store."""

    def __call__(
        self, rows: NDArray[np.int64], /
    ) -> tuple[NDArray[np.float32], Mapping[str, NDArray[np.float32]]]:
        """<float32>[sample, image_y, image_x, image_channel], and <float32>[sample, …] by name."""


class Run:
    """What the work of all layers has in common."""

    def __init__(
        self,
        store: Store,
        samples: Samples,
        rows: NDArray[np.int64],
        options: AblationOptions,
    ) -> None:
        self.store, self.samples, self.rows, self.options = store, samples, rows, options
        self.labels = store.labels[rows]
        self.predicts_class = store.target == Target.CLASS
        # What the whole model should answer; None where the store holds nothing of it.
        self._stored = store.probabilities if self.predicts_class else store.answers
        # Each sample gets the output of the one before it in a random circle of all.
        circle = np.random.default_rng(options.seed).permutation(len(rows))
        self.partners = np.empty_like(rows)
        self.partners[circle] = rows[np.roll(circle, 1)]

    def dtype(self) -> np.dtype[Any]:
        """What is kept of each answer until all are there."""
        value = "<f4" if self.predicts_class else "<f8"
        return np.dtype([("answer", "<i4"), ("value", value)])

    def require_stored(
        self, whole: NDArray[np.float32], places: NDArray[np.int64], *, where: str
    ) -> None:
        """Refuses to go on where the whole model does not answer as the store has it.

        Args:
            whole: <float32>[sample, n], the answers of the whole model.
            places: the places of the samples.
            where: the part of the model that was run, to begin a sentence with.

        Raises:
            ModelError: naming a sample.
        """
        if self._stored is None:
            return
        expected = self._stored[self.rows[places]]
        size = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
        with np.errstate(invalid="ignore"):
            away = np.abs(whole - expected) > CLOSE * size
        if away.any():
            sample = int(self.rows[places[int(np.argmax(away.any(axis=1)))]])
            raise ModelError(
                f"{where}, the model does not answer sample {sample} as the store has it; "
                "`fmcore verify` says whether the store is what the model computes"
            )

    def curve(
        self,
        orders: Mapping[str, NDArray[np.int64]],
        part: LayerPart | CurvePart,
        share: Share,
        answers: Answers,
        *,
        where: str,
        on_progress: Callable[[int], object] = lambda _: None,
    ) -> Curve:
        """How right the model is while filters go, in several orders.

        Args:
            orders: <int64>[filter], the filters in the order in which they go, by its name.
            part: how the work is cut.
            share: gives what the variants of some samples have in common.
            answers: gives the answers of variants.
            where: the part of the model that is run, to begin a sentence with.
            on_progress: called with the number of rows since the last call.
        """
        ranks = np.stack(list(orders.values())).astype(np.int32)
        n_filters = ranks.shape[1]
        steps = curve_steps(n_filters)
        variants, of_variant = removals(ranks, steps)
        n_samples = curve_samples(len(self.rows))
        total, size = np.zeros(len(variants)), 0.0
        rng = np.random.default_rng(self.options.seed)
        subset = np.sort(rng.choice(len(self.rows), n_samples, replace=False))
        for start in range(0, n_samples, part.block):
            places = subset[start : start + part.block]
            shared = share(places)
            (whole,) = answers(shared, np.zeros((1, n_filters), np.bool_))
            self.require_stored(whole, places, where=where)
            size += float((whole.astype(np.float64) ** 2).sum())
            for first in range(0, len(variants), part.group):
                group = slice(first, first + part.group)
                values = answers(shared, variants[group])
                if self.predicts_class:
                    total[group] += (values.argmax(axis=2) == self.labels[places]).sum(axis=1)
                else:
                    total[group] += ((values.astype(np.float64) - whole) ** 2).sum(axis=(1, 2))
                on_progress(len(values) * len(places))
        with np.errstate(divide="ignore", invalid="ignore"):
            quality = total / n_samples if self.predicts_class else np.sqrt(total / size)
        return Curve(tuple(orders), ranks, steps, quality[of_variant], self.rows[subset])


def mean_map(layer: Layer) -> NDArray[np.float32]:
    """The mean of each filter over the whole test set, as a map: <float32>[1, y, x, filter]."""
    mean, n = layer.statistic("mean"), layer.statistic("n_values")
    total = np.where(n > 0, np.nan_to_num(mean) * n, 0).sum(axis=0)
    value = (total / np.maximum(n.sum(axis=0), 1)).astype(np.float32)
    return np.broadcast_to(value, (1, *layer.shape)).copy()


def tried_seconds(
    share: Share,
    answers: Answers,
    places: NDArray[np.int64],
    variants: NDArray[np.bool_],
    part: LayerPart | CurvePart,
) -> float:
    """About how many seconds a part of the work takes, by a few of its runs.

    Args:
        share: gives what the variants of some samples have in common.
        answers: gives the answers of variants.
        places: the places of the samples of a block.
        variants: <bool>[variant, filter], those of a group.
        part: the work.
    """
    answers(share(places), variants)  # which builds the graph
    begun = time.perf_counter()
    shared = share(places)
    prepared = time.perf_counter() - begun
    seconds: list[float] = []
    while len(seconds) < MOST_TRIALS and sum(seconds) < TRIAL_SECONDS:
        begun = time.perf_counter()
        answers(shared, variants)
        seconds.append(time.perf_counter() - begun)
    of_group = float(np.median(seconds)) * part.n_variants / len(variants)
    return (prepared + of_group) * part.n_samples / len(places)
