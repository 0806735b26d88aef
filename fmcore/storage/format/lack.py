"""What a store may lack, in words for its specification."""

from enum import StrEnum


class Lack(StrEnum):
    """Why an array is not in a store: something that the whole store or one layer goes without."""

    PREDICTIONS = "no predictions"
    SCORES = "no scores"
    HISTOGRAMS = "no histograms"
    CLASS_MAPS = "no class maps"
    MAPS = "policy `pooled`"
    KERNEL = "the layer has no kernel with these axes"
    BIAS = "the layer has no bias"
    RECEPTIVE_FIELD = "no receptive field"
