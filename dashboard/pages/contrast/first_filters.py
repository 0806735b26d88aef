"""The filters that tell the groups apart best, each with its mean maps as small pictures."""

from __future__ import annotations

from dashboard.components.nodes import Node, dmc, html
from dashboard.figures.small_picture import picture_url
from dashboard.figures.theme import Theme, about_zero, span_of
from dashboard.pages.contrast.mean_maps import difference, maps_of
from dashboard.pages.contrast.subject import Groups, query
from dashboard.pages.page import Panel
from dashboard.pages.state import State
from dashboard.stores.group_maps import block_of
from fmcore.numbers import fraction_text

# Filters; and what is read for them, in blocks of filters that lie in the same chunks: about half a
# second of a core for each.
MOST, MOST_BLOCKS = 6, 3
WORDS = (
    "Mean maps of A, of B, and A minus B (red: more in A, blue: more in B), each in its own colors."
)


def draw(groups: Groups, state: State, _: Theme) -> list[Node]:
    """A card for each of the first filters; a click selects it."""
    if groups.contrast is None:
        return []
    best = groups.best(MOST)
    blocks = [_block(groups, *place) for place in best]
    read = list(dict.fromkeys(blocks))[:MOST_BLOCKS]
    cards = [
        _card(groups, state, *place, is_read=block in read)
        for place, block in zip(best, blocks, strict=True)
    ]
    return [dmc.Text(WORDS, size="sm", c="dimmed"), html.Div(cards, className="contrast-first")]


def _block(groups: Groups, layer: str, filter_index: int) -> tuple[str, int]:
    return layer, block_of(groups.snapshot.layer(layer), filter_index)


def _card(groups: Groups, state: State, layer: str, filter_index: int, *, is_read: bool) -> Node:
    assert groups.contrast is not None  # noqa: S101 (the caller asked)
    auc = fraction_text(groups.contrast.auc[groups.row(layer, filter_index)], decimals=3)
    name = html.Span([html.B(f"{layer} {filter_index}"), html.Small(f"AUC {auc}")])
    link = query(groups, state, layer, filter_index, focus="selected")
    content = [name, *_pictures(groups, layer, filter_index, is_read=is_read)]
    about = {"data-contrast-layer": layer, "data-contrast-filter": str(filter_index)}
    return html.A(content, href=f"contrast{link}", className="contrast-card", **about)


def _pictures(groups: Groups, layer: str, filter_index: int, *, is_read: bool) -> list[Node]:
    """The mean maps, or why there are none."""
    if not is_read:
        return [html.Small("Select it to see its maps.")]
    first, second = maps_of(groups, layer, filter_index)
    minus = difference(first, second)
    if first.values is None or second.values is None or minus is None:
        return [html.Small(first.why or second.why)]
    span = span_of((first.values, second.values))
    pictures = (
        (picture_url(first.values, span), f"A: {first.words}"),
        (picture_url(second.values, span), f"B: {second.words}"),
        (picture_url(minus, about_zero(minus), signed=True), "A minus B"),
    )
    return [html.Span([html.Img(src=url, alt=words, title=words) for url, words in pictures])]


PANEL = Panel(
    "first",
    draw,
    needs=(),
    title="The first filters",
    in_sight=True,
)
