"""The group of samples that the link names, and where to take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.group_field import group_field
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State, query_for
from dashboard.server.bounds import BOUNDS
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import FmcoreError
from fmcore.selection import set_text

# Characters of a link that are left for where the dashboard lies.
MOST_QUERY = BOUNDS.url_bytes - 512
NO_GROUP = (
    "No group yet: draw around samples with Lasso or Box, or write an expression such as "
    "`label=7 prediction=1`, `wrong confidence>0.9` or `0:100,205`."
)


def draw(snapshot: Snapshot, state: State, _: Theme) -> tuple[list[Node], dict[str, Any] | None]:
    """Links to the samples of the group, and the samples for the script of the map.

    What the script gets: `expression`; `text`, the samples as `set_text` writes them, None where
    the expression cannot be looked up; and `total`, how many samples there are.
    """
    if not state.group.strip():
        return [dmc.Text(NO_GROUP, size="sm", c="dimmed")], None
    try:
        mask = snapshot.group(state.group)
    except FmcoreError:  # the field says why
        return [], _for_script(state.group, None, snapshot)
    samples = np.flatnonzero(mask)
    nodes: list[Node] = []
    if len(samples):
        links = _links(snapshot, state, samples)
        nodes.append(html.Div(links, className="samples-links"))
    return nodes, _for_script(state.group, set_text(samples), snapshot)


def _for_script(expression: str, text: str | None, snapshot: Snapshot) -> dict[str, Any]:
    return {"expression": expression, "text": text, "total": snapshot.catalog.n_samples}


def _links(snapshot: Snapshot, state: State, samples: NDArray[np.int64]) -> list[Node]:
    catalog, group = snapshot.catalog, state.group
    maps = query_for(catalog, layer=state.layer, sample=int(samples[0]), group=group)
    links: list[Node] = [dcc.Link("Feature maps of these →", href=f"maps{maps}")]
    if len(samples) < catalog.n_samples:
        rest = query_for(catalog, layer=state.layer, group_a=group, group_b=f"not ({group})")
        if len(rest) <= MOST_QUERY:
            links.append(dcc.Link("Contrast with the rest →", href=f"contrast{rest}"))
        else:
            links.append(html.Span("Too many samples for a link to Contrast"))
        other = query_for(catalog, layer=state.layer, group_a=group)
        links.append(dcc.Link("Contrast with another group →", href=f"contrast{other}"))
    return links


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    reason = why_no_files()
    return [
        dcc.Store(id="samples-group-set"),
        html.Div(
            [
                group_field(snapshot, ids.SAMPLES_GROUP, state.group, caption="Expression"),
                dmc.Button(
                    "Save indices (.csv)",
                    id=ids.SAMPLES_GROUP_SAVE,
                    variant="default",
                    size="sm",
                    disabled=bool(reason),
                ),
                dmc.Button("All samples", id=ids.SAMPLES_GROUP_ALL, variant="default", size="sm"),
            ],
            className="samples-group-row",
        ),
        *([dmc.Text(reason, size="sm", c="dimmed")] if reason else []),
        html.Div(id="samples-group-links", className="filled"),
    ]


PANEL = Panel(
    "group",
    draw,
    needs=("group", "layer"),
    title="Group",
    fills=(("-links", "children"), ("-set", "data")),
    body=_body,
)
