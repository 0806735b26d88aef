"""The curve of the whole model: how right it is while filters of all measured layers go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.ablation.answers import Run, mean_map, tried_seconds
from fmcore.ablation.curves import (
    RANDOM_ORDERS,
    curve_orders,
    curve_samples,
    curve_steps,
    joint_signs,
)
from fmcore.ablation.plan import CurvePart, cut
from fmcore.statistics import Curve, Replacement, joint_order
from fmcore.storage import Layer, LayerAblation


class Joint(Protocol):
    """A model without filters of several layers; see `fmcore.model.ablation.JointRest`."""

    @property
    def row_bytes(self) -> int:
        """Bytes that one sample of a variant takes, about."""

    @property
    def head_bytes(self) -> int:
        """Bytes of what all variants of a sample have in common."""

    def share(
        self,
        images: NDArray[np.float32],
        others: Mapping[str, NDArray[np.float32]],
        substitutes: Sequence[NDArray[np.float32]] | None,
    ) -> Any:
        """What all variants of a batch have in common."""

    def maps(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """What each layer puts out, <float32>[sample, y, x, filter]."""

    def answers(self, shared: Any, variants: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The answers, <float32>[variant, sample, n]."""


class ModelCurve:
    """The work of the curve of the whole model.

    Attributes:
        part: how it is cut.
    """

    def __init__(self, joint: Joint, layers: Sequence[Layer], run: Run) -> None:
        self._joint, self._layers, self._run = joint, layers, run
        self._signs = joint_signs(layers)
        self._by = run.options.replacement
        self._means = (
            [mean_map(layer) for layer in layers] if self._by == Replacement.MEAN else None
        )
        n_filters = sum(layer.n_filters for layer in layers)
        n_orders = 1 + len(self._signs) + RANDOM_ORDERS
        # The whole model and that without any filter are the same in all orders.
        n_variants = n_orders * (len(curve_steps(n_filters)) - 2) + 2
        n_samples = curve_samples(len(run.rows))
        sample_bytes = joint.head_bytes + 8 * math.prod(run.store.image_shape)
        if self._by == Replacement.RESAMPLE:  # the maps of all layers, twice
            sample_bytes += 8 * sum(math.prod(layer.shape) for layer in layers)
        block, group = cut(
            "the whole model",
            n_variants,
            n_samples,
            max(1, joint.row_bytes),
            sample_bytes,
            run.options.memory,
        )
        self.part = CurvePart(len(layers), n_filters, n_variants, n_samples, block, group)

    def try_out(self) -> CurvePart:
        """The part, with about how many seconds it takes, by a few of its runs."""
        part = self.part
        variants = np.zeros((part.group, part.n_filters), np.bool_)
        places = np.arange(part.block)
        seconds = tried_seconds(self._shared, self._joint.answers, places, variants, part)
        return dataclasses.replace(part, seconds=seconds)

    def measure(
        self, layers: Sequence[LayerAblation], on_progress: Callable[[int], object]
    ) -> Curve:
        """Measures the curve.

        Args:
            layers: what was measured of each layer.
            on_progress: called with the number of rows since the last call.
        """
        by_cost = joint_order([layer.costs() for layer in layers])
        n_left = self.part.n_rows

        def count(n_rows: int) -> None:
            nonlocal n_left
            n_left -= n_rows
            on_progress(n_rows)

        curve = self._run.curve(
            curve_orders(by_cost, self._signs, seed=self._run.options.seed),
            self.part,
            self._shared,
            self._joint.answers,
            where="run in parts",
            on_progress=count,
        )
        on_progress(n_left)  # orders may share sets of filters
        return curve

    def _shared(self, places: NDArray[np.int64]) -> Any:
        run, substitutes = self._run, self._means
        if self._by == Replacement.RESAMPLE:
            substitutes = self._joint.maps(*run.samples(run.partners[places]))
        return self._joint.share(*run.samples(run.rows[places]), substitutes)
