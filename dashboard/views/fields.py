"""What is said of receptive fields that are not exact."""

from __future__ import annotations

from fmcore.storage import Layer

AT_MOST = "at most"


def is_bound(layer: Layer) -> bool:
    """Whether the units of a layer may see less than their boxes."""
    return layer.field_words.startswith(AT_MOST)


def not_exact(layer: Layer) -> str:
    """One sentence on the boxes of a layer; empty where they are exact."""
    words = layer.field_words
    if is_bound(layer):
        return f"A unit of this layer sees at most its box{words.removeprefix(AT_MOST)}."
    if layer.receptive_fields() is None:
        why = words.removeprefix("unknown")
        return f"What a unit of this layer sees is unknown{why}: images have no box."
    return ""
