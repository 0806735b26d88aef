"""What a page shows, as a link says it: parsing, checking and writing of the URL's query.

Pure: it knows no store, only a `Catalog` of what there is to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode

OUTCOMES = {"all": "All", "correct": "Correct", "wrong": "Wrong"}
# What the colours of the wall span.
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
# The names of a state's attributes in a link.
KEYS = {
    "layer": "layer",
    "sample": "sample",
    "filter_index": "filter",
    "class_index": "class",
    "against": "against",
    "outcome": "outcome",
    "picked": "by",
    "color_range": "range",
    "filter_order": "order",
    "dead": "dead",
    "zeros": "zeros",
    "zoom": "zoom",
    "window": "window",
    "statistic": "statistic",
    "arrangement": "arrange",
    "with_store": "with",
    "other": "other",
    "other_filter": "beside",
    "pairing": "pair",
}
# In every link, because they are what a person looks at; the others only where they are chosen.
ALWAYS = ("layer", "sample", "filter_index")
_WINDOW = re.compile(r"\d{1,5}(\.\d{1,3})?(,\d{1,5}(\.\d{1,3})?){3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is to choose from.

    Attributes:
        n_filters: for each layer's path, how many filters it has; at least one layer.
        n_samples: how many samples, at least 1.
        class_names: the name of each class.
        statistics: the names of the statistics.
        has_classes: whether samples are told apart by class.
        has_predictions: whether the model predicts one.
        has_outcomes: whether a prediction is correct or wrong.
        plain: what a link shows that asks for nothing.
    """

    n_filters: Mapping[str, int]
    n_samples: int
    class_names: tuple[str, ...]
    statistics: tuple[str, ...]
    has_classes: bool = True
    has_predictions: bool = True
    has_outcomes: bool = True
    plain: State = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Makes `plain` once: every link is written by what differs from it."""
        object.__setattr__(self, "plain", parse({}, self)[0])

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that samples are told apart by; none where all are in one."""
        return self.class_names if self.has_classes else ()

    @property
    def row_names(self) -> tuple[str, ...]:
        """What each row of a statistic of classes stands for."""
        return self.classes or ("all samples",)

    @property
    def outcomes(self) -> Mapping[str, str]:
        """Those of `OUTCOMES` that choose samples here."""
        return OUTCOMES if self.has_outcomes else {"all": OUTCOMES["all"]}

    @property
    def sample_orders(self) -> Mapping[str, str]:
        """Those of `SAMPLE_ORDERS` that there are here."""
        left_out = () if self.has_predictions else ("sure", "unsure")
        return {name: text for name, text in SAMPLE_ORDERS.items() if name not in left_out}

    @property
    def filter_orders(self) -> Mapping[str, str]:
        """Those of `FILTER_ORDERS` that there are here."""
        left_out = () if self.has_classes else ("class",)
        return {name: text for name, text in FILTER_ORDERS.items() if name not in left_out}


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows.

    Attributes:
        layer: a layer's path.
        sample: a sample's index.
        filter_index: a filter of the layer.
        class_index: a class, or None for all.
        against: the class it is compared with, or None.
        outcome: which samples: one of `OUTCOMES`.
        picked: in which order samples are picked: one of `SAMPLE_ORDERS`.
        color_range: what the colours of the wall span: one of `RANGES`.
        filter_order: in which order the wall shows the filters: one of `FILTER_ORDERS`.
        dead: whether the wall shows dead filters: one of `DEAD`.
        zeros: whether the wall marks exact zeros: one of `ZEROS`.
        zoom: whether all tiles zoom together: one of `ZOOMS`.
        window: what the wall is zoomed to, four numbers "top,left,bottom,right": in cells of a
            tile where zoom is linked, else in thousandths of the wall; empty for all of it.
        statistic: the name of a statistic; `DEFAULT_STATISTIC` where a link names none.
        arrangement: in which order Classes shows classes and filters: one of `ARRANGEMENTS`.
        with_store: the name of the store that Compare sets beside this one; empty for what it
            chooses. Stores come and go, so that only Compare knows whether there is one.
        other: the path of its layer; empty for what Compare chooses.
        other_filter: a filter of that layer, or None for the one that goes with `filter_index`.
        pairing: which filter of the other layer goes with one of this: one of `PAIRINGS`.
    """

    layer: str
    sample: int
    filter_index: int
    class_index: int | None
    against: int | None
    outcome: str
    picked: str
    color_range: str
    filter_order: str
    dead: str
    zeros: str
    zoom: str
    window: str
    statistic: str
    arrangement: str
    with_store: str
    other: str
    other_filter: int | None
    pairing: str

    def query(self, catalog: Catalog) -> str:
        """The query of a link that shows this again, such as `?layer=conv1&sample=3&filter=0`."""
        plain = catalog.plain
        values = {
            key: getattr(self, name)
            for name, key in KEYS.items()
            if name in ALWAYS or getattr(self, name) != getattr(plain, name)
        }
        return "?" + urlencode(values)


def around_sample(state: State, catalog: Catalog) -> tuple[str, str]:
    """What stands before and after the sample's index in queries that differ in it alone."""
    query = replace(state, sample=0).query(catalog)
    # Nothing before it can look alike: a layer's name has its "&" and "=" encoded.
    before, after = query.split("&sample=0", 1)
    return f"{before}&sample=", after


