"""Pattern matching on names, with near matches for misspelled ones."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from fmcore.errors import SelectionError
from fmcore.records import Policy

# The prefix that marks a regular expression among globs.
REGULAR = "re:"


def near_matches(word: str, words: Sequence[str]) -> str:
    """A clause such as `; did you mean conv1?`; empty if no word is near."""
    near = difflib.get_close_matches(str(word), words, cutoff=0.5)
    return f"; did you mean {', '.join(near)}?" if near else ""


def match_names(
    names: Sequence[str], pattern: str, *, what: str, field: str = "layer"
) -> list[str]:
    """The names that match any of a comma-separated list of globs, in the order of `names`.

    Args:
        names: the names to match.
        pattern: globs such as `conv1`, `block?_*` or `conv1,conv3`. A part that begins with `re:`
            is a regular expression without commas, which must match the whole name.
        what: the noun for the message, such as `layer of model.keras`.
        field: the parameter that the pattern is a value of, for the error.

    Raises:
        SelectionError: if a glob matches nothing, or a regular expression is invalid.
    """
    if pattern in names:  # a name may itself contain commas and brackets
        return [pattern]
    globs = [part.strip() for part in pattern.split(",") if part.strip()]

    def matches(name: str, glob: str) -> bool:
        if glob.startswith(REGULAR):
            return re.fullmatch(glob.removeprefix(REGULAR), name) is not None
        return name == glob or fnmatchcase(name, glob)

    for glob in globs:
        if glob.startswith(REGULAR):
            try:
                re.compile(glob.removeprefix(REGULAR))
            except re.error as error:
                raise SelectionError(
                    f"{glob!r} is not a valid regular expression: {error}", field=field
                ) from error

    for glob in globs or [pattern]:
        if not any(matches(name, glob) for name in names):
            raise SelectionError(
                f"{glob!r} matches no {what}; there are {', '.join(names) or 'none'}"
                f"{near_matches(glob, names)}",
                field=field,
            )
    return [name for name in names if any(matches(name, glob) for glob in globs)]


def parse_policies(text: str) -> list[tuple[str, Policy]]:
    """The globs and their policies in a text such as `block1*=pooled,conv2=float16`, in order.

    Raises:
        SelectionError: if a part is no `GLOB=POLICY`, or there is no such policy.
    """
    rules = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        glob, separator, policy = (piece.strip() for piece in part.rpartition("="))
        if not separator or policy not in list(Policy):
            raise SelectionError(
                f"policy {part!r}; expected GLOB=POLICY with one of {', '.join(Policy)}"
                f"{near_matches(policy, list(Policy))}",
                field="policy",
            )
        rules.append((glob, Policy(policy)))
    return rules


def policies_for(names: Sequence[str], text: str) -> list[Policy]:
    """The storage policy of each layer, by default `float32`.

    Args:
        names: the paths of the layers.
        text: comma-separated `GLOB=POLICY`, such as `block1*=pooled,conv2=float16`; if several
            match a layer, the last one counts.

    Raises:
        SelectionError: if a policy is unknown or a glob matches nothing.
    """
    policies = dict.fromkeys(names, Policy.FLOAT32)
    for glob, policy in parse_policies(text):
        matches = match_names(names, glob, what="captured layer", field="policy")
        policies |= dict.fromkeys(matches, policy)
    return list(policies.values())
