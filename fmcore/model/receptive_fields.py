"""Receptive fields of a Keras model's layers, carried from call to call from its image on.

What an operation sees of the values below it is known by a rule for its kind, or is measured, where
it only moves values (`local_graph`). Of any other operation it is unknown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras import layers

from fmcore.model import hulls as hull_ops
from fmcore.model.hulls import Boxes, Hulls
from fmcore.model.layers import pair
from fmcore.model.local_graph import always_zero, moved_from, resized_from
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
    layers.Add,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
# Pointwise operations, such as `x + y` and `keras.ops.relu(x)`, and TensorFlow's own, by the names
# of their classes.
OPERATIONS = frozenset(
    {
        *("Abs", "Absolute", "Add", "AddV2", "BiasAdd", "Clip", "ClipByValue", "Divide", "Elu"),
        *("Erf", "Erfc", "Exp", "Gelu", "HardSigmoid", "HardSilu", "HardSwish", "LeakyRelu", "Log"),
        *("Maximum", "Minimum", "Mul", "Multiply", "Neg", "Negative", "Pow", "Power", "RealDiv"),
        *("Relu", "Relu6", "Rsqrt", "Selu", "Sigmoid", "Silu", "Softplus", "Sqrt", "Square"),
        *("SquaredDifference", "Sub", "Subtract", "Swish", "Tanh", "TrueDivide"),
    }
)
MULTIPLYING = frozenset({"Mul", "Multiply"})
# Layers whose output depends on all that lies along some axes, and operations that sum it up, of
# Keras and of TensorFlow.
NORMALIZING = (layers.LayerNormalization, layers.UnitNormalization)
REDUCING = frozenset({"Max", "Mean", "Min", "Std", "Sum", "Var"})
SOFTMAX = frozenset({"LogSoftmax", "Softmax"})
# Operations that interpolate between neighbors, along each axis by itself.
RESIZING = frozenset({"Resize", "ResizeArea", "ResizeBicubic", "ResizeBilinear"})
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
# Of these, the ones that keep filters apart.
APART = (
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
)
POOLING_GLOBALLY = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
)
ATTENDING = (
    layers.AdditiveAttention,
    layers.Attention,
    layers.GroupQueryAttention,
    layers.MultiHeadAttention,
)
# A smaller weight of an interpolation may be what rounding leaves of zero.
ROUNDING = 1e-4
# Maps with more values are concatenated as the hull over their filters.
APART_VALUES = 1 << 16


class UnknownFieldError(Exception):
    """Which pixels a layer sees is unknown."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """Which pixels the values of a tensor see.

    Attributes:
        hulls: <int32>[*axis, 4]; None for a tensor that sees no pixel, such as a constant.
        excess: why values may see less than their hulls; empty where hulls are exact.
        is_union: whether filters at a place may see less than the hull that they have together.
    """

    hulls: Hulls | None
    excess: str = ""
    is_union: bool = False


NOTHING = Field(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Input:
    """A tensor that an operation takes, and which pixels its values see.

    Attributes:
        tensor: the tensor.
        shape: its shape without samples.
        field: what its values see, of which there is something.
    """

    tensor: tf.Tensor
    shape: tuple[int, ...]
    field: Field

    @property
    def hulls(self) -> Hulls:
        """<int32>[*axis, 4], an axis has length 1 where all along it is alike."""
        return _hulls_of(self.field)

    def whole(self) -> Hulls:
        """The hulls with all axes at full length."""
        return np.broadcast_to(self.hulls, (*self.shape, 4))


def _hulls_of(field: Field) -> Hulls:
    assert field.hulls is not None  # noqa: S101 (what sees nothing is no input)
    return field.hulls


class ReceptiveFields:
    """Receptive fields of a model's tensors, in pixels of its image."""

    def __init__(
        self, trace: Trace, *, image: int, size: tuple[int, int], channels_first: bool = False
    ) -> None:
        """Starts from the image.

        Args:
            trace: the model's calls.
            image: index of the input that is the image.
            size: (y, x) of the image.
            channels_first: whether the channels of the image are its first axis.
        """
        tensor = trace.inputs[image]
        hulls = hull_ops.input_hulls(*size)
        if len(tensor.shape) == 3:  # rows
            hulls = hulls[0]
        hulls = hulls[np.newaxis] if channels_first else hulls[..., np.newaxis, :]
        self._fields: dict[str, Field] = {tensor.name: Field(hulls)}
        self._trace = trace
        # Why the rules for layers do not say what a tensor sees, and why nothing does.
        self._unknown: dict[str, UnknownFieldError] = {}
        self._closed: dict[str, UnknownFieldError] = {}
        self._seeing = _made_of(tensor)

    def boxes(self, tensor: tf.Tensor, *, channels_first: bool = False) -> tuple[Boxes | None, str]:
        """The boxes of a tensor's units, and in words whether they are exact.

        A box is the hull of what all filters at a place see.

        Args:
            tensor: maps, rows, or numbers of each sample.
            channels_first: whether the filters are the first axis of maps.

        Returns:
            <int32>[y, x, 4] and `exact`, or `at most` and why units may see less; or None and why
            they are unknown.
        """
        try:
            field = self.field(tensor)
        except UnknownFieldError as error:
            return None, f"unknown: {error}"
        shape = tuple(tensor.shape[1:])
        nothing = np.full((*[1] * len(shape), 4), hull_ops.NOTHING)
        hulls = nothing if field.hulls is None else field.hulls
        filters = _filter_axis(len(shape), channels_first)
        hulls = np.moveaxis(hulls, filters, -2).min(axis=-2)
        size = [length for index, length in enumerate(shape) if index != filters]
        hulls = np.broadcast_to(hulls, (*size, 4)).reshape([1] * (2 - len(size)) + [*size, 4])
        words = f"at most: {field.excess}" if field.excess else "exact"
        return hull_ops.boxes(hulls), words

    def field(self, tensor: tf.Tensor) -> Field:
        """Which pixels the values of a tensor see.

        Raises:
            UnknownFieldError: naming the layer, if the receptive fields of its kind are unknown.
        """
        source = self._trace.source(tensor)
        waiting = [source]  # in place of recursion: models are hundreds of layers deep
        while waiting:
            name = waiting[-1].name
            if name in self._fields:
                waiting.pop()
            elif name in self._closed:
                raise self._closed[name]
            elif name not in self._seeing:
                self._fields[waiting.pop().name] = NOTHING
            else:
                call = self._call_that_made(waiting[-1])
                below = [self._trace.source(argument) for argument in call.inputs]
                if missing := [other for other in below if other.name not in self._fields]:
                    waiting.extend(missing)
                    continue
                fields = [self._fields[other.name] for other in below]
                first = self._trace.channels_first(call)
                try:
                    self._fields[name] = _output(call, fields, channels_first=first)
                except UnknownFieldError as error:
                    if isinstance(call.operation, tf.Operation):
                        layers_above = (other.name for other in reversed(waiting))
                        named = (self._unknown[one] for one in layers_above if one in self._unknown)
                        self._closed[name] = next(named, error)
                    else:
                        self._unknown[name] = error  # what the layer is made of may be known
        return self._fields[source.name]

    def _call_that_made(self, tensor: tf.Tensor) -> Call:
        """The call of a layer that made a tensor, or of the operation behind it."""
        call = self._trace.makers.get(tensor.name)
        return _call_of(tensor) if call is None or tensor.name in self._unknown else call


