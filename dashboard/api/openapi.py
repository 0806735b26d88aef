"""The description of the API (OpenAPI), made of `OPERATIONS`, and the page that shows it.

Nothing of the page comes from the net.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import EnumType
from importlib.metadata import version
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from dashboard.api.answers import RAW, json_answer
from dashboard.api.operations import BINARY, CONTENTS, OPERATIONS, TEXT, WHOLE, Operation
from dashboard.server.roles import Role
from dashboard.server.routes import Guarded, GuardedMount, GuardedRoute
from dashboard.stores.source import Snapshot, Source
from fmcore.export import Format
from fmcore.selection import DTYPES, quoted
from fmcore.statistics import STATISTICS

TITLE = "Feature Map Dashboard"
_OWN = Path(__file__).with_name("static")
_ABOUT = """
The same names as `fmcore export` takes choose what an answer holds. An array comes as `raw`
little-endian bytes, with its shape and dtype in the headers, or as {formats}:

```python
import io, numpy, urllib.request
url = "http://SERVER/api/v1/stores/{store}/maps?layer={layer}&sample=0:10&format=npy"
maps = numpy.load(io.BytesIO(urllib.request.urlopen(url).read()))  # [sample, y, x, filter]
```

Answers have an `ETag`; arrays also take `Range`. Errors are `application/problem+json` and name the
parameter.
"""
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": TEXT,
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "field": {"type": "string", "description": "the parameter that caused it"},
    },
}
_STATUSES = {
    404: "no such store, layer or statistic, or no maps of it",
    409: "a file that cannot be opened as a store, with the reason",
    413: "more than the server sends in one answer",
    422: "a parameter that names nothing, or is none",
    500: "a part of a store that turns out to be damaged",
    503: "a store that cannot be opened now",
}
_KEPT = {"304": {"description": "the client holds it already"}}
_RANGES = {
    "206": {"description": "a range of the bytes, where one was asked for"},
    "416": {"description": "a range beyond the end"},
}


def reference_routes(source: Source) -> list[Guarded]:
    """`/openapi.json`, and `/docs`: a page to read and try it."""

    async def page(_: Request) -> Response:
        return FileResponse(_OWN / "reference.html")

    async def description(_: Request) -> Response:
        return json_answer(await run_in_threadpool(describe, source))

    # Only the files of Swagger UI: the package is not imported.
    swagger = StaticFiles(packages=[("flask_swagger_ui", "dist")])
    return [
        GuardedRoute("/openapi.json", description, role=Role.VIEW),
        GuardedRoute("/docs", page, role=Role.VIEW),
        GuardedMount("/docs/swagger", swagger, role=Role.VIEW),
        GuardedMount("/docs/own", StaticFiles(directory=_OWN), role=Role.VIEW),
    ]


def describe(source: Source) -> dict[str, Any]:
    """The description as OpenAPI 3.1, with the names that one of the stores has now as examples."""
    snapshot = source.example()
    (maps,) = (operation for operation in OPERATIONS if operation.name == "maps")
    formats = [f"`{form.name}`" for form in maps.formats if form is not RAW]
    about = _ABOUT.format(
        store=quote(snapshot.name if snapshot else "STORE"),
        layer=quote(next(iter(snapshot.catalog.n_filters)) if snapshot else "LAYER"),
        formats=f"{', '.join(formats[:-1])} or {formats[-1]}",
    )
    info = {
        "title": TITLE,
        "version": version("feature-map-dashboard"),
        "description": about,
    }
    paths = {operation.path: {"get": _described(operation, snapshot)} for operation in OPERATIONS}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _described(operation: Operation, snapshot: Snapshot | None) -> dict[str, Any]:
    content = operation.content or {form.media_type: _schema(form) for form in operation.formats}
    answer: dict[str, Any] = {
        "description": "the answer",
        "content": {
            kind.partition(";")[0]: {"schema": schema_of(values)}
            for kind, values in content.items()
        },
        "headers": {
            name: {"description": text, "schema": TEXT} for name, text in operation.headers.items()
        },
    }
    return {
        "summary": operation.summary,
        "description": operation.description,
        "operationId": operation.name,
        "tags": [operation.heading],
        "parameters": [*_in_path(operation, snapshot), *_in_query(operation, snapshot)],
        "responses": {
            "200": answer,
            **(_KEPT if operation.heading != CONTENTS or "ETag" in operation.headers else {}),
            **(_RANGES if operation.has_array and operation.formats else {}),
            **{str(status): _problem(status) for status in operation.problems},
        },
    }


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {"description": _STATUSES[status], "content": content}


def _in_path(operation: Operation, snapshot: Snapshot | None) -> Iterator[dict[str, Any]]:
    name_of_store = {"example": snapshot.name} if snapshot else {}
    about: dict[str, dict[str, Any]] = {
        "store": {"schema": TEXT, **name_of_store},
        "sample": {"schema": WHOLE, "example": 0},
    }
    for name in re.findall(r"{(\w+)}", operation.path):
        yield {"name": name, "in": "path", "required": True, **about[name]}


def _in_query(operation: Operation, snapshot: Snapshot | None) -> Iterator[dict[str, Any]]:
    about = _by_store(operation, snapshot) if snapshot else {}
    for parameter in operation.parameters or ():
        of_store = {} if parameter.schema else about.get(parameter.name, {})
        yield {
            "name": parameter.name,
            "in": "query",
            "description": parameter.description,
            "required": parameter.required,
            "schema": parameter.schema or TEXT,
            **of_store,
        }
    if operation.formats:
        names = [form.name for form in operation.formats]
        yield {
            "name": "format",
            "in": "query",
            "description": f"of the answer ({names[0]})",
            "schema": {**TEXT, "enum": names, "default": names[0]},
        }


def _by_store(operation: Operation, snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Schemas and examples of parameters, with the names that a store has."""
    catalog = snapshot.catalog
    layers, classes = list(catalog.n_filters), list(catalog.classes)
    n_filters = min(catalog.n_filters.values())
    names: tuple[str, ...] = ("mean", "max", "zero_fraction")
    if operation.name == "statistics":
        of_layer = snapshot.statistics(layers[0])
        of_targets = [name for name in of_layer if "target" in STATISTICS[name].axes]
        names = (*of_targets, *catalog.statistics)
    outcomes = ["correct"] if catalog.has_outcomes else []
    groups = [f"filter({quoted(layers[0])},0)>0.5 quantile or 0:3", *outcomes]
    values = {
        "layer": layers,
        "filter": ["0", f"0:{n_filters}"],
        "class": [*classes[:20], *(["0"] if classes else [])],
        "sample": ["0", "0:10", *outcomes, "top:3", groups[0]],
        "expression": groups,
        "statistic": [*names[:20]],
    }
    about: dict[str, dict[str, Any]] = {
        name: {"schema": {**TEXT, "examples": examples}} for name, examples in values.items()
    }
    about["dtype"] = {"schema": {**TEXT, "enum": list(DTYPES), "default": DTYPES[0]}}
    if operation.has_array:  # of which one sample is quick to try
        about["layer"]["example"], about["sample"]["example"] = layers[0], "0"
    if operation.name == "pooled":
        about["statistic"]["example"] = "max"
    return about


def _schema(form: Format) -> Mapping[str, Any]:
    if form.media_type == "application/json":
        return {}
    return TEXT if form.table_text else BINARY


def schema_of(values: Any) -> Any:
    """The JSON schema of a type; a schema as it is.

    Args:
        values: a dataclass, a plain type, a union or a container of these, or a schema.
    """
    origin, parts = get_origin(values), get_args(values)
    if isinstance(values, Mapping):
        return values
    if origin in (list, tuple):
        return {"type": "array", "items": schema_of(parts[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(parts[1])}
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema_of(part) for part in parts]}
    if isinstance(values, EnumType):
        return {"type": "string", "enum": [*map(str, values)]}
    if is_dataclass(values):
        hints = get_type_hints(values)
        return {
            "type": "object",
            "title": values.__name__,  # type: ignore[union-attr]
            "properties": {name: schema_of(kind) for name, kind in hints.items()},
            "required": [field.name for field in fields(values) if field.default is MISSING],
        }
    return _PLAIN[values]


_PLAIN: Mapping[Any, Mapping[str, str]] = {
    Any: {},
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
