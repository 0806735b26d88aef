"""Trains the tutorial's network on labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from fmcore.dataset import LabelledImages, usual
from fmcore.errors import DatasetError
from fmcore.model.build import tutorial_network

VALIDATION_SPLIT = 0.1
SMALLEST_IMAGE = 10  # two 3x3 convolutions and two poolings leave one pixel of it


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model and how it got there.

    Attributes:
        model: the model.
        history: for each quantity such as `val_accuracy`, its value after each epoch.
    """

    model: keras.Model
    history: Mapping[str, list[float]]


def train_tutorial_network(
    samples: LabelledImages, *, n_classes: int, epochs: int, seed: int, progress: bool
) -> Trained:
    """Trains on 90 % of the samples and validates on the rest.

    The samples are shuffled once by the seed before the split, because Keras takes the last tenth
    as it comes and a file may be sorted by class.

    Raises:
        DatasetError: if there are too few samples, or the images are too small.
    """
    _, height, width, channels = samples.images.shape
    if min(height, width) < SMALLEST_IMAGE:
        raise DatasetError(
            f"images are {height}x{width} pixels; the tutorial's network needs at least "
            f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE}"
        )
    if len(samples) < 10:
        raise DatasetError(f"{len(samples)} training images; at least 10 are needed")
    keras.utils.set_random_seed(seed)
    order = np.random.default_rng(seed).permutation(len(samples))
    images = usual(samples.images.dtype)(samples.images[:])
    model = tutorial_network((height, width, channels), n_classes=n_classes)
    fitted = model.fit(
        images[order],
        samples.classes[order],
        epochs=epochs,
        validation_split=VALIDATION_SPLIT,
        verbose=1 if progress else 2,
    )
    history = {name: [float(one) for one in each] for name, each in fitted.history.items()}
    return Trained(model, history)
