"""Receptive fields of a Keras model's layers, carried from call to call from its image on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers

from fmcore.model import hulls as hull_ops
from fmcore.model.hulls import Boxes, Hulls
from fmcore.model.layers import pair
from fmcore.model.trace import Call, Trace

# Layers whose output at a position depends on the input at that position only.
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
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.Dense,
)
# Layers that are pointwise too where the axis they work along is that of the filters.
ALONG_FILTERS = (
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
# Pointwise operations, such as `x + y` and `keras.ops.relu(x)`, by their class names.
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
    layers.Conv1D,
    layers.Conv2D,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
)
# Layers whose output at any position depends on the whole input.
GLOBAL = (
    layers.Flatten,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GroupNormalization,
    layers.Reshape,
)


class UnknownFieldError(Exception):
    """Which pixels a layer sees is unknown."""


class ReceptiveFields:
    """Receptive fields of a model's tensors, in pixels of its image."""

    def __init__(self, trace: Trace, *, image: int, size: tuple[int, int]) -> None:
        """Starts from the image.

        Args:
            trace: the model's calls.
            image: index of the input that is the image.
            size: (y, x) of the image.
        """
        self._hulls: dict[str, Hulls] = {trace.inputs[image].name: hull_ops.input_hulls(*size)}
        self._trace = trace

    def boxes(self, tensor: Any) -> tuple[Boxes | None, str]:
        """The boxes of a tensor's units and `exact`; or None and why they are unknown."""
        try:
            return hull_ops.boxes(self.hulls(tensor)), "exact"
        except UnknownFieldError as error:
            return None, f"unknown: {error}"

    def hulls(self, tensor: Any) -> Hulls:
        """The hulls of a tensor's units, <int32>[y, x, 4]; [1, 1, 4] where the tensor is no map.

        Raises:
            UnknownFieldError: naming the layer, if the receptive fields of its kind are unknown.
        """
        source = self._trace.source(tensor)
        waiting = [source]  # in place of recursion: models are hundreds of layers deep
        while waiting:
            name = waiting[-1].name
            if name in self._hulls:
                waiting.pop()
            elif name not in self._trace.makers:
                raise UnknownFieldError("something below it is no layer of Keras")
            else:
                call = self._trace.makers[name]
                below = [self._trace.source(argument) for argument in call.inputs]
                if missing := [other for other in below if other.name not in self._hulls]:
                    waiting.extend(missing)
                else:
                    hulls = [self._hulls[other.name] for other in below]
                    first = self._trace.channels_first(call)
                    output = _output_hulls(call, hulls, channels_first=first)
                    self._hulls[waiting.pop().name] = _spread(output, call, channels_first=first)
        return self._hulls[source.name]


def _output_hulls(call: Call, below: Sequence[Hulls], *, channels_first: bool) -> Hulls:
    """The hulls of the output of one call of a layer."""
    layer, shape = call.operation, tuple(call.output.shape[1:])
    if not below:
        raise UnknownFieldError(f"{layer.name} was called with no tensor")
    if channels_first and len(shape) == 2:
        raise UnknownFieldError(f"{layer.name} works on rows with channels first")
    first = channels_first and len(shape) == 3  # its last axis is x, not that of the filters
    if first and type(layer) in (layers.Dense, layers.Reshape):
        raise UnknownFieldError(f"{layer.name} works along x, with channels first")
    for kinds, rule in _RULES:
        if type(layer) in kinds:  # a subclass may do anything
            return rule(layer, below, _size(layer, shape, channels_first=first))
    if type(layer).__name__ in OPERATIONS and not isinstance(layer, layers.Layer):
        return _merge(layer, below)
    if type(layer) in ALONG_FILTERS and _is_filter_axis(
        layer.axis, len(shape), channels_first=first
    ):
        return _merge(layer, below)
    whole_rows = first and "softmax" in getattr(getattr(layer, "activation", None), "__name__", "")
    if type(layer) is layers.Activation and _is_keras_own(layer.activation) and not whole_rows:
        return _merge(layer, below)
    raise UnknownFieldError(f"{layer.name} is of the kind {type(layer).__name__}")


def _spread(hulls: Hulls, call: Call, *, channels_first: bool) -> Hulls:
    """Hulls with the size of a call's output; a constant array that is added enlarges the map."""
    shape = tuple(call.output.shape[1:])
    if len(shape) not in (2, 3) or None in shape:
        return hulls
    size = _size(call.operation, shape, channels_first=channels_first and len(shape) == 3)
    try:
        return np.broadcast_to(hulls, (*size, hulls.shape[2]))
    except ValueError:
        name = call.operation.name
        raise UnknownFieldError(f"{name} changes the size of maps in its own way") from None


