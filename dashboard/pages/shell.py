"""The frame of every page: what is looked at, the navigation, where to go, the keys."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, unquote

from dash import ClientsideFunction, Dash, Input, Output, no_update
from dash.development.base_component import Component
from flask import Response, has_request_context, request
from plotly.io.json import to_json_plotly

from dashboard.components import mantine
from dashboard.components.controls import empty, facts, notes
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import PAGES, catalogue, ids
from dashboard.pages.goto import find
from dashboard.pages.page import Page
from dashboard.pages.page import register as register_page
from dashboard.pages.state import parse, parse_query, updated_query
from dashboard.stores.source import STORE_HERE, Snapshot, Source
from fmcore import FmcoreError

HELP = {
    "← →": "the sample before, the one after",
    "↑ ↓": "the filter before, the one after, in the order shown",
    "/": "go to a layer, a filter, a sample or a class: conv2, filter 5, sample 812, class 7",
    "wheel, or + and −": "zoom the wall, where the pointer is",
    "drag": "zoom to a box",
    "shift and drag": "move what is zoomed",
    "double click, or 0": "show all again",
    "click": "select a filter, a sample or a cell",
    "?": "this list",
}
# Of the grid, 1.3 MB: pages without one leave it to assets/grid_loader.js.
_GRID_SCRIPT = re.compile(r'<script src="([^"]*/dash_ag_grid\.[^"]*)"></script>')
GOTO_WITHOUT_CLASSES = "go to a layer, a filter or a sample: conv2, filter 5, sample 812"


def layout(source: Source, *, title: str, opened: Opened | None = None) -> Component:
    """What stands around every page of a store; or the catalogue, where none is chosen.

    Args:
        source: where the stores are.
        title: of the dashboard.
        opened: the page within it; None for none, which is asked for when the browser has the rest.
    """
    if source.has_catalogue and STORE_HERE.get() is None:
        return _provider(
            [
                html.Header(
                    [html.H1(title), html.Div(className="about"), _tools()], className="frame"
                ),
                catalogue.layout(source),
            ]
        )
    snapshot = source.snapshot()
    root = "../../" if source.has_catalogue else ""
    header = html.Header(
        [
            html.H1(html.A(title, href=root, title="All stores") if root else title),
            html.Nav(
                [
                    dcc.Link(
                        page.title,
                        id=ids.NAV.format(page=page.name),
                        href=page.name,
                        title=page.description,
                        className="active" if opened and page is opened.page else "",
                    )
                    for page in PAGES
                ]
            ),
            dmc.TextInput(
                id=ids.GOTO,
                placeholder="Go to …  /",
                size="sm",
                className="goto",
                **{
                    "aria-label": "Go to a layer, filter, sample or class"
                    if snapshot.catalog.has_classes
                    else "Go to a layer, filter or sample"
                },
            ),
            # What is cut off where there is no room is in the tip.
            html.Div(_about(snapshot), className="about", title=snapshot.store.accuracy_words),
            _tools(
                dmc.ActionIcon(
                    "?",
                    id=ids.HELP_OPEN,
                    variant="default",
                    size="lg",
                    **{"aria-label": "Keys"},
                ),
                root=root,
            ),
        ],
        className="frame",
    )
    return _provider(
        [
            # Where it is unknown, it tells itself, and has the page shown.
            dcc.Location(id=ids.URL, refresh=False, **(opened.address if opened else {})),
            dcc.Store(id=ids.SCHEME),
            dcc.Store(id=ids.GOTO_ASKED),
            dmc.Modal(facts(_help(snapshot)), id=ids.HELP, title="Keys and pointer", size="lg"),
            header,
            html.Main(opened.children if opened else None, id=ids.PAGE),
        ]
    )


def _provider(children: list[Node]) -> Component:
    # Dash takes nothing but one of its own components for the whole layout.
    theme = {"primaryColor": "indigo"}
    return mantine.library().MantineProvider(children, defaultColorScheme="auto", theme=theme)


def _tools(*buttons: Node, root: str = "") -> Node:
    scope = request.environ.get("asgi.scope", {}) if has_request_context() else {}
    person = scope.get("state", {}).get("person")
    if person is not None:
        buttons = (html.A(person.name, href=f"{root}account", className="account"), *buttons)
    scheme = dmc.ColorSchemeToggle(
        lightIcon="☀",
        darkIcon="☾",
        variant="default",
        size="lg",
        **{"aria-label": "Light or dark"},
    )
    return dmc.Group([*buttons, scheme], gap="xs", wrap="nowrap")


def _help(snapshot: Snapshot) -> dict[str, str]:
    """The keys; without classes there is none to go to."""
    goes = {} if snapshot.catalog.has_classes else {"/": GOTO_WITHOUT_CLASSES}
    return HELP | goes


def _about(snapshot: Snapshot) -> list[Node]:
    about = snapshot.about()
    return [
        dmc.Text(str(about["dataset"]["source"]), size="sm", fw=500),
        dmc.Text(
            f"{snapshot.file_name} · {about['model']['name']} · "
            f"{snapshot.catalog.n_samples:,} samples · {snapshot.store.accuracy_words}",
            size="xs",
            c="dimmed",
        ),
    ]


@dataclass(frozen=True, slots=True)
class Opened:
    """A page as a link opens it.

    Attributes:
        page: the page.
        children: its components.
        address: `pathname` and `search`, as a browser has them.
    """

    page: Page
    children: list[Node]
    address: dict[str, str]


def open_page(source: Source, path: object, search: object) -> Opened:
    """The page that a link leads to, below sentences on what of it there is not.

    Args:
        source: where the stores are.
        path: of the link; the page's name is its end, after where server and store are.
        search: its query.
    """
    snapshot = source.snapshot()
    path, search = (text if isinstance(text, str) else "" for text in (path, search))
    name = unquote(path).removeprefix(request.script_root).strip("/") or PAGES[0].name
    state, problems = parse_query(search, snapshot.catalog)
    page = next((page for page in PAGES if page.name == name), None)
    if page is None:
        page, problems = PAGES[0], (f"There is no page {name!r}.", *problems)
    children = [*notes(problems), page.layout(snapshot, state)]
    return Opened(page, children, {"pathname": path, "search": search})


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the frame."""
    names = [page.name for page in PAGES]
    catalogue.register(app, source)

    # The first page comes with the index: see `bring_first_page`.
    @app.callback(
        Output(ids.PAGE, "children"),
        *(Output(ids.NAV.format(page=name), "className") for name in names),
        Input(ids.URL, "pathname"),
        Input(ids.URL, "search"),
        prevent_initial_call=True,
    )
    def show_page(path: object, search: object) -> tuple[list[Node] | str, ...]:
        opened = open_page(source, path, search)
        return opened.children, *("active" if page is opened.page else "" for page in PAGES)

    @app.callback(
        Output(ids.URL, "search"),
        Output(ids.GOTO, "error"),
        Output(ids.GOTO, "value"),
        Input(ids.GOTO_ASKED, "data"),
        prevent_initial_call=True,
    )
    def go(goal: object) -> tuple[Any, str, Any]:
        match goal:
            case {"text": str(text), "search": str(search)}:
                catalog = source.snapshot().catalog
                changes, problem = find(text, catalog)
                if problem or not changes:
                    return no_update, problem, no_update
                if "layer" in changes and "filter_index" not in changes:
                    changes["filter_index"] = 0
                state = parse_query(search, catalog)[0]
                _, problems = parse(asdict(state) | changes, catalog)
                if problems:
                    return no_update, problems[0], no_update
                # Another window was zoomed for another picture.
                query = updated_query(search, catalog, **({"window": ""} | changes))
                return query, "", ""
            case _:
                return no_update, "", no_update

    app.clientside_callback(
        ClientsideFunction("color_scheme", "current"),
        Output(ids.SCHEME, "data"),
        Input(ids.URL, "pathname"),
    )
    app.clientside_callback(
        ClientsideFunction("navigation", "help"),
        Output(ids.HELP, "opened"),
        Input(ids.HELP_OPEN, "n_clicks"),
        prevent_initial_call=True,
    )
    for page in PAGES:
        register_page(app, source, page, names)


