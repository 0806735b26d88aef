"""`fmcore health`: which filters are dead, useless or broken, and whether that is too many."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.errors import SelectionError
from fmcore.selection import near_matches
from fmcore.statistics import HEALTH_RULES, LayerHealth
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
            f"{path}: {layer.share(finding):.1%} of {layer.n_filters} filters are "
            f"{HEALTH_RULES[finding].words}, the limit is {limit:.1%}"
            for path, layer in self.layers.items()
            for finding, limit in limits.items()
            if layer.share(finding) > limit
        ]

    def as_json(self) -> dict[str, Any]:
        """The whole report as JSON, for programs."""
        return {
            "store": self.store,
            "definitions": {name: rule.definition for name, rule in HEALTH_RULES.items()},
            "layers": {
                path: layer.as_json(self.class_names) for path, layer in self.layers.items()
            },
        }

    def lines(self) -> list[str]:
        """The report for people: the findings that occur, with the indices of the filters."""
        lines, width = [], max(len(rule.words) for rule in HEALTH_RULES.values())
        for path, layer in self.layers.items():
            present = [name for name, flags in layer.findings.items() if flags.any()]
            suffix = "" if present else ", nothing found"
            lines.append(f"{path}: {layer.n_filters} filters{suffix}")
            lines += [
                f"  {HEALTH_RULES[finding].words:{width}} {layer.findings[finding].sum():4} "
                f"({layer.share(finding):.1%}): {self._filters_text(layer, finding)}"
                for finding in present
            ]
        lines.append("")
        lines += [f"{rule.words}: {rule.definition}" for rule in HEALTH_RULES.values()]
        return lines

    def _filters_text(self, layer: LayerHealth, finding: str, most: int = 12) -> str:
        filters = layer.filters_of(finding)
        texts = [
            f"{index} {layer.detail(finding, index, self.class_names).aside}".rstrip()
            for index in filters[:most]
        ]
        more = f" and {len(filters) - most} more (--json lists all)" if len(filters) > most else ""
        return ", ".join(texts) + more


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
    spellings = {
        _spelling(text): name for name, rule in HEALTH_RULES.items() for text in (rule.words, name)
    }
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, number = (piece.strip() for piece in part.partition("="))
        finding = spellings.get(_spelling(name))
        if finding is None:
            raise SelectionError(
                f"no finding {name!r}; there are {', '.join(HEALTH_RULES)}"
                f"{near_matches(_spelling(name), list(HEALTH_RULES))}"
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
