"""Walks the calls of a Keras model and carries receptive fields from its image to a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from keras import layers

from fmcore.model import hulls as field
from fmcore.model.hulls import Boxes, Hulls
from fmcore.model.layers import pair
from fmcore.model.trace import Call, Trace

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
    layers.SpatialDropout1D,
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
# What comes out anywhere depends on what goes in everywhere.
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
    """Nothing is known of which pixels a layer sees."""


class ReceptiveFields:
    """The receptive fields of the tensors of a model, in its image."""

    def __init__(self, trace: Trace, *, image: int, size: tuple[int, int]) -> None:
        """Takes the calls.

        Args:
            trace: of the model.
            image: which of its inputs is the image.
            size: (y, x) of it.
        """
        self._found: dict[str, Hulls] = {trace.inputs[image].name: field.of_input(*size)}
        self._trace = trace

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
        asked = self._trace.source(tensor)
        waiting = [asked]  # in place of recursion: models are hundreds of layers deep
        while waiting:
            name = waiting[-1].name
            if name in self._found:
                waiting.pop()
            elif name not in self._trace.makers:
                raise UnknownFieldError("not all of what lies below is a layer of Keras")
            else:
                call = self._trace.makers[name]
                below = [self._trace.source(one) for one in call.inputs]
                if missing := [one for one in below if one.name not in self._found]:
                    waiting.extend(missing)
                else:
                    hulls = [self._found[one.name] for one in below]
                    self._found[waiting.pop().name] = _passed(
                        call, hulls, channels_first=self._trace.channels_first(call)
                    )
        return self._found[asked.name]


def _passed(call: Call, below: Sequence[Hulls], *, channels_first: bool) -> Hulls:
    """The hulls of what one call of a layer puts out."""
    layer, shape = call.operation, tuple(call.output.shape[1:])
    if not below:
        raise UnknownFieldError(f"{layer.name} was called with no tensor")
    turned = channels_first and len(shape) == 3  # its last axis is x, and not that of the filters
    if turned and type(layer) in (layers.Dense, layers.Reshape):
        raise UnknownFieldError(f"{layer.name} works along x, with channels first")
    for kinds, passed in _RULES:
        if type(layer) in kinds:  # a subclass may do anything
            return passed(layer, below, _size(layer, shape, turned=turned))
    if type(layer).__name__ in OPERATIONS and not isinstance(layer, layers.Layer):
        return _merged(layer, below)
    if type(layer) in OF_FILTERS and _of_filters(layer.axis, len(shape), turned=turned):
        return _merged(layer, below)
    whole_rows = turned and "softmax" in getattr(getattr(layer, "activation", None), "__name__", "")
    if type(layer) is layers.Activation and _is_kerass(layer.activation) and not whole_rows:
        return _merged(layer, below)
    raise UnknownFieldError(f"{layer.name} is of the kind {type(layer).__name__}")


def _merged(layer: Any, below: Sequence[Hulls]) -> Hulls:
    sizes = {one.shape for one in below if one.shape[:2] != (1, 1)}
    if len(sizes) > 1:
        raise UnknownFieldError(f"{layer.name} brings together maps of several sizes")
    return field.merged(below)


def _size(layer: Any, shape: tuple[int | None, ...], *, turned: bool) -> tuple[int, int]:
    """(y, x) of what a layer puts out; (1, 1) where it is no map."""
    if turned:
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


def _of_filters(axis: int | Sequence[int], rank: int, *, turned: bool) -> bool:
    """Whether an axis, counted with that of the samples, is that of filters."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return all(each == 1 if turned else each in (-1, rank) for each in axes)


def _is_kerass(activation: Any) -> bool:
    """Whether an activation is one of Keras, which all work on each value, or on the last axis."""
    return str(getattr(activation, "__module__", "")).startswith("keras.")


def _windows(layer: Any) -> list[dict[str, int]]:
    """The window of a convolution or pooling along y and x."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1,) * len(kernel))
    names = ("kernel", "stride", "dilation")
    sizes = zip(pair(kernel), pair(layer.strides), pair(dilation), strict=True)
    return [dict(zip(names, each, strict=True)) for each in sizes]


def _windowed(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    taps = []
    for axis, window in enumerate(_windows(layer)):
        below_size = below[0].shape[axis]
        before = field.same_padding(below_size, **window) if layer.padding == "same" else 0
        if layer.padding == "causal" and axis == 1:
            before = (window["kernel"] - 1) * window["dilation"]
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
    padding = isinstance(layer, layers.ZeroPadding1D | layers.ZeroPadding2D)
    sides = layer.padding if padding else layer.cropping
    along = [one[0] for one in sides] if isinstance(sides[0], tuple | list) else [0, sides[0]]
    sign = 1 if padding else -1
    taps = [
        field.window_taps(below[0].shape[axis], size[axis], kernel=1, before=sign * before)
        for axis, before in enumerate(along)
    ]
    return field.through(below[0], *taps)


def _enlarged(layer: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise UnknownFieldError(f"{layer.name} interpolates by {layer.interpolation}")
    taps = [
        field.transposed_taps(below[0].shape[axis], size[axis], kernel=factor, stride=factor)
        for axis, factor in enumerate(pair(layer.size))
    ]
    return field.through(below[0], *taps)


def _global(_: Any, below: Sequence[Hulls], size: tuple[int, int]) -> Hulls:
    return field.everything(below[0]).repeat(size[0], axis=0).repeat(size[1], axis=1)


def _same_place(layer: Any, below: Sequence[Hulls], _size: tuple[int, int]) -> Hulls:
    return _merged(layer, below)


_RULES: tuple[tuple[tuple[type, ...], Callable[..., Hulls]], ...] = (
    ((layers.Conv1DTranspose, layers.Conv2DTranspose), _transposed),
    (WINDOWED, _windowed),
    (
        (
            layers.ZeroPadding1D,
            layers.ZeroPadding2D,
            layers.Cropping1D,
            layers.Cropping2D,
        ),
        _shifted,
    ),
    ((layers.UpSampling1D, layers.UpSampling2D), _enlarged),
    (GLOBAL, _global),
    (MERGING, _same_place),
    (POINTWISE, _same_place),
)