def _made_of(image: tf.Tensor) -> set[str]:
    """The names of all tensors that are made of the image."""
    names = {image.name}
    for operation in image.graph.get_operations():  # in the order in which they were made
        if any(tensor.name in names for tensor in operation.inputs):
            names |= {tensor.name for tensor in operation.outputs}
    return names


def _call_of(tensor: tf.Tensor) -> Call:
    """An operation of TensorFlow that no layer of Keras made, as in a model's own code."""
    return Call(tensor.op.name, tensor.op, tuple(tensor.op.inputs), tensor)


def _kind(operation: Any) -> str:
    is_tensorflow = isinstance(operation, tf.Operation)
    return str(operation.type) if is_tensorflow else type(operation).__name__


def _output(call: Call, below: Sequence[Field], *, channels_first: bool) -> Field:
    """The field of the output of one call of a layer or operation."""
    operation, name = call.operation, call.operation.name
    inputs = [
        _Input(tensor, tuple(tensor.shape[1:]), field)
        for tensor, field in zip(call.inputs, below, strict=True)
        if field.hulls is not None
    ]
    if not inputs:
        raise UnknownFieldError(f"{name} was called with nothing that sees the image")
    if None in call.output.shape[1:] or any(None in one.shape for one in inputs):
        raise UnknownFieldError(f"{name} has no fixed size")
    field = _by_rule(call, inputs, channels_first=channels_first)
    if field is None:
        field = _by_movement(call, inputs)
    if field is None:
        raise UnknownFieldError(f"{name} is of the kind {_kind(operation)}")
    excess = next((one.field.excess for one in inputs if one.field.excess), "")
    field = dataclasses.replace(field, excess=excess or field.excess)
    return _activated(operation, field)


