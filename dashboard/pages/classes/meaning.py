"""What the statistic of the page is, in words."""

from __future__ import annotations

from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.measures import MEASURES
from dashboard.stores.snapshot import Snapshot


def draw(snapshot: Snapshot, state: State, _: Theme) -> Node:
    """A statistic's definition, with its source, its chance level and what it is made of."""
    about, n_samples = MEASURES[state.statistic], int(snapshot.class_sizes.sum())
    over = f"Over {n_samples:,} samples"
    if not snapshot.catalog.has_classes:
        over = f"Here over all {n_samples:,} samples, which have no classes"
    rows = {"Source": about.source}
    if about.chance:
        rows = {"Chance": about.chance} | rows
    if about.level is not None:
        rows = {"In this layer": snapshot.layer(state.layer).bin_words} | rows
    notes = [[html.B(f"{name}: "), words] for name, words in rows.items()]
    return dmc.Stack(
        [
            dmc.Text([html.B(about.title), f" ({about.symbol})"], size="sm"),
            dmc.Text(about.definition, size="sm"),
            *(dmc.Text(note, size="sm", c="dimmed") for note in [*notes, f"{over}."]),
        ],
        gap=6,
    )


PANEL = Panel("meaning", draw, needs=("layer", "statistic"), title="What it means")
