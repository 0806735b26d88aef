"""A model's layers: which can be captured, what is stored of them, and how they are listed."""

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

from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.errors import ModelError, SelectionError
from fmcore.model.inputs import inputs_of
from fmcore.model.trace import Call, Trace, trace_model
from fmcore.records import Kind, Tap
from fmcore.selection import match_names

# By how their kernels are laid out.
PLAIN = (layers.Conv1D, layers.Conv2D, layers.Dense)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose)
DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, *TRANSPOSED, *DEPTHWISE, *SEPARABLE)
VOLUMES = (layers.Conv3D, layers.Conv3DTranspose)
ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Softmax,
)
# Activation functions called as operations, such as `keras.ops.relu(x)`, by their class names.
ACTIVATION_OPERATIONS = frozenset(
    (
        *("Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6"),
        *("Selu", "Sigmoid", "Silu", "Softplus", "Tanh"),
    )
)
# Convolutions called as operations, such as `keras.ops.conv(x, kernel)`, by their class names.
CONVOLUTION_OPERATIONS = frozenset(("Conv", "ConvTranspose", "DepthwiseConv", "SeparableConv"))
RECURRENT_CONVOLUTIONS = (layers.ConvLSTM1D, layers.ConvLSTM2D, layers.ConvLSTM3D)
# What may stand between a convolution and its activation.
NORMALIZING = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
)


def kind_of(operation: Any) -> Kind | None:
    """The kind of a layer or operation; None where it is of no kind but `Kind.ALL`."""
    if isinstance(operation, CONVOLUTIONS + VOLUMES):
        return Kind.CONV
    if isinstance(operation, layers.Dense):
        return Kind.DENSE
    return Kind.ACTIVATION if is_activation(operation) else None


def is_activation(operation: Any) -> bool:
    """Whether a layer or operation only applies an activation function."""
    return isinstance(operation, ACTIVATIONS) or (
        not isinstance(operation, layers.Layer)
        and type(operation).__name__ in ACTIVATION_OPERATIONS
    )


def left_out(trace: Trace, kind: Kind) -> dict[str, str]:
    """Why calls that belong to a kind cannot be captured as such, by their path.

    Args:
        trace: the model's calls.
        kind: the kind of layers that a capture takes.
    """
    reasons = {}
    for call in trace.calls if kind == Kind.CONV else ():
        if kind_of(call.operation) != Kind.CONV and _convolutions(call.operation):
            problem = _candidate(trace, call, {}).problem
            remedy = problem or f"--kind {Kind.ALL} --layer '{call.path}' captures it"
            reasons[call.path] = f"{_why_no_convolution(call.operation)}; {remedy}"
    for path, operation, _ in trace.hidden:
        if kind in (Kind.ALL, kind_of(operation)) or (
            kind == Kind.CONV and _convolutions(operation)
        ):
            reasons[path] = (
                "it runs inside a tf.function, a loop or a wrapper, where its values cannot be read"
            )
    return reasons


def _convolutions(operation: Any) -> list[Any]:
    """The convolutions that a layer or operation is, or that it runs inside."""
    if not isinstance(operation, layers.Layer):
        return [operation] if type(operation).__name__ in CONVOLUTION_OPERATIONS else []
    parts = operation._flatten_layers()  # no public walk
    return [part for part in parts if hasattr(part, "kernel_size")]


def _why_no_convolution(operation: Any) -> str:
    name = type(operation).__name__
    if isinstance(_convolutions(operation)[0], RECURRENT_CONVOLUTIONS):
        return f"{name} is recurrent, and makes its maps step by step from a sequence of images"
    return f"{name} is none of Keras' convolutional layers"


def activation_name(operation: Any) -> str:
    """Name of an activation function, such as `relu`; of a layer its class, such as `LeakyReLU`."""
    if isinstance(operation, ACTIVATIONS) and not isinstance(operation, layers.Activation):
        return type(operation).__name__
    if not isinstance(operation, layers.Layer) and is_activation(operation):
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def geometry(layer: Any) -> dict[str, Any]:
    """A convolution's kernel size, strides, padding, dilation, as (y, x); y is 1 for 1D layers."""
    if not isinstance(layer, CONVOLUTIONS):
        return {}
    return {
        "kernel_size": pair(layer.kernel_size),
        "strides": pair(layer.strides),
        "padding": layer.padding,
        "dilation": pair(layer.dilation_rate),
    }


