"""What a page is: controls in which a person chooses a state, and panels that are drawn from it.

`register` makes every callback of a page. It opens the store once, parses the controls once, has a
panel drawn, and says in the panel's place why there is nothing to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import dash
from dash import ClientsideFunction, Dash, Input, Output

from dashboard.components.controls import card, empty
from dashboard.components.graph import NO_GRAPH, NOTHING
from dashboard.components.nodes import Node, dcc, html
from dashboard.figures.theme import theme_for
from dashboard.pages import ids
from dashboard.pages.state import State, field_table, state_for
from dashboard.stores.catalog import Catalog
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from dashboard.stores.summary import without_folders
from fmcore import FmcoreError
from fmcore.errors import MapsNotStoredError, StatisticNotFoundError

# What a panel fills: the ending of a component's id, after those of page and panel, and a property.
Fill = tuple[str, str]
CHILDREN: tuple[Fill, ...] = (("", "children"),)
GRAPH: tuple[Fill, ...] = (("", "figure"), ("", "style"), ("-note", "children"))
# What a property holds where there is nothing to draw; others get an empty text.
_NOTHING: Mapping[str, Any] = {
    "figure": NOTHING,
    "style": NO_GRAPH,
    "columnDefs": [],
    "rowData": [],
}
# Digits of a digest that travel with each callback: enough to notice that a store was replaced.
DIGITS = 16
REPLACED = "The store was replaced since this page was opened: reload the page."


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

    def frame(self, page: str, snapshot: Snapshot, state: State) -> Node:
        """The panel, and those beside it, in a frame; hidden where the store has nothing of it."""
        parts: list[Node] = []
        for panel in (self, *self.beside):
            body = panel.body or partial(_filled, page, panel.name)
            parts += _as_list(body(snapshot, state))
        parts += [
            dcc.Store(id=ids.SEEN.format(page=page, panel=panel.name))
            for panel in (self, *self.beside, *self.within)
            if panel.in_sight
        ]
        title = self.title if isinstance(self.title, str) else self.title(snapshot.catalog)
        content = html.Div(parts, className=self.class_name) if self.class_name else parts
        framed = card(content, title=title)
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
        main: what is on the right, from top to bottom.
        always: fields that every panel needs.
        subject: what panels are drawn from.
        links: components whose `href` leads to a page with the same state, and that page's name.
        register: adds callbacks that draw no panel.
    """

    name: str
    title: str
    description: str
    controls: Mapping[str, Control]
    side: tuple[Part, ...]
    main: tuple[Part, ...]
    above: tuple[Part, ...] = ()
    always: tuple[str, ...] = ()
    subject: Subject = _store
    links: Mapping[str, str] = field(default_factory=dict)
    register: Callable[[Dash, Source], None] = lambda _, __: None

    @property
    def panels(self) -> Iterator[Panel]:
        """Every panel, also those beside and within others."""
        for part in (*self.above, *self.side, *self.main):
            if isinstance(part, Panel):
                yield from (part, *part.beside, *part.within)

    def layout(self, snapshot: Snapshot, state: State) -> Node:
        """The components of the page for a state; callbacks fill its panels."""

        def column(parts: Sequence[Part]) -> list[Node]:
            nodes: list[Node] = []
            for part in parts:
                if isinstance(part, Panel):
                    nodes.append(part.frame(self.name, snapshot, state))
                else:
                    nodes += _as_list(part(snapshot, state))
            return nodes

        return html.Div(
            [
                dcc.Store(id=ids.DIGEST, data=snapshot.digest[:DIGITS]),
                dcc.Store(id=ids.LINK.format(page=self.name), data=self._link(snapshot.catalog)),
                *column(self.above),
                html.Div(column(self.side), id=f"{self.name}-side", className="side"),
                html.Div(column(self.main), id=f"{self.name}-main"),
            ],
            className=f"page {self.name}-page",
        )

    def _link(self, catalog: Catalog) -> dict[str, Any]:
        """What the browser has to know to keep the page's link: see assets/navigation.js."""
        return {
            "fields": field_table(catalog),
            "controls": [
                {"name": name, "values": control.values} for name, control in self.controls.items()
            ],
            "targets": list(self.links.values()),
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
            "digest": dash.State(ids.DIGEST, "data"),
            "also": dict(panel.also),
        },
        prevent_initial_call=panel.in_sight,
    )
    def draw(
        values: dict[str, object], when: dict[str, Any], digest: object, also: dict[str, Any]
    ) -> list[Any]:
        try:
            snapshot = source.snapshot()
            if isinstance(digest, str) and digest != snapshot.digest[:DIGITS]:
                return _nothing(panel, "Another store", REPLACED)
            fields = {name: controls[name].value(held) for name, held in values.items()}
            state = state_for(snapshot.catalog, **fields)
            subject, state = page.subject(source, snapshot, state)
            content = panel.draw(subject, state, theme_for(when.get("scheme")), **also)
        except (StatisticNotFoundError, MapsNotStoredError) as error:
            return _nothing(panel, "Not in this store", str(error))
        except FmcoreError as error:
            return _nothing(panel, "Nothing to show", sentence(source, error))
        return [content] if len(panel.fills) == 1 else list(content)


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
