"""The routes that say what there is: stores and layers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from dashboard.api import openapi, reference
from dashboard.stores.source import Source
from dashboard.stores.summary import StoreSummary
from fmcore.statistics import STATISTICS
from fmcore.storage import Layer, Store


def create_router(source: Source) -> APIRouter:
    """The routes that say what there is."""
    router = APIRouter()

    about: dict[str, Any] = {"tags": [openapi.CONTENTS]}

    @router.get("/healthz", summary="Whether the server answers", **about)
    async def healthz() -> dict[str, str]:
        """Says that the server answers; touches no disk."""
        return {"status": "ok"}

    @router.get(
        "/api/v1/stores",
        summary="The stores there are",
        response_model=list[StoreSummary],
        **about,
    )
    def stores() -> list[StoreSummary]:
        """Each with its model and its data set, or with what is wrong with it."""
        return source.summaries()

    one = "/api/v1/stores/{store}"
    about |= {"responses": openapi.problems(404)}

    @router.get(one, summary="What a store holds", response_model=reference.StoreAbout, **about)
    def store(store: str) -> dict[str, Any]:
        """Its model, its data set, how it was captured."""
        snapshot = source.snapshot(store)
        about = snapshot.about()
        return {
            "name": snapshot.name,
            "digest": snapshot.digest,
            "n_samples": snapshot.catalog.n_samples,
            "n_layers": len(snapshot.catalog.n_filters),
            "class_names": list(snapshot.catalog.class_names),
            "model": about["model"]["name"],
            "dataset": about["dataset"]["source"],
            "labels": snapshot.store.labels_are,
            "has_predictions": snapshot.store.has_predictions,
            "has_classes": snapshot.store.has_classes,
            "target": snapshot.store.target,
            "target_names": list(snapshot.store.target_names),
            "accuracy": snapshot.store.accuracy_words,
            "test_accuracy": (
                about["model"]["test_accuracy"] if snapshot.store.has_outcomes else None
            ),
            "class_sizes": snapshot.class_sizes.tolist(),
            "layers": list(snapshot.store.layers),
            "about": about,
        }

    @router.get(
        f"{one}/layers",
        summary="The captured layers",
        response_model=list[reference.LayerLine],
        **about,
    )
    def layers(store: str) -> list[dict[str, Any]]:
        """In the model's order, with the names of what is known of each."""
        found = source.snapshot(store).store
        return [_layer_line(layer, found) for layer in found.layers.values()]

    for route in [one for one in router.routes if isinstance(one, APIRoute)]:
        router.add_api_route(route.path, route.endpoint, methods=["HEAD"], include_in_schema=False)

    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    @router.api_route("/api", methods=every, include_in_schema=False)
    @router.api_route("/api/{rest:path}", methods=every, include_in_schema=False)
    async def no_such_route(request: Request, rest: str = "") -> None:
        """Keeps unknown API paths from being answered with a page."""
        if request.method not in ("GET", "HEAD"):
            raise HTTPException(405, "the API only reads: GET and HEAD", {"allow": "GET, HEAD"})
        raise HTTPException(404, f"no route /api/{rest}; see /docs")

    return router


def _layer_line(layer: Layer, store: Store) -> dict[str, Any]:
    height, width, filters = layer.shape
    return {
        "path": layer.path,
        "index": layer.index,
        "y": height,
        "x": width,
        "n_filters": filters,
        "kind": layer.attributes["kind"],
        "activation_function": layer.attributes["activation_function"],
        "histogram": layer.bin_words,
        "receptive_field": layer.field_words,
        "policy": layer.policy,
        "stored_bytes": layer.stored_bytes,
        "pooled": list(layer.pooled_names),
        "statistics": [
            name
            for name in layer.statistics
            if store.has_classes or not STATISTICS[name].tells_classes
        ],
    }
