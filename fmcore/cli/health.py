"""`fmcore health`: which filters are dead, useless or broken, or became so; is that too many?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.errors import SelectionError, StatisticNotFoundError, StoreError
from fmcore.numbers import share_text
from fmcore.selection import near_matches
from fmcore.statistics import (
    HEALTH_CHANGES,
    HEALTH_RULES,
    LOST_CLASS,
    NO_EFFECT,
    POOLINGS,
    ClassAucs,
    LayerChanges,
    LayerHealth,
    health_changes,
)
from fmcore.storage import Layer, Store, opened_apart

# Exit code where `health` finds more than its limits allow: neither an error nor wrong usage.
BEYOND_LIMITS = 3
# Filters, or names that differ, that a line lists before it counts the rest.
MOST_LISTED = 12
MOST_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class HealthReport:
    """The health of every captured layer.

    Attributes:
        store: the store's path.
        class_names: the name of each class.
        layers: the health of each layer, by its path.
        no_effect: <bool>[filter] for each layer that was ablated, by its path.
        unmeasured: why it is not known which filters are without effect; empty if it is.
    """

    store: str
    class_names: tuple[str, ...]
    layers: Mapping[str, LayerHealth]
    no_effect: Mapping[str, NDArray[np.bool_]]
    unmeasured: str

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """One sentence for each layer and finding whose share of filters is above its limit.

        Raises:
            SelectionError: if there is a limit for what was not measured.
        """
        if NO_EFFECT.name in limits and (
            self.unmeasured or self.no_effect.keys() < self.layers.keys()
        ):
            reason = self.unmeasured or "not every layer was ablated: `fmcore ablate` adds the rest"
            raise SelectionError(f"--fail-on {NO_EFFECT.name}: {reason}; or leave that limit out")
        return [
            f"{path}: {share_text(share)} of {layer.n_filters} filters are {words}, the limit is "
            f"{share_text(limit)}"
            for path, layer in self.layers.items()
            for finding, limit in limits.items()
            for share, words in [self._share(path, finding)]
            if share > limit
        ]

    def _share(self, path: str, finding: str) -> tuple[float, str]:
        """The share of a layer's filters that have a finding, and its words."""
        if finding == NO_EFFECT.name:
            return float(self.no_effect[path].mean()), NO_EFFECT.words
        return self.layers[path].share(finding), self.layers[path].words(finding)

    def as_json(self) -> dict[str, Any]:
        """The whole report as JSON, for programs."""
        report: dict[str, Any] = {
            "store": self.store,
            "definitions": {name: rule.definition for name, rule in HEALTH_RULES.items()},
            "layers": {
                path: layer.as_json(self.class_names) for path, layer in self.layers.items()
            },
        }
        if self.unmeasured:
            return report | {"not_measured": {NO_EFFECT.name: self.unmeasured}}
        report["definitions"][NO_EFFECT.name] = NO_EFFECT.definition
        for path, flags in self.no_effect.items():
            finding = {"filters": np.flatnonzero(flags).tolist(), "share": float(flags.mean())}
            report["layers"][path]["findings"][NO_EFFECT.name] = finding
        return report

    def lines(self) -> list[str]:
        """The report for people: the findings that occur, with the indices of the filters."""
        lines, width = [], max(len(rule.words) for rule in HEALTH_RULES.values())
        for path, layer in self.layers.items():
            present = [name for name, flags in layer.findings.items() if flags.any()]
            effectless = np.flatnonzero(self.no_effect.get(path, np.zeros(0))).tolist()
            suffix = "" if present or effectless else ", nothing found"
            lines.append(f"{path}: {layer.n_filters} filters{suffix}")
            lines += [
                f"  {HEALTH_RULES[finding].words:{width}} {layer.findings[finding].sum():4} "
                f"({share_text(layer.share(finding))}): {self._filters_text(layer, finding)}"
                for finding in present
            ]
            if effectless:
                share = share_text(float(self.no_effect[path].mean()))
                lines.append(
                    f"  {NO_EFFECT.words:{width}} {len(effectless):4} ({share}): "
                    f"{_listed(map(str, effectless))}"
                )
        lines.append("")
        lines += [f"{rule.words}: {rule.definition}" for rule in HEALTH_RULES.values()]
        words = f"not known, {self.unmeasured}" if self.unmeasured else NO_EFFECT.definition
        return [*lines, f"{NO_EFFECT.words}: {words}"]

    def _filters_text(self, layer: LayerHealth, finding: str) -> str:
        return _listed(
            f"{index} {layer.detail(finding, index, self.class_names).aside}".rstrip()
            for index in layer.filters_of(finding)
        )


