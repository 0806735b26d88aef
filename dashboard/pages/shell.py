"""The frame of every page: what is looked at, the navigation, where to go, the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from dash import ClientsideFunction, Dash, Input, Output, no_update
from dash.development.base_component import Component
from flask import request

from dashboard import urls
from dashboard.components import mantine
from dashboard.components.controls import empty, facts, notes
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.pages import PAGES, UNNAMED, catalogue, ids
from dashboard.pages.goto import find
from dashboard.pages.page import Page
from dashboard.pages.page import register as register_page
from dashboard.pages.person import person_here
from dashboard.pages.state import FIELDS, parse, parse_query, updated_query
from dashboard.server.paths import root_address
from dashboard.stores.source import STORE_HERE, Snapshot, Source
from fmcore.selection import near_matches

HELP = {
    "← →": "on Feature maps and Layers: the sample before, the one after",
    "↑ ↓": "on Feature maps and Filter: the filter before, the one after, in the order shown",
    "/": "go to a layer, a filter, a sample or a class: conv2, filter 5, sample 812, class 7",
    "+ −": "zoom the wall about the pointer, else about its middle",
    "0, or double click": "show all of the wall again",
    "Ctrl or ⌘ and wheel": "zoom the wall where the pointer is",
    "wheel, or one finger": "scroll the page",
    "two fingers": "zoom and move the wall",
    "drag": "zoom the wall or a graph to a box",
    "shift and drag": "move what is zoomed",
    "click": "select a filter, a sample or a cell; the keys above stay the page's",
    "click in the input image": "list what reacts there; drag for a box",
    "on the input image, after Tab": "arrows move to a place, with shift to a box, Enter lists "
    "what reacts there, Escape closes the list",
    "tap": "select a filter and see the value; twice, show all again",
    "Tab": "the next control, which then has the arrow keys; first, a link past the header",
    "on Overview's tables, after Tab": "arrows, Page Up and Page Down, Home and End go from row to "
    "row, Enter opens it",
    "on the wall, after Tab": "arrows go from cell to cell, Page Up and Page Down from tile "
    "to tile, Enter selects the filter, shift and arrows move what is zoomed",
    "on the map of samples, after Tab": "arrows go to the nearest sample that way, Page Up and "
    "Page Down to the one before and after, Enter selects it",
    "?": "this list",
}
ALL_STORES = "All stores"
NO_PAGE = "There is no such page"
GOTO_WITHOUT_CLASSES = "go to a layer, a filter or a sample: conv2, filter 5, sample 812"


def layout(source: Source, *, title: str, opened: Opened | None = None) -> Component:
    """What stands around every page of a store; or the catalogue, where none is chosen.

    Args:
        source: where the stores are.
        title: of the dashboard.
        opened: the page within it; None for none, which is asked for when the browser has the rest.
    """
    if source.has_catalogue and STORE_HERE.get() is None:
        return provider(
            [
                page_header(html.H1(title), html.Div(className="about"), tools()),
                _current(probe="healthz"),
                catalogue.layout(source),
            ]
        )
    snapshot = source.snapshot()
    # A path that leads to no page may be of any depth.
    here = f"{quote(request.script_root)}/" if opened and opened.page is None else ""
    header = page_header(
        html.H1(
            html.A(title, href=root_address(), title=ALL_STORES) if source.has_catalogue else title
        ),
        html.Nav(
            [
                dcc.Link(
                    page.title,
                    id=ids.NAV.format(page=page.name),
                    href=here + page.name,
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
        tools(
            dmc.ActionIcon(
                "?",
                id=ids.HELP_OPEN,
                variant="default",
                size="lg",
                **{"aria-label": "Keys"},
            ),
        ),
    )
    return provider(
        [
            # Where it is unknown, it tells itself, and has the page shown.
            dcc.Location(id=ids.URL, refresh=False, **(opened.address if opened else {})),
            dcc.Store(id=ids.SCHEME),
            dcc.Store(id=ids.GOTO_ASKED),
            dcc.Store(id=ids.GOTO_LINK),
            dmc.Modal(
                facts(_help(snapshot)),
                id=ids.HELP,
                title="Keys and pointer",
                size="lg",
                closeButtonProps={"aria-label": "Close"},
            ),
            _current(probe=urls.store_api(snapshot), digest=snapshot.digest),
            header,
            html.Main(opened.children if opened else None, id=ids.PAGE),
        ]
    )


def _current(*, probe: str, digest: str = "") -> Node:
    """The strip that says when the page is not current; see assets/stale.js.

    Args:
        probe: the address that answers where all is well.
        digest: of the store that is shown; empty for none.
    """
    about = {"data-probe": probe} | ({"data-digest": digest} if digest else {})
    return html.Div(id=ids.CURRENT, className="current", role="status", **about)


def page_header(*parts: Node) -> Node:
    """The header of every page; first in it a link past it, for keyboards."""
    # Its words are of what is on the page: see style.css.
    skip = html.A(
        [
            "Skip to the ",
            html.Span("content", className="skip-content"),
            html.Span("wall", className="skip-wall"),
        ],
        href=f"#{ids.PAGE}",
        className="skip",
    )
    return html.Header([skip, *parts], className="frame")


def provider(children: list[Node]) -> Component:
    """A whole layout: Mantine's provider of colors around all components of it."""
    # Dash takes nothing but one of its own components for the whole layout.
    theme = {"primaryColor": "indigo"}
    return mantine.library().MantineProvider(children, defaultColorScheme="auto", theme=theme)


