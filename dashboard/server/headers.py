"""What a browser may keep of an answer, and how it says that it does (RFC 9110, RFC 8246)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

FOR_A_YEAR = "max-age=31536000"
# Of what has another address when it is another.
FOR_EVER = f"{FOR_A_YEAR}, immutable"
_FILE = re.compile(r"/(assets|_dash-component-suites)/.*\.(js|css|map|json|svg)$")


def is_file(scope: Scope) -> bool:
    """Whether a request is for a script, a style or the like, which no store changes."""
    return scope["type"] == "http" and _FILE.search(scope["path"]) is not None


def etag(*facts: str) -> str:
    """A strong validator of all that determines the bytes of an answer."""
    digest = hashlib.blake2b("\0".join(facts).encode(), digest_size=12)
    return f'"{digest.hexdigest()}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the client says that it holds this answer (RFC 9110, 13.1.2)."""
    told = request.headers.get("if-none-match")
    if told is None:
        return False
    return told.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in told.split(",")}


def not_modified(headers: Mapping[str, str]) -> Response:
    """304, with the headers that the whole answer would have had."""
    return Response(status_code=304, headers=dict(headers))
