"""What a store may lack, in words for its specification."""

from enum import StrEnum

from fmcore.statistics import MATRIX_FILTERS


class Lack(StrEnum):
    """Why an array is not in a store: something that the whole store or one layer goes without."""

    GRAPH = "no graph"
    SHARDS = "no shards"
    PREDICTIONS = "no predictions"
    SCORES = "no scores"
    MATRIX = f"no scores, or more than {MATRIX_FILTERS} filters"
    LISTS = f"no scores, or at most {MATRIX_FILTERS} filters"
    HISTOGRAMS = "no histograms"
    CLASS_MAPS = "no class maps"
    MAPS = "policy `pooled`"
    KERNEL = "the layer has no kernel with these axes"
    DEPTHWISE_KERNEL = "the layer is no separable convolution"
    BIAS = "the layer has no bias of one number for each filter"
    DUPLICATES = "maps of one pixel"
    RECEPTIVE_FIELD = "no receptive field"
    LABELS = "the model does not give several labels"
    TRUE_LABELS = "no several labels are known of the samples"
    NUMBERS = "the model gives no numbers"
    TRUE_NUMBERS = "no numbers are known of the samples"
    TARGETS = "the model gives neither several labels nor numbers"
    LABEL_SCORES = "no scores, or no several labels are known of the samples"
    TARGET_SCORES = "no scores, or neither several labels nor numbers are known of the samples"
    NUMBER_SCORES = "no scores, or no numbers are known of the samples"
