"""The data of a snapshot: named blocks of bytes, each made when it is wanted.

All numbers, words and pictures come of the dashboard's own pages and figures, so that a snapshot
says what they say. Blocks are deflated JSON, maps are deflated float32, pictures are PNG files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import orjson
from deflate import zlib_compress

from dashboard.api.images import png_of
from dashboard.components.graph import CONFIG
from dashboard.figures.theme import DARK, LIGHT
from dashboard.pages.classes import cell, heatmap
from dashboard.pages.feature_maps.facts import wall_facts
from dashboard.pages.filter import distribution, kernel
from dashboard.pages.filter.header import filter_numbers, findings
from dashboard.pages.filter.samples import Response, responses
from dashboard.pages.state import state_for
from dashboard.pages.words import names_of, outcome_signs, outcome_words, target_lines
from dashboard.server.static_files import PLOTLY
from dashboard.snapshot.choice import Choice
from dashboard.snapshot.page import needs_plotly
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.numbers import fraction_text
from fmcore.statistics import STATISTICS

# The pages that a snapshot may have, with the titles that the dashboard gives them.
PAGES = {"maps": "Feature maps", "filter": "Filter", "classes": "Classes"}
# Of libdeflate; 12 takes seven times as long for 1.5 % less.
LEVEL = 9
# Pixels of the longer side of a strongest sample, and how many of them are there.
THUMBNAIL, MOST_TOP = 160, 9
KERNEL = 190
# How Plotly's own button saves a graph, for the dashboard's dialog is not there.
SAVED = {"toImageButtonOptions": {"format": "png", "scale": 2}}
_THEMES = {"light": LIGHT, "dark": DARK}
# What of the wall's facts its scripts need where no server answers.
_FACTS = (
    *("layer", "shape", "low", "high", "whole", "span", "percentiles", "signed", "dead"),
    *("image_shape", "rows", "columns", "boxes", "grid", "field_note", "at_most", "value_note"),
    "message",
)


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a snapshot's data.

    Attributes:
        name: by which scripts find it.
        make: makes its bytes.
    """

    name: str
    make: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks that are alike, of which some tell how large all are.

    Attributes:
        words: what they are, such as `maps of conv1`.
        blocks: in the order in which they are written.
    """

    words: str
    blocks: Sequence[Block]


def contents(
    snapshot: Snapshot, choice: Choice, pages: Sequence[str], places: dict[str, str]
) -> list[Blocks]:
    """All blocks of a snapshot.

    Args:
        snapshot: the store.
        choice: what of it.
        pages: which of `PAGES`.
        places: the file that each page is in, by its name; empty where all are in this one.
    """
    paths = [*choice.filters]
    about = partial(_about, snapshot, choice, pages, places)
    parts = [Blocks("words", [Block("about", lambda: _json(about()))])]
    if needs_plotly(pages):
        parts.append(Blocks("Plotly", [Block("plotly", lambda: _deflated(PLOTLY.read_bytes()))]))
    if "maps" in pages:
        parts += _maps(snapshot, choice)
    for at, path in enumerate(paths):
        filters = choice.filters[path].tolist()
        numbers = [
            Block(f"numbers-{at}-{index}", partial(_numbers, snapshot, path, index))
            for index in filters
        ]
        figures = [
            Block(f"filter-{at}-{index}", partial(_filter, snapshot, path, index))
            for index in filters
        ]
        if "filter" in pages or "classes" in pages:
            parts.append(Blocks(f"numbers of the filters of {path}", numbers))
        if "filter" in pages:
            parts.append(Blocks(f"figures of the filters of {path}", figures))
        if "classes" in pages:
            names = enumerate(snapshot.catalog.statistics)
            tables = [
                Block(f"classes-{at}-{place}", partial(_heatmap, snapshot, path, name))
                for place, name in names
            ]
            parts.append(Blocks(f"statistics of {path}", tables))
    if "filter" in pages:
        parts.append(Blocks("strongest samples", _thumbnails(snapshot, choice)))
    return parts


def _json(value: object) -> bytes:
    return _deflated(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))


def _deflated(data: bytes) -> bytes:
    return bytes(zlib_compress(data, LEVEL))


def _about(
    snapshot: Snapshot, choice: Choice, pages: Sequence[str], places: dict[str, str]
) -> dict[str, Any]:
    """What the page has to know before anything is shown."""
    about, catalog, store = snapshot.about(), snapshot.catalog, snapshot.store
    facts = {
        "Store": snapshot.file_name,
        "Digest": snapshot.store.digest,
        "Model": f"{about['model']['name']}, {store.accuracy_words}",
        "Data set": f"{about['dataset']['name']}: {about['dataset']['source']}",
        "Captured": str(about["store"]["created"]),
        "Snapshot made": datetime.now(UTC).isoformat(timespec="seconds"),
        "By": f"Feature Map Dashboard {version('feature-map-dashboard')}",
    }
    return {
        "store": snapshot.file_name,
        "facts": facts,
        "choice": choice.words,
        "n_samples": catalog.n_samples,
        "pages": [
            {"name": name, "title": PAGES[name], "file": places.get(name, "")}
            for name in places or pages
        ],
        "here": list(pages),
        "layers": [
            {
                "path": path,
                "n_filters": catalog.n_filters[path],
                "filters": filters,
                "facts": _facts(snapshot, path),
            }
            for path, filters in choice.filters.items()
        ],
        "classes": list(catalog.classes),
        "statistics": [
            {"title": STATISTICS[name].title, "definition": STATISTICS[name].definition}
            for name in catalog.statistics
        ],
        "samples": [_sample(snapshot, index) for index in choice.samples.tolist()]
        if "maps" in pages
        else [],
        "graph": CONFIG | SAVED,
    }


def _facts(snapshot: Snapshot, path: str) -> dict[str, Any]:
    facts = wall_facts(snapshot, path).as_json()
    return {name: facts[name] for name in _FACTS} | {"windows": None}


def _sample(snapshot: Snapshot, index: int) -> dict[str, Any]:
    """A sample's index, what is said of it, and its class where there are classes."""
    label, predicted = names_of(snapshot, index)
    lines = [outcome_words(label, predicted), *target_lines(snapshot, index)]
    if snapshot.predictions is not None:
        lines.append(f"probability of that {fraction_text(snapshot.confidence[index])}")
    return {
        "sample": index,
        "signs": outcome_signs(index, label, predicted),
        "lines": [line for line in lines if line],
        "class": int(snapshot.labels[index]) if snapshot.catalog.has_classes else None,
    }


