"""Where the raw arrays of a filter are to be had: addresses, sizes and equal commands."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin

from dashboard.stores.source import Snapshot
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
    chosen = [
        ("The strongest sample", {"sample": "top:1"}, 1),
        (f"The {most} strongest samples", {"sample": f"top:{TOP}"}, most),
    ]
    if class_index is not None and (size := int(snapshot.class_sizes[class_index])):
        name = names[class_index]
        # A name that two classes have, or that looks like a list, is no name here.
        plain = names.count(name) == 1 and "," not in name
        asked = {"class": name if plain else str(class_index)}
        chosen.append((f"All {size:,} samples of class {name}", asked, size))
    chosen.append((f"All {n:,} samples", {}, n))
    return [
        _part(snapshot, layer, filter_index, words, asked, count, page=page)
        for words, asked, count in chosen
    ]


def _part(
    snapshot: Snapshot,
    layer: str,
    filter_index: int,
    words: str,
    asked: dict[str, str],
    n_samples: int,
    *,
    page: str,
) -> Part:
    one = snapshot.layer(layer)
    this = {"layer": layer, "filter": str(filter_index)}
    height, width, _ = one.shape
    maps = None
    if one.has_maps:
        maps = _download(snapshot, "maps", this | asked, (n_samples, height, width, 1))
    pooled = {
        name: _download(snapshot, "pooled", this | {"statistic": name} | asked, (n_samples, 1))
        for name in ("mean", "max")
    }
    ranked = this if asked.get("sample", "").startswith("top:") else {}
    return Part(
        words,
        maps,
        pooled,
        _url(snapshot, "samples", ranked | asked | {"format": "csv"}),
        _commands(snapshot, this | asked, maps or pooled["max"], page=page),
    )


def _download(
    snapshot: Snapshot, what: str, asked: dict[str, str], shape: tuple[int, ...]
) -> Download:
    n_bytes = 4 * math.prod(shape) + HEADER_BYTES  # float32
    url = _url(snapshot, what, asked | {"format": "npy"})
    return Download(url, size_text(n_bytes), "×".join(f"{size:,}" for size in shape))


def map_url(snapshot: Snapshot, layer: str, filter_index: int, sample: int) -> str:
    """The address of one map as .npy."""
    asked = {"layer": layer, "filter": str(filter_index), "sample": str(sample)}
    return _url(snapshot, "maps", asked | {"format": "npy"})


def _url(snapshot: Snapshot, what: str, asked: dict[str, str]) -> str:
    return f"{snapshot.api}/{what}?{urlencode(asked)}"


def _commands(
    snapshot: Snapshot, asked: dict[str, str], file: Download, *, page: str
) -> dict[str, str]:
    """The same array by `fmcore export`, by curl, and in Python."""
    address = urljoin(page, file.url)
    named = f"{snapshot.name}.{snapshot.layer(asked['layer']).group}.{asked['filter']}"
    what = {} if "/maps?" in file.url else {"what": "pooled", "statistic": "max"}
    options = [f"--{name}={value}" for name, value in (asked | what).items()]
    export = ["fmcore", "export", snapshot.file_name, "--out", named, *options, "--format=npy"]
    return {
        "Command line, beside the store": shlex.join(export),
        "curl": shlex.join(["curl", "-o", f"{named}.npy", address]),
        "Python": "import io, urllib.request, numpy\n"
        f"url = {address!r}\n"
        "array = numpy.load(io.BytesIO(urllib.request.urlopen(url).read()))",
    }
