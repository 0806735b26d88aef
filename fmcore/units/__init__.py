"""Single values of maps: which react to a place in the image, and how each comes about."""

from fmcore.units.arithmetic import Arithmetic, arithmetic_of
from fmcore.units.places import LayerReactions, Place, layer_reactions, parse_place, ranking
from fmcore.units.shares import Shares, shares_of
from fmcore.units.sources import Origin

__all__ = [
    "Arithmetic",
    "LayerReactions",
    "Origin",
    "Place",
    "Shares",
    "arithmetic_of",
    "layer_reactions",
    "parse_place",
    "ranking",
    "shares_of",
]
