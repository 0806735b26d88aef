"""Labelled controls and cards, all alike on every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.components.nodes import Node, dmc, html
from dashboard.names import shortened

# Options that a phone shows without scrolling.
FEW = 12
# Characters that the field of a drop-down has room for.
LONGEST_LABEL = 25


def as_count(clicks: object) -> int:
    """A number of clicks; 0 for a button that was not clicked yet, and for what JSON cannot say."""
    return clicks if isinstance(clicks, int) and abs(clicks) < 1 << 53 else 0


def select(
    component_id: str,
    *,
    caption: str,
    options: Mapping[str, str],
    value: str | None,
    clearable: bool = False,
    placeholder: str = "",
    is_in_place: bool = False,
) -> Node:
    """A drop-down in which one types to find; see assets/select.js.

    Args:
        component_id: its id.
        caption: the words above it.
        options: what a person reads, by value.
        value: the chosen one.
        clearable: whether nothing may be chosen.
        placeholder: what is shown for nothing.
        is_in_place: whether its list lies in what it stands in, and not over the whole page.
    """
    return dmc.Select(
        id=component_id,
        label=caption,
        data=choices(options),
        value=value,
        clearable=clearable,
        # Else the selected one, found once more, would be taken away.
        allowDeselect=False,
        placeholder=placeholder,
        searchable=True,
        openOnFocus=False,  # Tab goes by
        filter={"function": "matching"},
        renderOption={"function": "whole"},
        selectFirstOptionOnChange=True,
        nothingFoundMessage="No match",
        # A list that is closed is not on the page: thousands of classes made it slow to open.
        comboboxProps={"keepMounted": False, "withinPortal": not is_in_place},
        # A few are read faster than typed: no keyboard over them on a phone.
        attributes={"input": {"inputMode": "none"}} if len(options) <= FEW else {},
        size="sm",
    )


def layer_select(
    component_id: str, n_filters: Mapping[str, int], value: str, *, caption: str = "Layer"
) -> Node:
    """The choice of a layer, each with how many filters it has."""
    return select(component_id, caption=caption, options=layer_options(n_filters), value=value)


def layer_options(n_filters: Mapping[str, int]) -> dict[str, str]:
    """What a person reads of each layer, by its path."""
    return {path: f"{path} · {n} filters" for path, n in n_filters.items()}


def choices(options: Mapping[str, str]) -> list[dict[str, str]]:
    """What there is to choose from, as a drop-down takes it; a cut name is whole in the list."""
    items = []
    for key, text in options.items():
        label = text
        if len(text) > LONGEST_LABEL:  # what is said of a name goes before a letter of it
            label = shortened(text.partition(" · ")[0], LONGEST_LABEL)
        items.append({"value": key, "label": label} | ({"whole": text} if label != text else {}))
    return items


def class_select(
    component_id: str,
    class_names: Sequence[str],
    value: int | None,
    *,
    caption: str = "Class",
    placeholder: str = "All classes",
) -> Node:
    """The choice of a class, or of none.

    Args:
        component_id: its id; its value is a class's index as text, or None.
        class_names: the name of each class.
        value: the chosen class, or None.
        caption: the words above it.
        placeholder: what none means.
    """
    return select(
        component_id,
        caption=caption,
        options={str(index): name for index, name in enumerate(class_names)},
        value=option(value),
        clearable=True,
        placeholder=placeholder,
    )


def only_if(has_use: bool, component: Node) -> Node:
    """A control; hidden where it has no use, since callbacks ask for its value."""
    return component if has_use else html.Div(component, hidden=True)


def option(index: int | None) -> str | None:
    """An index as a drop-down takes it."""
    return None if index is None else str(index)


def step(component_id: str, sign: str, meaning: str) -> Node:
    """A button with one sign, for what is before or after."""
    return dmc.Tooltip(
        dmc.ActionIcon(
            sign,
            id=component_id,
            variant="default",
            size=36,
            className="one-by-one",
            **{"aria-label": meaning},
        ),
        label=meaning,
    )


def number(component_id: str, *, caption: str, value: int, largest: int) -> Node:
    """A whole number from 0 to `largest`.

    No `debounce`: Mantine's would, after that time, put back a value that a callback has replaced.
    """
    return dmc.NumberInput(
        id=component_id,
        label=caption,
        value=value,
        min=0,
        max=largest,
        allowDecimal=False,
        clampBehavior="blur",
        size="sm",
        className="one-by-one",
    )


def segments(component_id: str, *, caption: str, options: Mapping[str, str], value: str) -> Node:
    """A few choices side by side."""
    return dmc.Stack(
        [
            dmc.Text(caption, size="sm", fw=500),
            dmc.SegmentedControl(
                id=component_id,
                data=[{"value": key, "label": text} for key, text in options.items()],
                value=value,
                size="sm",
                fullWidth=True,
                **{"aria-label": caption},
            ),
        ],
        gap=4,
    )


def switch(component_id: str, *, caption: str, on: bool) -> Node:
    """Something that is or is not."""
    return dmc.Switch(id=component_id, label=caption, checked=on, size="sm")


def menu(caption: str, items: Mapping[str, str], *, disabled: Mapping[str, str]) -> Node:
    """Buttons below a button that opens them, with assets/menu.js.

    Not Mantine's, whose roles stand on nodes that have none of their keys.

    Args:
        caption: of the button that opens the others.
        items: what each says, by its id.
        disabled: why some cannot be used, by their ids.
    """
    buttons = []
    for component_id, text in items.items():
        reason = disabled.get(component_id, "")
        why = [html.Small(reason)] if reason else []
        buttons.append(
            html.Button([text, *why], id=component_id, type="button", disabled=bool(reason))
        )
    return _opened(caption, html.Div(buttons, className="menu-items", hidden=True))


def save_picture(name: str, *, by: str = "scene", scene: str = "") -> Node:
    """The button that saves a picture of what a page has beside its graphs; see assets/saving.

    Args:
        name: of the file, without what the script adds and its ending.
        by: the script that makes the picture.
        scene: the id of what `scene.js` makes a picture of.
    """
    data = {"data-save": by, "data-name": name, "data-scene": scene}
    return dmc.Button("Save picture …", variant="default", size="sm", w="fit-content", **data)


def popover(caption: str, controls: list[Node]) -> Node:
    """Controls below a button that opens them, with assets/menu.js; they stay while one chooses."""
    content = dmc.Stack(controls, gap="sm")
    return _opened(caption, html.Div(content, className="menu-items menu-panel", hidden=True))


def _opened(caption: str, items: Node) -> Node:
    opener = dmc.Button(
        caption, variant="default", size="sm", className="menu-opener", **{"aria-expanded": "false"}
    )
    return html.Div([opener, items], className="menu")


def badge(text: str, color: str) -> Node:
    """A few words on a ground of a color, written as they are: a class name not in capitals."""
    return dmc.Badge(text, color=color, variant="light", size="lg", tt="none")


def status_note(component_id: str) -> Node:
    """A sentence or a few above a drawing, which screen readers read out; unseen while empty."""
    return html.Div(id=component_id, className="status-note", role="status")


def card(
    children: Sequence[Node] | Node, *, title: str = "", fills: Sequence[str] = (), **options: Any
) -> Node:
    """A framed box with a heading.

    Args:
        children: within it.
        title: the heading; empty for none.
        fills: the ids of the components that answers of the server fill. While one is on its way,
            or stale, assets/stale.js says so in the box.
        options: of the box.
    """
    heading = [dmc.Title(title, order=2, className="card-title")] if title else []
    if fills:
        heading.append(html.Div(className="panel-state"))
        options["data-fills"] = " ".join(dict.fromkeys(fills))
    body = list(children) if isinstance(children, list | tuple) else [children]
    return dmc.Paper(dmc.Stack([*heading, *body], gap="sm"), withBorder=True, p="md", **options)


def facts(rows: Mapping[str, str | Node]) -> Node:
    """Names and values in two columns."""
    return dmc.Table(
        [
            dmc.TableTbody(
                [
                    dmc.TableTr([dmc.TableTd(name, className="fact-name"), dmc.TableTd(value)])
                    for name, value in rows.items()
                ]
            )
        ],
        withRowBorders=False,
        className="facts",
    )


def notes(sentences: Sequence[str]) -> list[Node]:
    """What a link asked for and this store does not have."""
    return [
        dmc.Alert(sentence, color="yellow", withCloseButton=True, mb="md") for sentence in sentences
    ]


def empty(reason: str, *, title: str = "Not in this store") -> Node:
    """What stands in the place of a panel that has nothing to show: why, and what to do."""
    return dmc.Alert(reason, color="gray", variant="light", title=title)