@dataclass(frozen=True, slots=True, eq=False)
class ChangesReport:
    """What became worse in every captured layer since a baseline.

    Attributes:
        baseline: the path of the baseline.
        class_names: the name of each class.
        layers: the changes of each layer, by its path.
        without_classes: why it is not known which filters lost their class; empty if it is.
        notes: what else to know of the two stores.
    """

    baseline: str
    class_names: tuple[str, ...]
    layers: Mapping[str, LayerChanges]
    without_classes: str
    notes: tuple[str, ...]

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """One sentence for each layer and change whose share of filters is above its limit.

        Raises:
            SelectionError: if there is a limit for what is not known.
        """
        if LOST_CLASS.name in limits and self.without_classes:
            raise SelectionError(
                f"--fail-on {LOST_CLASS.name}: {self.without_classes}; leave that limit out"
            )
        return [
            f"{path}: {share_text(layer.share(change))} of {layer.n_filters} filters are "
            f"{HEALTH_CHANGES[change].words}, the limit is {share_text(limit)} (filters "
            f"{_listed(self._filter_text(layer, change, i) for i in layer.filters_of(change))})"
            for path, layer in self.layers.items()
            for change, limit in limits.items()
            if layer.share(change) > limit
        ]

    def as_json(self) -> dict[str, Any]:
        """The whole report as JSON, for programs."""
        return {
            "store": self.baseline,
            "definitions": {name: change.definition for name, change in HEALTH_CHANGES.items()},
            "not_compared": {LOST_CLASS.name: self.without_classes} if self.without_classes else {},
            "notes": list(self.notes),
            "layers": {
                path: layer.as_json(self.class_names) for path, layer in self.layers.items()
            },
        }

    def lines(self) -> list[str]:
        """The report for people: the changes that occur, with the indices of the filters."""
        lines = ["", f"Since {self.baseline}:"]
        width = max(len(change.words) for change in HEALTH_CHANGES.values())
        for path, layer in self.layers.items():
            present = [name for name, flags in layer.changes.items() if flags.any()]
            suffix = "" if present else ", nothing became worse"
            lines.append(f"{path}: {layer.n_filters} filters{suffix}")
            for change in present:
                texts = [self._filter_text(layer, change, i) for i in layer.filters_of(change)]
                lines.append(
                    f"  {HEALTH_CHANGES[change].words:{width}} {len(texts):4} "
                    f"({share_text(layer.share(change))}): {_listed(texts)}"
                )
        if self.without_classes:
            lines.append(f"{LOST_CLASS.words}: not compared, {self.without_classes}")
        else:
            lines += ["", f"{LOST_CLASS.words}: {LOST_CLASS.definition}"]
        return [*lines, *self.notes]

    def _filter_text(self, layer: LayerChanges, change: str, index: int) -> str:
        if change != LOST_CLASS.name:
            return str(index)
        return f"{index} ({self.class_names[layer.lost_class[index]]})"


def _listed(texts: Iterable[str]) -> str:
    """Texts in a line, at most `MOST_LISTED` of them."""
    first = list(texts)
    more = len(first) - MOST_LISTED
    rest = f" and {more} more (--json lists all)" if more > 0 else ""
    return ", ".join(first[:MOST_LISTED]) + rest


def health_report(store: Store) -> HealthReport:
    """Looks at every filter of every captured layer.

    Raises:
        StoreError: if the store is damaged.
    """
    layers = {path: layer.health() for path, layer in store.layers.items()}
    no_effect, unmeasured = {}, ""
    try:
        ablation = store.ablation()
        no_effect = {path: ablation.layer(path).no_effect for path in ablation.layers}
    except (StatisticNotFoundError, StoreError) as error:
        unmeasured = str(error)
    return HealthReport(str(store.path), store.class_names, layers, no_effect, unmeasured)


def changes_report(store: Store, baseline: Store) -> ChangesReport:
    """What became worse in every captured layer of a store since a baseline.

    Raises:
        SelectionError: if the stores differ in layers, numbers of filters or classes.
        StoreError: if one of them is damaged.
    """
    _require_same(store, baseline)
    reason = _why_without_classes(store, baseline)
    layers = {}
    for path, layer in store.layers.items():
        before = baseline.layers[path]
        aucs = (None, None) if reason else (_aucs(before), _aucs(layer))
        layers[path] = health_changes(before.health(), layer.health(), *aucs)
    notes = []
    tests = [one.about()["dataset"]["fingerprint"] for one in (store, baseline)]
    if tests[0] != tests[1]:
        notes.append(
            f"{store.path} and {baseline.path} are of different test sets: a change may come from "
            "the images"
        )
    return ChangesReport(str(baseline.path), store.class_names, layers, reason, tuple(notes))


