"""What a page is: controls in which a person chooses a state, and panels that are drawn from it.

`register` makes every callback of a page. It opens the store once, parses the controls once, has a
panel drawn, and says in the panel's place why there is nothing to draw.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dash
from dash import ClientsideFunction, Dash, Input, Output

from dashboard.components.controls import card, empty
from dashboard.components.graph import NO_GRAPH, NOTHING
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.theme import theme_for
from dashboard.file_names import file_name, numbered
from dashboard.pages import ids
from dashboard.pages.state import State, field_table, state_for
from dashboard.server.paths import root_address
from dashboard.stores.catalog import Catalog
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from dashboard.stores.summary import without_folders
from fmcore import FmcoreError
from fmcore.errors import GraphNotStoredError, MapsNotStoredError, StatisticNotFoundError

# What a panel fills: the ending of a component's id, after those of page and panel, and a property.
Fill = tuple[str, str]
CHILDREN: tuple[Fill, ...] = (("", "children"),)
GRAPH: tuple[Fill, ...] = (("", "figure"), ("", "style"), ("-note", "children"))
# What a panel raises that is about something that the store does not have.
NOT_STORED = (StatisticNotFoundError, MapsNotStoredError, GraphNotStoredError)
# What a property holds where there is nothing to draw; others get an empty text.
_NOTHING: Mapping[str, Any] = {
    "figure": NOTHING,
    "style": NO_GRAPH,
    "columnDefs": [],
    "rowData": [],
}


@dataclass(frozen=True, slots=True)
class Control:
    """Where on a page a person chooses a field of the state.

    Attributes:
        id: the component's.
        prop: its property that holds the value.
        values: the field's values of a switch, (off, on); None for a control that is none.
    """

    id: str
    prop: str = "value"
    values: tuple[str, str] | None = None

    def value(self, held: object) -> object:
        """The field's value that the control's property stands for."""
        return held if self.values is None else self.values[bool(held)]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One thing seen on a page.

    Attributes:
        name: its name on the page; its components' ids begin with those of both.
        draw: gives what it fills, from (subject, state, theme) and what is in `also`: a value, or
            several in the order of `fills`.
        needs: the fields of the state that it is drawn from; others do not have it drawn again.
        title: above it; empty for none. Or a function of the catalog.
        fills: what `draw` gives.
        body: its components, from (snapshot, state); None for one that is filled with children.
        beside: panels within the same frame, below it.
        within: panels whose components its own body has.
        class_name: of what is around the panel and those beside it.
        also: further inputs of `draw`, by its names for them.
        themed: whether it has colors, and so is drawn again for another color scheme.
        in_sight: whether it is not drawn while it is folded up, nor again until a person scrolls
            to it.
        is_there: whether a store has what it is about.
    """

    name: str
    draw: Callable[..., Any]
    needs: tuple[str, ...]
    title: str | Callable[[Catalog], str] = ""
    fills: tuple[Fill, ...] = CHILDREN
    body: Callable[[Snapshot, State], Node | list[Node]] | None = None
    beside: tuple[Panel, ...] = ()
    within: tuple[Panel, ...] = ()
    class_name: str = ""
    also: Mapping[str, Input | dash.State] = field(default_factory=dict)
    themed: bool = False
    in_sight: bool = False
    is_there: Callable[[Catalog], bool] = lambda _: True

    def frame(self, page: Page, snapshot: Snapshot, state: State) -> Node:
        """The panel, and those beside it, in a frame; hidden where the store has nothing of it."""
        parts: list[Node] = []
        for panel in (self, *self.beside):
            body = panel.body or partial(_filled, page.name, panel.name)
            parts += _as_list(body(snapshot, state))
        panels = (self, *self.beside, *self.within)
        parts += [
            dcc.Store(id=ids.SEEN.format(page=page.name, panel=panel.name))
            for panel in panels
            if panel.in_sight
        ]
        title = self.title if isinstance(self.title, str) else self.title(snapshot.catalog)
        content = html.Div(parts, className=self.class_name) if self.class_name else parts
        fills = [f"{page.name}-{panel.name}{end}" for panel in panels for end, _ in panel.fills]
        # While a control is on its way, so is what is drawn from it.
        needs = (name for panel in panels for name in (*page.always, *panel.needs))
        fills += [page.controls[name].id for name in needs]
        framed = card(content, title=title, fills=fills)
        return framed if self.is_there(snapshot.catalog) else html.Div(framed, hidden=True)


def _filled(page: str, name: str, _: Snapshot, __: State) -> Node:
    return html.Div(id=f"{page}-{name}", className="filled")


