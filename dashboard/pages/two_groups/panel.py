"""The panel of two groups of samples: what they are, what tells them apart, a filter over both.

What is not set costs a page nothing: the panel is not drawn until group A is; group B is then all
other samples, or what is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output

from dashboard.components.graph import NONE, Drawn, graph
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State, groups_in, query_for
from dashboard.pages.two_groups.form import FIELDS, group_id
from dashboard.pages.two_groups.parts import (
    all_filters,
    draw_maps,
    draw_spread,
    filter_words,
    group_title,
    sentence,
    strongest_strip,
)
from dashboard.stores.groups import TwoGroups, groups_of
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import SelectionError

ALL_WORDS = (
    "ROC-AUC of the pooled mean of A over B, filter by filter; 0.5 tells nothing, and gray is "
    "within 95% of chance. Click a filter to select it."
)
# What a panel shares out to its graphs in the browser, in this order.
GRAPHS = ("auc", "spread", "map-a", "map-b", "difference")
READ_MORE = "Read the other maps"


def register(app: Dash, page: str) -> None:
    """Adds what the browser does with a page's panel."""
    app.clientside_callback(
        ClientsideFunction("panels", "noGroups"),
        Output(f"{page}-groups-content", "hidden"),
        *(Input(group_id(page, field), "value") for field in FIELDS),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "drawings"),
        [Output(f"{page}-groups-{name}", prop) for name in GRAPHS for prop in ("figure", "style")],
        Input(f"{page}-groups-drawings", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "readMore"),
        Output(f"{page}-groups-more", "children"),
        Output(f"{page}-groups-more", "style"),
        Input(f"{page}-groups-more", "n_clicks"),
        Input(f"{page}-groups-progress", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("panels", "column"),
        Output(f"{page}-filter", "value", allow_duplicate=True),
        Input(f"{page}-groups-auc", "clickData"),
        prevent_initial_call=True,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the panel is filled with.

    Attributes:
        words: which groups, and what tells them apart.
        key: what each line of the distribution is.
        note: what the distribution is made of.
        top: the strongest samples of both.
        drawings: figure and style of each graph of `GRAPHS`.
        progress: how many maps were read, of how many.
    """

    words: list[Node]
    key: list[Node]
    note: list[Node] | str
    top: list[Node]
    drawings: list[Drawn]
    progress: dict[str, int]

    def filled(self) -> tuple[Any, ...]:
        """In the order of the panel's `fills`."""
        return self.words, self.key, self.note, self.top, self.drawings, self.progress


def draw(
    snapshot: Snapshot, state: State, theme: Theme, *, step: object, with_layer: bool
) -> tuple[Any, ...]:
    """What the two groups are, what tells them apart, and the filter over both.

    Args:
        snapshot: the store.
        state: what is shown.
        theme: the colors.
        step: how many times more than the first maps shall be read.
        with_layer: whether all filters of the layer are shown too.
    """
    try:
        two = groups_of(snapshot, state.group_a, state.group_b)
    except SelectionError as error:
        return _only(sentence(error))
    if two is None:
        return _only("Write an expression of group A, such as 0:100.")
    if two.empty:
        return _only(two.empty)
    steps = step if isinstance(step, int) and 0 <= step < 1 << 31 else 0
    spread, note, lines, progress = draw_spread(snapshot, state, two, steps, theme)
    auc = all_filters(snapshot, state, two, theme) if with_layer else NONE
    maps = draw_maps(snapshot, state, two, steps, theme)
    answer = Answer(
        _words(snapshot, state, two),
        lines,
        note,
        [strongest_strip(snapshot, state, group) for group in (two.a, two.b)],
        [auc, spread, *maps],
        progress,
    )
    return answer.filled()


def _only(reason: str) -> tuple[Any, ...]:
    """An answer of one sentence."""
    words: list[Node] = [dmc.Text(reason, size="sm")]
    return Answer(words, [], "", [], [NONE] * len(GRAPHS), {}).filled()


def _words(snapshot: Snapshot, state: State, two: TwoGroups) -> list[Node]:
    """Which groups are beside each other, the filter in numbers, and where to go on."""
    fields = {"layer": state.layer, "filter_index": state.filter_index, **groups_in(state)}
    query = query_for(snapshot.catalog, **fields)
    ordered = query_for(snapshot.catalog, **fields, filter_order="groups")
    both = ""
    if two.n_both:
        many = "1 sample belongs" if two.n_both == 1 else f"{two.n_both:,} samples belong"
        both = f"{many} to both, and {'is' if two.n_both == 1 else 'are'} left out of both."
    links = [
        dcc.Link("Contrast: all filters of all layers", href=f"contrast{query}"),
        dcc.Link("Feature maps, ordered by what tells A from B", href=f"maps{ordered}"),
    ]
    names = [html.Span(group_title(group), className="groups-name") for group in (two.a, two.b)]
    return [
        html.Div(names, className="groups-names"),
        dmc.Text(filter_words(snapshot, state, two), size="sm"),
        *([dmc.Text(both, size="sm", c="dimmed")] if both else []),
        html.Div(links, className="groups-links"),
    ]


def _body(page: str, with_layer: bool, _: Snapshot, state: State) -> list[Node]:
    """What the panel fills; hidden until group A is set."""
    of = f"{page}-groups"
    auc = html.Div(
        [
            graph(f"{of}-auc", "How well each filter tells A from B"),
            dmc.Text(ALL_WORDS, size="sm", c="dimmed"),
        ],
        hidden=not with_layer,
    )
    maps = [graph(f"{of}-{name}", words) for name, words in _MAP_WORDS.items()]
    return [
        dcc.Store(id=f"{of}-drawings"),
        dcc.Store(id=f"{of}-progress"),
        dcc.Store(id=f"{of}-step", data=0),
        html.Div(
            [
                html.Div(id=of, className="groups-words", role="status"),
                auc,
                html.Div(
                    [
                        html.Div(
                            [
                                _heading("Distribution of activations"),
                                graph(f"{of}-spread", "How often the filter has each activation"),
                                html.Div(id=f"{of}-key", className="groups-key"),
                                html.Div(id=f"{of}-note"),
                                dmc.Button(
                                    READ_MORE,
                                    id=f"{of}-more",
                                    variant="default",
                                    size="compact-sm",
                                    style={"display": "none"},
                                ),
                                _heading("Mean maps"),
                                html.Div(maps, className="groups-maps"),
                            ]
                        ),
                        html.Div(id=f"{of}-top", className="groups-tops"),
                    ],
                    className="groups-pair",
                ),
            ],
            id=f"{of}-content",
            className="two-groups",
            hidden=not state.group_a,
        ),
    ]


_MAP_WORDS = {
    "map-a": "Mean map of group A",
    "map-b": "Mean map of group B",
    "difference": "Mean map of A minus that of B",
}


def _heading(words: str) -> Node:
    return dmc.Title(words, order=3, className="groups-heading")


def panel(page: str, *, with_layer: bool) -> Panel:
    """The panel of a page that shows the groups beside each other, where they are set.

    Args:
        page: the page's name.
        with_layer: whether it shows all filters of the layer too.
    """
    return Panel(
        "groups",
        partial(draw, with_layer=with_layer),
        needs=("layer", "filter_index", *FIELDS),
        title="Groups A and B",
        fills=(
            ("", "children"),
            ("-key", "children"),
            ("-note", "children"),
            ("-top", "children"),
            ("-drawings", "data"),
            ("-progress", "data"),
        ),
        body=partial(_body, page, with_layer),
        also={"step": Input(f"{page}-groups-step", "data")},
        themed=True,
        in_sight=True,
    )
