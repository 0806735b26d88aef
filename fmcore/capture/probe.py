"""The interface between a capture and a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.records import Captured, LayerSpec


class Probe(Protocol):
    """Turns images into activations; the Keras probe is one implementation."""

    @property
    def layers(self) -> Sequence[LayerSpec]:
        """The captured layers, in the order of the model."""

    def __call__(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> Captured:
        """Runs one batch.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: the values for the model's other inputs by name, <float32>[sample, ...].
        """
