"""What the model loses without each filter, beside the statistics of a store."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StatisticNotFoundError, StoreError
from fmcore.export.resolve import ResolvedQuery
from fmcore.records import Target
from fmcore.selection import match_names
from fmcore.statistics import CLASS_FILTER, Change, Costs, Replacement, costs
from fmcore.storage import Ablation, Store, ablation_path

# How the names of costs begin, and globs of `statistic` that choose among them.
PREFIX = "cost_"
# The axes of a cost over all samples, and in each class, with the group of its array in a layer.
COST_AXES = {("filter",): "filters", CLASS_FILTER: "class"}
_INTERVAL = "interval"
# The fields of `Costs` of a model that predicts a class, and of others, with what each has rows of.
_VALUE, _WITH_ENDS = ("",), ("", "low", "high")
_OF_CLASSES: dict[str, tuple[str, ...]] = {
    "accuracy": _WITH_ENDS,
    "p": _VALUE,
    "q": _VALUE,
    "probability": _WITH_ENDS,
    "loss": _WITH_ENDS,
    "n_changed": _VALUE,
}
_OF_OUTPUTS: dict[str, tuple[str, ...]] = {"output": _VALUE}


@dataclass(frozen=True, slots=True)
class Cost:
    """A number that an ablation gives for each filter, and for each class and filter.

    Attributes:
        by: what took the place of a filter's output.
        field: its name in `fmcore.statistics.Costs`.
        end: `low` or `high` for an end of its interval, `interval` for both; empty for its value.
    """

    by: Replacement
    field: str
    end: str = ""

    @property
    def family(self) -> str:
        """Its name without the end, such as `cost_zero_accuracy`, which brings both ends too."""
        return f"{PREFIX}{self.by}_{self.field}"

    @property
    def name(self) -> str:
        """Its name in tables and exports, such as `cost_zero_accuracy_low`."""
        return f"{self.family}_{self.end}" if self.end else self.family

    def values(self, measured: Costs) -> NDArray[Any]:
        """Its values, with the axes of the costs; of an interval [bound, …]."""
        value: Change | NDArray[Any] = getattr(measured, self.field)
        if not isinstance(value, Change):
            return value
        if self.end == _INTERVAL:
            return np.stack([value.low, value.high])
        return np.asarray(getattr(value, self.end or "value"))


@dataclass(slots=True, eq=False)
class ChosenCosts:
    """The costs that a query chooses, of the ablations that lie beside a store.

    Attributes:
        costs: the costs, those of an ablation together.
        ablations: the ablations that they are of.
        unread: why an ablation cannot be read, by the name of its file.
    """

    costs: Sequence[Cost] = ()
    ablations: Mapping[Replacement, Ablation] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    _latest: tuple[tuple[str, str], tuple[Costs, ...]] = field(init=False, default=(("", ""), ()))

    def of_layer(self, layer: str) -> list[Cost]:
        """The costs that were measured of a layer."""
        return [cost for cost in self.costs if layer in self.ablations[cost.by].layers]

    def values(self, layer: str, cost: Cost, axes: tuple[str, ...]) -> NDArray[Any]:
        """A cost of a layer's filters, with one of `COST_AXES`."""
        if self._latest[0] != (layer, cost.by):
            # Costs of a layer with many classes fill memory, so those of another go first.
            self._latest = ("", ""), ()
            sums = self.ablations[cost.by].sums(layer)
            self._latest = (layer, cost.by), (costs(sums.together()).row(0), costs(sums))
        return cost.values(self._latest[1][axes == CLASS_FILTER])

    def arrays(
        self, layer: str
    ) -> Iterator[tuple[str, tuple[str, ...], str, Callable[[], NDArray[Any]]]]:
        """The arrays of a layer, with n: path in its group, axes, dtype, and what reads each."""
        arrays: dict[Cost, None] = {}
        for cost in self.of_layer(layer):
            end = _INTERVAL if cost.end else ""
            arrays |= dict.fromkeys((Cost(cost.by, cost.field, end), Cost(cost.by, "n")))
        for cost in arrays:
            dtype = "int64" if cost.field in ("n", "n_changed") else "float64"
            for axes, group in COST_AXES.items():
                all_axes = ("bound", *axes) if cost.end else axes
                read = partial(self.values, layer, cost, axes)
                yield f"{group}/{cost.name}", all_axes, dtype, read

    def about(self) -> dict[str, dict[str, Any]]:
        """What each ablation was made of, by what took the place of a filter's output."""
        return {
            str(by): {
                "file": ablation.path.name,
                "digest": ablation.digest,
                "labels": ablation.facts.labels,
                "seed": ablation.facts.seed,
                "n_samples": ablation.facts.n_samples,
                "samples_sha256": hashlib.sha256(ablation.samples.tobytes()).hexdigest(),
                "layers": list(ablation.layers),
            }
            for by, ablation in self.ablations.items()
        }


