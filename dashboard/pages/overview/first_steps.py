"""Three steps for who comes for the first time, until they say that they got it.

Who has is known to the browser alone: see assets/first_steps.js.
"""

from __future__ import annotations

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import ids
from dashboard.pages.state import State, query_for
from dashboard.stores.snapshot import Snapshot


def first_steps(snapshot: Snapshot, _: State) -> Node:
    """Where to click first, second and third, each with what is seen there."""
    items = [
        html.Li([dcc.Link(title, href=f"{page}{query_for(snapshot.catalog)}"), f": {words}"])
        for page, title, words in _steps(snapshot)
    ]
    heading = dmc.Title("New here? Three steps", order=2, className="card-title")
    button = html.Button("Got it", id=ids.FIRST_STEPS_DONE, type="button")
    return html.Section([heading, html.Ol(items), button], className="first-steps")


def _steps(snapshot: Snapshot) -> list[tuple[str, str, str]]:
    """Page, its title and what to do there; of what the store has."""
    if any(snapshot.layer(path).has_maps for path in snapshot.catalog.n_filters):
        first = "what every filter makes of one image; ← → for the next."
        steps = [("maps", "Feature maps", first)]
    else:
        steps = [("layers", "Layers", "the filters that answer most to one image.")]
    second = "the images that excite one filter most, and its scores beside chance."
    steps.append(("filter", "Filter", second))
    if snapshot.catalog.has_outcomes:
        third = "a pair of classes, then Contrast: which filters tell the mistakes."
        return [*steps, ("errors", "Errors", third)]
    third = "a map of all images, those that are alike beside each other; draw around some."
    return [*steps, ("samples", "Samples", third)]
