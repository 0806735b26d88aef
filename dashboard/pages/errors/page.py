"""Which classes are taken for which, the samples behind each number, and where they lead."""

from __future__ import annotations

from dash import Dash

from dashboard.components.nodes import Node, dcc, dmc
from dashboard.pages import ids
from dashboard.pages.errors import calibration, classes, matrix, selection
from dashboard.pages.page import Control, Page
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.records import Target


def no_errors(snapshot: Snapshot, _: State) -> list[Node]:
    """Why nothing is right or wrong, and what there is instead; nothing where something is."""
    catalog = snapshot.catalog
    if catalog.has_outcomes:
        return []
    why = f"No prediction of a class is right or wrong here: {snapshot.store.why_no_outcomes}."
    query = query_for(catalog)
    instead = {
        Target.LABELS: [
            "The table below has precision, recall and F1 of each label; ",
            dcc.Link("Overview", href=f"overview{query}"),
            " says how right each is.",
        ],
        Target.NUMBER: [
            dcc.Link("Overview", href=f"overview{query}"),
            " has the mean absolute error of each number.",
        ],
    }.get(
        catalog.target,
        [
            dcc.Link("Feature maps", href=f"maps{query}"),
            " and ",
            dcc.Link("Classes", href=f"classes{query}"),
            " show what the store has; a capture with labels, of a model that predicts classes, "
            "has errors.",
        ],
    )
    alert = dmc.Alert([why, " ", *instead], color="gray", variant="light", title="No errors")
    return [alert]


def register(app: Dash, _: Source) -> None:
    """Adds what the browser does with matrix and table."""
    matrix.register(app)
    classes.register(app)


PAGE = Page(
    name="errors",
    title="Errors",
    description="Which classes are taken for which, the samples behind it, and scores of each "
    "class.",
    controls={
        "class_index": Control(ids.ERRORS_LABEL),
        "predicted": Control(ids.ERRORS_PREDICTED),
        "confusion_share": Control(ids.ERRORS_SHARE),
        "confusion_order": Control(ids.ERRORS_ORDER),
        "find_class": Control(ids.ERRORS_SEARCH),
        "sort_errors": Control(ids.ERRORS_SORT, "data"),
    },
    side=(selection.PANEL, selection.PAIRS),
    main=(no_errors, matrix.PANEL, selection.SAMPLES, classes.PANEL, calibration.PANEL),
    names={},
    is_styled=True,
    register=register,
)
