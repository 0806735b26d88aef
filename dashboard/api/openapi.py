"""Parts of the API's description (OpenAPI) that several routes share."""

from __future__ import annotations

from typing import Any

from dashboard.stores.source import Source

# Two headings of the page.
CONTENTS, VALUES = "What there is", "Arrays and tables"
WHOLE = {"type": "integer", "minimum": 0}
BINARY = {"schema": {"type": "string", "format": "binary"}}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "the parameter that caused it"},
    },
}
_PROBLEMS = {
    404: "no such store, layer or statistic, or no maps of it",
    413: "more than the server sends in one answer",
    422: "a parameter that names nothing, or is none",
    500: "a damaged store",
    503: "a store that cannot be opened now",
}


def store_parameter(source: Source) -> dict[str, Any]:
    """The parameter that names a store."""
    named = {"example": source.names[0], "schema": {"type": "string"}}
    return {"name": "store", "in": "path", "required": True, **named}


def problems(*codes: int) -> dict[int | str, Any]:
    """The descriptions of some errors."""
    return {
        code: {
            "description": _PROBLEMS[code],
            "content": {"application/problem+json": {"schema": _PROBLEM}},
        }
        for code in codes
    }
