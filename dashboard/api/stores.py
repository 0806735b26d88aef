"""The operations that say what there is: whether the server answers, stores, layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api.answers import Call, json_answer
from dashboard.server.headers import is_known, not_modified
from dashboard.urls import API
from fmcore.records import GraphNode, Target
from fmcore.statistics import STATISTICS
from fmcore.storage import Layer, Store


@dataclass(frozen=True, slots=True)
class Health:
    """What is said of the server."""

    status: str


@dataclass(frozen=True, slots=True)
class StoreAbout:
    """All that is said of a store; `digest` is of its file and of ablations beside it."""

    name: str
    digest: str
    n_samples: int
    n_layers: int
    class_names: list[str]
    model: str
    dataset: str
    labels: str
    has_predictions: bool
    has_classes: bool
    target: Target
    target_names: list[str]
    accuracy: str
    test_accuracy: float | None
    class_sizes: list[int]
    layers: list[str]
    about: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Graph:
    """The calls of a model's layers, inputs first, and the edges between them, as indices."""

    nodes: list[GraphNode]
    edges: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class LayerLine:
    """A captured layer."""

    path: str
    index: int
    y: int
    x: int
    n_filters: int
    kind: str
    activation_function: str
    histogram: str
    receptive_field: str
    policy: str
    values: str
    stored_bytes: int
    pooled: list[str]
    statistics: list[str]


async def health(_: Call) -> Response:
    """Says that the server answers; touches no disk, and takes no thread."""
    return json_answer(Health("ok"))


def stores(call: Call) -> Response:
    """A line for each store, `StoreSummary`."""
    return json_answer(call.source.summaries())


def store(call: Call) -> Response:
    """All that is said of a store, `StoreAbout`."""
    snapshot = call.snapshot()
    opened, about = snapshot.store, snapshot.about()
    return json_answer(
        StoreAbout(
            name=snapshot.name,
            digest=snapshot.digest,
            n_samples=snapshot.catalog.n_samples,
            n_layers=len(snapshot.catalog.n_filters),
            class_names=list(snapshot.catalog.class_names),
            model=str(about["model"]["name"]),
            dataset=str(about["dataset"]["source"]),
            labels=opened.labels_are,
            has_predictions=opened.has_predictions,
            has_classes=opened.has_classes,
            target=opened.target,
            target_names=list(opened.target_names),
            accuracy=opened.accuracy_words,
            test_accuracy=opened.test_accuracy,
            class_sizes=snapshot.class_sizes.tolist(),
            layers=list(opened.layers),
            about=about,
        )
    )


def layers(call: Call) -> Response:
    """A line for each captured layer, `LayerLine`."""
    opened = call.snapshot().store
    return json_answer([_layer_line(layer, opened) for layer in opened.layers.values()])


def graph(call: Call) -> Response:
    """The calls of the model's layers, `Graph`."""
    snapshot = call.snapshot()
    headers = call.headers(snapshot, "graph")
    if is_known(call.request, headers["etag"]):
        return not_modified(headers)
    return json_answer(snapshot.graph(), headers)


async def no_such_route(request: Request) -> Response:
    """Keeps unknown API paths from being answered with a page; always raises `HTTPException`."""
    if request.method not in ("GET", "HEAD"):
        raise HTTPException(405, "the API only reads: GET and HEAD", {"allow": "GET, HEAD"})
    rest = request.path_params.get("rest", "")
    raise HTTPException(404, f"no route {API}/{rest}; see /docs")


def _layer_line(layer: Layer, store: Store) -> LayerLine:
    height, width, n_filters = layer.shape
    return LayerLine(
        path=layer.path,
        index=layer.index,
        y=height,
        x=width,
        n_filters=n_filters,
        kind=layer.attributes["kind"],
        activation_function=layer.attributes["activation_function"],
        histogram=layer.bin_words,
        receptive_field=layer.field_words,
        policy=layer.policy,
        values=layer.value_words,
        stored_bytes=layer.stored_bytes,
        pooled=list(layer.pooled_names),
        statistics=[
            name
            for name in layer.statistics
            if store.has_classes or not STATISTICS[name].tells_classes
        ],
    )