def without_costs(pattern: str) -> str:
    """The globs of statistics in a list that may hold those of costs too."""
    globs = _globs(pattern)
    rest = [glob for glob in globs if not glob.startswith(PREFIX)]
    return pattern if rest == globs else ",".join(rest)


def chosen_costs(store: Store, resolved: ResolvedQuery) -> ChosenCosts:
    """The costs that `query.statistic` chooses, by `*` and globs that begin with `cost_`.

    All that were measured if it is empty. The sums of the chosen layers are read once, layer by
    layer, so that damage is known before anything is written.

    Raises:
        SelectionError: if a glob matches no cost.
        StatisticNotFoundError: if a cost that is named, not by a glob, was not measured, or only
            costs are chosen and none was.
        LayerNotFoundError: if a cost that is named was measured of none of the layers.
        StoreError: if the file of a cost that is named is damaged, or of another store.
    """
    pattern = resolved.query.statistic
    globs = [glob for glob in _globs(pattern) if glob == "*" or glob.startswith(PREFIX)]
    if pattern and not globs:
        return ChosenCosts()
    fields = _OF_CLASSES if store.target == Target.CLASS else _OF_OUTPUTS
    every = [Cost(by, name, end) for by in Replacement for name in fields for end in fields[name]]
    names = [cost.name for cost in every]
    matches = set(match_names(names, ",".join(globs) or "*", what="cost", field="statistic"))
    matching = [cost for cost in every if matches & {cost.name, cost.family}]
    wanted = {cost.by for cost in matching}
    required = {cost.by for cost in matching if cost.name in globs}
    if pattern and not without_costs(pattern) and wanted.isdisjoint(store.ablations):
        required = wanted
    ablations, unread = {}, {}
    for by in sorted(required | wanted.intersection(store.ablations)):
        try:
            ablations[by] = _whole_ablation(store, by, resolved)
            if by in required and not set(resolved.layers) & set(ablations[by].layers):
                ablations[by].sums(resolved.layers[0])  # raises, and says what measures it
        except (StoreError, StatisticNotFoundError) as error:
            if by in required:
                raise
            unread[ablation_path(store.real_path, by).name] = str(error)
    return ChosenCosts([cost for cost in matching if cost.by in ablations], ablations, unread)


def _globs(pattern: str) -> list[str]:
    return [glob for part in pattern.split(",") if (glob := part.strip())]


def _whole_ablation(store: Store, by: Replacement, resolved: ResolvedQuery) -> Ablation:
    """An ablation beside a store whose sums of the chosen layers can be read, and fit the store.

    Raises:
        StatisticNotFoundError, StoreError: as `Store.ablation`.
    """
    ablation = store.ablation(by)
    for path in resolved.layers:
        if path in ablation.layers:
            shape = ablation.sums(path).n_lost.shape
            expected = (len(store.class_names), store.layers[path].n_filters)
            if shape != expected:
                raise StoreError(
                    f"{ablation.path} is a damaged ablation: layer {path} has {shape} classes and "
                    f"filters, expected {expected}; `fmcore ablate {store.path.name} --model MODEL "
                    "--force` measures anew"
                )
    return ablation