def _merge(layer: Any, below: Sequence[Hulls]) -> Hulls:
    sizes = {hulls.shape for hulls in below if hulls.shape[:2] != (1, 1)}
    if len(sizes) > 1:
        raise UnknownFieldError(f"{layer.name} merges maps of several sizes")
    return hull_ops.merge(below)


def _size(layer: Any, shape: tuple[int | None, ...], *, channels_first: bool) -> tuple[int, int]:
    """(y, x) of a layer's output; (1, 1) where it is no map."""
    if channels_first:
        shape = (*shape[1:], shape[0])
    if None in shape:
        raise UnknownFieldError(f"{layer.name} has no fixed size")
    match shape:
        case (int(y), int(x), _):
            return y, x
        case (int(x), _):
            return 1, x
        case _:
            return 1, 1


def _is_filter_axis(axis: int | Sequence[int], rank: int, *, channels_first: bool) -> bool:
    """Whether an axis, counted with the sample axis, is that of the filters."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return all(index == 1 if channels_first else index in (-1, rank) for index in axes)


def _is_keras_own(activation: Any) -> bool:
    """Whether an activation is Keras' own; those work on each value, or along the last axis."""
    return str(getattr(activation, "__module__", "")).startswith("keras.")


def _windows(layer: Any) -> list[dict[str, int]]:
    """The window of a convolution or pooling along y and x."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1,) * len(kernel))
    names = ("kernel", "stride", "dilation")
    sizes = zip(pair(kernel), pair(layer.strides), pair(dilation), strict=True)
    return [dict(zip(names, axis_sizes, strict=True)) for axis_sizes in sizes]


def _window(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    taps = []
    for axis, window in enumerate(_windows(layer)):
        below_size = below[0].shape[axis]
        before = hull_ops.same_padding(below_size, **window) if layer.padding == "same" else 0
        if layer.padding == "causal" and axis == 1:
            before = (window["kernel"] - 1) * window["dilation"]
        taps.append(hull_ops.window_taps(below_size, size[axis], before=before, **window))
    return hull_ops.through_windows(below[0], *taps)


def _transpose(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    if layer.output_padding is not None:
        raise UnknownFieldError(f"{layer.name} has an output_padding")
    taps = []
    for axis, window in enumerate(_windows(layer)):
        before = hull_ops.same_padding(size[axis], **window) if layer.padding == "same" else 0
        taps.append(
            hull_ops.transposed_taps(below[0].shape[axis], size[axis], before=before, **window)
        )
    return hull_ops.through_windows(below[0], *taps)


def _shift(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    padding = isinstance(layer, layers.ZeroPadding1D | layers.ZeroPadding2D)
    sides = layer.padding if padding else layer.cropping
    offsets = [side[0] for side in sides] if isinstance(sides[0], tuple | list) else [0, sides[0]]
    sign = 1 if padding else -1
    taps = [
        hull_ops.window_taps(below[0].shape[axis], size[axis], kernel=1, before=sign * before)
        for axis, before in enumerate(offsets)
    ]
    return hull_ops.through_windows(below[0], *taps)


def _enlarge(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnknownFieldError(f"{layer.name} interpolates by {layer.interpolation}")
    taps = [
        hull_ops.transposed_taps(below[0].shape[axis], size[axis], kernel=factor, stride=factor)
        for axis, factor in enumerate(pair(layer.size))
    ]
    return hull_ops.through_windows(below[0], *taps)


def _global(_: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    return hull_ops.global_hull(below[0]).repeat(size[0], axis=0).repeat(size[1], axis=1)


def _same_place(layer: Any, below: Sequence[Hulls], _size: tuple[int, int]) -> Hulls:
    return _merge(layer, below)


_RULES: tuple[tuple[tuple[type, ...], Callable[..., Hulls]], ...] = (
    ((layers.Conv1DTranspose, layers.Conv2DTranspose), _transpose),
    (WINDOWED, _window),
    (
        (
            layers.ZeroPadding1D,
            layers.ZeroPadding2D,
            layers.Cropping1D,
            layers.Cropping2D,
        ),
        _shift,
    ),
    ((layers.UpSampling1D, layers.UpSampling2D), _enlarge),
    (GLOBAL, _global),
    (MERGING, _same_place),
    (POINTWISE, _same_place),
)
