"""A model's layers: which a person can capture, as what, and what a store records of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from fmcore.errors import ModelError, SelectionError
from fmcore.model.inputs import inputs_of
from fmcore.model.trace import Call, Trace, trace_model
from fmcore.records import KINDS, TAPS
from fmcore.selection import match_names, near_matches

CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
VOLUMES = (layers.Conv3D, layers.Conv3DTranspose)
ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Softmax,
)
# The same as operations, such as `keras.ops.relu(x)`, by the names of their classes.
ACTIVATING = frozenset(
    (
        *("Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6"),
        *("Selu", "Sigmoid", "Silu", "Softplus", "Tanh"),
    )
)
# What may stand between a convolution and its activation.
NORMALIZING = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
)


def kind_of(operation: Any) -> str:
    """Which of `KINDS` a layer or operation is; empty where it is another one."""
    if isinstance(operation, CONVOLUTIONS + VOLUMES):
        return "conv"
    if isinstance(operation, layers.Dense):
        return "dense"
    return "activation" if is_activation(operation) else ""


def is_activation(operation: Any) -> bool:
    """Whether it does nothing but an activation function."""
    return isinstance(operation, ACTIVATIONS) or (
        not isinstance(operation, layers.Layer) and type(operation).__name__ in ACTIVATING
    )


def activation_name(operation: Any) -> str:
    """Such as `relu`; the class' name for an activation that is a layer, such as `LeakyReLU`."""
    if isinstance(operation, ACTIVATIONS) and not isinstance(operation, layers.Activation):
        return type(operation).__name__
    if not isinstance(operation, layers.Layer) and is_activation(operation):
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def geometry(layer: Any) -> dict[str, Any]:
    """Kernel size, strides, padding and dilation, as (y, x); of a layer along x alone y is 1."""
    if not isinstance(layer, CONVOLUTIONS):
        return {}
    return {
        "kernel_size": pair(layer.kernel_size),
        "strides": pair(layer.strides),
        "padding": layer.padding,
        "dilation": pair(layer.dilation_rate),
    }


def weights(layer: Any) -> dict[str, Any]:
    """`kernel` and `bias` of a layer, None where it has none of that shape.

    The axes of a transposed, depthwise or separable kernel are other ones; a store has no place for
    them under this name.
    """
    found = {one.name: one for one in getattr(layer, "weights", ())}
    kernel = None
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Dense):
        kernel = _float32(found.get("kernel"))
        if kernel is not None and kernel.ndim < 4:
            kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
    return {"kernel": kernel, "bias": _float32(found.get("bias"))}


def pair(sizes: Any) -> tuple[int, int]:
    """(y, x) of a setting that layers along x alone have but once."""
    both = tuple(map(int, sizes)) if isinstance(sizes, tuple | list) else (int(sizes),)
    return (both[0], both[1]) if len(both) == 2 else (1, both[0])


