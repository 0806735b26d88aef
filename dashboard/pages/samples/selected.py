"""The selected sample: its image, what the model makes of it, and the samples nearest to it."""

from __future__ import annotations

from typing import Any

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import Thumbnail, picture, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, map_tables_of, query_for, state_for
from dashboard.pages.words import names_of, outcome_signs, outcome_words
from dashboard.stores import sample_map
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import SelectionError
from fmcore.numbers import number_text, share_text
from fmcore.statistics import nearest
from fmcore.storage import SampleTable, sample_table

# Samples that are shown as near; a multiple of what a row has.
NEAR = 12
THUMBNAIL_PIXELS, IMAGE_PIXELS = 96, 192


def table_of(snapshot: Snapshot, state: State) -> SampleTable:
    """The table that the map is of.

    Raises:
        SelectionError: if the store does not have it.
    """
    of, layer = map_tables_of(snapshot.catalog)[state.map_table]
    by = state.map_pooling if of == "layer" else ""
    return sample_table(snapshot.store, of=of, layer=layer, by=by)


def draw(snapshot: Snapshot, state: State, _: Theme) -> tuple[list[Node], dict[str, Any]]:
    """The sample and those near to it; and for the script of the map `sample` and `near`, indices.

    Raises:
        StatisticNotFoundError: if the store lacks the table.
    """
    sample = state.sample
    nodes = [_sample(snapshot, state)]
    table = table_of(snapshot, state)
    try:
        near = nearest(sample_map.space_of(snapshot, table), sample, NEAR)
    except SelectionError as error:
        return [*nodes, dmc.Text(f"{error}.", size="sm")], {"sample": sample, "near": []}
    samples = near.samples.tolist()
    lines = [number_text(distance, digits=3) for distance in near.distances]
    words = f"Nearest {len(samples)}, with distances in the {table.words}"
    nodes += [
        html.H3(words, className="samples-heading"),
        pictures(snapshot, state, samples, lines),
    ]
    return nodes, {"sample": sample, "near": samples}


def _sample(snapshot: Snapshot, state: State) -> Node:
    sample = state.sample
    label, predicted = names_of(snapshot, sample)
    lines = [f"Sample {sample}", outcome_words(label, predicted)]
    if snapshot.catalog.has_predictions:
        lines.append(f"confidence {share_text(snapshot.confidence[sample])}")
    query = query_for(
        snapshot.catalog, layer=state.layer, sample=sample, filter_index=state.filter_index
    )
    image = picture(
        snapshot.image_url(sample, size=IMAGE_PIXELS),
        words=f"Sample {sample}",
        shape=snapshot.image_shape,
    )
    return html.Div(
        [
            html.Div(image, className="samples-image"),
            html.Div(
                [
                    *(html.Div(line) for line in lines if line),
                    dcc.Link("Its feature maps →", href=f"maps{query}"),
                ]
            ),
        ],
        className="samples-selected",
    )


def pictures(snapshot: Snapshot, state: State, samples: list[int], lines: list[str]) -> Node:
    """Samples as pictures that lead to their feature maps, each with a line below its outcome."""
    items = []
    for sample, line in zip(samples, lines, strict=True):
        names = names_of(snapshot, sample)
        about = ", ".join(filter(None, (f"Sample {sample}", outcome_words(*names), line)))
        items.append(Thumbnail(sample, (outcome_signs(sample, *names), line), about))
    plain = state_for(snapshot.catalog, layer=state.layer, filter_index=state.filter_index)
    before, after = around_sample(plain, snapshot.catalog)
    return thumbnails(
        items,
        url=snapshot.image_url_parts(size=THUMBNAIL_PIXELS),
        href=(f"maps{before}", after),
        shape=snapshot.image_shape,
        class_name="thumbnails samples-thumbnails",
    )


def _body(_: Snapshot, __: State) -> list[Node]:
    return [
        dcc.Store(id="samples-selected-near"),
        html.Div(id="samples-selected", className="filled"),
    ]


PANEL = Panel(
    "selected",
    draw,
    needs=("sample", "layer", "filter_index", "map_table", "map_pooling"),
    title="Selected sample",
    fills=(("", "children"), ("-near", "data")),
    body=_body,
)