def _by_rule(call: Call, inputs: Sequence[_Input], *, channels_first: bool) -> Field | None:
    """The field of an output by the rule for its kind; None where there is none."""
    operation, kind, rank = call.operation, _kind(call.operation), len(call.output.shape) - 1
    for kinds, rule in _RULES:
        if type(operation) in kinds:  # a subclass may do anything
            return rule(call, inputs[0])
    if type(operation) in ATTENDING:
        return _attended(call, inputs)
    if type(operation) in (*POINTWISE, layers.Activation):
        return _merged(call, inputs)
    if type(operation) is layers.Concatenate:
        return _concatenated(call, inputs, filters=_filter_axis(rank, channels_first))
    if type(operation) is layers.Softmax:
        return _weighed(operation, inputs[0].field, _axes(operation.axis, rank, operation.name))
    if isinstance(operation, layers.Layer):
        return None
    if kind in OPERATIONS:
        return _merged(call, inputs)
    if kind == "Matmul":
        return _multiplied(call, inputs)
    if kind in SOFTMAX:
        axis = getattr(operation, "axis", -1)
        return _weighed(operation, inputs[0].field, _axes(axis, rank, operation.name))
    if kind in REDUCING:
        return _reduced(call, inputs[0])
    if kind in RESIZING:
        return _resized(call, inputs[0])
    return None


def _by_movement(call: Call, inputs: Sequence[_Input]) -> Field | None:
    """The field of an output that is made of values from other places; None if it is not."""
    places = moved_from([one.tensor for one in inputs], call.output)
    if places is None:
        return None
    hulls = hull_ops.moved([one.whole() for one in inputs], places)
    is_union = any(one.field.is_union for one in inputs)
    n_filters = inputs[0].shape[-1] if inputs[0].shape else 1
    keeps_filters = (
        len(inputs) == 1
        and places.ndim > 0
        and places.shape[-1] == n_filters
        and bool(((places % n_filters == np.arange(n_filters)) | (places < 0)).all())
    )
    words = f"{call.operation.name} moves filters that see different pixels"
    excess = words if is_union and not keeps_filters else ""
    return Field(hull_ops.thinned(hulls), excess, is_union)


def _activated(operation: Any, field: Field) -> Field:
    """The field behind a layer's own activation function."""
    activation = getattr(operation, "activation", None)
    if activation is None or isinstance(operation, tf.Operation):
        return field
    name = getattr(activation, "__name__", type(activation).__name__)
    if not str(getattr(activation, "__module__", "")).startswith("keras."):
        raise UnknownFieldError(f"{operation.name} has an activation of its own, {name}")
    if "softmax" in name.lower() or "sparsemax" in name:
        return _weighed(operation, field, [_hulls_of(field).ndim - 2])
    return field


def _attended(call: Call, inputs: Sequence[_Input]) -> Field:
    hull = hull_ops.merge([one.hulls.reshape(-1, 4).min(axis=0) for one in inputs])
    words = f"{call.operation.name} weighs places by what is in them"
    return Field(hull.reshape([1] * (len(call.output.shape) - 1) + [4]), words)


def _weighed(operation: Any, field: Field, axes: Sequence[int]) -> Field:
    """The field behind a softmax along some axes: beside a large value others say nothing."""
    before = _hulls_of(field)
    hulls = hull_ops.over_axes(before, axes)
    is_same = bool((hulls == before).all())
    words = "" if is_same else f"{operation.name} weighs places by what is in them"
    return Field(hulls, field.excess or words, field.is_union)


