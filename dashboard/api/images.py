"""The route that answers with the input image of a sample as a picture."""

from __future__ import annotations

import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.api import answers
from dashboard.api.openapi import BINARY, VALUES, WHOLE, problems, store_parameter
from dashboard.figures.picture import png_of
from dashboard.server import headers as caching
from dashboard.stores.source import Snapshot, Source
from fmcore.errors import SampleNotFoundError, SelectionError

LARGEST = 4096
_SAMPLE = re.compile(r"\d{1,12}", re.ASCII)
_SIZE = re.compile(r"[1-9]\d{0,3}", re.ASCII)
# A link with the store's digest in it never means another picture.
FOR_EVER = f"private, {caching.FOR_EVER}"


def image_route(source: Source) -> Route:
    """The route of images."""

    async def image(request: Request) -> Response:
        name = request.path_params["store"]
        snapshot = source.current(name)  # nothing here may wait for a disk: it holds up all
        quick = answer(request, snapshot, wait=False) if snapshot is not None else None
        return quick if quick is not None else await run_in_threadpool(made, request, name)

    def made(request: Request, name: str) -> Response:
        found = answer(request, source.snapshot(name), wait=True)
        assert found is not None  # noqa: S101 (it waited)
        return found

    def answer(request: Request, snapshot: Snapshot, *, wait: bool) -> Response | None:
        """The picture; None where it is not kept and nobody waits for it."""
        asked = answers.parameters(request)
        digest, size = asked.pop("v", ""), asked.pop("size", "")
        if asked:
            raise SelectionError(
                f"no parameter {min(asked)!r} here; expected size or v", field=min(asked)
            )
        if size and (not _SIZE.fullmatch(size) or int(size) > LARGEST):
            raise SelectionError(f"size must be 1 to {LARGEST}; found {size!r}", field="size")
        text = request.path_params["sample"]
        if not _SAMPLE.fullmatch(text):
            raise SampleNotFoundError(f"no sample {text[:40]!r} in {snapshot.file_name}")
        sample = int(text)
        headers = {
            "etag": caching.etag(snapshot.digest, "image", str(sample), size),
            "cache-control": FOR_EVER if digest == snapshot.digest else "private, no-cache",
            "x-store-digest": snapshot.digest,
        }
        if caching.is_known(request, headers["etag"]):
            return caching.not_modified(headers)
        key = ("png", str(sample), size)
        data: bytes | None = snapshot.held(key)
        if data is None and not wait:
            return None

        def make() -> bytes:
            return png_of(snapshot.store.image(sample), longest=int(size) if size else None)

        return Response(data or snapshot.derived(key, make), 200, headers, "image/png")

    return Route("/api/v1/stores/{store}/images/{sample}.png", image)


def image_operation(source: Source) -> dict[str, Any]:
    """What OpenAPI says of the route."""
    parameters = [
        store_parameter(source),
        {"name": "sample", "in": "path", "required": True, "example": 0, "schema": WHOLE},
        {
            "name": "size",
            "in": "query",
            "description": "pixels of its longer side at most; its own size if not given",
            "schema": WHOLE | {"minimum": 1, "maximum": LARGEST},
        },
    ]
    picture = {"image/png": BINARY}
    return {
        "summary": "The input image of one sample as a picture",
        "operationId": "image",
        "tags": [VALUES],
        "parameters": parameters,
        "responses": {
            "200": {"description": "PNG", "content": picture},
            "304": {"description": "the client holds it already"},
            **{str(code): about for code, about in problems(404, 422, 500, 503).items()},
        },
    }
