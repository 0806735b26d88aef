"""The tutorial's network: two convolutions with max pooling, and one dense layer."""

from __future__ import annotations

import keras


def tutorial_network(
    image_shape: tuple[int, int, int], *, n_classes: int, name: str = "tutorial_cnn"
) -> keras.Model:
    """A compiled, untrained model for images of one size.

    Args:
        image_shape: (image_y, image_x, image_channel), at least 10 pixels each way.
        n_classes: classes of the softmax.
        name: the model's name.
    """
    model = keras.Sequential(
        [
            keras.Input(image_shape),
            keras.layers.Conv2D(16, 3, activation="relu", name="conv1"),
            keras.layers.MaxPooling2D(name="pool1"),
            keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
            keras.layers.MaxPooling2D(name="pool2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(n_classes, activation="softmax", name="dense"),
        ],
        name=name,
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
