"""The field of a group of samples: what is typed, and below it how many it has, or what is wrong.

A page has it with its id; `register` has the server say at once what the text means in its store.
"""

from __future__ import annotations

from dash import Dash, Input, Output

from dashboard.components.nodes import Node, dmc, html
from dashboard.stores.catalog import Catalog
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from dashboard.stores.summary import without_folders
from fmcore.errors import FmcoreError
from fmcore.selection import LONGEST

# Milliseconds without a key after which the server is asked.
TYPING = 400


def group_field(
    snapshot: Snapshot,
    component_id: str,
    text: str,
    *,
    caption: str = "Group of samples",
    placeholder: str = "",
) -> Node:
    """The field of an expression, and what is said of it.

    Args:
        snapshot: the store.
        component_id: its id; that of the words ends in `-words`.
        text: the expression.
        caption: the words above it.
        placeholder: what it says while it holds nothing; an example where none is named.
    """
    words, is_problem = group_words(snapshot, text)
    return html.Div(
        [
            dmc.TextInput(
                id=component_id,
                label=caption,
                value=text,
                placeholder=placeholder or example(snapshot.catalog),
                debounce=TYPING,
                error=is_problem,
                size="sm",
                spellCheck=False,
                # A longer text that is pasted is refused for its length, and not sent whole.
                inputProps={"maxLength": LONGEST + 1, "aria-describedby": f"{component_id}-words"},
            ),
            html.Div(
                words, id=f"{component_id}-words", className=_words_class(is_problem), role="status"
            ),
        ],
        className="group-field",
    )


def example(catalog: Catalog) -> str:
    """An expression that chooses samples of a store."""
    if catalog.has_outcomes:
        return "wrong and confidence>0.9"
    if catalog.has_classes:
        return "label=0 or 0:100"
    return "0:100"


def group_words(snapshot: Snapshot, text: object) -> tuple[str, bool]:
    """How many samples an expression has, or what is wrong with it; and whether that is so."""
    if not text or not isinstance(text, str):
        return "", False
    try:
        n = int(snapshot.group(text).sum())
    except FmcoreError as error:
        words = without_folders(error, snapshot.store.path.parent)
        end = "" if words.endswith("?") else "."
        return f"{words[:1].upper()}{words[1:]}{end}", True
    total = f"{snapshot.catalog.n_samples:,} samples"
    return (f"{n:,} of {total}" if n else f"None of the {total} is in this group."), False


def register(app: Dash, source: Source, component_id: str) -> None:
    """Has what is typed into a field understood."""

    @app.callback(
        Output(component_id, "error"),
        Output(f"{component_id}-words", "children"),
        Output(f"{component_id}-words", "className"),
        Input(component_id, "value"),
        prevent_initial_call=True,
    )
    def say(text: object) -> tuple[bool, str, str]:
        words, is_problem = group_words(source.snapshot(), text)
        return is_problem, words, _words_class(is_problem)


def _words_class(is_problem: bool) -> str:
    return "group-words problem" if is_problem else "group-words"
