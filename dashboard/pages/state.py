"""What a page shows, as a link says it: every field of the link, its parsing and its writing.

Pure: it knows no store, only a `Catalog` of what there is to choose from. `State` is the table of
the fields, a line each; parsing, links, messages and what the browser is told follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from dashboard.stores.catalog import Catalog
from fmcore.errors import SelectionError
from fmcore.records import Target

OUTCOMES = {"all": "All", "correct": "Correct", "wrong": "Wrong"}
# What the colors of the wall span.
RANGES = {
    "layer": "Layer",
    "filter": "Filter",
    "map": "Each map",
    "percentile": "1–99 %",
    "hand": "By hand",
}
# What values are colored by. "usual" is Viridis, whose steps look alike to everybody; red and blue
# about white where a layer has values below zero, so that signs are seen at once.
COLORS = {
    "usual": "Usual for the layer",
    "viridis": "Viridis",
    "gray": "Gray",
    "magma": "Magma",
    "inferno": "Inferno",
    "cividis": "Cividis",
    "red_blue": "Blue–red, about 0",
    "brown_teal": "Brown–teal, about 0",
}
# How values lie along the colors.
NORMS = {"linear": "Linear", "log": "Log", "symlog": "Symlog"}
INVERSIONS = {"plain": "As usual", "inverted": "Inverted"}
# In which order the wall shows the filters.
FILTER_ORDERS = {
    "index": "Index",
    "mean": "Mean here",
    "class": "Score for this class",
    "similar": "Similarity to the selected",
    "groups": "Tells A from B",
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
# What Layers makes of all filters of a layer: one map.
SUMMARIES = {"mean": "Mean", "abs": "Mean of |values|", "max": "Largest", "pca": "PCA colors"}
DEAD = {"show": "Show", "hide": "Hide"}
ZEROS = {"plain": "As any value", "mark": "Marked"}
# The vertical axis of the histogram of Filter, and what its pictures show.
SCALES = {"log": "Logarithmic", "linear": "Linear"}
CROPS = {"whole": "Whole images", "seen": "What the unit sees"}
# What the network of Overview is colored by; dashboard/pages/overview/layer_values.py has them.
NETWORK_COLORS = ("dead", "zeros", "rank", "auc", "bytes")
# Which layers are asked what reacts at a place in the image.
AMONG = {"all": "All layers", "one": "This layer"}
# In which order Classes shows classes and filters.
ARRANGEMENTS = {"index": "Index", "value": "Value", "cluster": "Similarity"}
# What a cell of the confusion matrix says, and in which order its classes are.
CONFUSION_SHARES = {
    "count": "Counts",
    "label": "Share of label",
    "prediction": "Share of prediction",
}
CONFUSION_ORDERS = {"class": "Class", "confused": "Confusion"}
# What Compare shows beside a filter: what fits the two stores, what answers most alike, the same
# with each at most once, or what has the same number.
PAIRINGS = {"fit": "Fit", "match": "Match", "one": "One to one", "number": "Number"}
# What Kernels shows of a layer, in which order, what its colors span, and how large its tiles are.
KERNEL_VIEWS = {"all": "All planes", "plane": "One plane", "filter": "One filter"}
KERNEL_PARTS = {"kernel": "Pointwise", "depthwise": "Depthwise"}
KERNEL_ORDERS = {"index": "Index", "l1": "L1 norm", "l2": "L2 norm"}
KERNEL_RANGES = {"layer": "Layer", "each": "Each kernel"}
KERNEL_TILES = {"fit": "All in sight", "large": "Large", "largest": "Largest"}
# What Contrast sets two groups beside each other by, and whose filter it shows: that which tells
# them apart best, or what a person selected.
POOLED = {"mean": "Mean", "max": "Largest", "zeros": "Share of zeros"}
FOCUS = {"best": "The one that tells most", "selected": "The selected one"}
# What the map of Samples is of, beside layers; how layers are pooled; where points lie; and what
# they are colored by.
MODEL_OUTPUT = "output"
MAP_POOLINGS = {"mean": "Mean", "max": "Largest"}
MAP_METHODS = {"pca": "PCA", "umap": "UMAP"}
MAP_COLORS = {
    "label": "Label",
    "prediction": "Prediction",
    "outcome": "Right or wrong",
    "confidence": "Confidence",
    "filter": "A filter's activation",
}
# Filters that a layer of another store may have.
MOST_FILTERS = 1 << 20
# The longest name of a file, and more than Keras makes of a path.
LONGEST_NAME = 255
_PLACE = re.compile(r"\d{1,5},\d{1,5}(,\d{1,5},\d{1,5})?", re.ASCII)
_CODES = re.compile(r"\d{1,5}(\.\d{1,5}){0,999}", re.ASCII)
_UNIT = re.compile(r"\d{1,5},\d{1,5}", re.ASCII)
# Of float32, as it is written.
LARGEST_NUMBER = 3.4028235e38
_WINDOW = re.compile(r"\d{1,5}(\.\d{1,3})?(,\d{1,5}(\.\d{1,3})?){3}", re.ASCII)
_NUMBER = r"-?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:e[+-]?\d{1,3})?"
_ENDS = re.compile(f"{_NUMBER},{_NUMBER}", re.ASCII)


class Parsed(NamedTuple):
    """What a value of a field is.

    Attributes:
        value: the value, or the nearest there is.
        problem: why that is not the value of the link, a sentence without its full stop; empty
            where it is.
        instead: what stands in its place, in words; empty where nothing does.
    """

    value: Any
    problem: str = ""
    instead: str = ""

    @property
    def note(self) -> str:
        """The problem and what stands in its place, a sentence; empty without a problem."""
        rest = f"; showing {self.instead}" if self.instead else ""
        return f"{self.problem}{rest}." if self.problem else ""


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


def network_colors_of(catalog: Catalog) -> tuple[str, ...]:
    """The entries of `NETWORK_COLORS` that a store has the numbers for."""
    return tuple(name for name in NETWORK_COLORS if name != "auc" or catalog.has_classes)


def map_tables_of(catalog: Catalog) -> dict[str, tuple[str, str]]:
    """What a map of the samples can be of: `of` and `layer` of the HTTP API, by its name in a link.

    The deepest layer first, for it is nearest to the answer; the model's output last.
    """
    tables = {
        f"layer:{path}" if path == MODEL_OUTPUT else path: ("layer", path)
        for path in reversed(list(catalog.n_filters))
    }
    if catalog.has_predictions or catalog.target in (Target.LABELS, Target.NUMBER):
        tables[MODEL_OUTPUT] = ("output", "")
    return tables


def map_colors_of(catalog: Catalog) -> tuple[str, ...]:
    """The entries of `MAP_COLORS` that a store has the numbers for."""
    has = {
        "label": catalog.has_classes,
        "prediction": catalog.has_predictions,
        "outcome": catalog.has_outcomes,
        "confidence": catalog.has_predictions,
    }
    return tuple(name for name in MAP_COLORS if has.get(name, True))


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
        is_choice: whether the browser's Back undoes a change by a click; if not, it is one of many
            on the way to a place, such as a zoom.
    """

    key: str
    noun: str
    parse: Parse
    default: Callable[[Catalog], Any]
    always: bool = False
    values: Callable[[Catalog, Mapping[str, Any]], Collection[Any]] | None = None
    is_choice: bool = True


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
            return Parsed(value)
        instead = first(catalog)
        return Parsed(instead, f"There is no {noun} {value!r} here", repr(instead))

    link = Field(key, noun, parse, first, always, lambda catalog, _: choices(catalog))
    return field(metadata={"link": link})