def _merged(call: Call, inputs: Sequence[_Input]) -> Field:
    """The field of units that see their own place in each tensor below."""
    rank = len(call.output.shape) - 1
    if any(len(one.shape) != rank for one in inputs):
        raise UnknownFieldError(f"{call.operation.name} merges tensors of several ranks")
    is_union = any(one.field.is_union for one in inputs)
    hulls, excess = hull_ops.merge([one.hulls for one in inputs]), ""
    if _kind(call.operation) in MULTIPLYING and len(inputs) == 1:
        zero = always_zero([inputs[0].tensor], call.output)
        if zero is not None and zero.any():
            whole = np.broadcast_to(hulls, (*zero.shape, 4))
            hulls = hull_ops.thinned(np.where(zero[..., np.newaxis], hull_ops.NOTHING, whole))
    elif _kind(call.operation) in MULTIPLYING:
        sees = hulls[..., 0] != hull_ops.NOTHING
        if any((sees & (one.hulls[..., 0] == hull_ops.NOTHING)).any() for one in inputs):
            excess = f"{call.operation.name} multiplies by padding, which may be zero"
    return Field(hulls, excess, is_union)


def _concatenated(call: Call, inputs: Sequence[_Input], *, filters: int) -> Field | None:
    """The field of concatenated maps; None where a constant is among them, which is measured."""
    rank = len(call.output.shape) - 1
    (axis,) = _axes(call.operation.axis, rank, call.operation.name)
    if len(inputs) < len(call.inputs):
        return None
    is_union = any(one.field.is_union for one in inputs)
    if axis == filters and int(np.prod(call.output.shape[1:])) > APART_VALUES:
        merged = hull_ops.merge([hull_ops.over_axes(one.hulls, [axis]) for one in inputs])
        return Field(merged, is_union=True)
    lengths = np.broadcast_shapes(
        *(hull_ops.over_axes(below.hulls, [axis]).shape[:-1] for below in inputs)
    )
    parts = [
        np.broadcast_to(below.hulls, (*lengths[:axis], below.shape[axis], *lengths[axis + 1 :], 4))
        for below in inputs
    ]
    return Field(hull_ops.thinned(np.concatenate(parts, axis=axis)), is_union=is_union)


def _multiplied(call: Call, inputs: Sequence[_Input]) -> Field:
    """The field of a product of matrices: a value sees a row of one, and a column of the other."""
    rank = len(call.output.shape) - 1
    if any(len(one.shape) != rank for one in inputs) or rank < 2:
        raise UnknownFieldError(f"{call.operation.name} multiplies tensors of several ranks")
    left, right = call.inputs[0].name, call.inputs[1].name
    parts = []
    for below in inputs:
        if below.tensor.name == left:
            parts.append(hull_ops.over_axes(below.hulls, [rank - 1]))
        if below.tensor.name == right:
            parts.append(hull_ops.over_axes(below.hulls, [rank - 2]))
    is_union = any(one.field.is_union for one in inputs)
    excess = f"{call.operation.name} multiplies filters that see different pixels"
    return Field(hull_ops.merge(parts), excess if is_union else "")


def _reduced(call: Call, below: _Input) -> Field:
    operation, rank = call.operation, len(below.shape)
    if isinstance(operation, tf.Operation):
        axis, keeps = tf.get_static_value(operation.inputs[1]), operation.get_attr("keep_dims")
        axis = None if axis is None else np.ravel(axis).tolist()
    else:
        axis, keeps = operation.axis, operation.keepdims
    axes = _axes(axis, rank, operation.name)
    hulls = hull_ops.over_axes(below.hulls, axes)
    if not keeps:
        hulls = hulls.reshape(*np.delete(hulls.shape[:-1], axes), 4)
    return Field(hulls, is_union=below.field.is_union and rank - 1 not in axes)


def _axes(axis: Any, rank: int, name: str) -> list[int]:
    """Axes counted with that of the samples, as axes of one sample.

    Raises:
        UnknownFieldError: if that of the samples is among them.
    """
    numbers = range(rank + 1) if axis is None else np.ravel(axis).tolist()
    axes = [int(number) % (rank + 1) - 1 for number in numbers]
    if -1 in axes:
        raise UnknownFieldError(f"{name} mixes samples")
    return axes


def _filter_axis(rank: int, channels_first: bool) -> int:
    return 0 if channels_first and rank > 1 else rank - 1


