"""Which filters matter for which class: every statistic, one cell of it, every filter."""

from __future__ import annotations

from dash import Dash

from dashboard.components.controls import (
    card,
    class_select,
    layer_select,
    number,
    only_if,
    segments,
    select,
)
from dashboard.components.nodes import Node, dcc, dmc
from dashboard.pages import ids
from dashboard.pages.classes import cell, filters, heatmap, mean_maps, meaning
from dashboard.pages.page import Control, Page
from dashboard.pages.scripts import fit_filter
from dashboard.pages.state import ARRANGEMENTS, State
from dashboard.pages.two_groups import form, panel
from dashboard.pages.words import why_no_classes
from dashboard.stores.measures import MEASURES
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source


def selection(snapshot: Snapshot, state: State) -> Node:
    """The layer, the cell, the class beside it, the statistic and its order."""
    catalog = snapshot.catalog
    classes = [
        class_select(ids.CLASSES_CLASS, catalog.class_names, state.class_index),
        class_select(
            ids.CLASSES_AGAINST,
            catalog.class_names,
            state.against,
            caption="Compare with",
            placeholder="All other classes",
        ),
    ]
    return card(
        [
            dcc.Store(id=ids.CLASSES_SIZES, data=dict(catalog.n_filters)),
            layer_select(ids.CLASSES_LAYER, catalog.n_filters, state.layer),
            number(
                ids.CLASSES_FILTER,
                caption="Filter",
                value=state.filter_index,
                largest=catalog.n_filters[state.layer] - 1,
            ),
            *(only_if(catalog.has_classes, control) for control in classes),
            select(
                ids.CLASSES_STATISTIC,
                caption="Statistic",
                options={name: MEASURES[name].title for name in catalog.measures},
                value=state.statistic,
            ),
            segments(
                ids.CLASSES_ARRANGEMENT,
                caption="Order by",
                options=ARRANGEMENTS,
                value=state.arrangement,
            ),
        ],
        title="Selection",
    )


def no_classes(snapshot: Snapshot, _: State) -> list[Node]:
    """Why there are no classes; nothing where there are."""
    if snapshot.catalog.has_classes:
        return []
    words = (
        f"{why_no_classes(snapshot)} The one row stands for all samples, and there are no scores "
        "of classes."
    )
    return [dmc.Alert(words, color="gray", variant="light", title="No classes")]


def groups(snapshot: Snapshot, state: State) -> Node:
    """What sets two groups of samples, to be seen instead of classes."""
    return form.form("classes", snapshot, state)


def register(app: Dash, source: Source) -> None:
    """Ties the filters that a layer has to the number of the filter, then what selects a cell."""
    fit_filter(app, ids.CLASSES_LAYER, ids.CLASSES_FILTER, ids.CLASSES_SIZES)
    heatmap.register(app)
    mean_maps.register(app)
    filters.register(app)
    form.register(app, source, "classes")
    panel.register(app, "classes")


GROUPS = panel.panel("classes", with_layer=True)
PAGE = Page(
    name="classes",
    title="Classes",
    description="Which filters matter for which class: every statistic, two classes compared, and "
    "a table of all filters.",
    controls={
        "layer": Control(ids.CLASSES_LAYER),
        "filter_index": Control(ids.CLASSES_FILTER),
        "class_index": Control(ids.CLASSES_CLASS),
        "against": Control(ids.CLASSES_AGAINST),
        "statistic": Control(ids.CLASSES_STATISTIC),
        "arrangement": Control(ids.CLASSES_ARRANGEMENT),
        "find": Control(ids.CLASSES_SEARCH),
        "sort": Control(ids.CLASSES_SORT, "data"),
        **{name: Control(form.group_id("classes", name)) for name in form.FIELDS},
    },
    side=(selection, groups, meaning.PANEL),
    main=(no_classes, GROUPS, heatmap.PANEL, cell.PANEL, filters.PANEL),
    is_styled=True,
    register=register,
)