def _index(
    key: str,
    noun: str,
    size: Callable[[Catalog, Mapping[str, Any]], int],
    *,
    default: int | None = None,
    always: bool = False,
    is_choice: bool = True,
) -> Any:
    """A field that is a whole number from 0 to below a size, which fields before it may decide."""

    def parse(value: object, catalog: Catalog, noun: str, before: Mapping[str, Any]) -> Parsed:
        try:
            number = int(str(value))
        except ValueError:
            return Parsed(default, f"The {noun} {value!r} is no number")
        n = size(catalog, before)
        if not n:
            return Parsed(default, f"There is no {noun} {number} here: samples have no classes")
        if 0 <= number < n:
            return Parsed(number)
        near = min(max(number, 0), n - 1)
        return Parsed(near, f"There is no {noun} {number} here (0 to {n - 1})", str(near))

    def values(catalog: Catalog, before: Mapping[str, Any]) -> range:
        return range(size(catalog, before))

    link = Field(key, noun, parse, lambda _: default, always, values, is_choice)
    return field(metadata={"link": link})


def _name(key: str, noun: str, *, is_choice: bool = True) -> Any:
    """A field that is a name, which only the panel that takes it can check."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        text = str(value)
        if len(text) > LONGEST_NAME:
            return Parsed(
                "", f"The {noun} has a name of {len(text)} characters; {LONGEST_NAME} at most"
            )
        if not text.isprintable():
            return Parsed(
                "", f"The {noun} has a name of {len(text)} characters that cannot be printed"
            )
        return Parsed(text)

    return field(metadata={"link": Field(key, noun, parse, lambda _: "", is_choice=is_choice)})


def _window(key: str, noun: str) -> Any:
    """A field that is a rectangle, "top,left,bottom,right"."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        if isinstance(value, str) and _WINDOW.fullmatch(value):
            top, left, bottom, right = map(float, value.split(","))
            if top < bottom and left < right:
                return Parsed(value)
        return Parsed("", f"The {noun} {value!r} is no rectangle", "all")

    return field(metadata={"link": Field(key, noun, parse, lambda _: "", is_choice=False)})


