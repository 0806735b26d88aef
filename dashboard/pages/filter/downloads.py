"""The raw arrays of a filter: addresses, sizes, and commands that give the same."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

from dash import State as DashState

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.table import Cell, table
from dashboard.figures.theme import Theme
from dashboard.pages import ids
from dashboard.pages.page import Panel
from dashboard.pages.person import why_no_files
from dashboard.pages.state import State
from dashboard.pages.words import not_as_computed
from dashboard.stores.snapshot import Snapshot
from fmcore.files import size_text

TOP = 25
# Of NumPy's header before the values.
HEADER_BYTES = 128


@dataclass(frozen=True, slots=True)
class Download:
    """One file.

    Attributes:
        url: its address, relative to a page.
        size: in words.
        shape: of the array, in words.
    """

    url: str
    size: str
    shape: str


@dataclass(frozen=True, slots=True)
class Part:
    """A choice of samples, and all that is to be had of a filter for them.

    Attributes:
        words: which samples.
        maps: the feature maps; None where the store keeps none.
        pooled: the pooled values, by the name of the table.
        samples: the address of the table that says which samples the rows are.
        commands: what gives the same, by where it is typed.
    """

    words: str
    maps: Download | None
    pooled: dict[str, Download]
    samples: str
    commands: dict[str, str]


def parts(
    snapshot: Snapshot, layer: str, filter_index: int, class_index: int | None, *, page: str
) -> list[Part]:
    """The strongest sample, the 25 strongest, those of the selected class, and all.

    Args:
        snapshot: the store.
        layer: a path.
        filter_index: of the layer.
        class_index: the selected class, or None.
        page: the address of the page, so that commands have whole ones.
    """
    n, names = snapshot.catalog.n_samples, snapshot.catalog.class_names
    most = min(TOP, n)
    choices: list[tuple[str, dict[str, str], int]] = [
        ("The strongest sample", {"sample": "top:1"}, 1),
        (f"The {most} strongest samples", {"sample": f"top:{TOP}"}, most),
    ]
    if class_index is not None and (size := int(snapshot.class_sizes[class_index])):
        name = names[class_index]
        # A name that two classes have, or that looks like a list, is no name here.
        plain = names.count(name) == 1 and "," not in name
        query = {"class": name if plain else str(class_index)}
        choices.append((f"All {size:,} samples of class {name}", query, size))
    choices.append((f"All {n:,} samples", {}, n))
    return [
        _part(snapshot, layer, filter_index, words, query, count, page=page)
        for words, query, count in choices
    ]


def _part(
    snapshot: Snapshot,
    layer: str,
    filter_index: int,
    words: str,
    query: dict[str, str],
    n_samples: int,
    *,
    page: str,
) -> Part:
    stored = snapshot.layer(layer)
    this = {"layer": layer, "filter": str(filter_index)}
    height, width, _ = stored.shape
    maps = None
    if stored.has_maps:
        maps = _download(snapshot, "maps", this | query, (n_samples, height, width, 1))
    pooled = {
        name: _download(snapshot, "pooled", this | {"statistic": name} | query, (n_samples, 1))
        for name in ("mean", "max")
    }
    ranked = this if query.get("sample", "").startswith("top:") else {}
    return Part(
        words,
        maps,
        pooled,
        _url(snapshot, "samples", ranked | query | {"format": "csv"}),
        _commands(snapshot, this | query, maps or pooled["max"], page=page),
    )


def _download(
    snapshot: Snapshot, what: str, query: dict[str, str], shape: tuple[int, ...]
) -> Download:
    n_bytes = 4 * math.prod(shape) + HEADER_BYTES  # float32
    url = _url(snapshot, what, query | {"format": "npy"})
    return Download(url, size_text(n_bytes), "×".join(f"{size:,}" for size in shape))


def map_url(snapshot: Snapshot, layer: str, filter_index: int, sample: int) -> str:
    """The address of one map as .npy."""
    query = {"layer": layer, "filter": str(filter_index), "sample": str(sample)}
    return _url(snapshot, "maps", query | {"format": "npy"})


def _url(snapshot: Snapshot, what: str, query: dict[str, str]) -> str:
    return f"{snapshot.api}/{what}?{urlencode(query)}"


def _commands(
    snapshot: Snapshot, query: dict[str, str], file: Download, *, page: str
) -> dict[str, str]:
    """What gives an array by `fmcore export`, by curl, and in Python."""
    address = urljoin(page, file.url)
    named = f"{snapshot.name}.{snapshot.layer(query['layer']).group}.{query['filter']}"
    what = {} if "/maps?" in file.url else {"what": "pooled", "statistic": "max"}
    options = [f"--{name}={value}" for name, value in (query | what).items()]
    export = ["fmcore", "export", snapshot.file_name, "--out", named, *options, "--format=npy"]
    return {
        "Command line, beside the store": shlex.join(export),
        "curl": shlex.join(["curl", "-o", f"{named}.npy", address]),
        "Python": "import io, urllib.request, numpy\n"
        f"url = {address!r}\n"
        "array = numpy.load(io.BytesIO(urllib.request.urlopen(url).read()))",
    }


def draw(snapshot: Snapshot, state: State, _: Theme, *, page: str | None) -> list[Node]:
    """What is to be had, with sizes; and below each choice the commands that give the same."""
    reason = why_no_files()
    address = (page or "").encode("utf-8", "replace").decode()  # JSON has no lone surrogates
    choices = parts(snapshot, state.layer, state.filter_index, state.class_index, page=address)
    body: list[list[Cell]] = []
    for part in choices:
        rows = _link("which samples (.csv)", part.samples, reason)
        files = [None if file is None else _file(file, reason) for file in _files(part)]
        body.append([[html.Span(part.words), html.Small(rows)], *(file or "–" for file in files)])
    pooled = (f"Pooled {name}" for name in choices[0].pooled)
    head: list[Cell] = ["Samples", "Feature maps", *pooled]
    layer = snapshot.layer(state.layer)
    note = (
        "float32, [sample, y, x, filter] or [sample, filter], in the order of the samples' "
        "indices; what is pooled is one number a sample. "
    )
    if layer.has_maps:
        stored = f"{size_text(layer.stored_bytes)} in the file"
        note += f"Maps of all samples are taken out of all of the layer, {stored}. "
        note += not_as_computed(layer)
    else:
        note += (
            f"{snapshot.file_name} keeps no maps of {layer.path}: it was captured with the policy "
            "pooled."
        )
    commands = [] if reason else [_command_list(part) for part in choices]
    return [
        *([dmc.Text(reason, size="sm", fw=500)] if reason else []),
        table("Raw arrays", head, body),
        dmc.Text(note, size="sm", c="dimmed"),
        html.Div(commands, className="filter-commands"),
    ]


def _files(part: Part) -> tuple[Download | None, ...]:
    return (part.maps, *part.pooled.values())


def _file(download: Download, reason: str) -> list[Node]:
    return [_link(f".npy, {download.size}", download.url, reason), html.Small(download.shape)]


def _link(words: str, url: str, reason: str) -> Node:
    """A link to a file; where there is a reason why this person may not take it, its words."""
    return html.Span(words, title=reason) if reason else html.A(words, href=url, download="")


def _command_list(part: Part) -> Node:
    lines = [
        html.Div(
            [
                dmc.Text(where, size="sm", fw=500),
                dcc.Clipboard(content=text, title="Copy", className="filter-copy"),
                html.Pre(text),
            ],
            className="filter-command",
        )
        for where, text in part.commands.items()
    ]
    return html.Details([html.Summary(f"{part.words}, by command line, curl or Python"), *lines])


PANEL = Panel(
    "raw",
    draw,
    needs=("layer", "filter_index", "class_index"),
    title="Raw arrays of this filter (.npy)",
    also={"page": DashState(ids.URL, "href")},
)
