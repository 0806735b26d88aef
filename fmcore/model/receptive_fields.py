"""Walks the layers of a Keras model and carries receptive fields from its input to a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from fmcore import receptive_field as field
from fmcore.model.graph import calls_of
from fmcore.receptive_field import Boxes, Hulls

# What comes out at a place depends on what goes in at that place.
POINTWISE = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.BatchNormalization,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.LeakyReLU,
    layers.Normalization,
    layers.PReLU,
    layers.ReLU,
    layers.Rescaling,
    layers.SpatialDropout2D,
    layers.Dense,
)
# The same, where their axis is that of the filters.
OF_FILTERS = (
    layers.Concatenate,
    layers.LayerNormalization,
    layers.Softmax,
    layers.UnitNormalization,
)
MERGING = (
    layers.Add,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
# The same as operations, such as `x + y` and `keras.ops.relu(x)`, by the names of their classes.
OPERATIONS = frozenset(
    {
        "Absolute",
        "Add",
        "Clip",
        "Divide",
        "Elu",
        "Exp",
        "Gelu",
        "HardSigmoid",
        "HardSilu",
        "HardSwish",
        "LeakyRelu",
        "Log",
        "Maximum",
        "Minimum",
        "Multiply",
        "Negative",
        "Power",
        "Relu",
        "Relu6",
        "Selu",
        "Sigmoid",
        "Silu",
        "Softplus",
        "Sqrt",
        "Square",
        "Subtract",
        "Swish",
        "Tanh",
        "TrueDivide",
    }
)
WINDOWED = (
    layers.Conv2D,
    layers.DepthwiseConv2D,
    layers.SeparableConv2D,
    layers.MaxPooling2D,
    layers.AveragePooling2D,
)
# What comes out anywhere depends on what goes in everywhere.
GLOBAL = (
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.GroupNormalization,
    layers.Reshape,
)


class UnknownFieldError(Exception):
    """Nothing is known of which pixels a layer sees."""


class ReceptiveFields:
    """The receptive fields of the tensors of one model with one image input."""

    def __init__(self, model: keras.Model) -> None:
        source = model.inputs[0]
        self._makers = {
            id(tensor): node for node in calls_of(model) for tensor in node.output_tensors
        }
        self._found: dict[int, Hulls] = {
            id(source): field.of_input(int(source.shape[1]), int(source.shape[2]))
        }

    def boxes(self, tensor: Any) -> tuple[Boxes | None, str]:
        """The boxes of the units of a tensor, and `exact`; or None, and why they are unknown."""
        try:
            return field.boxes(self.of(tensor)), "exact"
        except UnknownFieldError as error:
            return None, f"unknown: {error}"

    def of(self, tensor: Any) -> Hulls:
        """The hulls of the units of a tensor, <int32>[y, x, 4], or [1, 1, 4] where it is no map.

        Raises:
            UnknownFieldError: naming the layer, if it is of a kind whose fields are not known.
        """
        waiting = [tensor]  # in place of recursion: models are hundreds of layers deep
        while waiting:
            node = self._makers.get(id(waiting[-1]))
            if id(waiting[-1]) in self._found:
                waiting.pop()
            elif node is None or node.is_input:
                raise UnknownFieldError("it follows from the input of another model")
            elif missing := [one for one in node.input_tensors if id(one) not in self._found]:
                waiting.extend(missing)
            else:
                below = [self._found[id(one)] for one in node.input_tensors]
                self._found[id(waiting.pop())] = _passed(node, below)
        return self._found[id(tensor)]


def _passed(node: Any, below: Sequence[Hulls]) -> Hulls:
    """The hulls of what one call of a layer puts out."""
    layer, shape = node.operation, tuple(node.output_tensors[0].shape[1:])
    size = (int(shape[0]), int(shape[1])) if len(shape) == 3 and None not in shape else (1, 1)
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UnknownFieldError(f"{layer.name} is {layer.data_format}")
    for kinds, passed in _RULES:
        if type(layer) in kinds:  # a subclass may do anything
            return passed(layer, below, size)
    if type(layer).__name__ in OPERATIONS and not isinstance(layer, layers.Layer):
        return field.merged(below)
    if type(layer) in OF_FILTERS and _of_filters(layer.axis, len(shape)):
        return field.merged(below)
    if type(layer) is layers.Activation and _is_kerass(layer.activation):
        return field.merged(below)
    raise UnknownFieldError(f"{layer.name} is of the kind {type(layer).__name__}")


def _of_filters(axis: int | Sequence[int], rank: int) -> bool:
    """Whether an axis, counted with that of the samples, is that of filters."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return all(each in (-1, rank) for each in axes)


def _is_kerass(activation: Any) -> bool:
    """Whether an activation is one of Keras, which all work on each value, or on the last axis."""
    return str(getattr(activation, "__module__", "")).startswith("keras.")


def _windows(layer: Any) -> list[dict[str, int]]:
    """The window of a convolution or pooling along y and x."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1, 1))
    names = ("kernel", "stride", "dilation")
    sizes = zip(kernel, layer.strides, dilation, strict=True)
    return [dict(zip(names, map(int, each), strict=True)) for each in sizes]


def _windowed(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    taps = []
    for axis, window in enumerate(_windows(layer)):
        below_size = below[0].shape[axis]
        before = field.same_padding(below_size, **window) if layer.padding == "same" else 0
        taps.append(field.window_taps(below_size, size[axis], before=before, **window))
    return field.through(below[0], *taps)


def _transposed(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    if layer.output_padding is not None:
        raise UnknownFieldError(f"{layer.name} has an output_padding")
    taps = []
    for axis, window in enumerate(_windows(layer)):
        before = field.same_padding(size[axis], **window) if layer.padding == "same" else 0
        taps.append(
            field.transposed_taps(below[0].shape[axis], size[axis], before=before, **window)
        )
    return field.through(below[0], *taps)


def _shifted(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    padding = isinstance(layer, layers.ZeroPadding2D)
    (top, _), (left, _) = layer.padding if padding else layer.cropping
    sign = 1 if padding else -1
    taps = [
        field.window_taps(below[0].shape[axis], size[axis], kernel=1, before=sign * before)
        for axis, before in enumerate((top, left))
    ]
    return field.through(below[0], *taps)


def _enlarged(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    if layer.interpolation != "nearest":
        raise UnknownFieldError(f"{layer.name} interpolates by {layer.interpolation}")
    taps = [
        field.transposed_taps(below[0].shape[axis], size[axis], kernel=factor, stride=factor)
        for axis, factor in enumerate(map(int, layer.size))
    ]
    return field.through(below[0], *taps)


def _global(_: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    return field.everything(below[0]).repeat(size[0], axis=0).repeat(size[1], axis=1)


def _same_place(_layer: Any, below: Sequence[Hulls], _size: tuple[int, int]) -> Hulls:
    return field.merged(below)


_RULES: tuple[tuple[tuple[type, ...], Callable[..., Hulls]], ...] = (
    ((layers.Conv2DTranspose,), _transposed),
    (WINDOWED, _windowed),
    ((layers.ZeroPadding2D, layers.Cropping2D), _shifted),
    ((layers.UpSampling2D,), _enlarged),
    (GLOBAL, _global),
    (MERGING, _same_place),
    (POINTWISE, _same_place),
)
