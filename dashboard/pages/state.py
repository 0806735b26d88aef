"""What a page shows, as a link says it: every field of the link, its parsing and its writing.

Pure: it knows no store, only a `Catalog` of what there is to choose from. `State` is the table of
the fields, a line each; parsing, links, messages and what the browser is told follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from dashboard.stores.catalog import Catalog

OUTCOMES = {"all": "All", "correct": "Correct", "wrong": "Wrong"}
# What the colors of the wall span.
RANGES = {"layer": "Layer", "filter": "Filter", "map": "Each map", "percentile": "1–99 %"}
# In which order the wall shows the filters.
FILTER_ORDERS = {
    "index": "Index",
    "mean": "Mean here",
    "class": "Score for this class",
    "similar": "Similarity to the selected",
}
# In which order samples are picked.
SAMPLE_ORDERS = {
    "index": "Index",
    "response": "Response of the filter",
    "sure": "Most confident",
    "unsure": "Least confident",
}
# Every store has it.
DEFAULT_STATISTIC = "mean"
ZOOMS = {"linked": "Linked", "free": "Free"}
DEAD = {"show": "Show", "hide": "Hide"}
ZEROS = {"plain": "As any value", "mark": "Marked"}
# In which order Classes shows classes and filters.
ARRANGEMENTS = {"index": "Index", "value": "Value", "cluster": "Similarity"}
# What Compare shows beside a filter: what answers most alike, the same with each at most once, or
# what has the same number.
PAIRINGS = {"match": "Match", "one": "One to one", "number": "Number"}
# Filters that a layer of another store may have.
MOST_FILTERS = 1 << 20
# The longest name of a file, and more than Keras makes of a path.
LONGEST_NAME = 255
_WINDOW = re.compile(r"\d{1,5}(\.\d{1,3})?(,\d{1,5}(\.\d{1,3})?){3}", re.ASCII)
# What a value of a field is, and a sentence where that is not what was asked for.
Parsed = tuple[Any, str]
# Parses a value that is there, with the catalog, the field's noun and the fields before it.
Parse = Callable[[object, Catalog, str, Mapping[str, Any]], Parsed]


def outcomes_of(catalog: Catalog) -> Mapping[str, str]:
    """The entries of `OUTCOMES` that choose samples of a store."""
    return OUTCOMES if catalog.has_outcomes else {"all": OUTCOMES["all"]}


def sample_orders_of(catalog: Catalog) -> Mapping[str, str]:
    """The entries of `SAMPLE_ORDERS` that a store has the numbers for."""
    left_out = () if catalog.has_predictions else ("sure", "unsure")
    return {name: text for name, text in SAMPLE_ORDERS.items() if name not in left_out}


def filter_orders_of(catalog: Catalog) -> Mapping[str, str]:
    """The entries of `FILTER_ORDERS` that a store has the numbers for."""
    left_out = () if catalog.has_classes else ("class",)
    return {name: text for name, text in FILTER_ORDERS.items() if name not in left_out}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a link.

    Attributes:
        key: its name in a link.
        noun: its name in sentences.
        parse: parses a value that is there.
        default: its value where a link does not name it, for a catalog.
        always: whether every link names it.
        values: all that it may be, for a catalog and the fields before it; None where only
            `parse` can say.
    """

    key: str
    noun: str
    parse: Parse
    default: Callable[[Catalog], Any]
    always: bool = False
    values: Callable[[Catalog, Mapping[str, Any]], Collection[Any]] | None = None


def _choice(
    key: str,
    noun: str,
    choices: Callable[[Catalog], Any],
    *,
    default: str = "",
    always: bool = False,
) -> Any:
    """A field that is one of some names, the first of them or `default` where none is asked for."""

    def first(catalog: Catalog) -> str:
        names = choices(catalog)
        return default if default in names else next(iter(names))

    def parse(value: object, catalog: Catalog, noun: str, _: Mapping[str, Any]) -> Parsed:
        if isinstance(value, str) and value in choices(catalog):
            return value, ""
        instead = first(catalog)
        return instead, f"There is no {noun} {value!r} here; showing {instead!r}."

    link = Field(key, noun, parse, first, always, lambda catalog, _: choices(catalog))
    return field(metadata={"link": link})


def _index(
    key: str,
    noun: str,
    size: Callable[[Catalog, Mapping[str, Any]], int],
    *,
    default: int | None = None,
    always: bool = False,
) -> Any:
    """A field that is a whole number from 0 to below a size, which fields before it may decide."""

    def parse(value: object, catalog: Catalog, noun: str, before: Mapping[str, Any]) -> Parsed:
        try:
            number = int(str(value))
        except ValueError:
            return default, f"The {noun} {value!r} is no number."
        n = size(catalog, before)
        if not n:
            return default, f"There is no {noun} {number} here: samples have no classes."
        if 0 <= number < n:
            return number, ""
        near = min(max(number, 0), n - 1)
        return near, f"There is no {noun} {number} here (0 to {n - 1}); showing {near}."

    def values(catalog: Catalog, before: Mapping[str, Any]) -> range:
        return range(size(catalog, before))

    link = Field(key, noun, parse, lambda _: default, always, values)
    return field(metadata={"link": link})


