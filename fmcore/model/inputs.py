"""What a model is fed: which of its inputs is the image, how large it is, and the other ones."""

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
        names: of each.
        shapes: of one sample of each, as the model takes it.
        image: which of them is the image.
        channels_first: whether the image's channels are its first axis.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    image: int
    channels_first: bool

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(image_y, image_x, image_channel); of a model of rows y is 1."""
        sizes = [int(size or 0) for size in self.shapes[self.image]]
        if self.channels_first:
            sizes = [*sizes[1:], sizes[0]]
        height, width, channels = [1] * (3 - len(sizes)) + sizes
        return height, width, channels

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the inputs that are no image."""
        return tuple(name for index, name in enumerate(self.names) if index != self.image)

    @property
    def other_shapes(self) -> dict[str, tuple[int | None, ...]]:
        """Of one sample of each of them, by name."""
        return {name: self.shapes[self.names.index(name)] for name in self.others}

    def signature(self) -> list[tf.TensorSpec]:
        """Of what the graph takes: images [sample, y, x, channel], then the other inputs."""
        image = tf.TensorSpec([None, *self.image_shape], tf.float32, name="image")
        rest = [shape for index, shape in enumerate(self.shapes) if index != self.image]
        return [image, *(tf.TensorSpec([None, *shape], tf.float32) for shape in rest)]

    def arranged(self, given: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        """The same as the model takes them, as part of the graph."""
        image, *rest = given
        shape = self.shapes[self.image]
        if self.channels_first:
            image = tf.transpose(image, [0, 3, 1, 2])
        if len(shape) == 2:
            image = tf.reshape(image, [-1, *self.image_shape[1:]])
        rest.insert(self.image, image)
        return rest


def inputs_of(
    model: keras.Model, *, image_shape: tuple[int, int, int] | None = None
) -> ModelInputs:
    """Finds them; a model that was never called is called once, on zeros, which builds it.

    Args:
        model: any Keras model.
        image_shape: (y, x, channel) of the images, for models that take any size or do not say.

    Raises:
        ModelError: if it takes no images, or the size is neither fixed nor given.
    """
    inputs = list(getattr(model, "inputs", None) or ())
    if not inputs:
        if image_shape is None:
            raise ModelError(
                f"model {model.name!r} does not say what it takes; name the size of the images "
                "with --size, such as --size 28x28x1"
            )
        _build(model, image_shape)
        inputs = list(getattr(model, "inputs", None) or ())
    if not inputs:
        return ModelInputs(("images",), (tuple(image_shape or ()),), 0, channels_first=False)
    first = _channels_first(model)
    shapes = [tuple(one.shape[1:]) for one in inputs]
    image = next((index for index, one in enumerate(shapes) if len(one) == 3), None)
    if image is None:
        image = next((index for index, one in enumerate(shapes) if len(one) == 2), None)
    if image is None:
        raise ModelError(
            f"model {model.name!r} takes inputs of shape {', '.join(map(str, shapes))}; expected "
            "images (y, x, channel) or rows (x, channel)"
        )
    first = first and len(shapes[image]) == 3
    shapes[image] = _fixed(model, shapes[image], image_shape, channels_first=first)
    return ModelInputs(tuple(one.name for one in inputs), tuple(shapes), image, first)


def _fixed(
    model: keras.Model,
    shape: tuple[int | None, ...],
    image_shape: tuple[int, int, int] | None,
    *,
    channels_first: bool,
) -> tuple[int, ...]:
    """The sizes of an image, those that the model leaves open from the images."""
    given: tuple[int | None, ...] = (None,) * len(shape)
    if image_shape is not None:
        height, width, channels = image_shape
        given = (channels, height, width) if channels_first else image_shape
        # Images in the model's own order of axes, see `fit_to_model`.
        if channels_first and height == shape[0] and channels != shape[0]:
            given = image_shape
        if len(shape) == 2:
            as_rows = channels == 1 and width == shape[1] != channels
            given = (height, width) if as_rows else (width, channels)
    found = tuple(size or other for size, other in zip(shape, given, strict=True))
    if None in found:
        raise ModelError(
            f"model {model.name!r} takes images of any size, {shape}; name one with --size, such "
            "as --size 224x224"
        )
    return tuple(int(size) for size in found if size is not None)


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
    """The samples as [sample, y, x, channel] of the model's size.

    Images that are given in the model's own order of axes are turned: channels first, and rows.

    Raises:
        DatasetError: if they are of another size, or an input is missing or of another shape.
    """
    image = inputs.names[inputs.image]
    if image in samples.others:
        raise DatasetError(
            f"{where}: input {image!r} is the model's image, and another array was taken for it; "
            "give it once, before any others that are maps, or in an npz file as x_test"
        )
    wanted, found = inputs.image_shape, samples.images.shape[1:]
    height, width, channels = wanted
    images = samples.images
    if found != wanted and isinstance(images, np.ndarray):
        if inputs.channels_first and found == (channels, height, width):
            images = images.transpose(0, 2, 3, 1)
        elif height == 1 and found == (width, channels, 1):
            images = images.reshape(-1, *wanted)
    if images.shape[1:] != wanted:
        raise DatasetError(
            f"{where}: images are {'x'.join(map(str, found))}, the model takes "
            f"{'x'.join(map(str, wanted))} (y, x, channel)"
        )
    if set(samples.others) != set(inputs.others):
        raise DatasetError(
            f"{where}: besides images the model takes {', '.join(inputs.others) or 'nothing'}"
            f", found {', '.join(samples.others) or 'nothing'}; name each one: x_test_NAME in an "
            "npz file, FILE.h5::x,y,NAME=ARRAY, in Python {'image': images, 'NAME': values}"
        )
    others = {
        name: _of_shape(samples.others[name], shape, f"{where}: {name}")
        for name, shape in inputs.other_shapes.items()
    }
    return dataclasses.replace(samples, images=images, others=others)


def _of_shape(
    values: NDArray[np.float32], wanted: tuple[int | None, ...], what: str
) -> NDArray[np.float32]:
    """What an input gets, with the axes it has; one of length 1 at the end may be left out."""
    found = values.shape[1:]
    if len(found) == len(wanted) - 1 and wanted[-1] == 1:
        values = values[..., np.newaxis]
    elif len(found) == len(wanted) + 1 and found[-1] == 1:
        values = values[..., 0]
    fits = len(values.shape) == len(wanted) + 1 and all(
        size in (None, one) for size, one in zip(wanted, values.shape[1:], strict=True)
    )
    if not fits:
        raise DatasetError(
            f"{what} is {_words(found)} for each sample, the model takes {_words(wanted)}"
        )
    return values


def _words(shape: tuple[int | None, ...]) -> str:
    return "x".join("any" if size is None else str(size) for size in shape) or "one number"