def parse_query(search: object, catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state a link asks for, and a sentence for each part of it that does not exist here."""
    asked = dict(parse_qsl(search.lstrip("?"))) if isinstance(search, str) else {}
    return parse({name: asked.get(key) for name, key in KEYS.items()}, catalog)


def updated_query(search: object, catalog: Catalog, **values: object) -> str:
    """The query of a link whose state is changed; what the values leave out stays as it was."""
    state = parse_query(search, catalog)[0]
    asked = {name: getattr(state, name) for name in KEYS} | values
    return query_for(catalog, **asked)


def query_for(catalog: Catalog, **values: object) -> str:
    """The query of a link to what some values ask for, and to nothing else."""
    return parse(values, catalog)[0].query(catalog)


def parse(values: Mapping[str, object], catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state that values ask for; what is missing or wrong becomes the nearest there is.

    Args:
        values: by the names of a state's attributes.
        catalog: what there is to choose from.
    """
    notes: list[str] = []

    def choice(name: str, choices: Collection[str], default: str = "") -> str:
        value = values.get(name)
        first = default if default in choices else next(iter(choices))
        if value in (None, ""):
            return first
        if not isinstance(value, str) or value not in choices:
            notes.append(f"There is no {KEYS[name]} {value!r} here; showing {first!r}.")
            return first
        return value

    def index(name: str, size: int) -> int | None:
        value = values.get(name)
        if value in (None, ""):
            return None
        try:
            number = int(str(value))
        except ValueError:
            notes.append(f"The {KEYS[name]} {value!r} is no number.")
            return None
        if not size:
            notes.append(f"There is no {KEYS[name]} {number} here: samples have no classes.")
            return None
        if not 0 <= number < size:
            near = min(max(number, 0), size - 1)
            notes.append(
                f"There is no {KEYS[name]} {number} here (0 to {size - 1}); showing {near}."
            )
            return near
        return number

    def name(attribute: str) -> str:
        value = values.get(attribute)
        text = "" if value is None else str(value)
        if len(text) > LONGEST_NAME or not text.isprintable():
            notes.append(f"The {KEYS[attribute]} of {len(text)} characters is no name.")
            return ""
        return text

    def window() -> str:
        value = values.get("window")
        if value in (None, ""):
            return ""
        if isinstance(value, str) and _WINDOW.fullmatch(value):
            top, left, bottom, right = map(float, value.split(","))
            if top < bottom and left < right:
                return value
        notes.append(f"The window {value!r} is none; showing all.")
        return ""

    layer = choice("layer", catalog.n_filters)
    state = State(
        layer=layer,
        sample=index("sample", catalog.n_samples) or 0,
        filter_index=index("filter_index", catalog.n_filters[layer]) or 0,
        class_index=index("class_index", len(catalog.classes)),
        against=index("against", len(catalog.classes)),
        outcome=choice("outcome", catalog.outcomes),
        picked=choice("picked", catalog.sample_orders),
        color_range=choice("color_range", RANGES),
        filter_order=choice("filter_order", catalog.filter_orders),
        dead=choice("dead", DEAD),
        zeros=choice("zeros", ZEROS),
        zoom=choice("zoom", ZOOMS),
        window=window(),
        statistic=choice("statistic", catalog.statistics, DEFAULT_STATISTIC),
        arrangement=choice("arrangement", ARRANGEMENTS),
        with_store=name("with_store"),
        other=name("other"),
        other_filter=index("other_filter", MOST_FILTERS),
        pairing=choice("pairing", PAIRINGS),
    )
    return state, tuple(notes)