def _name(key: str, noun: str) -> Any:
    """A field that is a name of something in another store, which only that store can check."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        text = str(value)
        if len(text) > LONGEST_NAME:
            return "", f"The {noun} has a name of {len(text)} characters; {LONGEST_NAME} at most."
        if not text.isprintable():
            return "", f"The {noun} has a name of {len(text)} characters that cannot be printed."
        return text, ""

    return field(metadata={"link": Field(key, noun, parse, lambda _: "")})


def _window(key: str, noun: str) -> Any:
    """A field that is a rectangle, "top,left,bottom,right"."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        if isinstance(value, str) and _WINDOW.fullmatch(value):
            top, left, bottom, right = map(float, value.split(","))
            if top < bottom and left < right:
                return value, ""
        return "", f"The {noun} {value!r} is no rectangle; showing all."

    return field(metadata={"link": Field(key, noun, parse, lambda _: "")})


def _filters(catalog: Catalog, before: Mapping[str, Any]) -> int:
    return catalog.n_filters[before["layer"]]


def _classes(catalog: Catalog, _: Mapping[str, Any]) -> int:
    return len(catalog.classes)


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows; each attribute is a field of the link, with its key and its noun.

    Attributes:
        layer: a layer's path.
        class_index: a class, or None for all; `against` the class beside it, or None.
        window: what the wall is zoomed to: in cells of a tile where zoom is linked, else in
            thousandths of the wall; empty for all of it.
        with_store: the store that Compare sets beside this one; empty for what it chooses. Stores
            come and go, so that only Compare knows whether there is one.
        other: the path of its layer; empty for what Compare chooses.
        other_filter: a filter of that layer, or None for the one that goes with `filter_index`.
    """

    layer: str = _choice("layer", "layer", lambda catalog: catalog.n_filters, always=True)
    sample: int = _index("sample", "sample", lambda c, _: c.n_samples, default=0, always=True)
    filter_index: int = _index("filter", "filter", _filters, default=0, always=True)
    class_index: int | None = _index("class", "class", _classes)
    against: int | None = _index("against", "class to compare with", _classes)
    outcome: str = _choice("outcome", "kind of prediction", outcomes_of)
    picked: str = _choice("by", "order of samples", sample_orders_of)
    color_range: str = _choice("range", "range of colors", lambda _: RANGES)
    filter_order: str = _choice("order", "order of filters", filter_orders_of)
    dead: str = _choice("dead", "way to treat dead filters", lambda _: DEAD)
    zeros: str = _choice("zeros", "way to show exact zeros", lambda _: ZEROS)
    zoom: str = _choice("zoom", "kind of zoom", lambda _: ZOOMS)
    window: str = _window("window", "part of the wall")
    statistic: str = _choice(
        "statistic", "statistic", lambda catalog: catalog.statistics, default=DEFAULT_STATISTIC
    )
    arrangement: str = _choice("arrange", "order of classes and filters", lambda _: ARRANGEMENTS)
    with_store: str = _name("with", "store to compare with")
    other: str = _name("other", "layer of the other store")
    other_filter: int | None = _index(
        "beside", "filter of the other store", lambda *_: MOST_FILTERS
    )
    pairing: str = _choice("pair", "way to pair filters", lambda _: PAIRINGS)

    def query(self, catalog: Catalog) -> str:
        """The query of a link that shows this again, such as `?layer=conv1&sample=3&filter=0`."""
        values = {
            link.key: getattr(self, name)
            for name, link in FIELDS.items()
            if link.always or getattr(self, name) != link.default(catalog)
        }
        return "?" + urlencode(values)


# The fields of a link by the names of a state's attributes, in the order of a link.
FIELDS: Mapping[str, Field] = {field.name: field.metadata["link"] for field in fields(State)}


def around_sample(state: State, catalog: Catalog) -> tuple[str, str]:
    """What stands before and after the sample's index in queries that differ in it alone."""
    query = replace(state, sample=0).query(catalog)
    # Nothing before it can look alike: a layer's name has its "&" and "=" encoded.
    before, after = query.split("&sample=0", 1)
    return f"{before}&sample=", after


def parse_query(search: object, catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state a link asks for, and a sentence for each part of it that does not exist here."""
    values = dict(parse_qsl(search.lstrip("?"))) if isinstance(search, str) else {}
    return parse({name: values.get(link.key) for name, link in FIELDS.items()}, catalog)


def updated_query(search: object, catalog: Catalog, **values: object) -> str:
    """The query of a link whose state is changed; what the values leave out stays as it was."""
    state = parse_query(search, catalog)[0]
    return query_for(catalog, **{name: getattr(state, name) for name in FIELDS} | values)


def query_for(catalog: Catalog, **values: object) -> str:
    """The query of a link to what some values ask for, and to nothing else."""
    return state_for(catalog, **values).query(catalog)


def state_for(catalog: Catalog, **values: object) -> State:
    """The state that the values of controls ask for, by the names of `State`'s attributes."""
    return parse(values, catalog)[0]


def parse(values: Mapping[str, object], catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state that values ask for; what is missing or wrong becomes the nearest there is.

    Args:
        values: by the names of a state's attributes.
        catalog: what there is to choose from.

    Returns:
        The state, and a sentence for each value that there is not.
    """
    parsed: dict[str, Any] = {}
    notes: list[str] = []
    for name, link in FIELDS.items():
        value = values.get(name)
        if value is None or value == "":
            parsed[name] = link.default(catalog)
            continue
        parsed[name], note = link.parse(value, catalog, link.noun, parsed)
        if note:
            notes.append(note)
    return State(**parsed), tuple(notes)


def field_table(catalog: Catalog) -> list[dict[str, Any]]:
    """What the browser has to know to write links, a record for each field in their order.

    Keys: `name`, the attribute of `State`; `key`, in a link; `always`; `default`, as a link would
    say it, empty for none.
    """
    records = []
    for name, link in FIELDS.items():
        default = link.default(catalog)
        text = "" if default is None else str(default)
        records.append({"name": name, "key": link.key, "always": link.always, "default": text})
    return records
