"""What soak scripts count: how many cases came to what, of which `BAD…` must not be."""

from __future__ import annotations

from collections.abc import Mapping


def n_bad(counts: Mapping[str, int]) -> int:
    """How many cases were bad."""
    return sum(count for what, count in counts.items() if what.startswith("BAD"))


def exit_code(counts: Mapping[str, int]) -> int:
    """Prints what the cases came to; 1 if any was bad."""
    for what, count in sorted(counts.items()):
        print(f"{count:6,}  {what}")
    return int(n_bad(counts) > 0)
