"""How right stored predictions are: which classes are taken for which, and how confidently.

Predictions and labels are read whole; of probabilities, which a model of 1,000 classes has many of,
a block of samples at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fmcore.statistics import Calibration, Probabilities, calibration, of_samples
from fmcore.storage.chunks.stored_array import StoredArray

# Bytes of probabilities that are in memory at once, as float64.
BLOCK_BYTES = 32 << 20


def stored_calibration(
    probabilities: StoredArray, labels: NDArray[np.int64], predictions: NDArray[np.int64]
) -> Calibration:
    """Whether a model is right as often as it is confident.

    Args:
        probabilities: [sample, class].
        labels: <int64>[sample].
        predictions: <int64>[sample].
    """
    n_samples, n_classes = probabilities.shape
    step = max(1, BLOCK_BYTES // (8 * n_classes))
    blocks = [slice(first, first + step) for first in range(0, n_samples, step)]
    parts = [of_samples(probabilities[rows], labels[rows], predictions[rows]) for rows in blocks]
    samples = Probabilities(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("confidence", "brier", "nll")
        )
    )
    return calibration(samples, labels == predictions)