def tools(*buttons: Node) -> Node:
    """The right end of the header: the API, the account, further buttons, light or dark."""
    person = person_here()
    if person is not None:
        buttons = (
            html.A(person.name, href=f"{root_address()}account", className="account"),
            *buttons,
        )
    reference = html.A(
        "API", href=f"{root_address()}docs", className="reference", title="The HTTP API"
    )
    scheme = dmc.ColorSchemeToggle(
        lightIcon="☀",
        darkIcon="☾",
        variant="default",
        size="lg",
        **{"aria-label": "Light or dark"},
    )
    return dmc.Group([reference, *buttons, scheme], gap="xs", wrap="nowrap")


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
        page: the page; None where the link leads to nothing that there is.
        children: its components; without a page the reason, and the way back.
        title: what the browser calls it.
        address: `pathname` and `search`, as a browser has them.
    """

    page: Page | None
    children: list[Node]
    title: str
    address: dict[str, str]


def open_page(source: Source, path: object, search: object) -> Opened:
    """The page that a link leads to, below sentences on what of it there is not.

    Where it leads to no page, or to no layer of the store, the ways to those that there are.

    Args:
        source: where the stores are.
        path: of the link; the page's name is its end, after where server and store are.
        search: its query.
    """
    snapshot = source.snapshot()
    path, search = (text if isinstance(text, str) else "" for text in (path, search))
    name = unquote(path).removeprefix(request.script_root).strip("/") or _page_without_name(search)
    address = {"pathname": path, "search": search}
    page = next((page for page in PAGES if page.name == name), None)
    # Absolute: an unknown path may be of any depth.
    root = quote(request.script_root)
    if page is None:
        ways = {page.title: f"{root}/{page.name}" for page in PAGES}
        return _nowhere(snapshot, NO_PAGE, f"No page {name!r}.", ways, address)
    layer = dict(parse_qsl(search.lstrip("?"))).get(FIELDS["layer"].key, "")
    layers = list(snapshot.catalog.n_filters)
    if layer and layer not in layers:
        reason = f"No layer {layer!r} in {snapshot.file_name}{near_matches(layer, layers)}"
        ways = {path: f"{root}/{name}?{urlencode({'layer': path})}" for path in layers}
        return _nowhere(snapshot, "There is no such layer", reason, ways, address)
    state, problems = parse_query(search, snapshot.catalog)
    children = [*notes(problems), page.layout(snapshot, state)]
    return Opened(page, children, page.full_title(snapshot, state), address)


def _page_without_name(search: str) -> str:
    """The page of a link that names none: the first, unless it says what that does not show."""
    named = dict(parse_qsl(search.lstrip("?")))
    others = (link.key for name, link in FIELDS.items() if name not in PAGES[0].shown_fields)
    return UNNAMED.name if any(key in named for key in others) else PAGES[0].name


def _page_with(path: str, changes: Mapping[str, object]) -> str:
    """The page of a path, if it shows something of what changes; else the one that does."""
    name = unquote(path.rpartition("/")[2])
    page = next((page for page in PAGES if page.name == name), PAGES[0])
    return page.name if changes.keys() & page.shown_fields else UNNAMED.name


def _nowhere(
    snapshot: Snapshot, heading: str, reason: str, ways: Mapping[str, str], address: dict[str, str]
) -> Opened:
    """The message for a link to a page or a layer that the store does not have."""
    title = f"{heading} · {snapshot.name}"
    return Opened(None, [absence(heading, reason, ways)], title, address)


def register(app: Dash, source: Source) -> None:
    """Adds the callbacks of the frame."""
    names = [page.name for page in PAGES]
    catalogue.register(app, source)

    # The first page comes with the index: see first_page.py.
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
        Output(ids.GOTO_LINK, "data"),
        Output(ids.GOTO, "error"),
        Output(ids.GOTO, "value"),
        Input(ids.GOTO_ASKED, "data"),
        prevent_initial_call=True,
    )
    def go(goal: object) -> tuple[Any, str, Any]:
        match goal:
            case {"text": str(text), "path": str(path), "search": str(search), **rest}:
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
                link = {"href": f"{_page_with(path, changes)}{query}", "at": rest.get("at")}
                return link, "", ""
            case _:
                return no_update, "", no_update

    app.clientside_callback(
        ClientsideFunction("navigation", "open"),
        Output(ids.GOTO_LINK, "data", allow_duplicate=True),
        Input(ids.GOTO_LINK, "data"),
        prevent_initial_call=True,
    )
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


def absence(title: str, reason: str, ways: Mapping[str, str]) -> Node:
    """The message for a page, layer or store that does not exist, with links to those that do.

    Args:
        title: of the message.
        reason: the name in the link, and names like it.
        ways: the address of each link by its text.
    """
    links = [html.Li(html.A(name, href=address)) for name, address in ways.items()]
    parts = [empty(reason, title=title), *([html.Ul(links)] if links else [])]
    return html.Div(parts, className="absence")
