"""Which samples a person picks from, in which order, and their thumbnails."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboard.components.nodes import Node, html
from dashboard.components.thumbnails import picture
from dashboard.pages import state
from dashboard.pages.words import names_of, outcome_words
from dashboard.stores.source import Snapshot

A_PAGE = 20
THUMBNAIL_PIXELS = 96
# In one list; a page of a browser needs no more, and says how many there are.
MOST = 5_000


def picks(snapshot: Snapshot, shown: state.State) -> dict[str, Any]:
    """The samples that match, in the order of `shown.picked`, as JSON for the script.

    Keys: `list`, the first `MOST` of them, or None for all samples by index; `n`, how many match;
    `total`, how many there are; `by`, `layer` and `filter`, what they were ordered by; `page`, how
    many thumbnails are seen at once.
    """
    matching = snapshot.matching(shown.class_index, shown.outcome)
    total = snapshot.catalog.n_samples
    everything = len(matching) == total and shown.picked == "index"
    return {
        "list": None if everything else _ordered(snapshot, shown, matching)[:MOST].tolist(),
        "n": len(matching),
        "total": total,
        "by": shown.picked,
        "layer": shown.layer,
        "filter": shown.filter_index,
        "page": A_PAGE,
    }


def _ordered(
    snapshot: Snapshot, shown: state.State, matching: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Samples by what `shown.picked` says; equal ones by index."""
    if shown.picked == "index":
        return matching
    if shown.picked == "response":
        values = _responses(snapshot, shown.layer, shown.filter_index)
    else:
        values = snapshot.confidence
    chosen = values[matching].astype(np.float64)
    keys = chosen if shown.picked == "unsure" else -chosen
    ordered: NDArray[np.int64] = matching[np.argsort(keys, kind="stable")]
    return ordered


def _responses(snapshot: Snapshot, layer: str, filter_index: int) -> NDArray[Any]:
    """The largest activation of a filter in each sample, <float32>[sample]."""
    found = snapshot.layer(layer).pooled("max")[:, filter_index]
    return np.asarray(found)


def page_of(chosen: dict[str, Any], page: int) -> list[int]:
    """The samples of a page of thumbnails."""
    first = page * A_PAGE
    if chosen["list"] is None:
        return list(range(first, min(first + A_PAGE, chosen["total"])))
    return list(chosen["list"][first : first + A_PAGE])


def thumbnails(snapshot: Snapshot, chosen: dict[str, Any], samples: list[int]) -> list[Node]:
    """A button with a picture for each sample; the script of the page hears their clicks."""
    responses = None
    if chosen["by"] == "response":
        responses = _responses(snapshot, chosen["layer"], chosen["filter"])
    url = snapshot.image_url_parts(size=THUMBNAIL_PIXELS)
    confidence = None
    if responses is None and snapshot.catalog.has_predictions:
        confidence = snapshot.confidence
    found: list[Node] = []
    for index in samples:
        label, predicted = names_of(snapshot, index)
        wrong = None not in (label, predicted) and label != predicted
        short = f"{label} → {predicted} ✗" if wrong else label or predicted or f"#{index}"
        number, about = "", ""
        if responses is not None:
            number = f"{responses[index]:.3g}"
            about = f"largest activation {responses[index]:.6g}"
        elif confidence is not None:
            number = f"{confidence[index]:.0%}"
            about = f"predicted with {confidence[index]:.1%}"
        said = ", ".join(filter(None, (outcome_words(label, predicted), about)))
        words = f"Sample {index}: {said}" if said else f"Sample {index}"
        found.append(
            html.Button(
                [
                    picture(str(index).join(url), words="", shape=snapshot.image_shape),
                    html.Span(short, className="thumbnail-label"),
                    html.Span(number, className="thumbnail-number"),
                ],
                className="thumbnail wrong" if wrong else "thumbnail",
                title=words,
                type="button",
                **{"data-sample": str(index), "aria-label": words},
            )
        )
    return found


def position_text(chosen: dict[str, Any], sample: int) -> str:
    """Where a sample stands among those that match, in words."""
    n, total, listed = chosen["n"], chosen["total"], chosen["list"]
    if not n:
        return f"0 of {total:,} samples match; choose others."
    if listed is None:
        return f"{total:,} samples"
    some = f", the first {MOST:,} listed" if n > MOST else ""
    matching = f"{n:,} that match{some}, of {total:,} samples"
    if sample in listed:
        return f"{listed.index(sample) + 1:,} of {matching}"
    return f"Not among the {matching}"
