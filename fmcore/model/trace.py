"""Runs a model once as a graph and records every call of a layer, whatever the model is made of.

Functional, sequential and subclassed models, nested models and layers that are called several times
are all treated alike: what counts is which layer was called with what, not how it was built.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from fmcore.errors import FmcoreError, ModelError

# How Keras runs a layer: as it is, or after model.quantize.
METHODS = ("call", "quantized_call")
# TensorFlow operations that Keras puts between layers, and that move no value.
PASS_THROUGH = frozenset({"Cast", "Identity"})

_ANSI_COLORS = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a layer, or of an operation such as `x + y`, while a model ran.

    Attributes:
        path: names from the outermost model's layer to this one, such as `outer/inner/conv1`; a
            second call under the same name ends in `#2`.
        operation: the Keras layer or operation.
        inputs: the tensors it was called with; weights and constants, which are the same for every
            image, are none of them.
        output: the tensor it returned, the first of several.
        results: all tensors that the model went on with; what a layer returned as it took it, as
            dropout does, is another one here, so that what takes it can be told apart.
    """

    path: str
    operation: Any
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor
    results: tuple[tf.Tensor, ...] = ()


class HiddenCall(NamedTuple):
    """A call whose values cannot be read, as inside a `tf.function` or a loop.

    Attributes:
        path: as that of a `Call`.
        operation: the Keras layer or operation.
        place: how many calls of the trace were made before it.
    """

    path: str
    operation: Any
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Every call of a layer in one run of a model.

    Attributes:
        inputs: the model's input tensors.
        calls: the calls, in the order in which the model made them.
        outputs: the model's output tensors.
        hidden: the calls whose values cannot be read, in their order.
        output_names: the keys of the outputs, if the model returns a dict of them.
        makers: the call that made each tensor, by the tensor's name.
    """

    inputs: tuple[tf.Tensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[tf.Tensor, ...]
    hidden: tuple[HiddenCall, ...]
    output_names: tuple[str, ...] = ()
    makers: Mapping[str, Call] = field(init=False)

    def __post_init__(self) -> None:
        # A layer that does nothing, such as dropout, returns its own input: it made nothing. In
        # mixed precision that is the model's input in another type.
        input_names = {tensor.name for tensor in self.inputs}
        makers: dict[str, Call] = {}
        for call in self.calls:
            own = {tensor.name for tensor in call.inputs}
            if call.output.name not in input_names | own:
                makers.setdefault(call.output.name, call)
        object.__setattr__(self, "makers", makers)

    def source(self, tensor: tf.Tensor) -> tf.Tensor:
        """The model's input or a call's output that a tensor equals, but for its dtype."""
        input_names = {source.name for source in self.inputs}
        source = tensor
        while source.name not in input_names and source.name not in self.makers:
            if source.op.type not in PASS_THROUGH:
                return tensor
            source = source.op.inputs[0]
        return source

    def channels_first(self, call: Call) -> bool:
        """Whether a call's filters are its second axis, by its own setting or one further below."""
        below: Call | None = call
        while below is not None:
            data_format = getattr(below.operation, "data_format", None)
            if data_format is not None:
                return bool(data_format == "channels_first")
            if not below.inputs:
                return False
            below = self.makers.get(self.source(below.inputs[0]).name)
        return False


def trace_model(
    model: keras.Model,
    signature: Sequence[tf.TensorSpec],
    arrange: Callable[[tuple[tf.Tensor, ...]], Sequence[tf.Tensor]],
    choose: Callable[[Trace], Sequence[tf.Tensor]],
    *,
    compiled: bool = False,
) -> Callable[..., list[tf.Tensor]]:
    """Builds a graph from a model's inputs to chosen tensors.

    The model is unchanged afterwards: calls of its layers are recorded while it runs, and none is
    called again.

    Args:
        model: a built model.
        signature: shapes and dtypes of the graph's arguments.
        arrange: turns these arguments into the model's inputs, in the order of `model.inputs`.
        choose: returns the tensors of the trace that the graph is to return.
        compiled: compile with XLA, which has convolutions that TensorFlow lacks on CPUs.

    Raises:
        ModelError: if the model cannot be run as a graph, with the model's own error, or keeps a
            state between batches.
    """
    _refuse_state(model)

    def run(*arguments: tf.Tensor) -> list[tf.Tensor]:
        graph = tf.compat.v1.get_default_graph()
        calls: list[Call] = []
        hidden: list[HiddenCall] = []
        inputs = tuple(arrange(arguments))
        n_calls: Counter[str] = Counter()

        def record(path: str, operation: Any, arguments: tuple[Any, ...], output: Any) -> Any:
            n_calls[path] += 1
            path = path if n_calls[path] == 1 else f"{path}#{n_calls[path]}"
            tensors = [value for value in keras.tree.flatten(output) if tf.is_tensor(value)]
            if not tensors or getattr(tensors[0], "graph", None) is not graph:
                hidden.append(HiddenCall(path, operation, len(calls)))
                return output
            # A variable or a constant array has no place in the graph, hence no such attribute.
            below = tuple(
                value
                for value in keras.tree.flatten(arguments)
                if getattr(value, "graph", None) is graph
            )
            own = _told_apart(output, below)
            results = [
                tensor
                for tensor in keras.tree.flatten(own)
                if getattr(tensor, "graph", None) is graph
            ]
            calls.append(Call(path, operation, below, tensors[0], tuple(results)))
            return own

        with recording(model, record):
            outputs = model(pack_inputs(model, inputs), training=False)
        flat = tuple(keras.tree.flatten(outputs))
        return list(choose(Trace(inputs, tuple(calls), flat, tuple(hidden), keys_of(outputs))))

    try:
        function = tf.function(
            run, input_signature=signature, autograph=False, jit_compile=compiled or None
        )
        function.get_concrete_function()
    except FmcoreError:
        raise
    except Exception as error:  # a model's own code may raise anything
        raise ModelError(
            f"model {model.name!r} cannot be run as a graph: {first_line(error)}"
        ) from error
    return function


