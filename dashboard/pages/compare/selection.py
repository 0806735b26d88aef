"""Which two stores and which of their layers are selected, and what is to be known of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, ctx, no_update
from dash import State as DashState

from dashboard import urls
from dashboard.components.controls import (
    card,
    choices,
    layer_options,
    layer_select,
    notes,
    number,
    only_if,
    segments,
    select,
)
from dashboard.components.graph import clicked_cell
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.compare import layers
from dashboard.pages.compare.pair import Pair, open_pair, other_stores, second_store
from dashboard.pages.page import Panel, sentence
from dashboard.pages.state import PAIRINGS, State, state_for
from dashboard.stores.measures import MEASURES
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore import FmcoreError

# What a person changed: then what hung on the value before is forgotten.
STORE, LAYER, OTHER = "store", "layer", "other"
CHANGED = {
    ids.COMPARE_WITH: STORE,
    ids.COMPARE_LAYER: LAYER,
    ids.COMPARE_OTHER: OTHER,
    layers.GRAPH: OTHER,
}
AWAY: dict[str, str] = {"display": "none"}
VISIBLE: dict[str, str] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Two stores, or why there are none.

    Attributes:
        pair: the stores; None where B cannot be shown.
        problem: why, a sentence; empty where it can.
        notes: what a link names and there is not.
        names: the stores to select B from.
        name: the one that is B; empty for none.
    """

    pair: Pair | None
    problem: str = ""
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    name: str = ""


def selected(source: Source, state: State) -> Selection:
    """The two stores of a state; whatever is wrong is in the answer, never raised."""
    name = state.with_store
    names: tuple[str, ...] = ()
    try:
        first = source.snapshot()
        names = other_stores(source, first)
        name, note = second_store(source, first, state.with_store)
        pair, more = open_pair(source, first, replace(state, with_store=name))
    except FmcoreError as error:
        name = name if name in names else ""
        return Selection(None, sentence(source, error), names=names, name=name)
    return Selection(pair, notes=tuple(filter(None, (note, more))), names=names, name=name)


def without_dependents(state: State, changed: str) -> State:
    """The state without what hung on what was changed: another layer has other filters."""
    if changed not in (STORE, LAYER, OTHER):
        return state
    return replace(state, other=state.other if changed == OTHER else "", other_filter=None)


def notes_above(_: Snapshot, __: State) -> Node:
    """Where it is said what a link names and there is not, and why there is no other store."""
    return html.Div(id=ids.COMPARE_NOTES)


def selection(snapshot: Snapshot, state: State) -> Node:
    """The other store, the layers, the filters, the sample and the statistic.

    What there is to select of the other store `register` fills in.
    """
    catalog = snapshot.catalog
    beside = dmc.NumberInput(
        id=ids.COMPARE_OTHER_FILTER,
        label="Filter of B",
        placeholder="the one that goes with it",
        value="" if state.other_filter is None else state.other_filter,
        min=0,
        allowDecimal=False,
        size="sm",
        className="one-by-one",
    )
    return card(
        [
            dcc.Store(id=ids.COMPARE_OTHER_PATH, data=state.other),
            _linked(ids.COMPARE_WITH, "Compare with (B)", state.with_store),
            layer_select(ids.COMPARE_LAYER, catalog.n_filters, state.layer, caption="Layer of A"),
            _linked(ids.COMPARE_OTHER, "Layer of B", state.other),
            number(
                ids.COMPARE_FILTER,
                caption="Filter of A",
                value=state.filter_index,
                largest=catalog.n_filters[state.layer] - 1,
            ),
            beside,
            segments(
                ids.COMPARE_PAIRING,
                caption="Which filters go together",
                options=PAIRINGS,
                value=state.pairing,
            ),
            number(
                ids.COMPARE_SAMPLE,
                caption="Sample",
                value=state.sample,
                largest=catalog.n_samples - 1,
            ),
            only_if(
                bool(catalog.statistics),
                select(
                    ids.COMPARE_STATISTIC,
                    caption="Statistic of classes" if catalog.has_classes else "Statistic",
                    options={name: MEASURES[name].title for name in catalog.measures},
                    value=state.statistic,
                ),
            ),
        ],
        title="Selection",
    )


def _linked(component_id: str, caption: str, value: str) -> Node:
    """A drop-down that knows nothing but what a link names, until the other store is open."""
    options = {value: value} if value else {}
    return select(component_id, caption=caption, options=options, value=value or None)


