"""Where the store came from: data, preprocessing, versions, how it was captured."""

from __future__ import annotations

import re
from collections import Counter

from dashboard.components.controls import card, facts
from dashboard.components.nodes import Node, html
from dashboard.pages.state import State
from dashboard.stores.snapshot import Snapshot

_HEADINGS = {
    "dataset": "Data",
    "model": "Model",
    "capture": "Capture",
    "store": "File",
}
# What the header says already.
_IN_HEADER = {("dataset", "source"), ("model", "test_accuracy")}
# What a program may want whole: shown in a type of fixed width, with a button that copies it.
_DIGEST = re.compile(r"[0-9a-f]{32,}")
_NAMES = {"attributes_sha256": "digest of attributes (SHA-256)"}


def origin_card(snapshot: Snapshot, _: State) -> Node:
    """All that the store says of itself, by what it is about."""
    about = snapshot.about()
    groups = dict.fromkeys((*(name for name in _HEADINGS if name in about), *about))
    parts: list[Node] = []
    for group in groups:
        rows = {
            _name(key): _value(value)
            for key, value in about[group].items()
            if (group, key) not in _IN_HEADER
        }
        if group == "capture":
            rows |= _policies(snapshot)
        if group == "store":
            rows["Digest of the store"] = _copied(snapshot.store.digest)
        parts.append(html.H3(_HEADINGS.get(group, _name(group))))
        parts.append(facts(rows))
    return card(html.Div(parts, className="overview-origin"), title="Where it came from")


def _policies(snapshot: Snapshot) -> dict[str, Node | str]:
    """How the values of layers are stored, and how many layers so."""
    counts = Counter(str(snapshot.layer(path).policy) for path in snapshot.catalog.n_filters)
    texts = (f"{policy} ({n:,} {'layer' if n == 1 else 'layers'})" for policy, n in counts.items())
    return {"Values of maps": ", ".join(texts)}


def _name(key: str) -> str:
    words = _NAMES.get(key, key).replace("_", " ")
    return words[:1].upper() + words[1:]


def _value(value: object) -> Node | str:
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return _copied(text) if _DIGEST.fullmatch(text) else text


def _copied(digest: str) -> Node:
    """A digest beside a button that copies it; a click on it selects all of it."""
    button = html.Button("Copy", type="button", className="overview-copy", **{"data-copy": digest})
    return html.Span([html.Code(digest), " ", button], className="overview-digest")