def bring_first_page(app: Dash, source: Source, *, title: str) -> None:
    """Has the index bring what a browser would ask for next: layout, callbacks and the first page.

    assets/first_page.js gives them to Dash's renderer, so that a link takes two trips less.
    """
    dependencies = ""

    def add(response: Response) -> Response:
        nonlocal dependencies
        if response.mimetype != "text/html" or request.method != "GET":
            return response
        dependencies = dependencies or app.dependencies().get_data(as_text=True)
        try:
            layout_text = to_json_plotly(_first_layout(source, title=title))
        except FmcoreError as error:
            layout_text = to_json_plotly(_unopened(source, error, title=title))
        blocks = (
            f'<script type="application/json" id="first-{name}">{_in_html(text)}</script>'
            for name, text in (("layout", layout_text), ("dependencies", dependencies))
        )
        index = response.get_data(as_text=True)
        if '"AgGrid"' not in layout_text:
            index = _GRID_SCRIPT.sub(
                r'<link rel="prefetch" as="script" id="grid-script" href="\1">', index
            )
        response.set_data(index.replace("</head>", f"{''.join(blocks)}</head>", 1))
        return response

    app.server.after_request(add)


def _first_layout(source: Source, *, title: str) -> Component:
    if source.has_catalogue and STORE_HERE.get() is None:
        return layout(source, title=title)
    query = request.query_string.decode("utf-8", "replace")
    path = quote(f"{request.script_root}{request.path}")
    opened = open_page(source, path, f"?{query}" if query else "")
    return layout(source, title=title, opened=opened)


def _unopened(source: Source, error: FmcoreError, *, title: str) -> Component:
    """What stands in the place of a store that cannot be opened: why, and the way to the others."""
    root = "../../" if source.has_catalogue else ""
    heading = html.A(title, href=root, title="All stores") if root else title
    header = html.Header(
        [html.H1(heading), html.Div(className="about"), _tools(root=root)], className="frame"
    )
    reason = empty(str(error), title="This store cannot be opened")
    return _provider([header, html.Main(reason)])


def _in_html(text: str) -> str:
    """JSON that ends no script element early."""
    return text.replace("<", "\\u003c")
