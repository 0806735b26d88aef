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
from urllib.parse import quote, urlencode

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
    "goto-asked": {"text": "conv2 5", "path": "/maps", "search": "?layer=conv1&sample=3"},
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


# What selections and numbers are written with, whole and broken.
PARTS = (
    *("0", "1", "-1", "3", "7", "9", "10", "199", "200", "9" * 19, "9" * 400, "1.5", "1e3", "0x1"),
    *(
        ":",
        "::",
        ",",
        "-",
        "..",
        "*",
        "?",
        "[",
        "]",
        "[!a]",
        "!",
        "~",
        "^",
        "$",
        "(",
        ")",
        "|",
        "\\",
    ),
    *("conv1", "conv2", "conv", "CONV1", "Conv2D", "mean", "max", "std", "nan", "inf", "true"),
    *("correct", "wrong", "all", "label=", "prediction=", "class", "raw", "npy", "csv", "json"),
    *("npz", "parquet", "zarr", "float16", "float32", "int8", "%", "%00", "%ff", "%ed%a0%80"),
    *("é", "０", "\u202e", "\n", "\t", " ", "+", "&", "=", ";", "#", "/", "../", "re:", "a" * 300),
)


def odd_text(rng: random.Random) -> str:
    """A text of a few parts that a parser may take for more than they are."""
    if rng.random() < 0.03:
        return rng.choice(PARTS) * rng.choice((100, 1000, 3000))
    return "".join(rng.choices(PARTS, k=rng.randrange(1, 7)))


def quoted(rng: random.Random, text: str) -> str:
    """A text as a query has it; sometimes without what an address needs."""
    return quote(text, safe="" if rng.random() < 0.8 else "%&=+;,:*[]\\|^~()!$'/?")


