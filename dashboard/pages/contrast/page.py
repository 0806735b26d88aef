"""Which filters tell two groups of samples apart: all of them ranked, and what shows it."""

from __future__ import annotations

from dash import Dash

from dashboard.pages import ids
from dashboard.pages.contrast import (
    distribution,
    first_filters,
    groups,
    mean_maps,
    ranking,
    samples,
)
from dashboard.pages.contrast.subject import subject_of
from dashboard.pages.page import Control, Page
from dashboard.stores.source import Source


def register(app: Dash, source: Source) -> None:
    """Adds what the browser does by itself."""
    groups.register(app, source)
    ranking.register(app)
    mean_maps.register(app)


PAGE = Page(
    name="contrast",
    title="Contrast",
    description="Two groups of samples: all filters of all layers ranked by how well they tell one "
    "from the other, with the maps and samples that show it.",
    controls={
        "layer": Control(ids.CONTRAST_LAYER, "data"),
        "filter_index": Control(ids.CONTRAST_FILTER, "data"),
        "group_a": Control(ids.CONTRAST_A),
        "group_b": Control(ids.CONTRAST_B),
        "pooled": Control(ids.CONTRAST_POOLED),
        "focus": Control(ids.CONTRAST_FOCUS, "data"),
        "find_contrast": Control(ids.CONTRAST_SEARCH),
        "sort_contrast": Control(ids.CONTRAST_SORT, "data"),
    },
    above=(groups.PANEL,),
    side=(ranking.PANEL, first_filters.PANEL),
    main=(distribution.PANEL, mean_maps.PANEL, samples.PANEL),
    always=("group_a", "group_b", "pooled"),
    subject=subject_of,
    names={"group_a": "", "group_b": "against "},
    is_styled=True,
    register=register,
)