def _as_list(nodes: Node | list[Node]) -> list[Node]:
    return nodes if isinstance(nodes, list) else [nodes]


# What panels are drawn from, beside the state that it was found with.
Subject = Callable[[Source, Snapshot, State], tuple[Any, State]]
# A part of a page: a panel, or components that no callback fills.
Part = Panel | Callable[[Snapshot, State], Node | list[Node]]


def _store(_: Source, snapshot: Snapshot, state: State) -> tuple[Any, State]:
    """The store of the page, which most panels are drawn from."""
    return snapshot, state


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page of the dashboard.

    Attributes:
        name: its path in the URL, with which its components' ids begin.
        title: in the navigation.
        description: one sentence for people.
        controls: where each field of the state is chosen that the page shows.
        above: what is above both, across the page.
        side: what is on the left.
        main: what is on the right of it, from top to bottom.
        beside: what is on the right of `main` and stays in sight while that is scrolled.
        always: fields that every panel needs.
        subject: what panels are drawn from.
        links: components whose `href` leads to a page with the same state, and that page's name.
        names: the fields that the browser's title names, with a word before each.
        is_styled: whether it has a style of its own, assets/<name>/page.css.
        minor_fields: fields of one of its panels that the page as a whole is not about.
        register: adds callbacks that draw no panel.
    """

    name: str
    title: str
    description: str
    controls: Mapping[str, Control]
    side: tuple[Part, ...]
    main: tuple[Part, ...]
    above: tuple[Part, ...] = ()
    beside: tuple[Part, ...] = ()
    always: tuple[str, ...] = ()
    subject: Subject = _store
    links: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=lambda: {"layer": ""})
    is_styled: bool = False
    minor_fields: frozenset[str] = frozenset()
    register: Callable[[Dash, Source], None] = lambda _, __: None

    @property
    def shown_fields(self) -> frozenset[str]:
        """The fields that the page is about."""
        return frozenset(self.controls) - self.minor_fields

    @property
    def panels(self) -> Iterator[Panel]:
        """Every panel, also those beside and within others."""
        for part in (*self.above, *self.side, *self.main, *self.beside):
            if isinstance(part, Panel):
                yield from (part, *part.beside, *part.within)

    def styles(self) -> tuple[str, ...]:
        """The addresses of the styles of its own."""
        return (f"{root_address()}assets/{self.name}/page.css",) if self.is_styled else ()

    def layout(self, snapshot: Snapshot, state: State) -> Node:
        """The components of the page for a state; callbacks fill its panels."""

        def column(parts: Sequence[Part]) -> list[Node]:
            nodes: list[Node] = []
            for part in parts:
                if isinstance(part, Panel):
                    nodes.append(part.frame(self, snapshot, state))
                else:
                    nodes += _as_list(part(snapshot, state))
            return nodes

        return html.Div(
            [
                *(html.Link(rel="stylesheet", href=style) for style in self.styles()),
                dcc.Store(id=ids.LINK.format(page=self.name), data=self._link(snapshot)),
                *column(self.above),
                html.Div(column(self.side), id=f"{self.name}-side", className="side"),
                html.Div(column(self.main), id=f"{self.name}-main", className="main"),
                *([html.Div(column(self.beside), className="beside")] if self.beside else []),
            ],
            className=f"page {self.name}-page",
        )

    def full_title(self, snapshot: Snapshot, state: State) -> str:
        """What the browser calls the page: what it is about, the page, the store."""
        values = ((word, getattr(state, name)) for name, word in self.names.items())
        names = (f"{word}{value}" for word, value in values if value not in ("", None))
        return " · ".join((*names, self._rest_of_title(snapshot)))

    def _rest_of_title(self, snapshot: Snapshot) -> str:
        return f"{self.title} · {snapshot.name}"

    def _link(self, snapshot: Snapshot) -> dict[str, Any]:
        """What the browser has to know to keep the page's link: see assets/navigation.js."""
        return {
            "page": self.name,
            "fields": field_table(snapshot.catalog),
            "controls": [
                {"name": name, "values": control.values} for name, control in self.controls.items()
            ],
            "targets": list(self.links.values()),
            "title": {"fields": self.names, "rest": self._rest_of_title(snapshot)},
        }