def query(rng: random.Random, addresses: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A path with a query.

    Args:
        rng: decides all.
        addresses: paths, and the names of what may be asked for there.
    """
    path, names = rng.choice(addresses)
    good = {"layer": "conv1", "sample": "0:3", "filter": "0,2", "format": "json", "step": "2"}
    pairs = []
    for name in rng.sample(list(names), rng.randrange(len(names) + 1)):
        value = good.get(name, "1") if rng.random() < 0.5 else odd_text(rng)
        pairs.append(f"{name}={quoted(rng, value)}")
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        pairs.append(
            f"{quoted(rng, odd_text(rng))}{rng.choice(('=', '', '=='))}{rng.choice(PARTS[:20])}"
        )
    if pairs and rng.random() < 0.1:
        pairs.append(rng.choice(pairs))
    rng.shuffle(pairs)
    text = f"{path}?{'&'.join(pairs)}"
    return "".join(c if "!" <= c <= "~" else quote(c) for c in text)


METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ODD_METHODS = ("get", "CONNECT", "PRI", "GETT", "", "G\x00T", "A" * 300, "GET\tX", "É")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2", "http/1.1", "")
PATHS = (
    *("/", "/healthz", "/maps", "/login", "/account", "/logout", "/docs", "/openapi.json"),
    *("/api/v1/stores", "/api/v1/stores/a/maps?layer=conv1&sample=0", "/stores/a/maps", "/api"),
    *("/stores/a", "/stores/", "/stores//maps", "/stores/a/stores/a/maps", "/stores/%2e%2e/maps"),
    *("/assets/style.css", "/assets/..%2f..%2fapp.py", "/assets/%00", "/_dash-layout", UPDATE),
    *("//", "///maps", "/./", "/..", "*", "http://other.example/", "?", "/%", "/%zz", "/%c0%af"),
    *("/\xff\xfe", "/a\\b", "/a b", "/" + "a" * 9000, "/" + "a/" * 3000, "/?" + "a&" * 3000),
    *("/api/v1/stores/a/images/0.png", "/api/v1/stores/a/images/-1.png?size=0", "/metrics"),
    *("/api/v1/stores/a/windows?layer=conv1&sample=0&step=0", "/readyz", "/api/v1/log"),
)
# Headers with values that a server may stumble over.
HEADERS: Mapping[str, Sequence[str]] = {
    "Cookie": ("a", "=", ";;;", "fmdash_session=", 'fmdash_session="x', "$Version=1", "a=\xff"),
    "Range": ("bytes=0-", "bytes=-1", "bytes=9-1", "bytes=0-0,1-1", "bytes=" + "0-,", "lines=1"),
    "If-None-Match": ("*", '"', 'W/"x"', "," * 500, '"x"' * 200),
    "If-Modified-Since": ("0", "yesterday", "Sat, 99 Foo 9999 99:99:99 GMT", "Thu, 01 Jan 1970"),
    "Accept-Encoding": ("", "deflate;q=0", "gzip;q=nan", "*;q=1e999", "br, zstd, \xff", ",,,"),
    "Accept": ("*/*", "text/html", "text/html;q=\xff", "a/" * 500),
    "Content-Type": ("application/json", "application/json; charset=utf-16", "text/plain", "\xff"),
    "Content-Encoding": ("gzip", "deflate", "x"),
    "Authorization": ("Bearer", "Bearer ", "Bearer \xff", "Basic Og==", "bearer x y z", "Digest"),
    "Origin": (
        "null",
        "http://[",
        "http://[::1",
        "http://a:b:c",
        "://",
        "\xff",
        "http://x:99999999",
    ),
    "Host": ("", "[", "[::1", "a:b", "127.0.0.1:99999999", "other.example", "\xff", "a" * 300),
    "Sec-Fetch-Site": ("same-origin", "cross-site", "none", "\xff", ""),
    "Referer": ("http://[", "\xff", "x" * 3000),
    "X-Forwarded-For": ("1.2.3.4", "::1", "\xff", ",,,", "a" * 3000),
    "X-Forwarded-User": ("p0", "\xff", ""),
    "X-Proxy-Secret": ("", "x", "\xff"),
    "X-Request-Id": ("a", "a" * 300, "\xff", '{"a":1}'),
    "Content-Length": ("-1", "1e3", "0x10", "9" * 30, "", "+5", "5, 5", "٣"),
    "Transfer-Encoding": (
        "chunked",
        "gzip, chunked",
        "chunked, chunked",
        "identity",
        "\x0bchunked",
    ),
    "Expect": ("100-continue", "200-ok"),
    "Upgrade": ("websocket", "h2c"),
    "Connection": ("keep-alive", "upgrade", "close, close", "\xff"),
}
BODIES = (
    *(b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{", b'{"output": "page.children"}', b"\x00" * 50),
    *(b"name=p0&password=x", b"name=" + b"a" * 3000, b"%" * 200, b"a=1&" * 500, b"next=//x"),
    *(b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n\r\n", b"5;x=\r\nhel"),
    *(b"\x1f\x8b\x08\x00\x00\x00", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--"),
)


def odd_request(rng: random.Random, host: str, token: str) -> Request:
    """A request that differs from those of browsers in its first line, headers, body or end.

    Args:
        rng: decides all.
        host: as a browser would name it.
        token: of a person who may take arrays home.
    """
    method = rng.choice(ODD_METHODS if rng.random() < 0.1 else METHODS)
    path, version = rng.choice(PATHS), rng.choice(VERSIONS)
    first = f"{method} {path} {version}".rstrip(" ") if rng.random() < 0.97 else "\x16\x03\x01"
    headers = [("Host", host)] if rng.random() < 0.95 else []
    if rng.random() < 0.7:
        headers.append(("Authorization", f"Bearer {token}"))
    for name in rng.sample(list(HEADERS), rng.choice((0, 1, 1, 1, 2, 3, 8))):
        headers.append((name, rng.choice(HEADERS[name])))
    body = rng.choice(BODIES) if method in ("POST", "PUT", "PATCH") or rng.random() < 0.1 else b""
    names = {name for name, _ in headers}
    if body and not names & {"Content-Length", "Transfer-Encoding"}:
        wrong = rng.choice((0, 0, 0, 0, 1, -1, 1000))
        headers.append(("Content-Length", str(max(0, len(body) + wrong))))
    # A server waits for what such a request says is still to come.
    waits = bool({"Transfer-Encoding", "Content-Length", "Expect"} & {name for name, _ in headers})
    lines = [f"{name}: {value}" for name, value in headers]
    match rng.randrange(25):
        case 0:
            lines += [f"X-{n}: {n}" for n in range(rng.choice((90, 500, 3000)))]
        case 1:
            lines.append(f"X-Long: {'a' * rng.choice((5000, 40_000, 200_000))}")
        case 2:
            lines.append(
                rng.choice(("no colon", ": no name", "a b: c", " folded", "\x00: x", "X:"))
            )
        case 3:
            lines.append(rng.choice(lines) if lines else "")
        case 4:
            lines.append("Cookie: " + rng.choice(("\\", '"\\', "a=b; ", "a=", '"')) * 2000)
        case 5:
            rng.shuffle(lines)
    end = "\r\n" if rng.random() < 0.95 else "\n"
    data = (end.join((first, *lines)) + end * 2).encode("latin-1", "replace") + body
    words = f"{first[:80]} {dict(headers)} {body[:40]!r}"[:600]
    if rng.random() < 0.05:
        return Request(data[: rng.randrange(len(data))], words, ends=True)
    return Request(data, words, ends=waits and rng.random() < 0.95)


def head(method: str, path: str, host: str, token: str, body: bytes = b"") -> bytes:
    """A well-formed request, for what is odd in its path or its body alone."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        "Sec-Fetch-Site: same-origin",
        "Connection: close",
    ]
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body
