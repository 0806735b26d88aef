"""Requests that no page and no well-meant client sends, made from a seed: the same each time.

Each generator gives one request of a random number generator, so that whatever a server answers
badly is named by its seed, and `python tests/soak/odd.py --seed N` sends it again.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Json = Any
UPDATE = "/_dash-update-component"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as bytes of HTTP/1.1, and one line that says what it is.

    Attributes:
        data: what is written to the connection.
        words: the method, the path and the beginning of the body.
        ends: whether nothing more comes after it, so that a server may wait for more in vain.
    """

    data: bytes
    words: str
    ends: bool = False


def deep(depth: int, bracket: str) -> str:
    """Stands for lists or objects within each other: deeper than a JSON library would write."""
    return f"@{bracket}{depth}@"


def deepened(text: str) -> str:
    """A text of JSON with what `deep` stands for."""

    def written(match: re.Match[str]) -> str:
        first, last = ("[", "]") if match[1] == "[" else ('{"a":', "}")
        return first * int(match[2]) + "0" + last * int(match[2])

    return re.sub(r'"@([\[{])(\d+)@"', written, text)


# Values that a person's client could send in place of what is due; made anew each time.
VALUES: Sequence[Callable[[random.Random], Json]] = (
    lambda _: None,
    lambda _: True,
    lambda _: False,
    lambda rng: rng.choice((-1, 0, 1, -0.0, 2, 3.5, 1e-320, -1e308)),
    lambda rng: rng.choice((-1, 1)) * (2 ** rng.randrange(1, 70) + rng.randrange(-1, 2)),
    lambda rng: 10 ** rng.choice((18, 19, 25, 300, 400)),
    lambda rng: float(rng.choice(("nan", "inf", "-inf"))),
    lambda rng: rng.choice(("", " ", "0", "-1", "1e9", "NaN", "null", "true", "０", "٣", "1_0")),
    lambda rng: rng.choice(("9" * 19, "9" * 400, "9" * 5000, "-" + "9" * 50, "1." + "0" * 90)),
    lambda rng: rng.choice(("\x00", "\ud800", "\udfff\ud800", "\u202e", "\ufeff", "é", "👩‍👩‍👦")),
    lambda rng: rng.choice(("../..", "/etc/passwd", "%00", "{}", "[]", "'\"><script>", "${7*7}")),
    lambda rng: "a" * rng.choice((255, 256, 4096, 60_000)),
    lambda rng: rng.choice(("__proto__", "constructor", "props", "_dash_error", "toString")),
    lambda rng: "?" + urlencode({"sample": "9" * rng.randrange(1, 40), "filter": "-1"}),
    lambda rng: [],
    lambda rng: {},
    lambda rng: [None] * rng.choice((1, 2, 7)),
    lambda rng: list(range(-3, rng.choice((3, 200, 5000)))),
    lambda rng: [[0.5, float("nan")], {"a": []}, "b"],
    lambda rng: {"a": 1, "": None, "0": "x"},
    lambda rng: {str(n): n for n in range(rng.choice((3, 2000)))},
    lambda rng: deep(rng.choice((3, 40, 200, 900, 100_000)), rng.choice("[{")),
    lambda rng: {"points": [{"x": rng.choice((None, 1e30, "x")), "y": -1, "curveNumber": 9}]},
)


def odd_value(rng: random.Random) -> Json:
    """Any value of JSON, and some that are none."""
    return rng.choice(VALUES)(rng)


