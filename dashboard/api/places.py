"""The operation that says what reacts at a place in the image."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from dashboard.api.answers import Call, json_answer
from dashboard.api.windows import whole_number
from dashboard.server import headers as caching
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import MapsNotStoredError, StatisticNotFoundError
from fmcore.units import LayerReactions, Place, layer_reactions, parse_place, ranking

# Filters that one answer lists.
MOST_ROWS = 200


@dataclass(frozen=True, slots=True)
class ReactionRow:
    """How one filter reacts: its strongest unit that sees the place."""

    layer: str
    filter: int
    value: float
    share: float
    y: int
    x: int
    sees_all: bool
    shape: list[int]
    field: list[int]
    units: list[int]
    range: list[float]


@dataclass(frozen=True, slots=True)
class Omission:
    """A layer that is not compared, and why."""

    layer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reactions:
    """What reacts at a place: the strongest filters first."""

    place: str
    n_filters: int
    n_left_out: int
    rows: list[ReactionRow]
    omissions: list[Omission]
    notes: list[str]


def places(call: Call) -> Response:
    """The filters that react at a place in the image of one sample, `Reactions`."""
    snapshot = call.snapshot()
    path = call.take("layer")
    paths = [snapshot.layer(path).path] if path else list(snapshot.catalog.n_filters)
    sample = snapshot.store.check_sample(whole_number(call.take("sample"), "sample"))
    place = parse_place(call.take("at"), snapshot.image_shape)
    call.refuse_rest()
    headers = call.headers(snapshot, "places")
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    answer = json_answer(_reactions(snapshot, paths, sample, place))
    answer.headers.update(headers)
    return answer


def _reactions(snapshot: Snapshot, paths: list[str], sample: int, place: Place) -> Reactions:
    parts: list[LayerReactions] = []
    omissions: list[Omission] = []
    notes: dict[str, None] = {}
    for path in paths:
        layer, fields = snapshot.layer(path), snapshot.receptive_fields(path)
        if fields is None:
            omissions.append(Omission(path, f"what its units see is {layer.field_words}"))
            continue
        try:
            shares = snapshot.shares(path)
            part = layer_reactions(
                layer,
                sample,
                place,
                fields=fields,
                shares=shares,
                image_shape=snapshot.image_shape,
            )
        except (MapsNotStoredError, StatisticNotFoundError) as error:
            omissions.append(Omission(path, str(error)))
            continue
        if part is None:
            omissions.append(Omission(path, "none of its units sees the place"))
            continue
        parts.append(part)
        notes[shares.words] = None
        if not layer.field_words.startswith("exact"):
            notes[f"{path}: units may see less than is assumed, {layer.field_words}"] = None
    n_ranked = sum(int((part.shares == part.shares).sum()) for part in parts)
    rows = [_row(snapshot, parts[at], index) for at, index in ranking(parts, MOST_ROWS)]
    n_filters = sum(len(part.values) for part in parts)
    return Reactions(place.words, n_ranked, n_filters - n_ranked, rows, omissions, list(notes))


def _row(snapshot: Snapshot, part: LayerReactions, index: int) -> ReactionRow:
    y, x = int(part.y[index]), int(part.x[index])
    fields, shares = snapshot.receptive_fields(part.layer), snapshot.shares(part.layer)
    return ReactionRow(
        layer=part.layer,
        filter=index,
        value=float(part.values[index]),
        share=float(part.shares[index]),
        y=y,
        x=x,
        sees_all=bool(part.sees_all[index]),
        shape=list(snapshot.layer(part.layer).shape[:2]),
        field=[] if fields is None else fields[y, x].tolist(),
        units=list(part.units),
        range=[float(shares.low[index]), float(shares.high[index])],
    )
