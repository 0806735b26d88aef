"""A proxy of a notebook service's, such as Colab's: ports below a path of another origin."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
# Under which the service knows the port: no name of the machine that the port is of.
NAME = "8080-m-s-colab.notebooks.example"


def port_proxy() -> Starlette:
    """The application: `/port-N/…` is `/…` of port N; it speaks no websockets."""
    return Starlette(
        routes=[Route("/port-{port:int}/{path:path}", _forward, methods=["GET", "HEAD", "POST"])]
    )


async def _forward(request: Request) -> Response:
    port, path = request.path_params["port"], request.path_params["path"]
    headers = [line for line in request.headers.items() if line[0] not in HOP_BY_HOP]
    async with httpx.AsyncClient(timeout=60) as client:
        forwarded = client.build_request(
            request.method,
            httpx.URL(f"http://127.0.0.1:{port}/{path}", query=request.url.query.encode()),
            headers=[*headers, ("host", NAME), ("x-forwarded-host", request.headers["host"])],
            content=await request.body(),
        )
        answer = await client.send(forwarded, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
    kept = {name: text for name, text in answer.headers.items() if name not in HOP_BY_HOP}
    return Response(body, answer.status_code, kept)
