"""What is beside each other, in words; and how an error is said without where files lie."""

from __future__ import annotations

from pathlib import Path

from dashboard import urls
from dashboard.components.nodes import Node, dmc, html
from dashboard.pages.compare.pair import Pair
from dashboard.stores.source import Snapshot
from dashboard.stores.summary import without_folders


def about(pair: Pair) -> list[Node]:
    """Models, data and accuracy of both stores, and whether their samples are the same."""
    said = pair.alike.words
    if pair.same_model:
        said += " Both are of one model, with the same weights."
        if len(set(pair.layers)) == 1 and not pair.by_number:
            said += " Filters of the same number are the same filter: choose “Number”."
    return [
        _line("A", pair.first, html.B(pair.first.name)),
        _line("B", pair.second, html.A(pair.second.name, href=page_of(pair.second))),
        dmc.Text(said, size="sm", mt=6),
    ]


def page_of(snapshot: Snapshot) -> str:
    """The address of another store, from a page of this one: `/stores/A/compare`."""
    return urls.other_store_page(snapshot.name)


def _line(letter: str, snapshot: Snapshot, name: Node) -> Node:
    facts = snapshot.about()
    rest = (
        f"{facts['model']['name']} · {facts['dataset']['source']} · "
        f"{snapshot.catalog.n_samples:,} samples · {snapshot.store.accuracy_words}"
    )
    return html.Div([html.B(letter, className="compare-letter"), name, html.Span(rest)])


def said(error: Exception, *folders: Path) -> str:
    """An error as a sentence, without the folders it names."""
    words = without_folders(error, *folders)
    if words.startswith("no "):  # a file's name stays as it is
        words = f"N{words[1:]}"
    return words.rstrip(".") + "."