def register(app: Dash, source: Source) -> None:
    """Adds the callback that opens the other store, and fills in the choice of its layers."""
    # The layer of the same path is what is shown where a link names none: so a step to another
    # layer takes it along.
    app.clientside_callback(
        ClientsideFunction("panels", "otherPath"),
        Output(ids.COMPARE_OTHER_PATH, "data"),
        Input(ids.COMPARE_LAYER, "value"),
        Input(ids.COMPARE_OTHER, "value"),
        DashState(ids.COMPARE_OTHER_PATH, "data"),
        prevent_initial_call=True,
    )

    @app.callback(
        output={
            "with_data": Output(ids.COMPARE_WITH, "data"),
            "with_value": Output(ids.COMPARE_WITH, "value"),
            "layer": Output(ids.COMPARE_LAYER, "value"),
            "other_data": Output(ids.COMPARE_OTHER, "data"),
            "other": Output(ids.COMPARE_OTHER, "value"),
            "filter": Output(ids.COMPARE_FILTER, "value"),
            "filter_max": Output(ids.COMPARE_FILTER, "max"),
            "other_filter": Output(ids.COMPARE_OTHER_FILTER, "value"),
            "other_filter_max": Output(ids.COMPARE_OTHER_FILTER, "max"),
            "notes": Output(ids.COMPARE_NOTES, "children"),
            "side": Output(ids.COMPARE_SIDE, "style"),
            "main": Output(ids.COMPARE_MAIN, "style"),
        },
        inputs={
            "values": {
                "with_store": Input(ids.COMPARE_WITH, "value"),
                "layer": Input(ids.COMPARE_LAYER, "value"),
                "other": Input(ids.COMPARE_OTHER, "value"),
                "filter_index": DashState(ids.COMPARE_FILTER, "value"),
                "other_filter": DashState(ids.COMPARE_OTHER_FILTER, "value"),
            },
            "click": Input(layers.GRAPH, "clickData"),
        },
    )
    def open_stores(values: dict[str, object], click: object) -> dict[str, Any]:
        first, changed = source.snapshot(), CHANGED.get(ctx.triggered_id or "", "")
        state = state_for(first.catalog, **values)
        if ctx.triggered_id == layers.GRAPH:
            state = _clicked(source, state, click)
        stores = selected(source, without_dependents(state, changed))
        names = choices({name: name for name in stores.names})
        if stores.pair is None:
            kept = ("layer", "other_data", "other", "filter", "filter_max")
            return dict.fromkeys((*kept, "other_filter", "other_filter_max"), no_update) | {
                "with_data": names,
                "with_value": stores.name or None,
                "notes": notes([stores.problem]),
                "side": VISIBLE if stores.names else AWAY,
                "main": AWAY,
            }
        state, n_filters = stores.pair.state, stores.pair.second.catalog.n_filters
        return {
            "with_data": names,
            "with_value": stores.name,
            "layer": state.layer,
            "other_data": choices(layer_options(n_filters)),
            "other": state.other,
            "filter": state.filter_index,
            "filter_max": first.catalog.n_filters[state.layer] - 1,
            "other_filter": "" if state.other_filter is None else state.other_filter,
            "other_filter_max": n_filters[state.other] - 1,
            "notes": notes(stores.notes),
            "side": VISIBLE,
            "main": VISIBLE,
        }


def _clicked(source: Source, state: State, click: object) -> State:
    """The state with the two layers of a cell of the heatmap of CKA."""
    try:
        pair = open_pair(source, source.snapshot(), state)[0]
    except FmcoreError:
        return state  # the problem is in what `selected` answers
    paths = layers.clicked_layers(pair, clicked_cell(click))
    if paths is None:
        return state
    catalog, (layer, other) = pair.first.catalog, paths
    filter_index = min(state.filter_index, catalog.n_filters[layer] - 1)
    return replace(state, layer=layer, other=other, filter_index=filter_index)


def draw_about(pair: Pair, _: State, __: Theme) -> list[Node]:
    """Models, data and accuracy of both stores, and whether their samples are the same."""
    words = f"{pair.alike.words}{_model_words(pair)}"
    other = pair.second.name
    return [
        _line("A", pair.first, html.B(pair.first.name)),
        _line("B", pair.second, html.A(other, href=urls.other_store_page(other))),
        dmc.Text(words, size="sm", mt=6),
    ]


def _model_words(pair: Pair) -> str:
    """Whether both models are one, and what that says of which filters go together."""
    if pair.same_model:
        words = " Both are of one model, with the same weights"
        if pair.same_layer and not pair.by_number:
            return f"{words}. Filters of the same number are the same filter: choose “Number”."
        fits = ", so filters go together by number" if pair.state.pairing == "fit" else ""
        return f"{words}{fits if pair.same_layer else ''}."
    if pair.same_architecture and pair.alike.same and not pair.by_number:
        return (
            " Both models are of one architecture, with other weights: if they are two epochs of "
            "one training, filters of the same number are the same filter: choose “Number”."
        )
    return ""


def _line(letter: str, snapshot: Snapshot, name: Node) -> Node:
    facts = snapshot.about()
    rest = (
        f"{facts['model']['name']} · {facts['dataset']['source']} · "
        f"{snapshot.catalog.n_samples:,} samples · {snapshot.store.accuracy_words}"
    )
    return html.Div([html.B(letter, className="compare-letter"), name, html.Span(rest)])


ABOUT = Panel(
    "about",
    draw_about,
    needs=("pairing",),
    body=lambda _, __: html.Div(id="compare-about", role="status"),
)
