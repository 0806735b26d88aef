"""What the index brings with it: the page that a link leads to, as a browser has it first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from urllib.parse import quote

from dash import Dash
from dash.development.base_component import Component
from flask import Response, request
from plotly.io.json import to_json_plotly

from dashboard import urls
from dashboard.components.nodes import Node, html
from dashboard.pages import PAGES, shell
from dashboard.server.paths import root_address
from dashboard.stores.source import STORE_HERE, Source, StoreNotFoundError
from fmcore import FmcoreError
from fmcore.errors import InputFileError

# Of Dash's own tables, which no page has, and what its graphs ask for by themselves.
_UNNEEDED_SCRIPTS = re.compile(
    r'<script src="[^"]*/(dash_table/|dcc/dash_core_components-shared\.)[^"]*"></script>'
)
# Of the grid, 1.3 MB: pages without one leave it to assets/grid_loader.js.
_GRID_SCRIPT = re.compile(r'<script src="([^"]*/dash_ag_grid\.[^"]*)"></script>')
# What Dash shows before its scripts are here.
_LOADING = re.compile(r'<div class="_dash-loading">\s*Loading\.\.\.\s*</div>')
# Names of stores that are offered to who asked for one that there is not.
MOST_NEAR = 5


def register(app: Dash, source: Source, *, title: str) -> None:
    """Has the index bring what a browser would ask for next: layout, callbacks and the first page.

    assets/first_page.js gives them to Dash's renderer, so that a link takes two trips less.
    """
    dependencies = ""

    def add(response: Response) -> Response:
        nonlocal dependencies
        if response.mimetype != "text/html" or request.method != "GET":
            return response
        dependencies = dependencies or app.dependencies().get_data(as_text=True)
        first = _first(source, title=title)
        response.status_code = first.status
        layout_text = to_json_plotly(first.layout)
        head = [
            # Before the page is made of its layout.
            *(f'<link rel="stylesheet" href="{escape(style)}">' for style in first.styles),
            *(
                f'<script type="application/json" id="first-{name}">{_in_html(text)}</script>'
                for name, text in (("layout", layout_text), ("dependencies", dependencies))
            ),
        ]
        frame = _first_frame(source, title=title, has_page=response.status_code == 200)
        index = _LOADING.sub(lambda _: frame, response.get_data(as_text=True))
        index = _UNNEEDED_SCRIPTS.sub("", index)
        if '"AgGrid"' not in layout_text:
            index = _GRID_SCRIPT.sub(r'<link as="script" id="grid-script" href="\1">', index)
        name = escape(first.title)
        index = index.replace(f"<title>{title}</title>", f"<title>{name}</title>", 1)
        response.set_data(index.replace("</head>", f"{''.join(head)}</head>", 1))
        return response

    app.server.after_request(add)


@dataclass(frozen=True, slots=True)
class First:
    """The first answer to a link.

    Attributes:
        layout: all components.
        title: what the browser calls it.
        status: of the answer.
        styles: the addresses of the styles that the page has of its own.
    """

    layout: Component
    title: str
    status: int = 200
    styles: tuple[str, ...] = ()


def _first(source: Source, *, title: str) -> First:
    if source.has_catalogue and STORE_HERE.get() is None:
        if not request.path.strip("/"):
            return First(shell.layout(source, title=title), f"Stores · {title}")
        name = request.path.strip("/")
        content = shell.absence(
            shell.NO_PAGE, f"No page {name!r}.", {shell.ALL_STORES: root_address()}
        )
        return First(_without_store(content, title=title), f"{shell.NO_PAGE} · {title}", 404)
    query = request.query_string.decode("utf-8", "replace")
    path = quote(f"{request.script_root}{request.path}")
    try:
        opened = shell.open_page(source, path, f"?{query}" if query else "")
        status = 200 if opened.page else 404
        styles = opened.page.styles() if opened.page else ()
        layout = shell.layout(source, title=title, opened=opened)
        return First(layout, opened.title, status, styles)
    except FmcoreError as error:
        is_absent = isinstance(error, StoreNotFoundError | InputFileError)
        return First(_unopened(source, error, title=title), title, 404 if is_absent else 409)


def _first_frame(source: Source, *, title: str, has_page: bool) -> str:
    """The frame of a page as HTML, which is seen until scripts have come and make it.

    Args:
        source: where the stores are.
        title: of the dashboard.
        has_page: whether there is what the link leads to.
    """
    name = STORE_HERE.get() or ("" if source.has_catalogue else next(iter(source.names), ""))
    query = request.query_string.decode("utf-8", "replace")
    links = "".join(
        f'<a href="{escape(page.name + (f"?{query}" if query else ""))}">{escape(page.title)}</a>'
        for page in PAGES
        if name and has_page
    )
    return (
        f'<header class="frame"><h1>{escape(title)}</h1><nav>{links}</nav>'
        f'<div class="about">{escape(name)}</div></header><main>Loading…</main>'
    )


def _unopened(source: Source, error: FmcoreError, *, title: str) -> Component:
    """What stands in the place of a store that cannot be opened: why, and the way to the others."""
    name, ways = STORE_HERE.get(), {}
    if name is not None:
        near = get_close_matches(name, source.names, n=MOST_NEAR)
        ways = {other: root_address() + urls.store_page(other) for other in near if other != name}
        ways[shell.ALL_STORES if source.has_catalogue else title] = root_address()
    is_absent = isinstance(error, StoreNotFoundError)
    words, reason = "This store cannot be opened", str(error)  # as the catalogue says it
    if is_absent:
        words, reason = "There is no such store", reason[:1].upper() + reason[1:]
    return _without_store(shell.absence(words, reason, ways), title=title)


def _without_store(content: Node, *, title: str) -> Component:
    """The frame of a page that has no store to show."""
    heading = html.H1(html.A(title, href=root_address()))
    header = shell.page_header(heading, html.Div(className="about"), shell.tools())
    return shell.provider([header, html.Main(content)])


def _in_html(text: str) -> str:
    """JSON that ends no script element early."""
    return text.replace("<", "\\u003c")
