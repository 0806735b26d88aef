"""The tutorial's network, and how it is trained on labeled images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np

from fmcore.dataset import LabelledImages, default_preprocessing
from fmcore.errors import DatasetError

VALIDATION_SPLIT = 0.1
SMALLEST_IMAGE = 10  # two 3x3 convolutions and two poolings leave one pixel of it


def tutorial_network(
    image_shape: tuple[int, int, int], *, n_classes: int, name: str = "tutorial_cnn"
) -> keras.Model:
    """A compiled, untrained model for images of one size.

    Args:
        image_shape: (image_y, image_x, image_channel), at least 10 pixels each way.
        n_classes: classes of the softmax.
        name: the model's name.
    """
    layers = keras.layers
    # Not a Sequential: loaded from a file, it has no `model.input`, of which the tutorial makes its
    # model of activations.
    image = keras.Input(image_shape, name="image")
    maps = layers.Conv2D(16, 3, activation="relu", name="conv1")(image)
    maps = layers.MaxPooling2D(name="pool1")(maps)
    maps = layers.Conv2D(32, 3, activation="relu", name="conv2")(maps)
    maps = layers.MaxPooling2D(name="pool2")(maps)
    values = layers.Flatten(name="flatten")(maps)
    probability = layers.Dense(n_classes, activation="softmax", name="dense")(values)
    model = keras.Model(image, probability, name=name)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A trained model and the course of its training.

    Attributes:
        model: the trained model.
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
    images = default_preprocessing(samples.images)(samples.images[:])
    model = tutorial_network((height, width, channels), n_classes=n_classes)
    fitted = model.fit(
        images[order],
        samples.known_labels[order],
        epochs=epochs,
        validation_split=VALIDATION_SPLIT,
        verbose=1 if progress else 2,
    )
    history = {name: [float(value) for value in values] for name, values in fitted.history.items()}
    return Trained(model, history)
