"""Parses what is typed under “Go to”: a layer, a filter, a sample, a class."""

from __future__ import annotations

import re

from dashboard.stores.catalog import Catalog
from fmcore.selection import near_matches

_NUMBER = re.compile(r"(filter|sample|class|f|s|c)?\s*#?(\d{1,9})", re.IGNORECASE | re.ASCII)
# More than a whole link has; names of layers and classes are shorter.
LONGEST = 500
_KINDS = {"f": "filter_index", "s": "sample", "c": "class_index"}


def find(text: str, catalog: Catalog) -> tuple[dict[str, object], str]:
    """What to change of what is shown, by the names of a state's attributes; or why nothing.

    Understands `conv2`, `conv2 filter 5`, `conv2 5`, `filter 5` or `f5`, `sample 812` or `s812`,
    `class 7` or `c7`, the name of a class, and several of these, with spaces between them.

    Args:
        text: what was typed.
        catalog: what there is.

    Returns:
        The changes, and a sentence where a part of it means nothing.
    """
    if len(text) > LONGEST:
        return {}, f"{len(text):,} characters are too many; {LONGEST} are taken at most"
    changes: dict[str, object] = {}
    rest = " ".join(text.split())
    while rest:
        for take in (_layer, _number, _class):
            length = take(rest, catalog, changes)
            if length:
                rest = rest[length:].lstrip()
                break
        else:
            names = (*catalog.n_filters, *catalog.classes)
            kinds = "a layer, a class," if catalog.classes else "a layer,"
            near = near_matches(rest, names) or f"; try {kinds} filter 5 or sample 812"
            return {}, f"Nothing is called {rest!r}{near}"
    return changes, ""


def _layer(text: str, catalog: Catalog, changes: dict[str, object]) -> int:
    """Takes a layer's whole path, or the last part of one; gives the length of what it took."""
    for path in sorted(catalog.n_filters, key=len, reverse=True):
        for name in (path, path.rsplit("/", 1)[-1]):
            if _begins(text, name) and "layer" not in changes:
                changes["layer"] = path
                return len(name)
    return 0


def _number(text: str, catalog: Catalog, changes: dict[str, object]) -> int:
    """Takes a number with its kind; alone, it is a filter after a layer, else a sample."""
    matched = _NUMBER.match(text)
    if matched is None or text[matched.end() : matched.end() + 1].strip():
        return 0
    kind = (matched[1] or ("f" if "layer" in changes else "s"))[0].lower()
    if not matched[1] and text in catalog.classes and "layer" not in changes:
        kind = "c"
    if kind == "c" and matched[2] in catalog.classes:
        changes["class_index"] = catalog.classes.index(matched[2])
    else:
        changes[_KINDS[kind]] = int(matched[2])
    return matched.end()


def _class(text: str, catalog: Catalog, changes: dict[str, object]) -> int:
    lead = 6 if _begins(text, "class") and len(text) > 6 else 0
    for name in sorted(catalog.classes, key=len, reverse=True):
        if name and _begins(text[lead:], name):
            changes["class_index"] = catalog.classes.index(name)
            return lead + len(name)
    return 0


def _begins(text: str, name: str) -> bool:
    """Whether a text begins with a name, and the name ends there."""
    end = len(name)
    return text[:end].lower() == name.lower() and not text[end : end + 1].strip()