def _is_channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _maps_of(call: Call, below: _Input) -> Hulls:
    """The hulls of maps or rows, <int32>[y, x, filter, 4]; filters have length 1 if alike."""
    rank = len(below.shape)
    if rank not in (2, 3):
        raise UnknownFieldError(f"{call.operation.name} works on volumes")
    hulls, shape = below.hulls, below.shape
    if _is_channels_first(call.operation):
        hulls, shape = np.moveaxis(hulls, 0, -2), (*shape[1:], shape[0])
    hulls = np.broadcast_to(hulls, (*shape[:-1], hulls.shape[-2], 4))
    return hulls if rank == 3 else hulls[np.newaxis]


def _tensor_of(call: Call, hulls: Hulls) -> Hulls:
    """Hulls [y, x, filter, 4] with the axes of a call's output, maps or rows."""
    hulls = hulls if len(call.output.shape) == 4 else hulls[0]
    return np.moveaxis(hulls, -2, 0) if _is_channels_first(call.operation) else hulls


def _size(call: Call) -> tuple[int, int]:
    """(y, x) of a call's output, maps or rows."""
    shape = tuple(call.output.shape[1:])
    sizes = shape[1:] if _is_channels_first(call.operation) else shape[:-1]
    return (1, *sizes) if len(sizes) == 1 else (sizes[0], sizes[1])


def _windows(layer: Any) -> list[dict[str, int]]:
    """The window of a convolution or pooling along y and x."""
    kernel = getattr(layer, "kernel_size", None) or layer.pool_size
    dilation = getattr(layer, "dilation_rate", (1,) * len(kernel))
    names = ("kernel", "stride", "dilation")
    sizes = zip(pair(kernel), pair(layer.strides), pair(dilation), strict=True)
    return [dict(zip(names, axis_sizes, strict=True)) for axis_sizes in sizes]


