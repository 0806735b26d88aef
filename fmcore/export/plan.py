"""The plan of an export: its files, their content and their sizes."""

from __future__ import annotations

import datetime
import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fmcore.errors import SelectionError
from fmcore.export.arrays import export_groups, skipped
from fmcore.export.contents import Format, Part
from fmcore.export.costs import ChosenCosts, chosen_costs
from fmcore.export.formats import FORMATS
from fmcore.export.manifest import ABLATIONS
from fmcore.export.resolve import ResolvedQuery, resolve
from fmcore.files import safe_names, size_text
from fmcore.selection import Query, near_matches
from fmcore.storage import Store, layer_path

LAYOUT = 1  # version of the layout of files in the folder


@dataclass(frozen=True, slots=True, eq=False)
class ExportPlan:
    """What an export would write.

    Attributes:
        parts: the files.
        nbytes: bytes of all values, about, before any compression.
        about: the manifest, without the files.
    """

    parts: Sequence[Part]
    nbytes: int
    about: dict[str, Any]


def plan_export(store: Store, out: Path, query: Query, *, format_name: str = "npy") -> ExportPlan:
    """Plans the export of what a query chooses; nothing is written.

    Args:
        store: the store to export.
        out: the folder of the export, for the command in the manifest.
        query: the layers, samples and so on to export.
        format_name: one of `FORMATS`.

    Raises:
        SelectionError: if a part of the query matches nothing, or the format cannot hold it.
        MapsNotStoredError: if maps are chosen and none of the layers has maps.
        MissingLibraryError: if the format needs a library that is not installed.
    """
    form = FORMATS.get(format_name)
    if form is None:
        raise SelectionError(
            f"no format {format_name!r}; there are {', '.join(FORMATS)}"
            f"{near_matches(format_name, list(FORMATS))}",
            field="format",
        )
    if query.what not in form.takes:
        others = [name for name, other in FORMATS.items() if query.what in other.takes]
        raise SelectionError(
            f"{form.name} holds {' and '.join(form.takes)}, not {query.what}; choose --format "
            f"{', '.join(others)}, or --what {' or '.join(form.takes)}",
            field="format",
        )
    form.needs()
    resolved = resolve(store, query)
    names = dict(
        zip(
            resolved.layers,
            safe_names([store.layers[name].group for name in resolved.layers]),
            strict=True,
        )
    )
    costs = chosen_costs(store, resolved) if query.what == "statistics" else ChosenCosts()
    about = _about(store, resolved, form, names, costs)
    about["command"] = _command(store, out, query, form)
    parts = form.parts(list(export_groups(store, resolved, costs, safe_names=names)))
    return ExportPlan(parts, sum(part.nbytes for part in parts), about)


def _about(
    store: Store,
    resolved: ResolvedQuery,
    form: Format,
    names: Mapping[str, str],
    costs: ChosenCosts,
) -> dict[str, Any]:
    about, samples = store.about(), np.asarray(resolved.samples, dtype="<i8")
    return {
        "store": store.path.name,
        "store_digest": store.digest,
        "model": about["model"]["name"],
        "model_digest": about["model"]["digest"],
        "dataset": about["dataset"]["source"],
        "dataset_fingerprint": about["dataset"]["fingerprint"],
        "class_names": list(store.class_names),
        "labels": store.labels_are,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "layout": LAYOUT,
        "format": form.name,
        "what": resolved.query.what,
        "selection": resolved.query.as_dict(),
        "layers": {
            name: {
                "path": layer_path(names[name]),
                "filters": [int(index) for index in resolved.filters[name]],
            }
            for name in resolved.layers
        },
        "classes": None if resolved.classes is None else [int(index) for index in resolved.classes],
        "n_samples": len(samples),
        "samples_sha256": hashlib.sha256(samples.tobytes()).hexdigest(),
        "skipped": {**skipped(store, resolved), **costs.unread},
        **({ABLATIONS: costs.about()} if costs.ablations else {}),
    }


def _command(store: Store, out: Path, query: Query, form: Format) -> str:
    """The command line that makes this export."""
    words = ["fmcore", "export", str(store.path), "--out", str(out)]
    for name, value in query.as_dict().items():
        words.append(f"--{name}={value}")  # not two words: a value may begin with a dash
    return shlex.join([*words, f"--format={form.name}"])


def export_lines(plan: ExportPlan) -> Iterator[str]:
    """What an export would write, one line for each file."""
    for part in plan.parts:
        shapes = ", ".join(
            f"{name or array.name} {'x'.join(map(str, array.shape))} {array.dtype.name}"
            for name, array in part.arrays.items()
        )
        yield f"{part.path}: {size_text(part.nbytes)}{f' ({shapes})' if shapes else ''}"