def _numbers(key: str, noun: str, form: re.Pattern[str], words: str, *, is_choice: bool) -> Any:
    """A field that is whole numbers in a form, which only what takes them can check."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        if isinstance(value, str) and form.fullmatch(value):
            return Parsed(value)
        return Parsed("", f"The {noun} {value!r} is not {words}", "none")

    return field(metadata={"link": Field(key, noun, parse, lambda _: "", is_choice=is_choice)})


def _ends(key: str, noun: str) -> Any:
    """A field that is two numbers, "low,high", as float32 has them."""

    def parse(value: object, _: Catalog, noun: str, __: Mapping[str, Any]) -> Parsed:
        if isinstance(value, str) and _ENDS.fullmatch(value):
            low, high = map(float, value.split(","))
            if -LARGEST_NUMBER <= low < high <= LARGEST_NUMBER:
                return Parsed(value)
        expected = "two numbers, the smaller first, such as 0,2.5"
        problem = f"The {noun} are {value!r}; expected {expected}"
        return Parsed("", problem, "those of the layer")

    return field(metadata={"link": Field(key, noun, parse, lambda _: "", is_choice=False)})


def _group(key: str, noun: str) -> Any:
    """A field that is an expression of a group of samples.

    Only the store knows what it means, and the field that it is typed in says what is wrong with
    it: so it stays as it was typed.
    """

    def parse(value: object, _: Catalog, __: str, ___: Mapping[str, Any]) -> Parsed:
        return Parsed(str(value))

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
        predicted: the class that the model predicts for the samples that are picked, or None for
            any.
        group: the group of samples that are picked, an expression; empty for all.
        group_a: the group that is set beside `group_b`, an expression; empty for none.
        group_b: the group beside it.
        window: what the wall is zoomed to: in cells of a tile where zoom is linked, else in
            thousandths of the wall; empty for all of it.
        place: a pixel y,x of the image, or a box of pixels, whose reactions are listed; empty for
            none. `among` says in which layers.
        unit: the value y,x of the filter's map that is explained; empty for the largest.
        color_ends: what colors span by hand, "low,high"; empty before that was set.
        with_store: the store that Compare sets beside this one; empty for what it chooses. Stores
            come and go, so that only Compare knows whether there is one.
        other: the path of its layer; empty for what Compare chooses.
        other_filter: a filter of that layer, or None for the one that goes with `filter_index`.
        first_sample: the place, among the samples that match, that thumbnails begin with; None for
            those about the sample.
        first_class: the class that "Strongest of each class" begins with; None for those about the
            class.
        plane: an input plane of the layer's kernels, or a tile of a depthwise part. Only a store
            that is read knows how many there are: what draws takes the last where it is beyond.
        kernel_view: what Kernels shows of all planes: one tile for each filter, one plane of each,
            or all planes of one filter.
        kernel_part: the part of a separable layer.
        kernel_window: what its wall is zoomed to, in thousandths of it; empty for all of it.
        find: what a table of filters is searched for.
        region: the part of the input that Layers is zoomed to, in thousandths; empty for all of it.
        sort: the column that it is sorted by, and how, such as `best_auc.desc`; empty for none.
        find_all: what the table of all filters of all layers is searched for.
        sort_all: the column that it is sorted by, as `sort`.
        sort_classes: the column that the table of classes is sorted by, as `sort`.
        confusion_share: what a cell of the confusion matrix says; `confusion_order`, in which order
            its classes are.
        find_class: what the table of classes of Errors is searched for.
        sort_errors: the column that it is sorted by, as `sort`.
        network_color: what the network of Overview is colored by.
        network_open: the parts of it that are not folded, by their numbers, such as `0-3.7`.
        pooled: what Contrast makes one number of each map.
        focus: whether Contrast shows the filter that tells groups apart best, or `filter_index`.
        find_contrast: what its table of filters is searched for.
        sort_contrast: the column that it is sorted by, as `sort`; empty for how well filters tell
            the groups apart.
        map_table: what the map of Samples is of; see `map_tables_of`.
        map_pooling: how a layer's maps are pooled for it, and a filter's for its colors.
        map_method: how samples get their places on it.
        map_color: what they are colored by.
        map_only: the entries of its legend that are meant, by their numbers, such as `3.5`; empty
            for all.
        map_window: what it is zoomed to, in thousandths of its longer side; empty for all of it.
    """

    layer: str = _choice("layer", "layer", lambda catalog: catalog.n_filters, always=True)
    sample: int = _index("sample", "sample", lambda c, _: c.n_samples, default=0, always=True)
    filter_index: int = _index("filter", "filter", _filters, default=0, always=True)
    class_index: int | None = _index("class", "class", _classes)
    against: int | None = _index("against", "class to compare with", _classes)
    outcome: str = _choice("outcome", "kind of prediction", outcomes_of)
    predicted: int | None = _index("predicted", "predicted class", _classes)
    group: str = _group("group", "group of samples")
    group_a: str = _group("a", "first group")
    group_b: str = _group("b", "second group")
    picked: str = _choice("by", "order of samples", sample_orders_of)
    color_range: str = _choice("range", "range of colors", lambda _: RANGES)
    color_ends: str = _ends("ends", "ends of the colors")
    colors: str = _choice("colors", "scale of colors", lambda _: COLORS)
    color_norm: str = _choice("norm", "spacing of colors", lambda _: NORMS)
    inversion: str = _choice("invert", "direction of colors", lambda _: INVERSIONS)
    filter_order: str = _choice("order", "order of filters", filter_orders_of)
    dead: str = _choice("dead", "way to treat dead filters", lambda _: DEAD)
    zeros: str = _choice("zeros", "way to show exact zeros", lambda _: ZEROS)
    zoom: str = _choice("zoom", "kind of zoom", lambda _: ZOOMS)
    window: str = _window("window", "part of the wall")
    statistic: str = _choice(
        "statistic", "statistic", lambda catalog: catalog.measures, default=DEFAULT_STATISTIC
    )
    arrangement: str = _choice("arrange", "order of classes and filters", lambda _: ARRANGEMENTS)
    with_store: str = _name("with", "store to compare with")
    other: str = _name("other", "layer of the other store")
    other_filter: int | None = _index(
        "beside", "filter of the other store", lambda *_: MOST_FILTERS
    )
    pairing: str = _choice("pair", "way to pair filters", lambda _: PAIRINGS)
    first_sample: int | None = _index(
        "from", "place among the samples", lambda c, _: c.n_samples, is_choice=False
    )
    first_class: int | None = _index("rows", "class to begin with", _classes, is_choice=False)
    scale: str = _choice("scale", "vertical axis", lambda _: SCALES)
    crop: str = _choice("crop", "part of the images", lambda _: CROPS)
    plane: int = _index("plane", "input plane", lambda *_: MOST_FILTERS, default=0)
    kernel_view: str = _choice("kernels", "way to show kernels", lambda _: KERNEL_VIEWS)
    kernel_part: str = _choice("part", "part of a kernel", lambda _: KERNEL_PARTS)
    kernel_range: str = _choice(
        "weights", "range of the colors of weights", lambda _: KERNEL_RANGES
    )
    kernel_tile: str = _choice("tiles", "size of tiles", lambda _: KERNEL_TILES)
    kernel_order: str = _choice("kernel_order", "order of kernels", lambda _: KERNEL_ORDERS)
    kernel_window: str = _window("kernel_window", "part of the wall of kernels")
    place: str = _numbers(
        "at", "place in the image", _PLACE, "a pixel y,x or a box", is_choice=True
    )
    among: str = _choice("among", "choice of layers", lambda _: AMONG)
    unit: str = _numbers("unit", "value of the map", _UNIT, "a place y,x", is_choice=False)
    find: str = _name("find", "filter to find", is_choice=False)
    sort: str = _name("sort", "column to sort by")
    find_all: str = _name("findall", "filter of the whole model to find", is_choice=False)
    sort_all: str = _name("sortall", "column to sort all filters by")
    sort_classes: str = _name("sortclasses", "column to sort classes by")
    confusion_share: str = _choice("share", "share of errors", lambda _: CONFUSION_SHARES)
    confusion_order: str = _choice("confusion", "order of classes", lambda _: CONFUSION_ORDERS)
    find_class: str = _name("findclass", "class to find", is_choice=False)
    sort_errors: str = _name("sorterrors", "column to sort scores of classes by")
    network_color: str = _choice("network", "color of the network", network_colors_of)
    network_open: str = _name("open", "part of the network")
    summary: str = _choice("summary", "summary of layers", lambda _: SUMMARIES)
    region: str = _window("region", "part of the input")
    pooled: str = _choice("pooled", "summary of each map", lambda _: POOLED)
    focus: str = _choice("focus", "choice of a filter", lambda _: FOCUS)
    find_contrast: str = _name("findcontrast", "filter of a contrast to find", is_choice=False)
    sort_contrast: str = _name("sortcontrast", "column to sort a contrast by")
    map_table: str = _choice("map", "table for a map", map_tables_of)
    map_pooling: str = _choice("map_by", "way to pool maps", lambda _: MAP_POOLINGS)
    map_method: str = _choice("method", "kind of map", lambda _: MAP_METHODS)
    map_color: str = _choice("color", "color of samples", map_colors_of)
    map_only: str = _numbers(
        "only", "choice of colors", _CODES, "numbers of colors", is_choice=True
    )
    map_window: str = _window("map_window", "part of the map of samples")

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


