"""The operations that say which samples are near to one, and which lie apart from all others."""

from __future__ import annotations

import math
from dataclasses import dataclass

from starlette.responses import Response

from dashboard.api.answers import Call, json_answer
from dashboard.api.points import taken_table
from dashboard.api.windows import whole_number
from dashboard.server import headers as caching
from dashboard.stores import sample_map
from fmcore.errors import SelectionError
from fmcore.statistics import MOST_NEIGHBORS, NEIGHBORS, Outliers, nearest

# Of the outliers so many are listed where nobody says another number, and at most.
LISTED, MOST_LISTED = 50, 1000


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A sample, and how far it is away.

    Attributes:
        sample: its index.
        distance: Euclidean, in the space of the table.
    """

    sample: int
    distance: float


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The samples nearest to one.

    Attributes:
        sample: the index of that one.
        table: what distances are of, in words.
        nearest: nearest first, equal ones by index.
    """

    sample: int
    table: str
    nearest: list[Neighbor]


@dataclass(frozen=True, slots=True)
class Outlier:
    """How far one sample lies from others.

    Attributes:
        sample: its index.
        distance: to its k-th nearest; null for a sample that has a value which is not finite.
        rank: its place among all samples, 1 for the one that lies farthest apart; null likewise.
    """

    sample: int
    distance: float | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class OutlierList:
    """The samples that lie farthest from all others.

    Attributes:
        table: what distances are of, in words.
        k: the measure is the distance to the k-th nearest.
        n_placed: how many samples have a rank.
        n_compared: how many samples each was compared with: all, or some of many.
        words: how it was measured, in a sentence.
        outliers: farthest first, equal ones by index.
        sample: the one that was asked for; null if none was.
    """

    table: str
    k: int
    n_placed: int
    n_compared: int
    words: str
    outliers: list[Outlier]
    sample: Outlier | None


def neighbors(call: Call) -> Response:
    """The samples nearest to one, `Neighbors`."""
    snapshot = call.snapshot()
    sample = snapshot.store.check_sample(whole_number(call.take("sample"), "sample"))
    table, k = taken_table(call, snapshot), _number(call, "k", NEIGHBORS, MOST_NEIGHBORS)
    call.refuse_rest()
    headers = call.headers(snapshot, "neighbors")
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    near = nearest(sample_map.space_of(snapshot, table, is_kept=False), sample, k)
    pairs = zip(near.samples.tolist(), near.distances.tolist(), strict=True)
    return json_answer(Neighbors(sample, table.words, [Neighbor(*pair) for pair in pairs]), headers)


def outliers(call: Call) -> Response:
    """The samples that lie farthest apart, and how far one does, `OutlierList`."""
    snapshot = call.snapshot()
    table, k = taken_table(call, snapshot), _number(call, "k", NEIGHBORS, MOST_NEIGHBORS)
    n = _number(call, "n", LISTED, MOST_LISTED)
    text = call.take("sample")
    sample = snapshot.store.check_sample(whole_number(text, "sample")) if text else None
    call.refuse_rest()
    headers = call.headers(snapshot, "outliers")
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    apart = sample_map.outliers_of(snapshot, table, k)
    order = apart.order()
    against = (
        "all others"
        if apart.n_compared == len(order)
        else f"{apart.n_compared:,} samples that a seed chooses"
    )
    answer = OutlierList(
        table=table.words,
        k=apart.k,
        n_placed=len(order),
        n_compared=apart.n_compared,
        words=f"Distance to the k-th nearest of {against}, k = {apart.k}, by the {table.words}.",
        outliers=[_apart(apart, at, rank) for rank, at in enumerate(order[:n].tolist(), 1)],
        sample=None if sample is None else _apart(apart, sample),
    )
    return json_answer(answer, headers)


def _apart(apart: Outliers, sample: int, rank: int | None = None) -> Outlier:
    distance = float(apart.distances[sample])
    if math.isnan(distance):
        return Outlier(sample, None, None)
    return Outlier(sample, distance, apart.rank(sample) if rank is None else rank)


def _number(call: Call, name: str, default: int, most: int) -> int:
    number = whole_number(call.take(name, str(default)), name)
    if not 1 <= number <= most:
        raise SelectionError(f"{name} must be 1 to {most}; found {number}", field=name)
    return number
