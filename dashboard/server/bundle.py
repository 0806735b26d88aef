"""Plotly's script with the plots of two axes alone: a third of the whole, which took a second.

The file is `plotly-cartesian.min.js` of the npm package `plotly.js-cartesian-dist-min`, in the
version that the installed `plotly` draws with; a test says where they part.
"""

from __future__ import annotations

import re
from pathlib import Path

from plotly.offline import get_plotlyjs_version
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

FILE = Path(__file__).parents[1] / "vendor" / "plotly-cartesian.min.js"
# Where Dash's graphs ask for the whole script.
PATH = "/_dash-component-suites/plotly/package_data/plotly.min.js"


def fits() -> bool:
    """Whether it is of the version that the installed `plotly` makes figures for."""
    with FILE.open(encoding="utf-8") as file:
        head = file.read(200)
    found = re.search(r"plotly\.js \(cartesian - minified\) v(\S+)", head)
    return found is not None and found[1] == get_plotlyjs_version()


def route() -> Route:
    """Answers Dash's graphs in place of the whole script."""
    files = StaticFiles(directory=FILE.parent)

    async def script(request: Request) -> Response:
        return await files.get_response(FILE.name, request.scope)

    return Route(PATH, script)