def _told_apart(output: Any, inputs: Sequence[tf.Tensor]) -> Any:
    """What a layer returned, with a tensor of its own for each that it took and returned."""
    taken = {id(tensor) for tensor in inputs}
    if not any(id(value) in taken for value in keras.tree.flatten(output)):
        return output

    def own(value: Any) -> Any:
        if id(value) not in taken:
            return value
        tensor = tf.identity(value)
        if (mask := getattr(value, "_keras_mask", None)) is not None:
            tensor._keras_mask = mask  # what Keras keeps with a tensor
        return tensor

    return keras.tree.map_structure(own, output)


def _refuse_state(model: keras.Model) -> None:
    """Refuses a model whose answer for an image depends on the batches before it.

    Raises:
        ModelError: naming the layer that keeps a state.
    """
    for layer in model._flatten_layers():  # no public walk
        if getattr(layer, "stateful", False) is True:
            raise ModelError(
                f"layer {layer.name!r} of {model.name!r} keeps its state from one batch to the "
                "next (stateful=True), so what it puts out for an image depends on the size and "
                "the order of batches; build the model with stateful=False, and give it these "
                "weights: new.set_weights(model.get_weights())"
            )


def keys_of(outputs: Any) -> tuple[str, ...]:
    """The keys of what a model returns, in the order of its tensors; empty if it is no dict."""
    if not isinstance(outputs, Mapping):
        return ()
    paths = [path for path, _ in keras.tree.flatten_with_path(outputs) if path]
    return tuple("/".join(map(str, path)) for path in paths)


def first_line(error: Exception) -> str:
    """The first line of an error that says something, without Keras' and TensorFlow's additions."""
    text = _ANSI_COLORS.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wordy = lines and lines[0].startswith("Exception encountered when calling")
    return (lines[1] if wordy and len(lines) > 1 else lines[0]) if lines else repr(error)


def operations_of(model: keras.Model) -> list[tuple[str, Any]]:
    """The path and the object of each layer and operation; models and wrappers are entered.

    A layer that is in several places is listed in the first. Layers may have the same path.
    """
    operations: list[tuple[str, Any]] = []
    visited: set[int] = set()

    def enter(layer: Any, prefix: str) -> None:
        inside = list(layer._flatten_layers(include_self=False, recursive=False))  # no public walk
        functions = [node for node in _graph_operations(layer) if not _is_layer(node)]
        for operation in (*inside, *functions):
            if id(operation) in visited:
                continue
            visited.add(id(operation))
            if _is_layer(operation) and _is_entered(operation):
                enter(operation, f"{prefix}{operation.name}/")
            else:
                operations.append((f"{prefix}{operation.name}", operation))

    enter(model, "")
    return operations


def _is_layer(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer)


def _is_entered(layer: Any) -> bool:
    """Whether the layers inside a layer are listed in its place."""
    if isinstance(layer, keras.Model | keras.layers.Wrapper):
        return True
    if type(layer).__module__.startswith("keras.") or hasattr(layer, "kernel_size"):
        return False  # an activation inside a convolution is a part of it
    return any(True for _ in layer._flatten_layers(include_self=False, recursive=False))


def _graph_operations(model: Any) -> Iterator[Any]:
    graph = getattr(model, "_functional", model)  # a Sequential model has it
    for nodes in getattr(graph, "_nodes_by_depth", {}).values():
        for node in nodes:
            yield node.operation


@contextmanager
def recording(model: keras.Model, record: Callable[[str, Any, Any, Any], Any]) -> Iterator[None]:
    """Records the arguments and the output of every layer that is called.

    Args:
        model: the model.
        record: takes the path of a layer, the layer, its arguments and its output, and returns what
            the model goes on with: the output, or tensors equal to it.
    """
    changed: list[tuple[Any, str]] = []
    try:
        for path, operation in operations_of(model):
            for method in METHODS:
                if hasattr(operation, method):
                    recorded = _recorded(getattr(operation, method), path, operation, record)
                    # Past Keras' own bookkeeping of attributes.
                    object.__setattr__(operation, method, recorded)
                    changed.append((operation, method))
        yield
    finally:
        for operation, method in changed:
            object.__delattr__(operation, method)


def _recorded(method: Any, path: str, operation: Any, record: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        output = method(*arguments, **keywords)
        return record(path, operation, (arguments, keywords), output)

    return call


def pack_inputs(model: keras.Model, inputs: Sequence[tf.Tensor]) -> Any:
    """Tensors in the structure that a model takes: a single tensor, a list, or a dict by name."""
    structure = getattr(model, "_inputs_struct", None)
    structure = getattr(getattr(model, "_functional", None), "_inputs_struct", structure)
    if structure is None:
        return inputs[0] if len(inputs) == 1 else list(inputs)
    return keras.tree.pack_sequence_as(structure, list(inputs))
