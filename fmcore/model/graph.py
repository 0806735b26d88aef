"""The graph of a model's layers, from a trace: whatever the model is made of, it was called."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import keras
import tensorflow as tf

from fmcore.errors import one_line
from fmcore.model.trace import Call, Trace
from fmcore.records import INPUT_KIND, GraphNode, ModelGraph
from fmcore.storage.format.graph import graph_json

CALLED = "as the model called its layers"


def graph_of(
    model: keras.Model, trace: Trace, captured: Collection[str]
) -> tuple[ModelGraph | None, str]:
    """The graph of a model's calls, and where it is from; None, and why, if a store takes it not.

    Args:
        model: the model.
        trace: its calls.
        captured: the paths of the captured layers.
    """
    nodes = [
        GraphNode(name, INPUT_KIND, _shape(tensor), 0)
        for name, tensor in zip(_input_names(model, trace), trace.inputs, strict=True)
    ]
    makers = {tensor.name: index for index, tensor in enumerate(trace.inputs)}
    edges: set[tuple[int, int]] = set()
    counted: set[int] = set()
    reached: dict[str, frozenset[int]] = {}
    for call in _in_order(trace):
        index, path = len(nodes), one_line(call.path)
        layer = call.path if call.path in captured else ""
        kind = type(call.operation).__name__
        count = _parameters(call.operation, counted)
        if not isinstance(call, Call):
            nodes.append(GraphNode(path, kind, None, count, layer))
            continue
        nodes.append(GraphNode(path, kind, _shape(call.output), count, layer))
        edges |= {(first, index) for first in _sources(call.inputs, makers, reached)}
        for tensor in call.results:
            makers.setdefault(tensor.name, index)
    graph = ModelGraph(tuple(nodes), tuple(sorted(edges)))
    try:
        graph_json(graph)
    except ValueError as error:
        return None, f"none: {error}"
    return graph, CALLED


def _input_names(model: keras.Model, trace: Trace) -> list[str]:
    """The names of the layers that are a model's inputs; `images` of one that has none."""
    tensors = list(getattr(model, "inputs", None) or ())
    histories = [getattr(tensor, "_keras_history", None) for tensor in tensors]
    if len(tensors) != len(trace.inputs):
        return [f"images{index or ''}" for index in range(len(trace.inputs))]
    return [
        one_line(tensor.name if history is None else history.operation.name)
        for tensor, history in zip(tensors, histories, strict=True)
    ]


def _in_order(trace: Trace) -> Iterable[Any]:
    """All calls, hidden ones too, in the order in which the model made them."""
    hidden = list(trace.hidden)
    for place, call in enumerate(trace.calls):
        while hidden and hidden[0].place <= place:
            yield hidden.pop(0)
        yield call
    yield from hidden


def _sources(
    tensors: Iterable[tf.Tensor],
    makers: dict[str, int],
    reached: dict[str, frozenset[int]],
) -> frozenset[int]:
    """The nodes that tensors are made of, with nothing but TensorFlow's own operations between.

    Args:
        tensors: the tensors.
        makers: the node that made each tensor, by the tensor's name.
        reached: what was found before of operations between nodes, by name; it is extended.
    """
    sources: set[int] = set()
    for tensor in tensors:
        if tensor.name in makers:
            sources.add(makers[tensor.name])
            continue
        waiting = [tensor.op]  # in place of recursion: models are hundreds of layers deep
        while waiting:
            operation = waiting[-1]
            if operation.name in reached:
                waiting.pop()
                continue
            between = [below.op for below in operation.inputs if below.name not in makers]
            missing = [below for below in between if below.name not in reached]
            if missing:
                waiting += missing
                continue
            nodes = {makers[below.name] for below in operation.inputs if below.name in makers}
            reached[operation.name] = frozenset(nodes).union(
                *(reached[below.name] for below in between)
            )
            waiting.pop()
        sources |= reached[tensor.op.name]
    return frozenset(sources)


def _shape(tensor: tf.Tensor) -> tuple[int | None, ...] | None:
    """The sizes of a tensor for one sample; None where not even their number is fixed."""
    if tensor.shape.rank is None:
        return None
    return tuple(None if size is None else int(size) for size in tensor.shape[1:])


def _parameters(operation: Any, counted: set[int]) -> int:
    """The number of a layer's weights that are in no earlier node; these are counted now."""
    weights = operation.weights if isinstance(operation, keras.layers.Layer) else ()
    new = {id(weight): weight for weight in weights if id(weight) not in counted}
    counted.update(new)
    return sum(math.prod(weight.shape) for weight in new.values())
