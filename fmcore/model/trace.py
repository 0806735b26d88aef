"""Runs a model once as a graph and notes every call of a layer, whatever the model is made of.

Functional, sequential and subclassed models, nested ones and layers that are called several times
are all alike so: what counts is which layer was called with what, not how the model was built.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from fmcore.errors import FmcoreError, ModelError

# How Keras runs a layer: as it is, or after model.quantize.
METHODS = ("call", "quantized_call")
# Operations of TensorFlow that Keras puts between layers, and that change no place.
BETWEEN = frozenset({"Cast", "Identity"})

_COLOURS = re.compile("\x1b\\[[0-9;]*m")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a layer, or of an operation such as `x + y`, while a model ran.

    Attributes:
        path: names from the outermost model's layer to this one, such as `outer/inner/conv1`; a
            second call under the same name ends in `#2`.
        operation: the Keras layer or operation.
        inputs: the tensors it was called with.
        output: the tensor it gave, the first of several.
    """

    path: str
    operation: Any
    inputs: tuple[tf.Tensor, ...]
    output: tf.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a model did with its inputs.

    Attributes:
        inputs: what went in.
        calls: each call, in the order in which the model made them.
        outputs: what came out.
        hidden: paths of calls whose values cannot be had, as inside a `tf.function` or a loop.
        makers: the call that made a tensor, by the tensor's name.
    """

    inputs: tuple[tf.Tensor, ...]
    calls: tuple[Call, ...]
    outputs: tuple[tf.Tensor, ...]
    hidden: tuple[str, ...]
    makers: Mapping[str, Call] = field(init=False)

    def __post_init__(self) -> None:
        # A layer that does nothing, such as dropout, gives what it got.
        known = {one.name for one in self.inputs}
        makers: dict[str, Call] = {}
        for call in self.calls:
            if call.output.name not in known:
                makers.setdefault(call.output.name, call)
        object.__setattr__(self, "makers", makers)

    def source(self, tensor: tf.Tensor) -> tf.Tensor:
        """The input or the output of a call that a tensor is, but for its dtype."""
        known = {one.name for one in self.inputs}
        found = tensor
        while found.name not in known and found.name not in self.makers:
            if found.op.type not in BETWEEN:
                return tensor
            found = found.op.inputs[0]
        return found

    def channels_first(self, call: Call) -> bool:
        """Whether a call's filters are its second axis: as it says, or what lies below it."""
        below: Call | None = call
        while below is not None:
            said = getattr(below.operation, "data_format", None)
            if said is not None:
                return bool(said == "channels_first")
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
    """A graph from a model's inputs to the tensors that are chosen.

    The model is as it was afterwards: its layers are listened to while it runs, and not called
    anew.

    Args:
        model: a built model.
        signature: of what the graph takes.
        arrange: makes of that the inputs of the model, in the order of `model.inputs`.
        choose: says which tensors of the trace are wanted.
        compiled: through XLA, which has convolutions that TensorFlow lacks on CPUs.

    Raises:
        ModelError: if the model cannot be run as a graph, with what it said.
    """

    def run(*given: tf.Tensor) -> list[tf.Tensor]:
        graph, made, hidden = tf.compat.v1.get_default_graph(), [], []
        inputs = tuple(arrange(given))
        seen: Counter[str] = Counter()

        def note(path: str, operation: Any, given: tuple[Any, ...], output: Any) -> None:
            seen[path] += 1
            path = path if seen[path] == 1 else f"{path}#{seen[path]}"
            tensors = [one for one in keras.tree.flatten(output) if tf.is_tensor(one)]
            if tensors and getattr(tensors[0], "graph", None) is graph:
                below = tuple(one for one in keras.tree.flatten(given) if tf.is_tensor(one))
                made.append(Call(path, operation, below, tensors[0]))
            else:
                hidden.append(path)

        with _listening(model, note):
            outputs = model(_as_called(model, inputs), training=False)
        flat = tuple(keras.tree.flatten(outputs))
        return list(choose(Trace(inputs, tuple(made), flat, tuple(hidden))))

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


def first_line(error: Exception) -> str:
    """What an error says, without the colours and pages that Keras and TensorFlow add."""
    text = _COLOURS.sub("", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wordy = lines and lines[0].startswith("Exception encountered when calling")
    return (lines[1] if wordy and len(lines) > 1 else lines[0]) if lines else repr(error)


def operations_of(model: keras.Model) -> list[tuple[str, Any]]:
    """The path of each layer and operation that does the work; models and wrappers are entered.

    A layer that is in several places is listed in the first. Layers may have the same path.
    """
    found: list[tuple[str, Any]] = []
    known: set[int] = set()

    def enter(layer: Any, prefix: str) -> None:
        inside = list(layer._flatten_layers(include_self=False, recursive=False))  # no public walk
        operations = [one for one in _graph_operations(layer) if not _is_layer(one)]
        for one in (*inside, *operations):
            if id(one) in known:
                continue
            known.add(id(one))
            if _is_layer(one) and _is_entered(one):
                enter(one, f"{prefix}{one.name}/")
            else:
                found.append((f"{prefix}{one.name}", one))

    enter(model, "")
    return found


def _is_layer(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Layer)


def _is_entered(layer: Any) -> bool:
    """Whether what is inside a layer is what matters of it."""
    if isinstance(layer, keras.Model | keras.layers.Wrapper):
        return True
    if type(layer).__module__.startswith("keras.") or hasattr(layer, "kernel_size"):
        return False  # an activation inside a convolution is a part of it
    return any(True for _ in layer._flatten_layers(include_self=False, recursive=False))


def _graph_operations(model: Any) -> Iterator[Any]:
    graph = getattr(model, "_functional", model)  # of a Sequential
    for nodes in getattr(graph, "_nodes_by_depth", {}).values():
        for node in nodes:
            yield node.operation


@contextmanager
def _listening(model: keras.Model, note: Callable[[str, Any, Any, Any], None]) -> Iterator[None]:
    """Has every layer say with what it is called and what it gives."""
    changed: list[tuple[Any, str]] = []
    try:
        for path, operation in operations_of(model):
            for method in METHODS:
                if hasattr(operation, method):
                    heard = _heard(getattr(operation, method), path, operation, note)
                    # Past Keras' own bookkeeping of attributes.
                    object.__setattr__(operation, method, heard)
                    changed.append((operation, method))
        yield
    finally:
        for operation, method in changed:
            object.__delattr__(operation, method)


def _heard(method: Any, path: str, operation: Any, note: Any) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        output = method(*given, **named)
        note(path, operation, (given, named), output)
        return output

    return call


def _as_called(model: keras.Model, inputs: Sequence[tf.Tensor]) -> Any:
    """Tensors in the structure that a model takes: one, a list, or by name."""
    structure = getattr(model, "_inputs_struct", None)
    structure = getattr(getattr(model, "_functional", None), "_inputs_struct", structure)
    if structure is None:
        return inputs[0] if len(inputs) == 1 else list(inputs)
    return keras.tree.pack_sequence_as(structure, list(inputs))
