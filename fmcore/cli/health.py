"""`fmcore health`: which filters are dead, useless or broken, and whether that is too many."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.errors import SelectionError
from fmcore.selection import near_matches
from fmcore.statistics import FINDINGS, LayerHealth
from fmcore.storage import Store, open_store

# Exit code where `health` finds more than its limits allow: neither an error nor wrong usage.
BEYOND_LIMITS = 3


@dataclass(frozen=True, slots=True, eq=False)
class HealthReport:
    """The health of every captured layer.

    Attributes:
        store: the store's path.
        class_names: the name of each class.
        layers: the health of each layer, by its path.
    """

    store: str
    class_names: tuple[str, ...]
    layers: Mapping[str, LayerHealth]

    def beyond(self, limits: Mapping[str, float]) -> list[str]:
        """One sentence for each layer and finding whose share of filters is above its limit."""
        return [
            f"{path}: {layer.share(finding):.1%} of {_n_filters(layer)} filters are "
            f"{_finding_text(finding)}, the limit is {limit:.1%}"
            for path, layer in self.layers.items()
            for finding, limit in limits.items()
            if layer.share(finding) > limit
        ]

    def as_json(self) -> dict[str, Any]:
        """The whole report as JSON, for programs."""
        return {
            "store": self.store,
            "definitions": dict(FINDINGS),
            "layers": {path: self._layer(layer) for path, layer in self.layers.items()},
        }

    def _layer(self, layer: LayerHealth) -> dict[str, Any]:
        pairs = np.argwhere(layer.dead_classes.T)
        return {
            "filters": _n_filters(layer),
            "signed": layer.signed,
            "findings": {
                finding: {
                    "filters": np.flatnonzero(flags).tolist(),
                    "share": layer.share(finding),
                }
                for finding, flags in layer.findings.items()
            },
            "dead_for_class": [
                {"filter": index, "class": self.class_names[label]}
                for index, label in pairs.tolist()
            ],
            "duplicate_of": {
                str(index): int(layer.duplicate_of[index])
                for index in np.flatnonzero(layer.duplicate_of >= 0)
            },
        }

    def lines(self) -> list[str]:
        """The report for people: the findings that occur, with the indices of the filters."""
        lines = []
        for path, layer in self.layers.items():
            n_filters = _n_filters(layer)
            counts = {name: int(flags.sum()) for name, flags in layer.findings.items()}
            if not any(counts.values()):
                lines.append(f"{path}: {n_filters} filters, nothing found")
                continue
            lines.append(f"{path}: {n_filters} filters")
            lines += [
                f"  {_finding_text(finding):16} {count:4} ({layer.share(finding):.1%}): "
                f"{self._filters_text(layer, finding)}"
                for finding, count in counts.items()
                if count
            ]
            if layer.signed and counts["dead"]:
                lines.append(
                    "  (the layer has negative activations: a filter that is never above zero may "
                    "still matter to the next layer, such as a BatchNormalization)"
                )
        lines.append("")
        lines += [f"{_finding_text(finding)}: {words}" for finding, words in FINDINGS.items()]
        return lines

    def _filters_text(self, layer: LayerHealth, finding: str, most: int = 12) -> str:
        filters = np.flatnonzero(layer.findings[finding]).tolist()
        text_of = {
            "duplicate": lambda index: f"{index} as {layer.duplicate_of[index]}",
            "dead_for_class": lambda index: f"{index} ({self._classes(layer, index)})",
        }.get(finding, str)
        more = f" and {len(filters) - most} more (--json lists all)" if len(filters) > most else ""
        return ", ".join(map(text_of, filters[:most])) + more

    def _classes(self, layer: LayerHealth, index: int, most: int = 3) -> str:
        names = [self.class_names[label] for label in np.flatnonzero(layer.dead_classes[:, index])]
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more


def health_report(store: Store) -> HealthReport:
    """Looks at every filter of every captured layer.

    Raises:
        StoreError: if the store is damaged.
    """
    layers = {path: layer.health() for path, layer in store.layers.items()}
    return HealthReport(str(store.path), store.class_names, layers)


def parse_limits(text: str) -> dict[str, float]:
    """The largest share of a layer's filters that may have each finding: `dead=0.1,nonfinite=0`.

    Raises:
        SelectionError: if a finding is unknown, or a limit is not a number from 0 to 1.
    """
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, number = (piece.strip() for piece in part.partition("="))
        name = name.replace("-", "_")
        if name not in FINDINGS:
            raise SelectionError(
                f"no finding {name!r}; there are {', '.join(FINDINGS)}"
                f"{near_matches(name, list(FINDINGS))}"
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
        limits[name] = limit
    return limits


def _n_filters(layer: LayerHealth) -> int:
    return len(layer.duplicate_of)


def _finding_text(finding: str) -> str:
    return finding.replace("_", " ")


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `health` to the command line."""
    health = verb("health", _health, "print which filters are dead, useless or broken")
    add_store(health)
    health.add_argument("--json", action="store_true", help="print everything as JSON")
    health.add_argument(
        "--fail-on",
        type=_limits,
        default={},
        metavar="FINDING=SHARE,…",
        help=f"exit with code {BEYOND_LIMITS} where a larger share of a layer's filters has a "
        "finding, such as dead=0.1,nonfinite=0",
    )


def _limits(text: str) -> dict[str, float]:
    try:
        return parse_limits(text)
    except SelectionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _health(options: argparse.Namespace) -> int:
    with open_store(options.store) as store:
        report = health_report(store)
    if options.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        for line in report.lines():
            say(line)
    beyond = report.beyond(options.fail_on)
    for sentence in beyond:
        print(f"fmcore: {sentence}", file=sys.stderr)
    return BEYOND_LIMITS if beyond else 0