def kernels(layer: Any) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """The kernel of a layer and the depthwise part of a separable one; None for what it lacks.

    A kernel is laid out as [kernel_y, kernel_x, kernel_input, filter], whatever Keras makes of it:
    that of a transposed layer has its last axes the other way round, and each filter of a depthwise
    layer reads one plane. The kernel of a separable layer is its pointwise part; its depthwise part
    belongs to no filter alone.
    """
    kernel, depthwise = None, None
    if isinstance(layer, PLAIN):
        kernel = _with_four_axes(_only_weight(layer, "kernel"))
    elif isinstance(layer, TRANSPOSED):
        kernel = _with_four_axes(_only_weight(layer, "kernel"))
        kernel = None if kernel is None else kernel.swapaxes(2, 3)
    elif isinstance(layer, DEPTHWISE):
        kernel = _with_four_axes(_only_weight(layer, "kernel"))
        kernel = None if kernel is None else kernel.reshape(*kernel.shape[:2], 1, -1)
    elif isinstance(layer, SEPARABLE):
        kernel = _with_four_axes(_only_weight(layer, "pointwise_kernel"))
        depthwise = _with_four_axes(_only_weight(layer, "depthwise_kernel"))
    return kernel, depthwise


def weights(layer: Any, n_filters: int) -> dict[str, Any]:
    """`kernel`, `depthwise_kernel` and `bias` of a layer, as float32; None where it has none.

    Kernels are those of `kernels`. The biases of a recurrent layer belong to its gates, four for
    each filter of an LSTM, and those of a bidirectional one to its halves.

    Args:
        layer: the layer.
        n_filters: the number of its filters.
    """
    bias, (kernel, depthwise) = _only_weight(layer, "bias"), kernels(layer)
    if kernel is None or kernel.shape[3] != n_filters:
        kernel = depthwise = None
    if bias is not None and bias.shape != (n_filters,):
        bias = None
    return {"kernel": kernel, "depthwise_kernel": depthwise, "bias": bias}


def _with_four_axes(kernel: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """A kernel with an axis each for y and x; None for none, or for one of volumes."""
    if kernel is None or kernel.ndim > 4:
        return None
    return kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)


def pair(sizes: Any) -> tuple[int, int]:
    """A layer's setting as (y, x); 1D layers have one number for x, and get 1 for y."""
    both = tuple(map(int, sizes)) if isinstance(sizes, tuple | list) else (int(sizes),)
    return (both[0], both[1]) if len(both) == 2 else (1, both[0])