def groups_in(state: State) -> dict[str, str]:
    """Both groups of a state, for links to other pages that keep them."""
    return {"group_a": state.group_a, "group_b": state.group_b}


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
    state, wrong = _parse(values, catalog)
    return state, tuple(field.note for field in wrong.values())


def require(values: Mapping[str, object], catalog: Catalog, name: str) -> State:
    """The state that values ask for, which must all be there.

    Args:
        values: by the names of a state's attributes.
        catalog: what there is to choose from.
        name: of the store, for messages.

    Raises:
        SelectionError: if one is not there; `field` is its key in a link.
    """
    state, wrong = _parse(values, catalog)
    for attribute, (_, reason, _) in wrong.items():
        link = FIELDS[attribute]
        choices = link.values(catalog, asdict(state)) if link.values else ()
        if choices and not isinstance(choices, range):
            reason += f"; expected one of {', '.join(choices)}"
        raise SelectionError(f"{name}: {reason[:1].lower()}{reason[1:]}", field=link.key)
    return state


def _parse(values: Mapping[str, object], catalog: Catalog) -> tuple[State, dict[str, Parsed]]:
    """The state that values ask for, and what was wrong, by the names of attributes."""
    parsed: dict[str, Any] = {}
    wrong: dict[str, Parsed] = {}
    for name, link in FIELDS.items():
        value = values.get(name)
        if value is None or value == "":
            parsed[name] = link.default(catalog)
            continue
        result = link.parse(value, catalog, link.noun, parsed)
        parsed[name] = result.value
        if result.problem:
            wrong[name] = result
    return State(**parsed), wrong


def field_table(catalog: Catalog) -> list[dict[str, Any]]:
    """What the browser has to know to write links, a record for each field in their order.

    Keys: `name`, the attribute of `State`; `key`, in a link; `always`; `default`, as a link would
    say it, empty for none; `choice`, whether Back undoes it.
    """
    records = []
    for name, link in FIELDS.items():
        default = link.default(catalog)
        text = "" if default is None else str(default)
        records.append(
            {
                "name": name,
                "key": link.key,
                "always": link.always,
                "default": text,
                "choice": link.is_choice,
            }
        )
    return records
