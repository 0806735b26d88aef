"""The callback of the selection: which two stores, which layers, and what is wrong with a link."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, no_update

from dashboard.components.controls import choices, layer_options, notes
from dashboard.components.graph import clicked_cell
from dashboard.pages import ids, state
from dashboard.pages.compare import choice, layers
from dashboard.pages.compare.about import about
from dashboard.pages.compare.controls import ALL_CONTROLS, CONTROLS, say
from dashboard.pages.compare.pair import open_pair
from dashboard.pages.state import state_for
from dashboard.stores.source import Source
from fmcore import FmcoreError

CHANGED = {
    ids.COMPARE_WITH: choice.STORE,
    ids.COMPARE_LAYER: choice.LAYER,
    ids.COMPARE_OTHER: choice.OTHER,
    ids.COMPARE_CKA: choice.OTHER,
}
AWAY: dict[str, str] = {"display": "none"}
THERE: dict[str, str] = {}


def register_choice(app: Dash, source: Source) -> None:
    """Adds the callback that opens the other store, and fills in the choice of its layers."""

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
            "about": Output(ids.COMPARE_ABOUT, "children"),
            "controls": Output(ids.COMPARE_CONTROLS, "style"),
            "body": Output(ids.COMPARE_BODY, "style"),
        },
        inputs={
            "changing": {name: ALL_CONTROLS[name] for name in ("with_store", "layer", "other")},
            "pairing": ALL_CONTROLS["pairing"],
            "click": Input(ids.COMPARE_CKA, "clickData"),
            "kept": {
                name: State(*CONTROLS[name])
                for name in ("filter_index", "other_filter", "sample", "statistic")
            },
            "search": State(ids.URL, "search"),
        },
    )
    def choose(
        changing: dict[str, object],
        pairing: object,
        click: object,
        kept: dict[str, object],
        search: str | None,
    ) -> dict[str, Any]:
        first, changed = source.snapshot(), CHANGED.get(ctx.triggered_id or "", "")
        asked = {**changing, "pairing": pairing, **kept}
        if not changed and not changing["with_store"]:  # the page was just opened
            linked = state.parse_query(search, first.catalog)[0]
            asked |= {"with_store": linked.with_store, "other": linked.other}
        shown = state_for(first.catalog, **asked)
        if ctx.triggered_id == ids.COMPARE_CKA:
            shown = _clicked(source, shown, click)
        found = choice.choose(source, choice.forgotten(shown, changed))
        names = choices({name: name for name in found.names})
        if found.pair is None:
            same = dict.fromkeys(
                ("layer", "other_data", "other", "filter", "filter_max", "other_filter",
                 "other_filter_max", "about"),
                no_update,
            )  # fmt: skip
            problem = say(source, FmcoreError(found.problem))
            return same | {
                "with_data": names,
                "with_value": found.name or None,
                "notes": notes([problem]),
                "controls": THERE if found.names else AWAY,
                "body": AWAY,
            }
        pair = found.pair
        shown, n_filters = pair.shown, pair.second.catalog.n_filters
        return {
            "with_data": names,
            "with_value": found.name,
            "layer": shown.layer,
            "other_data": choices(layer_options(n_filters)),
            "other": shown.other,
            "filter": shown.filter_index,
            "filter_max": first.catalog.n_filters[shown.layer] - 1,
            "other_filter": "" if shown.other_filter is None else shown.other_filter,
            "other_filter_max": n_filters[shown.other] - 1,
            "notes": notes(found.notes),
            "about": about(pair),
            "controls": THERE,
            "body": THERE,
        }


def _clicked(source: Source, shown: state.State, click: object) -> state.State:
    """The state with the two layers of a cell of the heatmap of CKA."""
    try:
        pair = open_pair(source, shown)[0]
    except FmcoreError:
        return shown  # said where the page is drawn anew
    found = layers.clicked_layers(pair, clicked_cell(click))
    if found is None:
        return shown
    values = {name: getattr(shown, name) for name in CONTROLS}
    return state_for(source.snapshot().catalog, **values | {"layer": found[0], "other": found[1]})