def _window(call: Call, below: _Input) -> Field:
    layer, hulls, size = call.operation, _maps_of(call, below), _size(call)
    n_filters = hulls.shape[2]
    groups, repeats = getattr(layer, "groups", 1), getattr(layer, "depth_multiplier", 1)
    is_union, excess = below.field.is_union, ""
    if type(layer) in APART:
        hulls = hulls.repeat(repeats, axis=2) if n_filters > 1 else hulls
    elif groups > 1 and n_filters > 1:
        in_groups = hulls.reshape(*hulls.shape[:2], groups, -1, 4).min(axis=3)
        hulls = in_groups.repeat(layer.filters // groups, axis=2)
    else:
        hulls = hull_ops.over_axes(hulls, [2])
        excess = f"{layer.name} sees some filters only" if groups > 1 and is_union else ""
        is_union = False
    taps = []
    for axis, window in enumerate(_windows(layer)):
        below_size = hulls.shape[axis]
        before = hull_ops.same_padding(below_size, **window) if layer.padding == "same" else 0
        if layer.padding == "causal" and axis == 1:
            before = (window["kernel"] - 1) * window["dilation"]
        taps.append(hull_ops.window_taps(below_size, size[axis], before=before, **window))
    return Field(_tensor_of(call, hull_ops.through_windows(hulls, *taps)), excess, is_union)


def _transpose(call: Call, below: _Input) -> Field:
    layer, size = call.operation, _size(call)
    hulls = hull_ops.over_axes(_maps_of(call, below), [2])
    taps = []
    for axis, window in enumerate(_windows(layer)):
        before = hull_ops.same_padding(size[axis], **window) if layer.padding == "same" else 0
        taps.append(
            hull_ops.transposed_taps(hulls.shape[axis], size[axis], before=before, **window)
        )
    return Field(_tensor_of(call, hull_ops.through_windows(hulls, *taps)))


def _shift(call: Call, below: _Input) -> Field:
    layer, hulls, size = call.operation, _maps_of(call, below), _size(call)
    padding = isinstance(layer, layers.ZeroPadding1D | layers.ZeroPadding2D)
    sides = layer.padding if padding else layer.cropping
    offsets = [side[0] for side in sides] if isinstance(sides[0], tuple | list) else [0, sides[0]]
    sign = 1 if padding else -1
    taps = [
        hull_ops.window_taps(hulls.shape[axis], size[axis], kernel=1, before=sign * before)
        for axis, before in enumerate(offsets)
    ]
    hulls = _tensor_of(call, hull_ops.through_windows(hulls, *taps))
    return Field(hulls, is_union=below.field.is_union)


def _enlarge(call: Call, below: _Input) -> Field:
    layer, size = call.operation, _size(call)
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return _resized(call, below)
    hulls = _maps_of(call, below)
    taps = [
        hull_ops.transposed_taps(hulls.shape[axis], size[axis], kernel=factor, stride=factor)
        for axis, factor in enumerate(pair(layer.size))
    ]
    hulls = _tensor_of(call, hull_ops.through_windows(hulls, *taps))
    return Field(hulls, is_union=below.field.is_union)


def _resized(call: Call, below: _Input) -> Field:
    """The field of maps that are interpolated, with weights that are measured."""
    hulls = _maps_of(call, below)
    taps, excess = [], ""
    for axis in (0, 1):
        axis_of_tensor = axis + _is_channels_first(call.operation)
        weights = resized_from(below.tensor, call.output, axis=axis_of_tensor)
        if weights is None:
            raise UnknownFieldError(f"{call.operation.name} interpolates, and cannot be measured")
        weighs = weights > 0
        if (weighs & (weights < ROUNDING)).any():
            excess = f"{call.operation.name} interpolates, in part with weights near zero"
        # The places that a place weighs, then padding.
        most = max(1, int(weighs.sum(axis=1).max()))
        order = np.argsort(~weighs, axis=1, kind="stable")[:, :most]
        taps.append(np.where(np.take_along_axis(weighs, order, axis=1), order, -1))
    hulls = _tensor_of(call, hull_ops.through_windows(hulls, *taps))
    return Field(hulls, excess, below.field.is_union)


def _pooled(call: Call, below: _Input) -> Field:
    hulls = hull_ops.over_axes(_maps_of(call, below), [0, 1])
    keeps_axes = len(call.output.shape) == len(below.shape) + 1
    hulls = _tensor_of(call, hulls) if keeps_axes else hulls[0, 0]
    return Field(hulls, is_union=below.field.is_union)


def _normalized(call: Call, below: _Input) -> Field:
    axes = _axes(call.operation.axis, len(below.shape), call.operation.name)
    centers = type(call.operation) is layers.LayerNormalization and not call.operation.rms_scaling
    # A value minus itself is zero but for rounding.
    is_alone = centers and all(below.shape[axis] == 1 for axis in axes)
    excess = f"{call.operation.name} subtracts values from themselves" if is_alone else ""
    is_union = below.field.is_union and len(axes) < len(below.shape)
    return Field(hull_ops.over_axes(below.hulls, axes), excess, is_union)


def _normalized_in_groups(call: Call, below: _Input) -> Field:
    (filters,) = _axes(call.operation.axis, len(below.shape), call.operation.name)
    hulls = hull_ops.over_axes(below.hulls, range(len(below.shape)))
    name, groups = call.operation.name, call.operation.groups
    if (
        groups in (-1, int(np.prod(below.shape)))
        and int(np.prod(below.shape)) == below.shape[filters]
    ):
        return Field(hulls, f"{name} subtracts values from themselves")
    is_mixed = below.field.is_union or below.hulls.shape[filters] > 1
    return Field(hulls, f"{name} sees some filters only" if is_mixed and groups != 1 else "")


def _dense(_: Call, below: _Input) -> Field:
    rank = len(below.shape)
    hulls = hull_ops.over_axes(below.hulls, [rank - 1])
    return Field(hulls, is_union=below.field.is_union and hulls.shape == below.hulls.shape)


def _reshaped(call: Call, below: _Input) -> Field | None:
    """The field of values that are moved, where all see the same; None where it is measured."""
    is_alike = set(below.hulls.shape[:-1]) <= {1} and not below.field.is_union
    rank = len(call.output.shape) - 1
    return Field(below.hulls.reshape([1] * rank + [4])) if is_alike else None


_RULES: tuple[tuple[tuple[type, ...], Callable[[Call, _Input], Field | None]], ...] = (
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
    ((layers.Resizing,), _resized),
    (POOLING_GLOBALLY, _pooled),
    (NORMALIZING, _normalized),
    ((layers.GroupNormalization,), _normalized_in_groups),
    ((layers.Dense,), _dense),
    ((layers.Flatten, layers.Permute, layers.RepeatVector, layers.Reshape), _reshaped),
)