def _only_weight(layer: Any, name: str) -> NDArray[np.float32] | None:
    """The weight of a name; None where a layer has none, or several."""
    values = [weight for weight in getattr(layer, "weights", ()) if weight.name == name]
    if len(values) != 1:
        return None
    # Not a copy: all kernels of a network may be hundreds of megabytes.
    return np.asarray(tf.convert_to_tensor(values[0].value), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One call of a layer, and the tensor that would be stored for it.

    Attributes:
        path: the call's path, which names the layer in the store.
        operation: the Keras layer or operation.
        tensor: the values to store, in the model's own order of axes.
        channels_first: whether filters are the tensor's second axis.
        words: classes of the layers that the tensor passed, such as
            `Conv2D + BatchNormalization + ReLU`.
        activation: name of the activation function that was applied to the tensor.
        kind: the kind of the operation, None where it has none.
    """

    path: str
    operation: Any
    tensor: tf.Tensor
    channels_first: bool
    words: str
    activation: str
    kind: Kind | None

    @property
    def problem(self) -> str:
        """Why the tensor cannot be captured; empty where it can."""
        sizes = tuple(self.tensor.shape[1:])
        if isinstance(self.operation, VOLUMES) or len(sizes) > 3:
            return f"{self.words} puts out volumes, {sizes}; only maps (y, x) and rows are captured"
        if self.tensor.shape[0] is not None:
            return f"its output has the shape {tuple(self.tensor.shape)} for any number of images"
        if not sizes:
            return "it puts out one number for each image, neither a map nor a row"
        if None in sizes:
            return f"its size {sizes} is not fixed by the size of the images"
        return ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, filter) of one sample as stored; y is 1 for rows, and a dense layer is 1x1."""
        sizes = [int(size) for size in self.tensor.shape[1:]]
        if self.channels_first and len(sizes) > 1:
            sizes = [*sizes[1:], sizes[0]]
        height, width, filters = [1] * (3 - len(sizes)) + sizes
        return height, width, filters

    def maps(self) -> tf.Tensor:
        """The values to store, <float32>[sample, y, x, filter], as part of the graph."""
        values = tf.cast(self.tensor, tf.float32)
        rank = len(self.tensor.shape)
        if self.channels_first and rank > 2:
            values = tf.transpose(values, [0, *range(2, rank), 1])
        return tf.reshape(values, [-1, *self.shape])


def candidates(trace: Trace, *, kind: Kind, tap: Tap = Tap.OUTPUT) -> list[Candidate]:
    """All calls of layers of one kind, in the model's order.

    Args:
        trace: the model's calls.
        kind: the kind of the layers.
        tap: what would be stored of them.
    """
    consumers = _consumers(trace)
    return [
        _candidate(trace, call, consumers if tap == Tap.ACTIVATION else {})
        for call in trace.calls
        if kind == Kind.ALL or kind_of(call.operation) == kind
    ]


def choose_layers(
    available: Sequence[Candidate], options: CaptureOptions, *, model: str, trace: Trace
) -> list[Candidate]:
    """The candidates that match the pattern of `options.layers`, all of which can be captured.

    Args:
        available: the candidates to choose from.
        options: the options of a capture; layers is used here and, for messages, kind.
        model: the model's name, for messages.
        trace: the model's calls, for messages.

    Raises:
        ModelError: if there is no candidate, or a matching one cannot be captured.
        SelectionError: if a part of the pattern matches nothing.
    """
    adjective = {Kind.CONV: "convolutional ", Kind.ALL: ""}.get(options.kind, f"{options.kind} ")
    noun = f"{adjective}layer"
    if not available:
        layer_names = ", ".join(
            f"{call.path} ({type(call.operation).__name__})" for call in trace.calls[:40]
        )
        reasons = list(left_out(trace, options.kind).items())[:5]
        others = "".join(f"; {path} is not captured: {reason}" for path, reason in reasons)
        raise ModelError(
            f"model {model!r} has no {noun}; its layers are {layer_names or 'none'}{others}"
        )
    paths = [candidate.path for candidate in available]
    matches = set(match_names(paths, options.layers, what=f"{noun} of {model!r}", field="layers"))
    selected = [candidate for candidate in available if candidate.path in matches]
    for candidate in selected:
        if candidate.problem:
            raise ModelError(
                f"layer {candidate.path!r} of {model!r} cannot be captured: {candidate.problem}; "
                "leave it out by naming the others with --layers"
            )
    return selected


def _candidate(trace: Trace, call: Call, consumers: dict[str, list[Call]]) -> Candidate:
    chain = [call]
    while len(calls := consumers.get(chain[-1].output.name, [])) == 1:
        following = calls[0]
        if not (is_activation(following.operation) or isinstance(following.operation, NORMALIZING)):
            break
        chain.append(following)
        if is_activation(following.operation):
            break
    end = chain[-1]
    return Candidate(
        path=call.path,
        operation=call.operation,
        tensor=end.output,
        channels_first=trace.channels_first(call),
        words=" + ".join(type(part.operation).__name__ for part in chain),
        activation=activation_name((end if is_activation(end.operation) else call).operation),
        kind=kind_of(call.operation),
    )


def _consumers(trace: Trace) -> dict[str, list[Call]]:
    """The calls that take each tensor as an input, by the tensor's name."""
    consumers = defaultdict(list)
    for call in trace.calls:
        for name in {trace.source(tensor).name for tensor in call.inputs}:
            if name != call.output.name:
                consumers[name].append(call)
    return consumers


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One call of a layer, as `fmcore layers` lists it.

    Attributes:
        path: the call's path.
        words: the layer's class, and the classes that a tap adds.
        shape: (y, x, filter) of one sample as stored; None where the layer cannot be captured.
        taken: whether a capture would store the layer.
        problem: why the layer cannot be captured; empty where it can.
    """

    path: str
    words: str
    shape: tuple[int, int, int] | None
    taken: bool
    problem: str


def list_layers(
    model: keras.Model,
    options: CaptureOptions = DEFAULTS,
    *,
    image_shape: tuple[int, int, int] | None = None,
) -> list[LayerRow]:
    """All calls of a model's layers, in its order.

    Args:
        model: any Keras model.
        options: the options of a capture; layers, kind and tap are used here.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError, SelectionError: as a capture would.
    """
    inputs = inputs_of(model, image_shape=image_shape)
    rows: list[LayerRow] = []

    def choose(trace: Trace) -> list[tf.Tensor]:
        available = candidates(trace, kind=options.kind, tap=options.tap)
        try:
            selected = choose_layers(available, options, model=model.name, trace=trace)
            selected_paths = {candidate.path for candidate in selected}
        except (ModelError, SelectionError):
            if options.layers != DEFAULTS.layers:
                raise
            selected_paths = set()
        by_path = {candidate.path: candidate for candidate in candidates(trace, kind=Kind.ALL)}
        by_path |= {candidate.path: candidate for candidate in available}
        reasons = left_out(trace, options.kind)
        problems = {path: candidate.problem for path, candidate in by_path.items()} | reasons
        rows[:] = [
            LayerRow(
                path=path,
                words=candidate.words,
                shape=None if problems[path] else candidate.shape,
                taken=path in selected_paths,
                problem=problems[path],
            )
            for path, candidate in by_path.items()
        ]
        rows.extend(
            LayerRow(path, type(operation).__name__, None, taken=False, problem=reasons[path])
            for path, operation, _ in trace.hidden
            if path in reasons
        )
        return list(trace.outputs)

    trace_model(model, inputs.signature(), inputs.arranged, choose)
    return rows
