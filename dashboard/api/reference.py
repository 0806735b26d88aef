"""The description of the API (OpenAPI), and the page that shows it, with nothing from the net."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fastapi_offline
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from dashboard.api.answers import FORMATS_OF, RAW
from dashboard.api.images import image_operation
from dashboard.api.openapi import BINARY, VALUES, problems, store_parameter
from dashboard.api.windows import window_operation
from dashboard.stores.source import Source
from fmcore.export import Format
from fmcore.records import Target
from fmcore.selection import DTYPES, PARAMETERS
from fmcore.statistics import STATISTICS

_OWN = Path(str(files("dashboard") / "api" / "static"))
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
_RANGES = {
    "206": {"description": "a range of the bytes, where one was asked for"},
    "416": {"description": "a range beyond the end"},
}
_ARRAY_HEADERS = {
    "X-Shape": "sizes, with commas between them",
    "X-Dtype": "of a value in numpy's words, such as <f4: little-endian float32",
    "X-Axes": "the name of each axis",
    "X-Store-Digest": "which store it is of",
    "ETag": "changes with whatever changes the bytes",
}


class StoreAbout(BaseModel):
    """All that is said of a store."""

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


class LayerLine(BaseModel):
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
    stored_bytes: int
    pooled: list[str]
    statistics: list[str]


def mount_reference(app: FastAPI, source: Source) -> None:
    """Adds `/openapi.json`, and `/docs`: a page to read and try it, all of it from this server."""

    @app.get("/docs", include_in_schema=False)
    @app.head("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        return HTMLResponse(_PAGE)

    swagger = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/docs/swagger", StaticFiles(directory=swagger))
    app.mount("/docs/own", StaticFiles(directory=_OWN))
    generated = app.openapi

    def described() -> dict[str, Any]:
        """Made anew each time: names and examples are those of the stores there are now."""
        schema, snapshot = generated(), source.snapshot(source.names[0])
        layer = quote(next(iter(snapshot.catalog.n_filters)))
        others = [f"`{name}`" for name, form in FORMATS_OF["maps"].items() if form is not RAW]
        formats = f"{', '.join(others[:-1])} or {others[-1]}"
        text = _ABOUT.format(store=snapshot.name, layer=layer, formats=formats)
        about = schema["info"] | {"description": text}
        return schema | {"info": about, "paths": schema["paths"] | _value_paths(source)}

    app.openapi = described  # type: ignore[method-assign]


def _value_paths(source: Source) -> dict[str, Any]:
    """The descriptions of the routes that answer with arrays, tables and pictures."""
    selection = ("layer", "sample", "filter", "class", "dtype")
    rows: dict[str, str] = {}
    about = {
        "maps": ("Feature maps of one layer, [sample, y, x, filter]", selection, _ARRAY_HEADERS),
        "pooled": (
            "Pooled tables of one layer: one number for each sample and filter",
            (*selection, "statistic"),
            _ARRAY_HEADERS,
        ),
        "statistics": (
            "Statistics of filters and layers, a row a value, with chance level and n; of several "
            "labels or numbers, a row for each",
            ("layer", "filter", "class", "statistic"),
            rows,
        ),
        "samples": (
            "Index, id, label and prediction of samples, or what is true and predicted of several "
            "labels or numbers, a row each; without what nobody knows",
            ("sample", "class", "layer", "filter"),
            rows,
        ),
    }
    one = "/api/v1/stores/{store}"
    operations = {
        f"{one}/{what}": _operation(source, what, summary, names, headers)
        for what, (summary, names, headers) in about.items()
    }
    operations[f"{one}/images/{{sample}}.png"] = image_operation(source)
    operations[f"{one}/windows"] = window_operation(source)
    return {path: {"get": operation} for path, operation in operations.items()}


def _operation(
    source: Source,
    what: str,
    summary: str,
    names: tuple[str, ...],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    known = {one.name: one for one in PARAMETERS}
    formats = list(FORMATS_OF[what])
    schemas = _schemas(source, what)
    examples = {"layer": schemas["layer"]["examples"][0], "sample": "0"}
    if what == "pooled":
        examples["statistic"] = "max"
    parameters = [store_parameter(source)]
    parameters += [
        {
            "name": name,
            "in": "query",
            "description": known[name].description,
            "required": name == "layer" and "dtype" in names,
            **({"example": examples[name]} if name in examples and "dtype" in names else {}),
            "schema": schemas[name],
        }
        for name in names
    ]
    parameters.append(
        {
            "name": "format",
            "in": "query",
            "description": f"of the answer ({formats[0]})",
            "schema": {"type": "string", "enum": formats, "default": formats[0]},
        }
    )
    told = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
    }
    content = {
        form.media_type.partition(";")[0]: _schema(form) for form in FORMATS_OF[what].values()
    }
    return {
        "summary": summary,
        "operationId": what,
        "tags": [VALUES],
        "parameters": parameters,
        "responses": {
            "200": {"description": "the values", "content": content, "headers": told},
            "304": {"description": "the client holds it already"},
            **(_RANGES if headers else {}),
            **{str(code): about for code, about in problems(404, 413, 422, 500, 503).items()},
        },
    }


def _schema(form: Format) -> dict[str, Any]:
    """What an answer in a format is, in OpenAPI's words."""
    if form.media_type == "application/json":
        return {"schema": {}}
    return {"schema": {"type": "string"}} if form.table_text else BINARY


def _schemas(source: Source, what: str) -> dict[str, dict[str, Any]]:
    """The schema of each parameter, with the names that the first store has as examples."""
    snapshot = source.snapshot(source.names[0])
    catalog = snapshot.catalog
    layers, classes = list(catalog.n_filters), list(catalog.classes)
    n_filters = min(catalog.n_filters.values())
    names: tuple[str, ...] = ("mean", "max", "zero_fraction")
    if what == "statistics":
        of_targets = (
            name for name in snapshot.statistics(layers[0]) if "target" in STATISTICS[name].axes
        )
        names = (*of_targets, *catalog.statistics)
    text, outcomes = {"type": "string"}, ["correct"] if catalog.has_outcomes else []
    return {
        "layer": {**text, "examples": layers},
        "filter": {**text, "examples": ["0", f"0:{n_filters}"]},
        "class": {**text, "examples": [*classes[:20], *(["0"] if classes else [])]},
        "sample": {**text, "examples": ["0", "0:10", *outcomes, "top:3"]},
        "statistic": {**text, "examples": [*names[:20]]},
        "dtype": {**text, "enum": list(DTYPES), "default": DTYPES[0]},
    }
