"""The frame of every page: what is looked at, the navigation, where to go, the keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from dash import ClientsideFunction, Dash, Input, Output, no_update
from dash.development.base_component import Component
from flask import has_request_context, request

from dashboard.components import mantine
from dashboard.components.controls import facts, notes
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import PAGES, catalogue, ids
from dashboard.pages.goto import find
from dashboard.pages.page import Page
from dashboard.pages.page import register as register_page
from dashboard.pages.state import parse, parse_query, updated_query
from dashboard.stores.source import STORE_HERE, Snapshot, Source

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
GOTO_WITHOUT_CLASSES = "go to a layer, a filter or a sample: conv2, filter 5, sample 812"


def layout(source: Source, *, title: str) -> Component:
    """What stands around every page of a store; or the catalogue, where none is chosen."""
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
            dcc.Location(id=ids.URL, refresh=False),
            dcc.Store(id=ids.SCHEME),
            dcc.Store(id=ids.GOTO_ASKED),
            dmc.Modal(facts(_help(snapshot)), id=ids.HELP, title="Keys and pointer", size="lg"),
            header,
            html.Main(id=ids.PAGE),
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


def _page_of(path: object) -> str:
    """The page's name, the end of its address; before it is where server and store are."""
    path = path if isinstance(path, str) else ""
    return unquote(path).removeprefix(request.script_root).strip("/")


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the frame."""
    names = [page.name for page in PAGES]
    catalogue.register(app, source)

    @app.callback(
        Output(ids.PAGE, "children"),
        *(Output(ids.NAV.format(page=name), "className") for name in names),
        Input(ids.URL, "pathname"),
        Input(ids.URL, "search"),
    )
    def show_page(path: object, search: object) -> tuple[list[Node] | str, ...]:
        snapshot = source.snapshot()
        name = _page_of(path) or names[0]
        state, problems = parse_query(search, snapshot.catalog)
        page = next((page for page in PAGES if page.name == name), None)
        if page is None:
            page, problems = PAGES[0], (f"There is no page {name!r}.", *problems)
        children = [*notes(problems), page.layout(snapshot, state)]
        return children, *("active" if other is page else "" for other in PAGES)

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
        ClientsideFunction("scheme", "current"),
        Output(ids.SCHEME, "data"),
        Input(ids.URL, "pathname"),
    )
    app.clientside_callback(
        ClientsideFunction("address", "help"),
        Output(ids.HELP, "opened"),
        Input(ids.HELP_OPEN, "n_clicks"),
        prevent_initial_call=True,
    )
    for page in PAGES:
        if isinstance(page, Page):
            register_page(app, source, page, names)
            continue
        page.register(app, source)
        app.clientside_callback(
            ClientsideFunction("address", "remember"),
            [Output(ids.NAV.format(page=name), "href", allow_duplicate=True) for name in names],
            Input(page.query_id, "data"),
            prevent_initial_call="initial_duplicate",
        )
