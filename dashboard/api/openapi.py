"""The description of the API (OpenAPI), made of `OPERATIONS`, and the page that shows it.

Nothing of the page comes from the net.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import EnumType
from importlib.metadata import version
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from dashboard.api.answers import RAW, json_answer
from dashboard.api.operations import BINARY, OPERATIONS, TEXT, VALUES, WHOLE, Operation, Parameter
from dashboard.server.roles import Role
from dashboard.server.routes import Guarded, GuardedMount, GuardedRoute
from dashboard.stores.source import Source
from fmcore.export import Format
from fmcore.selection import DTYPES
from fmcore.statistics import STATISTICS

TITLE = "Feature Map Dashboard"
_OWN = Path(__file__).with_name("static")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Feature Map Dashboard: HTTP API</title>
<link rel="stylesheet" href="docs/swagger/swagger-ui.css">
<link rel="stylesheet" href="docs/own/reference.css">
</head>
<body>
<div id="reference"></div>
<script src="docs/swagger/swagger-ui-bundle.js"></script>
<script src="docs/own/reference.js"></script>
</body>
</html>
"""
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
    413: "more than the server sends in one answer",
    422: "a parameter that names nothing, or is none",
    500: "a damaged store",
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
        return HTMLResponse(_PAGE)

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
    """The description as OpenAPI 3.1, with the names that the first store has now as examples."""
    snapshot = source.snapshot(source.names[0])
    (maps,) = (operation for operation in OPERATIONS if operation.name == "maps")
    formats = [f"`{form.name}`" for form in maps.formats if form is not RAW]
    about = _ABOUT.format(
        store=snapshot.name,
        layer=quote(next(iter(snapshot.catalog.n_filters))),
        formats=f"{', '.join(formats[:-1])} or {formats[-1]}",
    )
    info = {
        "title": TITLE,
        "version": version("feature-map-dashboard"),
        "description": about,
    }
    paths = {operation.path: {"get": _described(operation, source)} for operation in OPERATIONS}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _described(operation: Operation, source: Source) -> dict[str, Any]:
    content = operation.content or {
        form.media_type.partition(";")[0]: _text_or_bytes(form) for form in operation.formats
    }
    answer: dict[str, Any] = {
        "description": "the answer",
        "content": {kind: {"schema": schema_of(values)} for kind, values in content.items()},
    }
    if operation.headers:
        headers = operation.headers.items()
        answer["headers"] = {name: {"description": text, "schema": TEXT} for name, text in headers}
    about = {"description": operation.description} if operation.description else {}
    unchanged: dict[str, Any] = _KEPT if operation.heading == VALUES else {}
    if operation.headers and operation.formats:
        unchanged = unchanged | _RANGES
    return {
        "summary": operation.summary,
        **about,
        "operationId": operation.name,
        "tags": [operation.heading],
        "parameters": _parameters(operation, source),
        "responses": {
            "200": answer,
            **unchanged,
            **{str(status): _problem(status) for status in operation.problems},
        },
    }


def _problem(status: int) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {"description": _STATUSES[status], "content": content}


def _parameters(operation: Operation, source: Source) -> list[dict[str, Any]]:
    in_path: dict[str, dict[str, Any]] = {
        "store": {"schema": TEXT, "example": source.names[0]},
        "sample": {"schema": WHOLE, "example": 0},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, **about}
        for name, about in in_path.items()
        if f"{{{name}}}" in operation.path
    ]
    schemas, examples = _of_store(operation, source)
    for parameter in operation.parameters:
        parameters.append(_described_parameter(parameter, schemas, examples))
    if operation.formats:
        names = [form.name for form in operation.formats]
        choice = {"type": "string", "enum": names, "default": names[0]}
        of_answer = Parameter("format", f"of the answer ({names[0]})", choice)
        parameters.append(_described_parameter(of_answer, {}, {}))
    return parameters


def _described_parameter(
    parameter: Parameter, schemas: Mapping[str, Any], examples: Mapping[str, Any]
) -> dict[str, Any]:
    name, example = parameter.name, parameter.example
    example = examples.get(name) if example is None else example
    return {
        "name": name,
        "in": "query",
        "description": parameter.description,
        "required": parameter.required,
        "schema": schemas.get(name, parameter.schema)
        if parameter.schema is TEXT
        else parameter.schema,
        **({} if example is None else {"example": example}),
    }


def _of_store(operation: Operation, source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """Schemas and examples of parameters, with the names that the first store has."""
    snapshot = source.snapshot(source.names[0])
    catalog = snapshot.catalog
    layers, classes = list(catalog.n_filters), list(catalog.classes)
    n_filters = min(catalog.n_filters.values())
    names: tuple[str, ...] = ("mean", "max", "zero_fraction")
    if operation.name == "statistics":
        of_targets = (
            name for name in snapshot.statistics(layers[0]) if "target" in STATISTICS[name].axes
        )
        names = (*of_targets, *catalog.statistics)
    outcomes = ["correct"] if catalog.has_outcomes else []
    schemas = {
        "layer": {**TEXT, "examples": layers},
        "filter": {**TEXT, "examples": ["0", f"0:{n_filters}"]},
        "class": {**TEXT, "examples": [*classes[:20], *(["0"] if classes else [])]},
        "sample": {**TEXT, "examples": ["0", "0:10", *outcomes, "top:3"]},
        "statistic": {**TEXT, "examples": [*names[:20]]},
        "dtype": {**TEXT, "enum": list(DTYPES), "default": DTYPES[0]},
    }
    # Of arrays, a single one is quick to try.
    examples = {"layer": layers[0], "sample": "0"} if operation.headers else {}
    if operation.name == "pooled":
        examples["statistic"] = "max"
    return schemas, examples


def _text_or_bytes(form: Format) -> object:
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
            "required": [one.name for one in fields(values) if one.default is MISSING],
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
