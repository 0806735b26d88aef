"""Looks up classes by their names, or their indices."""

from __future__ import annotations

from collections.abc import Sequence

from fmcore.errors import SelectionError
from fmcore.selection.indices import is_index
from fmcore.selection.names import near_matches


def parse_classes(text: str, names: Sequence[str]) -> list[int]:
    """Parses a comma-separated list of classes into their indices, in the order of the list.

    Args:
        text: names or indices of classes; a class whose name is a number is found by its name.
        names: the names of all classes.

    Raises:
        SelectionError: if there is no such class; the message has near matches.
    """
    indices: list[int] = []
    by_name = {name: index for index, name in reversed([*enumerate(names)])}  # the first of equals
    terms = [text] if text in by_name else [part.strip() for part in text.split(",")]
    for term in filter(None, terms):
        if term in by_name:
            indices.append(by_name[term])
        elif is_index(term) and int(term) < len(names):
            indices.append(int(term))
        else:
            listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise SelectionError(
                f"there is no class {term!r}; expected a name or an index from 0 to "
                f"{len(names) - 1}: {listed}{near_matches(term, names)}",
                field="class",
            )
    if not indices:
        raise SelectionError(f"{text!r} selects no class", field="class")
    return list(dict.fromkeys(indices))


def class_index(name: str, names: Sequence[str], *, what: str, field: str) -> int:
    """The class of a name or an index; a class whose name is a number is found by its name.

    Args:
        name: the name, or the index.
        names: the names of all classes.
        what: what it is the class of, for the message.
        field: the parameter that it is a part of, for the error.

    Raises:
        SelectionError: if there is none.
    """
    if name in names:
        return list(names).index(name)
    if is_index(name) and int(name) < len(names):
        return int(name)
    raise SelectionError(
        f"{what}: there is no class {name!r}; expected a name or an index from 0 to "
        f"{len(names) - 1}{near_matches(name, names)}",
        field=field,
    )