def _maps(snapshot: Snapshot, choice: Choice) -> Iterator[Blocks]:
    samples = choice.samples.tolist()

    def values(path: str, sample: int) -> bytes:
        layer = snapshot.layer(path)
        height, width, _ = layer.shape
        picks = (range(sample, sample + 1), range(height), range(width), choice.filters[path])
        return _deflated(layer.activation.outer(picks).astype("<f4").tobytes())

    def image(sample: int) -> bytes:
        return png_of(snapshot.store.image(sample))

    for at, path in enumerate(choice.filters):
        if snapshot.layer(path).has_maps:
            blocks = [
                Block(f"maps-{at}-{sample}", partial(values, path, sample)) for sample in samples
            ]
            yield Blocks(f"maps of {path}", blocks)
    yield Blocks("images", [Block(f"image-{sample}", partial(image, sample)) for sample in samples])


def _numbers(snapshot: Snapshot, path: str, index: int) -> bytes:
    """All numbers of a filter: over all classes, and of each."""
    classes = [None, *range(len(snapshot.catalog.classes))]
    state = partial(state_for, snapshot.catalog, layer=path, filter_index=index)
    tables = [cell.numbers(snapshot, state(class_index=class_index)) for class_index in classes]
    return _json([{"head": head, "rows": rows} for head, rows in tables])


def _filter(snapshot: Snapshot, path: str, index: int) -> bytes:
    """What is wrong with a filter, its kernel, its histogram and its strongest samples."""
    state = state_for(snapshot.catalog, layer=path, filter_index=index)
    present = findings(snapshot.health(path), index, snapshot.catalog.class_names)
    return _json(
        {
            "findings": [
                {"text": item.text, "meaning": item.meaning, "grave": item.grave}
                for item in present
            ],
            "numbers": filter_numbers(snapshot, path, index),
            "kernel": _figures(
                lambda theme: (
                    *kernel.kernel_drawing(snapshot, state, theme, longest=KERNEL),
                    kernel.note(snapshot, state),
                )
            ),
            "histogram": _figures(lambda theme: distribution.draw(snapshot, state, theme)),
            "top": [
                {
                    "sample": response.sample,
                    "value": str(np.float32(response.value)),
                    "words": f"at y {response.y}, x {response.x}",
                    "signs": outcome_signs(response.sample, *names_of(snapshot, response.sample)),
                }
                for response in _top(snapshot, path, index)
            ],
        }
    )


def _figures(draw: Callable[[Any], tuple[Any, Any, str]]) -> dict[str, Any]:
    """A figure in both schemes, the style of its box, and a note; where there is none, why."""
    try:
        drawings = {scheme: draw(theme) for scheme, theme in _THEMES.items()}
    except StatisticNotFoundError as error:
        return {"figures": None, "note": str(error)}
    _, style, note = drawings["light"]
    is_there = style.get("display") != "none"
    figures = {scheme: figure for scheme, (figure, _, _) in drawings.items()}
    return {"figures": figures if is_there else None, "style": style, "note": note}


def _heatmap(snapshot: Snapshot, path: str, name: str) -> bytes:
    """A statistic of each class and filter of a layer."""
    state = state_for(snapshot.catalog, layer=path, statistic=name)
    drawings = {
        scheme: heatmap.draw(snapshot, state, theme, order_class=None)
        for scheme, theme in _THEMES.items()
    }
    _, style, legend, _, words = drawings["light"]
    return _json(
        {
            "figures": {scheme: parts[0]["figure"] for scheme, parts in drawings.items()},
            "style": style,
            "note": legend[-1],
            "words": words,
        }
    )


def _top(snapshot: Snapshot, path: str, index: int) -> list[Response]:
    return responses(snapshot, path, index)[0][:MOST_TOP]


def _thumbnails(snapshot: Snapshot, choice: Choice) -> list[Block]:
    """A picture of each strongest sample, once."""
    samples = {
        response.sample
        for path, filters in choice.filters.items()
        for index in filters.tolist()
        for response in _top(snapshot, path, index)
    }

    def picture(sample: int) -> bytes:
        return png_of(snapshot.store.image(sample), longest=THUMBNAIL)

    return [Block(f"top-{sample}", partial(picture, sample)) for sample in sorted(samples)]
