"""What a page shows, as a link says it: parsing, checking and writing of the URL's query.

Pure: it knows no store, only a `Catalog` of what there is to choose from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

OUTCOMES = {"all": "All", "correct": "Correct", "wrong": "Wrong"}
# The names of a state's attributes in a link.
KEYS = {
    "layer": "layer",
    "sample": "sample",
    "filter_index": "filter",
    "class_index": "class",
    "outcome": "outcome",
    "color_range": "range",
    "statistic": "statistic",
}
RANGES = {"layer": "Layer", "filter": "Filter", "map": "Each map"}


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is to choose from.

    Attributes:
        n_filters: for each layer's path, how many filters it has; at least one layer.
        n_samples: how many samples, at least 1.
        class_names: the name of each class.
        statistics: the names of the statistics.
    """

    n_filters: Mapping[str, int]
    n_samples: int
    class_names: tuple[str, ...]
    statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows.

    Attributes:
        layer: a layer's path.
        sample: a sample's index.
        filter_index: a filter of the layer.
        class_index: a class, or None for all.
        outcome: which samples: one of `OUTCOMES`.
        color_range: what the colours span: one of `RANGES`.
        statistic: the name of a statistic.
    """

    layer: str
    sample: int
    filter_index: int
    class_index: int | None
    outcome: str
    color_range: str
    statistic: str

    def query(self) -> str:
        """The query of a link that shows this again, such as `?layer=conv1&sample=3`."""
        values = {key: getattr(self, name) for name, key in KEYS.items()}
        return "?" + urlencode({key: value for key, value in values.items() if value is not None})


def parse_query(search: object, catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state a link asks for, and a sentence for each part of it that does not exist here."""
    asked = dict(parse_qsl(search.lstrip("?"))) if isinstance(search, str) else {}
    return parse({name: asked.get(key) for name, key in KEYS.items()}, catalog)


def updated_query(search: object, catalog: Catalog, **values: object) -> str:
    """The query of a link whose state is changed; what the values leave out stays as it was."""
    state = parse_query(search, catalog)[0]
    return parse({name: getattr(state, name) for name in KEYS} | values, catalog)[0].query()


def parse(values: Mapping[str, object], catalog: Catalog) -> tuple[State, tuple[str, ...]]:
    """The state that values ask for; what is missing or wrong becomes the nearest there is.

    Args:
        values: by the names of a state's attributes.
        catalog: what there is to choose from.
    """
    notes: list[str] = []

    def choice(name: str, choices: tuple[str, ...]) -> str:
        value = values.get(name)
        if value in (None, ""):
            return choices[0]
        if value not in choices:
            notes.append(f"There is no {KEYS[name]} {value!r} here; showing {choices[0]!r}.")
            return choices[0]
        return str(value)

    def index(name: str, size: int) -> int | None:
        value = values.get(name)
        if value in (None, ""):
            return None
        try:
            number = int(str(value))
        except ValueError:
            notes.append(f"The {KEYS[name]} {value!r} is no number.")
            return None
        if not 0 <= number < size:
            near = min(max(number, 0), size - 1)
            notes.append(
                f"There is no {KEYS[name]} {number} here (0 to {size - 1}); showing {near}."
            )
            return near
        return number

    layer = choice("layer", tuple(catalog.n_filters))
    state = State(
        layer=layer,
        sample=index("sample", catalog.n_samples) or 0,
        filter_index=index("filter_index", catalog.n_filters[layer]) or 0,
        class_index=index("class_index", len(catalog.class_names)),
        outcome=choice("outcome", tuple(OUTCOMES)),
        color_range=choice("color_range", tuple(RANGES)),
        statistic=choice("statistic", catalog.statistics),
    )
    return state, tuple(notes)
