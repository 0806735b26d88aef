"""A store in one line of the catalogue: what it is of, how good the model is, what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dashboard.stores.cache import ByteCache
from dashboard.stores.snapshot import Snapshot
from fmcore import Store, open_store
from fmcore.records import Policy
from fmcore.statistics import HEALTH_RULES, tally, tally_words
from fmcore.storage import FileBytes, inspect_store


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """What the catalogue says of one file.

    Attributes:
        name: the store's, in addresses.
        n_bytes: size of the file and its shards.
        model: the model's name.
        dataset: where its images came from.
        labels: `given`, `predicted` or `none`.
        target: what kind of answer the model gives: `class`, `labels`, `number` or `none`.
        target_names: the name of each of several labels, or of each number; empty for others.
        accuracy: how right the model is, in words, or why that is unknown.
        created: when it was captured, ISO 8601.
        test_accuracy: share of samples whose prediction equals their label; None where unknown.
        n_samples: how many samples.
        n_layers: how many captured layers.
        n_filters: filters of all layers.
        n_dead: those that are dead, by the rule of health.
        findings: how many have each finding, by the names of the rules of health.
        health: what is wrong with filters, in words.
        policies: in how many layers maps are stored otherwise than as float32, in words.
        problem: why it cannot be opened; empty where it can.
        digest: what tells the store from every other.
    """

    name: str
    n_bytes: int = 0
    model: str = ""
    dataset: str = ""
    labels: str = ""
    target: str = ""
    target_names: tuple[str, ...] = ()
    accuracy: str = ""
    created: str = ""
    test_accuracy: float | None = None
    n_samples: int = 0
    n_layers: int = 0
    n_filters: int = 0
    n_dead: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    health: str = ""
    policies: str = ""
    problem: str = ""
    digest: str = ""


def describe(descriptor: int, label: str) -> dict[str, Any]:
    """The `StoreSummary` of an open file, as a dictionary, once all of it was looked through.

    Args:
        descriptor: the open file.
        label: its name, for messages.

    Raises:
        InputFileError: if the file cannot be read.
        StoreError, UnsupportedVersionError: if it is not a store, or a damaged one.
    """
    path = Path(label)
    file = FileBytes(path, descriptor=descriptor)
    with open_store(path, file=file) as store:
        inspect_store(store)
        Snapshot(store, "", ByteCache())  # what every page needs
        return asdict(_of(store, ""))


def without_folders(error: Exception, *folders: Path) -> str:
    """What an error says; where on the server folders lie is nobody's business who only looks."""
    words = str(error)
    for folder in folders:
        words = words.replace(f"{folder}/", "")
    return words


def _of(store: Store, name: str) -> StoreSummary:
    about = store.about()
    layers = list(store.layers.values())
    n_filters = sum(layer.n_filters for layer in layers)
    counts = tally(layer.health() for layer in layers)
    n_of = Counter(layer.policy for layer in layers if layer.policy != Policy.FLOAT32)
    return StoreSummary(
        name=name,
        n_bytes=store.n_bytes,
        model=str(about["model"]["name"]),
        dataset=str(about["dataset"]["source"]),
        labels=store.labels_are,
        target=store.target,
        target_names=store.target_names,
        accuracy=store.accuracy_words,
        created=str(about["store"].get("created", "")),
        test_accuracy=store.test_accuracy,
        n_samples=store.n_samples,
        n_layers=len(layers),
        n_filters=n_filters,
        n_dead=counts["dead"],
        findings={name: counts[name] for name in HEALTH_RULES},
        health=tally_words(counts, n_filters),
        policies=", ".join(f"{n} of {len(layers)} layers {name}" for name, n in n_of.items()),
        digest=store.digest,
    )
