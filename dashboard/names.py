"""How long names are cut: of layers, classes, stores."""

from __future__ import annotations


def shortened(name: str, longest: int) -> str:
    """A name without its middle, where it is longer than some characters.

    More of the end stays: of the paths of layers and files it tells most.
    """
    start = (longest - 1) // 3
    return name if len(name) <= longest else f"{name[:start]}…{name[start + 1 - longest :]}"
