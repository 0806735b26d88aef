"""Labelled controls and cards, all alike on every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.components.nodes import Node, dmc, html


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
) -> Node:
    """A drop-down; searchable where there is much to choose from.

    Args:
        component_id: its id.
        caption: the words above it.
        options: what a person reads, by value.
        value: the chosen one.
        clearable: whether nothing may be chosen.
        placeholder: what is shown for nothing.
    """
    return dmc.Select(
        id=component_id,
        label=caption,
        data=choices(options),
        value=value,
        clearable=clearable,
        allowDeselect=clearable,
        placeholder=placeholder,
        searchable=len(options) > 12,
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
    """What there is to choose from, as a drop-down takes it."""
    return [{"value": key, "label": text} for key, text in options.items()]


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
            sign, id=component_id, variant="default", size=36, **{"aria-label": meaning}
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


def badge(text: str, color: str) -> Node:
    """A few words on a ground of a color, written as they are: a class name not in capitals."""
    return dmc.Badge(text, color=color, variant="light", size="lg", tt="none")


def status_note(component_id: str) -> Node:
    """A sentence or a few above a drawing, which screen readers read out; unseen while empty."""
    return html.Div(id=component_id, className="status-note", role="status")


def card(children: Sequence[Node] | Node, *, title: str = "", **options: Any) -> Node:
    """A framed box with a heading."""
    heading = [dmc.Title(title, order=2, className="card-title")] if title else []
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