def _require_same(store: Store, baseline: Store) -> None:
    """Raises a `SelectionError` that says what differs, if stores cannot be compared."""
    for what, of_store, of_baseline in (
        ("layers", tuple(store.layers), tuple(baseline.layers)),
        ("classes", store.class_names, baseline.class_names),
    ):
        texts = [
            f"only {here.path} has {_named([name for name in mine if name not in other])}"
            for here, mine, other in (
                (store, of_store, of_baseline),
                (baseline, of_baseline, of_store),
            )
            if set(mine) - set(other)
        ]
        if not texts and what == "classes" and of_store != of_baseline:
            texts = ["they have the same classes in another order"]
        if texts:
            raise SelectionError(
                f"{store.path} and {baseline.path} differ in {what}: {'; '.join(texts)}; compare "
                f"captures of the same {what}",
                field="against",
            )
    for path, layer in store.layers.items():
        n_before = baseline.layers[path].n_filters
        if layer.n_filters != n_before:
            raise SelectionError(
                f"layer {path} has {layer.n_filters} filters in {store.path}, but {n_before} in "
                f"{baseline.path}; compare captures of the same layers",
                field="against",
            )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _why_without_classes(store: Store, baseline: Store) -> str:
    """Why it is not known which filters lost their class; empty if it is."""
    if not store.has_classes:
        return "there are no classes"
    for side in (store, baseline):
        if any("auc_mean" not in layer.statistics for layer in side.layers.values()):
            return (
                f"{side.path} was captured without scores (`fmcore stats STORE --recompute` "
                "prints them)"
            )
    return ""


def _aucs(layer: Layer) -> ClassAucs:
    """How well the filters of a layer tell each class, by each pooled table."""
    aucs = [layer.statistic("auc", pooling=pooling) for pooling in POOLINGS]
    bands = [layer.chance("auc", pooling=pooling) for pooling in POOLINGS]
    return ClassAucs(np.stack(aucs), np.stack([band[1] for band in bands if band is not None]))


def parse_limits(text: str) -> dict[str, float]:
    """The largest share of a layer's filters that may have each finding: `dead=0.1,nonfinite=0`.

    Changes since a baseline are findings too: `new_dead=0,lost_class=0`.

    Raises:
        SelectionError: if a finding is unknown, or a limit is not a number from 0 to 1.
    """
    words = {name: rule.words for name, rule in HEALTH_RULES.items()}
    words |= {name: change.words for name, change in HEALTH_CHANGES.items()}
    words[NO_EFFECT.name] = NO_EFFECT.words
    spellings = {_spelling(text): name for name in words for text in (words[name], name)}
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, number = (piece.strip() for piece in part.partition("="))
        finding = spellings.get(_spelling(name))
        if finding is None:
            near = near_matches(_spelling(name), list(words))
            raise SelectionError(
                f"no finding {name!r}; there are {', '.join(HEALTH_RULES)}, {NO_EFFECT.name}, and "
                f"with --against {', '.join(HEALTH_CHANGES)}{near}"
            )
        try:
            limit = float(number) if separator else 0.0
        except ValueError:
            limit = -1.0
        if not 0 <= limit <= 1:
            raise SelectionError(
                f"limit {part!r}; expected FINDING=SHARE with a share of filters from 0 to 1, "
                "such as dead=0.1, or FINDING alone to allow none at all"
            )
        limits[finding] = limit
    return limits


def _spelling(name: str) -> str:
    """A finding as it is compared: `dead-for-class` and `dead for a class` are understood."""
    return name.replace("-", "_").replace(" ", "_")


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `health` to the command line."""
    health = verb("health", _health, "print which filters are dead, useless or broken")
    add_store(health)
    health.add_argument("--json", action="store_true", help="print everything as JSON")
    health.add_argument(
        "--against",
        type=Path,
        metavar="BASELINE",
        help="an earlier store of the same layers and classes: print which filters have died, come "
        "to repeat another or lost their class since",
    )
    health.add_argument(
        "--fail-on",
        type=_limits,
        default={},
        metavar="FINDING=SHARE,…",
        help=f"exit with code {BEYOND_LIMITS} where a larger share of a layer's filters has a "
        "finding, such as dead=0.1,nonfinite=0, or with --against "
        "new_dead=0,new_duplicate=0,lost_class=0",
    )
    health.set_defaults(usage_error=health.error)


def _limits(text: str) -> dict[str, float]:
    try:
        return parse_limits(text)
    except SelectionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _health(options: argparse.Namespace) -> int:
    own = (*HEALTH_RULES, NO_EFFECT.name)
    limits = {name: share for name, share in options.fail_on.items() if name in own}
    of_changes = {name: share for name, share in options.fail_on.items() if name not in limits}
    if of_changes and options.against is None:
        options.usage_error(
            f"--fail-on {next(iter(of_changes))} needs --against BASELINE, the earlier store"
        )
    changes = None
    with opened_apart(options.store) as store:
        report = health_report(store)
        if options.against is not None:
            with opened_apart(options.against) as baseline:
                changes = changes_report(store, baseline)
    beyond = report.beyond(limits) + (changes.beyond(of_changes) if changes else [])
    if options.json:
        against = {} if changes is None else {"against": changes.as_json()}
        print(json.dumps(report.as_json() | against, indent=2))
    else:
        for line in (*report.lines(), *(changes.lines() if changes else ())):
            say(line)
    for sentence in beyond:
        print(f"fmcore: {sentence}", file=sys.stderr)
    return BEYOND_LIMITS if beyond else 0