def places(value: Json, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each part of a value, from the whole to what lies deepest."""
    ways = [at]
    if isinstance(value, dict):
        for key, part in value.items():
            ways += places(part, (*at, key))
    elif isinstance(value, list):
        for key, part in enumerate(value[:20]):
            ways += places(part, (*at, key))
    return ways


def mutated(rng: random.Random, body: Json, within: tuple[Any, ...] = ()) -> Json:
    """A value with one of its parts replaced, removed, doubled or wrapped, in place."""
    whole = [body]
    way = (0, *within)
    inner: Json = whole
    for key in way:
        inner = inner[key]
    way = (*way, *rng.choice(places(inner)))
    holder: Json = whole
    for key in way[:-1]:
        holder = holder[key]
    key = way[-1]
    match rng.randrange(10):
        case 0 if isinstance(holder, dict) or len(way) > 1:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 2:
            holder[key] = rng.choice(([holder[key]], {"value": holder[key]}))
        case 3 if isinstance(holder[key], str):
            text = holder[key]
            cut = rng.randrange(len(text) + 1)
            holder[key] = text[:cut] + rng.choice(("\x00", "9", "é", "..", "")) + text[cut + 1 :]
        case _:
            holder[key] = odd_value(rng)
    return whole[0] if whole else None


def callback_body(rng: random.Random, bodies: Sequence[Json]) -> bytes:
    """The body of a callback with one to three parts of it changed.

    Args:
        rng: decides all.
        bodies: of the requests that pages send, as `page_bodies` makes them.
    """
    body = copy.deepcopy(rng.choice(bodies))
    parts = [(part, n, "value") for part in ("inputs", "state") for n in range(len(body[part]))]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        # Four of five times a value: all else is refused before anything is done.
        try:
            body = mutated(rng, body, rng.choice(parts) if parts and rng.random() < 0.8 else ())
        except (KeyError, IndexError, TypeError):  # that part went with the change before
            continue
    data = deepened(json.dumps(body)).encode()
    match rng.randrange(40):
        case 0:
            data = data[: rng.randrange(len(data))]
        case 1:
            n = rng.randrange(len(data))
            data = data[:n] + bytes([rng.randrange(256)]) + data[n + 1 :]
        case 2:
            data = data.decode().encode(rng.choice(("utf-16", "utf-32", "utf-8-sig")))
        case 3:
            data = b"[" * rng.choice((50, 5000, 100_000)) + data
    return data


# What the browser's scripts ask, by component: the index of a page names the others.
ASKED: Mapping[str, Json] = {
    "maps-picks-question": {
        "class_index": 1,
        "outcome": "all",
        "picked": "response",
        "layer": "conv2",
        "filter_index": 1,
    },
    "maps-page": {"samples": [0, 3, 5], "by": "response", "layer": "conv1", "filter": 1},
    "maps-order-question": {
        "sample": 3,
        "filter_order": "similar",
        "class_index": 1,
        "layer": "conv1",
        "filter_index": 2,
    },
    "goto-asked": {"text": "conv2 5", "search": "?layer=conv1&sample=3"},
    "url.search": "?layer=conv1&sample=3&filter=1",
    "url.href": "http://127.0.0.1:1/filter?layer=conv1",
    "url.pathname": "/maps",
    "clickData": {"points": [{"x": 0, "y": 1, "pointIndex": [1, 0], "z": 0.5}]},
    "scheme": "dark",
}


def page_bodies(callbacks: Sequence[Json], components: Mapping[str, Json]) -> list[Json]:
    """A body of each callback that a server answers, as its pages send it.

    Args:
        callbacks: those of `/_dash-dependencies`.
        components: properties of the components of all pages, by id.
    """

    def filled(part: Json) -> Json:
        identity, prop = part["id"], part["property"]
        for key in (identity, f"{identity}.{prop}", prop):
            if key in ASKED:
                return {**part, "value": ASKED[key]}
        return {**part, "value": components.get(identity, {}).get(prop)}

    bodies = []
    for callback in callbacks:
        if callback["clientside_function"]:
            continue
        output = callback["output"]
        names = [name.rsplit(".", 1) for name in output.strip(".").split("...")]
        outputs = [{"id": name, "property": prop} for name, prop in names]
        inputs = list(map(filled, callback["inputs"]))
        bodies.append(
            {
                "output": output,
                "outputs": outputs if output.startswith("..") else outputs[0],
                "inputs": inputs,
                "state": list(map(filled, callback["state"])),
                "changedPropIds": [f"{part['id']}.{part['property']}" for part in inputs[:1]],
            }
        )
    return bodies


def components_in(layout: Json) -> dict[str, Json]:
    """The properties of each component that has an id, of a layout as JSON."""
    found: dict[str, Json] = {}
    waiting = [layout]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            props = node.get("props")
            if isinstance(props, dict) and isinstance(props.get("id"), str):
                found[props["id"]] = props
            waiting += node.values()
    return found
