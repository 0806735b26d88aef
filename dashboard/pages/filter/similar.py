"""The filters of the layer that go most together with one."""

from __future__ import annotations

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import picture
from dashboard.figures.theme import Theme
from dashboard.pages.filter.samples import THUMBNAIL, Pictures, Response
from dashboard.pages.page import Panel
from dashboard.pages.state import State, groups_in, query_for
from dashboard.stores.snapshot import TOP_COLUMNS, Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import fraction_text

MOST = 8


def draw(snapshot: Snapshot, state: State, _: Theme) -> Node:
    """Links to the filters that go most together with one, each with its strongest sample.

    Raises:
        StatisticNotFoundError: if the store has no correlations.
    """
    similar = snapshot.layer(state.layer).similar(state.filter_index)
    if not similar:
        why = snapshot.values(state.layer).why_none(state.filter_index)
        words = "the filter, or all others of the layer, have the same pooled mean for every sample"
        return dmc.Text(f"None: {why or words}.", size="sm", c="dimmed")
    box = Pictures(snapshot, state.layer, state.filter_index).box  # the same for all filters
    rows = []
    for index, correlation in similar[:MOST]:
        query = query_for(
            snapshot.catalog,
            layer=state.layer,
            filter_index=index,
            class_index=state.class_index,
            **groups_in(state),
        )
        best = _strongest(snapshot, state.layer, index)
        image: list[Node] = []
        if best is not None:
            url = snapshot.image_url(best.sample, size=THUMBNAIL)
            words = f"Its strongest: sample {best.sample}"
            image = [picture(url, words=words, shape=snapshot.image_shape, box=box(best))]
        way = "together" if correlation > 0 else "opposite"
        text = [
            html.B(f"filter {index}"),
            html.Small(f"r = {fraction_text(correlation, decimals=3)}, {way}"),
        ]
        rows.append(dcc.Link([html.Div(image), html.Div(text)], href=f"filter{query}"))
    others = snapshot.catalog.n_filters[state.layer] - 1
    words = (
        f"{len(rows)} of the {others:,} others by the size of r, the correlation of pooled means "
        "over all samples."
    )
    return html.Div(
        [dmc.Text(words, size="sm", c="dimmed"), html.Div(rows, className="filter-similar")]
    )


def _strongest(snapshot: Snapshot, layer: str, filter_index: int) -> Response | None:
    """The strongest sample of a filter; None where it or the store has none."""
    try:
        tops = snapshot.tops(layer)
    except StatisticNotFoundError:
        return None
    best = Response(*(tops[name][filter_index, 0].item() for name in TOP_COLUMNS))
    return best if best.sample >= 0 else None


PANEL = Panel(
    "similar",
    draw,
    needs=("layer", "filter_index", "class_index", "group_a", "group_b"),
    title="Similar filters",
)
