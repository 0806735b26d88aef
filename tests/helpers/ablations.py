"""Ablations of stores whose answers are random, written without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmcore import open_store
from fmcore.records import Target
from fmcore.statistics import Curve, Replacement, answer_sums, output_sums
from fmcore.storage import AblationFacts, LayerAblation, ablation_path, write_ablation

ORDERS = ("cost", "apoz", "l1", *(f"random {index}" for index in range(20)))
# A filter of each layer without which nothing changes.
USELESS = 1


def random_curve(rng: np.random.Generator, n_filters: int, samples: np.ndarray) -> Curve:
    """A curve that falls."""
    return Curve(
        ORDERS,
        np.stack([rng.permutation(n_filters) for _ in ORDERS]).astype(np.int32),
        np.arange(n_filters + 1),
        np.sort(rng.random((len(ORDERS), n_filters + 1)), axis=1)[:, ::-1].copy(),
        samples,
    )


def make_ablation(
    store_path: Path,
    *,
    by: str = "zero",
    seed: int = 0,
    layers: slice = slice(None),
    curve: bool = True,
    model_curve: bool = True,
    digest: str = "",
) -> dict[str, np.ndarray]:
    """Writes an ablation beside a store.

    Args:
        store_path: the store.
        by: how filters were replaced, as far as the file says.
        seed: of the answers.
        layers: which layers were measured.
        curve: whether filters of each layer go together.
        model_curve: whether filters of all layers go together, of all samples but the last.
        digest: of the store, as far as the file says; empty for the truth.

    Returns:
        By the path of each layer, <int64>[filter, sample], the class without each filter; of a
        model without classes, <float64>[filter, sample], how far the output moves.
    """
    rng = np.random.default_rng(seed)
    with open_store(store_path) as store:
        n, labels, n_classes = store.n_samples, store.labels, len(store.class_names)
        has_classes = store.target == Target.CLASS
        facts = AblationFacts(
            store_digest=digest or store.digest,
            model_digest="m",
            target=str(store.target),
            labels="given",
            by=Replacement(by),
            seed=seed,
            n_samples=n,
        )
        measured, without = {}, {}
        for path, layer in list(store.layers.items())[layers]:
            size = layer.n_filters
            if has_classes:
                whole = store.predictions.astype(np.int64)
                answers = np.where(
                    rng.random((size, n)) < 0.4, rng.integers(0, n_classes, (size, n)), whole
                )
                answers[USELESS] = whole
                probabilities = rng.random((size + 1, n))
                sums = answer_sums(
                    labels.astype(np.int64),
                    (whole, probabilities[-1]),
                    (answers, probabilities[:-1]),
                    n_classes=n_classes,
                )
                without[path] = answers
            else:
                moved = rng.random((size, n))
                moved[USELESS] = 0
                sums = output_sums(labels.astype(np.int64), np.ones(n), moved, n_classes=n_classes)
                without[path] = moved
            measured[path] = LayerAblation(
                path,
                sums,
                whole.astype(np.int32) if has_classes else None,
                answers.astype(np.int32) if has_classes else None,
                np.arange(n),
                random_curve(rng, size, np.arange(n)) if curve else None,
            )
        path = ablation_path(store.path.resolve(), facts.by)
    n_of_class = np.bincount(labels, minlength=n_classes)
    n_filters = sum(layer.n_filters for layer in measured.values())
    whole_curve = random_curve(rng, n_filters, np.arange(n - 1)) if model_curve else None
    write_ablation(
        path, facts, n_of_class, np.arange(n), measured, curve=whole_curve, overwrite=True
    )
    return without