def register(app: Dash, source: Source, page: Page, pages: Sequence[str]) -> None:
    """Adds the callbacks of a page.

    Args:
        app: where to.
        source: where the stores are.
        page: the page.
        pages: the names of all pages, whose links in the navigation follow what is shown.
    """
    for panel in page.panels:
        _register_panel(app, source, page, panel)
    links = [ids.NAV.format(page=name) for name in pages]
    app.clientside_callback(
        ClientsideFunction("navigation", "remember"),
        [Output(link, "href", allow_duplicate=True) for link in (*links, *page.links)],
        *(Input(control.id, control.prop) for control in page.controls.values()),
        Input(ids.LINK.format(page=page.name), "data"),
        prevent_initial_call="initial_duplicate",
    )
    page.register(app, source)


def _register_panel(app: Dash, source: Source, page: Page, panel: Panel) -> None:
    needs = dict.fromkeys((*page.always, *panel.needs))
    controls = {name: page.controls[name] for name in needs}
    when = {"scheme": Input(ids.SCHEME, "data")} if panel.themed else {}
    if panel.in_sight:
        place = ids.SEEN.format(page=page.name, panel=panel.name)
        when["seen"] = Input(place, "data")
        app.clientside_callback(
            ClientsideFunction("panels", "seen"),
            Output(place, "data"),
            *(Input(part.id, part.prop) for part in controls.values()),
        )
    needed = dash.State if panel.in_sight else Input

    @app.callback(
        output=[Output(f"{page.name}-{panel.name}{end}", prop) for end, prop in panel.fills],
        inputs={
            "values": {name: needed(part.id, part.prop) for name, part in controls.items()},
            "when": when,
            "also": dict(panel.also),
        },
        prevent_initial_call=panel.in_sight,
    )
    def draw(values: dict[str, object], when: dict[str, Any], also: dict[str, Any]) -> list[Any]:
        snapshot = source.snapshot()  # one that is gone is said of the whole page
        try:
            fields = {name: controls[name].value(held) for name, held in values.items()}
            state = state_for(snapshot.catalog, **fields)
            subject, state = page.subject(source, snapshot, state)
            content = panel.draw(subject, state, theme_for(when.get("scheme")), **also)
            content = with_file_names(content, _file_parts(snapshot, state, panel, needs))
        except NOT_STORED as error:
            return _nothing(panel, "Not in this store", str(error))
        except FmcoreError as error:
            return _nothing(panel, "Nothing to show", sentence(source, error))
        return [content] if len(panel.fills) == 1 else list(content)


# What a panel is of, as the name of a saved figure says it, in this order.
_NAMED_BY = {
    "with_store": "with",
    "layer": "",
    "sample": "sample",
    "filter_index": "filter",
    "class_index": "class",
    "against": "against",
    "statistic": "",
}


def _file_parts(
    snapshot: Snapshot, state: State, panel: Panel, needs: Collection[str]
) -> tuple[str, ...]:
    """The parts of the name of a file with a panel's figure."""
    values = {name: getattr(state, name) for name in _NAMED_BY if name in needs}
    parts = (
        numbered(noun, values[name]) if noun else str(values[name])
        for name, noun in _NAMED_BY.items()
        if name in values and values[name] not in (None, "")
    )
    return (snapshot.name, *parts, panel.name)


def with_file_names(content: Any, parts: tuple[str, ...]) -> Any:
    """What a panel is filled with; each figure in it has the name of its file in `layout.meta`.

    Figures of one panel are numbered where there are several.
    """
    n_figures = itertools.count(1)

    def named(value: Any) -> Any:
        match value:
            case {"data": _, "layout": layout}:
                number = next(n_figures)
                name = file_name(*parts, str(number) if number > 1 else "")
                return {**value, "layout": {**layout, "meta": {"file": name}}}
            case {"figure": figure}:
                return {**value, "figure": named(figure)}
            case list() | tuple():
                return [named(part) for part in value]
            case _:
                return value

    return named(content)


def sentence(source: Source, error: FmcoreError) -> str:
    """An error as a sentence, without where the stores lie on the server."""
    words = without_folders(error, *{path.parent for path in source.files.values()})
    if words.startswith("no "):  # a file's name stays as it is
        words = f"N{words[1:]}"
    return words.rstrip(".") + "."


def _nothing(panel: Panel, title: str, reason: str) -> list[Any]:
    """What a panel is filled with where there is nothing to draw: the reason stands once."""
    texts = [at for at, (_, prop) in enumerate(panel.fills) if prop == "children"]
    place = texts[0] if panel.fills[0][1] == "children" else texts[-1]
    filled: list[Any] = [_NOTHING.get(prop, "") for _, prop in panel.fills]
    filled[place] = [empty(reason, title=title)] if len(panel.fills) == 1 else reason
    return filled
