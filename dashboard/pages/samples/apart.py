"""Samples that lie apart from all others, and whether the selected one does."""

from __future__ import annotations

from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.samples.selected import pictures, table_of
from dashboard.pages.state import State
from dashboard.stores import sample_map
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text, share_text
from fmcore.statistics import NEIGHBORS, Outliers

LISTED = 12
# A share of all samples: those that lie farther apart than all others but these are said to.
FAR = 0.01


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """Where the selected sample stands, and the samples that lie farthest apart.

    Raises:
        StatisticNotFoundError: if the store lacks the table.
    """
    table = table_of(snapshot, state)
    apart = sample_map.outliers_of(snapshot, table, NEIGHBORS)
    order = apart.order()
    first = order[:LISTED].tolist()
    lines = [number_text(apart.distances[index], digits=3) for index in first]
    against = "all others"
    if apart.n_compared < len(order):
        against = f"{apart.n_compared:,} samples that are compared with"
    return [
        html.P(words_of(apart, state.sample, len(order)), role="status"),
        html.H3(f"Farthest {len(first)}", className="samples-heading"),
        pictures(snapshot, state, first, lines),
        dmc.Text(
            f"By the distance to the {apart.k}th nearest of {against}, in the {table.words}.",
            size="sm",
            c="dimmed",
        ),
    ]


def words_of(apart: Outliers, sample: int, n: int) -> str:
    """Whether a sample lies apart, in a sentence."""
    distance = apart.distances[sample]
    if distance != distance:  # NaN
        return f"Sample {sample} has no place: some of its values are not finite."
    rank = apart.rank(sample)
    verdict = "lies apart" if rank <= FAR * n else "does not lie apart"
    return (
        f"Sample {sample} {verdict}: its {apart.k}th nearest is at "
        f"{number_text(distance, digits=3)}; {rank - 1:,} of {n:,} samples lie farther apart "
        f"({share_text((rank - 1) / n)})."
    )


PANEL = Panel(
    "apart",
    draw,
    needs=("sample", "layer", "filter_index", "map_table", "map_pooling"),
    title="Outliers",
    in_sight=True,
)
