"""What a model is fed: which of its inputs is the image, the image's size, the other inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages
from fmcore.errors import DatasetError, ModelError
from fmcore.model.trace import first_line, operations_of


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """The inputs of a model, in their order.

    Attributes:
        names: the name of each input.
        shapes: the shape of one sample for each input, as the model takes it.
        image: index of the input that is the image.
        channels_first: whether the image's channels are its first axis.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    image: int
    channels_first: bool

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(image_y, image_x, image_channel); y is 1 where the model takes rows."""
        sizes = [int(size or 0) for size in self.shapes[self.image]]
        if self.channels_first:
            sizes = [*sizes[1:], sizes[0]]
        height, width, channels = [1] * (3 - len(sizes)) + sizes
        return height, width, channels

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the inputs that are not the image."""
        return tuple(name for index, name in enumerate(self.names) if index != self.image)

    @property
    def other_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """The shape of one sample of each input that is not the image, by name."""
        return {name: self.shapes[self.names.index(name)] for name in self.others}

    def signature(self) -> list[tf.TensorSpec]:
        """What the graph takes: images [sample, y, x, channel], then the other inputs."""
        image = tf.TensorSpec([None, *self.image_shape], tf.float32, name="image")
        others = [shape for index, shape in enumerate(self.shapes) if index != self.image]
        return [image, *(tf.TensorSpec([None, *shape], tf.float32) for shape in others)]

    def arranged(self, tensors: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        """Tensors of `signature` in the model's own order of inputs and axes, within the graph."""
        image, *others = tensors
        shape = self.shapes[self.image]
        if self.channels_first:
            image = tf.transpose(image, [0, 3, 1, 2])
        if len(shape) == 2:
            image = tf.reshape(image, [-1, *self.image_shape[1:]])
        others.insert(self.image, image)
        return others


def inputs_of(
    model: keras.Model, *, image_shape: tuple[int, int, int] | None = None
) -> ModelInputs:
    """A model's inputs; a model that was never called is called once, on zeros, which builds it.

    Args:
        model: any Keras model.
        image_shape: (y, x, channel) of the images, for models that take any size or do not say.

    Raises:
        ModelError: if the model takes no images, or their size is neither fixed nor given.
    """
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        raise ModelError(
            f"expected a model of Keras 3 (keras.Model) or the path of one, found {kind}; of a "
            "model of tf_keras build the same with Keras 3, and give it the weights with "
            "set_weights"
        )
    inputs = list(getattr(model, "inputs", None) or ())
    if not inputs:
        if image_shape is None:
            raise ModelError(
                f"model {model.name!r} does not say what it takes; give the size of the images "
                "with --size, such as --size 28x28x1"
            )
        _build(model, image_shape)
        inputs = list(getattr(model, "inputs", None) or ())
    if not inputs:
        return ModelInputs(("images",), (tuple(image_shape or ()),), 0, channels_first=False)
    first = _channels_first(model)
    shapes = [tuple(tensor.shape[1:]) for tensor in inputs]
    image = next((index for index, shape in enumerate(shapes) if len(shape) == 3), None)
    if image is None:
        image = next((index for index, shape in enumerate(shapes) if len(shape) == 2), None)
    if image is None:
        raise ModelError(
            f"model {model.name!r} takes inputs of shape {', '.join(map(str, shapes))}; expected "
            "images (y, x, channel) or rows (x, channel)"
        )
    first = first and len(shapes[image]) == 3
    shapes[image] = _fixed(model, shapes[image], image_shape, channels_first=first)
    return ModelInputs(tuple(tensor.name for tensor in inputs), tuple(shapes), image, first)


def _fixed(
    model: keras.Model,
    shape: tuple[int | None, ...],
    image_shape: tuple[int, int, int] | None,
    *,
    channels_first: bool,
) -> tuple[int, ...]:
    """The shape of an image as the model takes it; sizes it leaves open come from the images."""
    sizes: tuple[int | None, ...] = (None,) * len(shape)
    if image_shape is not None:
        height, width, channels = image_shape
        sizes = (channels, height, width) if channels_first else image_shape
        # Images in the model's own order of axes, see `fit_to_model`.
        if channels_first and height == shape[0] and channels != shape[0]:
            sizes = image_shape
        if len(shape) == 2:
            as_rows = channels == 1 and width == shape[1] != channels
            sizes = (height, width) if as_rows else (width, channels)
    fixed = tuple(own or size for own, size in zip(shape, sizes, strict=True))
    if None in fixed:
        raise ModelError(
            f"model {model.name!r} takes images of any size, {shape}; give one with --size, such "
            "as --size 224x224"
        )
    return tuple(int(size) for size in fixed if size is not None)


def _build(model: keras.Model, image_shape: tuple[int, int, int]) -> None:
    try:
        model(tf.zeros([1, *image_shape]), training=False)
    except Exception as error:  # a model's own code may raise anything
        raise ModelError(
            f"model {model.name!r} was never built, and cannot be called with images of "
            f"{'x'.join(map(str, image_shape))}: {first_line(error)}"
        ) from error


def _channels_first(model: keras.Model) -> bool:
    formats: list[Any] = [
        getattr(operation, "data_format", None)
        for _, operation in operations_of(model)
        if hasattr(operation, "kernel_size")
    ]
    return bool(formats) and formats[0] == "channels_first"


def fit_to_model(inputs: ModelInputs, samples: LabelledImages, *, where: str) -> LabelledImages:
    """The samples with images [sample, y, x, channel] of the model's size.

    Images that are in the model's own order of axes, channels first or rows, are rearranged.

    Raises:
        DatasetError: if images have another size, or an input is missing or has another shape.
    """
    image = inputs.names[inputs.image]
    if image in samples.others:
        raise DatasetError(
            f"{where}: input {image!r} is the model's image, but another array is in its place; "
            "give the image once, before other arrays that are maps, or as x_test in an npz file"
        )
    expected, shape = inputs.image_shape, samples.images.shape[1:]
    height, width, channels = expected
    images = samples.images
    if shape != expected and isinstance(images, np.ndarray):
        if inputs.channels_first and shape == (channels, height, width):
            images = images.transpose(0, 2, 3, 1)
        elif height == 1 and shape == (width, channels, 1):
            images = images.reshape(-1, *expected)
    if images.shape[1:] != expected:
        raise DatasetError(
            f"{where}: images are {'x'.join(map(str, shape))}, the model takes "
            f"{'x'.join(map(str, expected))} (y, x, channel)"
        )
    if set(samples.others) != set(inputs.others):
        raise DatasetError(
            f"{where}: besides images the model takes {', '.join(inputs.others) or 'nothing'}"
            f", found {', '.join(samples.others) or 'nothing'}; give each by name: x_test_NAME in "
            "an npz file, FILE.h5::x,y,NAME=ARRAY, in Python {'image': images, 'NAME': values}"
        )
    others = {
        name: _reshaped(samples.others[name], shape, f"{where}: {name}")
        for name, shape in inputs.other_shapes.items()
    }
    return dataclasses.replace(samples, images=images, others=others)


def _reshaped(
    values: NDArray[np.float32], expected: tuple[int | None, ...], what: str
) -> NDArray[np.float32]:
    """Values with the axes of an input; an axis of length 1 at the end may be left out."""
    shape = values.shape[1:]
    if len(shape) == len(expected) - 1 and expected[-1] == 1:
        values = values[..., np.newaxis]
    elif len(shape) == len(expected) + 1 and shape[-1] == 1:
        values = values[..., 0]
    fits = len(values.shape) == len(expected) + 1 and all(
        size in (None, length) for size, length in zip(expected, values.shape[1:], strict=True)
    )
    if not fits:
        raise DatasetError(
            f"{what} is {_shape_text(shape)} for each sample, the model takes "
            f"{_shape_text(expected)}"
        )
    return values


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return "x".join("any" if size is None else str(size) for size in shape) or "one number"
