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
# Who misspells a word types less than this; the time to compare two words grows with the product of
# their lengths, 0.1 s for a million pairs of characters.
LONGEST_MISSPELLED = 64
MOST_PAIRS = 2_000_000
# Of what comes from another machine. A regular expression may take any time, and a glob is one that
# takes at most the product of the lengths of glob and name for each of its stars.
MOST_GLOBS = 64
LONGEST_GLOB = 256


def near_matches(word: str, words: Sequence[str]) -> str:
    """A clause such as `; did you mean conv1?`; empty if no word is near, or the word is long."""
    word, n_pairs = str(word), 0
    if len(word) > LONGEST_MISSPELLED:
        return ""
    compared = []
    for other in words:
        n_pairs += len(word) * len(other)
        if n_pairs > MOST_PAIRS:
            break
        compared.append(other)
    near = difflib.get_close_matches(word, compared, cutoff=0.5)
    return f"; did you mean {', '.join(near)}?" if near else ""


def refuse_regular(pattern: str, *, field: str) -> None:
    """Refuses what takes long to match, for a pattern that came from another machine.

    Raises:
        SelectionError: if a part is a regular expression, or the parts are too many or too long.
    """
    globs = [part.strip() for part in pattern.split(",")]
    if any(glob.startswith(REGULAR) for glob in globs):
        raise SelectionError(
            f"{REGULAR} is for the command line and Python; name globs such as conv*", field=field
        )
    if len(globs) > MOST_GLOBS or max(map(len, globs)) > LONGEST_GLOB:
        raise SelectionError(
            f"{field} has {len(globs)} parts of up to {max(map(len, globs))} characters; expected "
            f"at most {MOST_GLOBS} of {LONGEST_GLOB}",
            field=field,
        )


def match_names(
    names: Sequence[str], pattern: str, *, what: str, field: str = "layer", regular: bool = True
) -> list[str]:
    """The names that match any of a comma-separated list of globs, in the order of `names`.

    Args:
        names: the names to match.
        pattern: globs such as `conv1`, `block?_*` or `conv1,conv3`. A part that begins with `re:`
            is a regular expression without commas, which must match the whole name.
        what: the noun for the message, such as `layer of model.keras`.
        field: the parameter that the pattern is a value of, for the error.
        regular: whether regular expressions are taken; see `refuse_regular`.

    Raises:
        SelectionError: if a glob matches nothing, or a regular expression is invalid.
    """
    if pattern in names:  # a name may itself contain commas and brackets
        return [pattern]
    if not regular:
        refuse_regular(pattern, field=field)
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


def only_name(names: Sequence[str], *, where: str) -> str:
    """The layer that is meant where none is named: the only one.

    Args:
        names: the paths of the layers.
        where: what they are layers of, for the message.

    Raises:
        SelectionError: if there are several; the message names them.
    """
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names) or "none"
    raise SelectionError(
        f"{where} has {len(names)} layers, expected the path of one of them as layer: {listed}",
        field="layer",
    )


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
