"""Whether the body of a callback request is one that this application's own pages send.

Dash trusts its renderer, and answers 500 to anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def callback_problem(body: Any, known: Mapping[str, Any]) -> str:
    """What is wrong with a body; empty where nothing is.

    Args:
        body: parsed JSON.
        known: Dash's callbacks, by their output.
    """
    if not isinstance(body, dict):
        return "expected an object"
    output = body.get("output")
    if not isinstance(output, str) or output not in known:
        return "unknown callback"
    callback = known[output]
    if "callback" not in callback:
        return "this callback runs in the browser"
    for part, expected in (("inputs", callback["inputs"]), ("state", callback["state"])):
        if _addresses(body.get(part, [])) != _addresses(expected):
            return f"{part} are not those of the callback"
    outputs = body.get("outputs")
    asked = _addresses(outputs if isinstance(outputs, list) else [outputs])
    if asked is None or output not in (_joined(asked), *(".".join(one) for one in asked)):
        return "outputs are not those of the callback"
    changed = body.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(one, str) for one in changed):
        return "changedPropIds must be a list of names"
    return ""


def _addresses(parts: Any) -> list[tuple[str, str]] | None:
    """(id, property) of each part, or None where one has none."""
    if not isinstance(parts, list):
        return None
    found = []
    for part in parts:
        match part:
            case {"id": str(identity), "property": str(name)}:
                found.append((identity, name))
            case _:
                return None
    return found


def _joined(addresses: list[tuple[str, str]]) -> str:
    """Several outputs as Dash names them together."""
    return f"..{'...'.join('.'.join(one) for one in addresses)}.."