def _float32(weight: Any) -> NDArray[np.float32] | None:
    if weight is None:
        return None
    return np.asarray(keras.ops.convert_to_numpy(weight), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What can be captured of one call.

    Attributes:
        path: of the call, which names the layer in the store.
        operation: the Keras layer or operation.
        tensor: what is stored, in the model's own order of axes.
        channels_first: whether filters are its second axis.
        words: the classes that made it, such as `Conv2D + BatchNormalization + ReLU`.
        activation: name of the activation function it has passed.
        kind: one of `conv`, `activation`, `dense`, or empty.
    """

    path: str
    operation: Any
    tensor: tf.Tensor
    channels_first: bool
    words: str
    activation: str
    kind: str

    @property
    def problem(self) -> str:
        """Why it cannot be captured; empty where it can."""
        sizes = tuple(self.tensor.shape[1:])
        if isinstance(self.operation, VOLUMES) or len(sizes) > 3:
            return f"{self.words} puts out volumes, {sizes}; only maps (y, x) and rows are captured"
        if self.tensor.shape[0] is not None:
            return f"it puts out {tuple(self.tensor.shape)} whatever the number of images"
        if not sizes or None in sizes:
            return f"it has no fixed size, {sizes}; name the size of the images with --size"
        return ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, filter) of what is stored; y is 1 for rows, and a dense layer is 1x1."""
        sizes = [int(size) for size in self.tensor.shape[1:]]
        if self.channels_first and len(sizes) > 1:
            sizes = [*sizes[1:], sizes[0]]
        height, width, filters = [1] * (3 - len(sizes)) + sizes
        return height, width, filters

    def maps(self) -> tf.Tensor:
        """What is stored, <float32>[sample, y, x, filter], as part of the graph."""
        values = tf.cast(self.tensor, tf.float32)
        rank = len(self.tensor.shape)
        if self.channels_first and rank > 2:
            values = tf.transpose(values, [0, *range(2, rank), 1])
        return tf.reshape(values, [-1, *self.shape])


def candidates(trace: Trace, *, kind: str = "conv", tap: str = "output") -> list[Candidate]:
    """All calls of a kind, in the model's order.

    Args:
        trace: of the model.
        kind: one of `KINDS`.
        tap: one of `TAPS`.
    """
    for name, value, known in (("kind", kind, KINDS), ("tap", tap, TAPS)):
        if value not in known:
            raise ModelError(
                f"{name} {value!r}; expected {', '.join(known)}{near_matches(value, known)}"
            )
    following = _following(trace)
    return [
        _candidate(trace, call, following if tap == "activation" else {})
        for call in trace.calls
        if kind == "all" or kind_of(call.operation) == kind
    ]


def choose_layers(
    found: Sequence[Candidate], pattern: str, *, model: str, trace: Trace, kind: str = "conv"
) -> list[Candidate]:
    """The candidates that a pattern takes, all of which can be captured.

    Args:
        found: what there is to choose from.
        pattern: comma-separated globs over paths; those that begin with `re:` are regular
            expressions.
        model: its name, for messages.
        trace: of the model, for messages.
        kind: of the candidates, for messages.

    Raises:
        ModelError: if there is none, or one of them cannot be captured.
        SelectionError: if a part of the pattern matches nothing.
    """
    if not found:
        noun = {"conv": "convolutional ", "all": ""}.get(kind, f"{kind} ")
        made = ", ".join(
            f"{call.path} ({type(call.operation).__name__})" for call in trace.calls[:40]
        )
        hidden = (
            f"; {', '.join(trace.hidden[:5])} run inside a tf.function, a loop or a wrapper, where "
            "their values cannot be had"
            if trace.hidden
            else ""
        )
        raise ModelError(
            f"model {model!r} has no {noun}layer; its layers are {made or 'none'}{hidden}"
        )
    noun = {"conv": "convolutional layer", "all": "layer"}.get(kind, f"{kind} layer")
    names = match_names([one.path for one in found], pattern, what=f"{noun} of {model!r}")
    wanted = [one for one in found if one.path in set(names)]
    for one in wanted:
        if one.problem:
            raise ModelError(
                f"layer {one.path!r} of {model!r} cannot be captured: {one.problem}; leave it out "
                "by naming others with --layers"
            )
    return wanted


def _candidate(trace: Trace, call: Call, following: dict[str, list[Call]]) -> Candidate:
    taken = [call]
    while len(next_ones := following.get(taken[-1].output.name, [])) == 1:
        after = next_ones[0]
        if not (is_activation(after.operation) or isinstance(after.operation, NORMALIZING)):
            break
        taken.append(after)
        if is_activation(after.operation):
            break
    end = taken[-1]
    return Candidate(
        path=call.path,
        operation=call.operation,
        tensor=end.output,
        channels_first=trace.channels_first(call),
        words=" + ".join(type(one.operation).__name__ for one in taken),
        activation=activation_name((end if is_activation(end.operation) else call).operation),
        kind=kind_of(call.operation),
    )


def _following(trace: Trace) -> dict[str, list[Call]]:
    """The calls that take each tensor, by its name."""
    found = defaultdict(list)
    for call in trace.calls:
        for name in {trace.source(one).name for one in call.inputs}:
            if name != call.output.name:
                found[name].append(call)
    return found


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One call of a layer.

    Attributes:
        path: of the call.
        words: its class, and what a tap adds.
        shape: (y, x, filter) of what would be stored; None where it cannot be.
        taken: whether a capture would take it.
        problem: why it cannot be captured; empty where it can.
    """

    path: str
    words: str
    shape: tuple[int, int, int] | None
    taken: bool
    problem: str


def list_layers(
    model: keras.Model,
    *,
    layers: str = "*",
    kind: str = "conv",
    tap: str = "output",
    image_shape: tuple[int, int, int] | None = None,
) -> list[LayerRow]:
    """All calls of a model's layers, in its order.

    Args:
        model: any Keras model.
        layers: which are taken, as in a capture.
        kind: the same.
        tap: the same.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError, SelectionError: as a capture would.
    """
    inputs = inputs_of(model, image_shape=image_shape)
    rows: list[LayerRow] = []

    def choose(trace: Trace) -> list[tf.Tensor]:
        found = candidates(trace, kind=kind, tap=tap)
        try:
            wanted = choose_layers(found, layers, model=model.name, trace=trace, kind=kind)
            taken = {one.path for one in wanted}
        except (ModelError, SelectionError):
            if layers != "*":
                raise
            taken = set()
        shown = {one.path: one for one in candidates(trace, kind="all")}
        shown |= {one.path: one for one in found}
        rows[:] = [
            LayerRow(
                path=one.path,
                words=one.words,
                shape=None if one.problem else one.shape,
                taken=one.path in taken,
                problem=one.problem,
            )
            for one in shown.values()
        ]
        return list(trace.outputs)

    trace_model(model, inputs.signature(), inputs.arranged, choose)
    return rows
