"""The graph of a model, as its configuration tells it."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fmcore.architecture.keras_json import (
    OTHER_FORM,
    Tensor,
    is_model,
    tensors_of_call,
    tensors_of_ends,
)
from fmcore.errors import one_line
from fmcore.records import INPUT_KIND, GraphNode, ModelGraph

# Models in models; a call of one is a call of all in it.
_MOST_DEPTH = 32
# Of a path, and of what a message quotes.
_MOST_CHARACTERS = 1000


def graph_of_configuration(
    architecture: Mapping[str, Any], captured: Collection[str], *, most: int
) -> ModelGraph:
    """The graph of a functional or sequential model, as far as its configuration tells it.

    Shapes and parameters are not known, and of a layer that is called several times it is not known
    which call was captured as which layer. A layer that holds others is one node.

    Args:
        architecture: the model's configuration.
        captured: the paths of the captured layers.
        most: how many calls and edges to follow.

    Raises:
        ValueError: if it is the configuration of another kind of model, or of too large a one.
    """
    reading = _Reading(most)
    try:
        reading.enter(architecture, "", None, 0)
    except ValueError as error:
        raise ValueError(f"its configuration tells none: {_short(error)}") from error
    except OTHER_FORM as error:
        words = f"{type(error).__name__}: {_short(error)}"
        raise ValueError(f"its configuration has another form ({words})") from error
    once = {path for path in captured if reading.n_calls[path] == 1}
    return ModelGraph(
        tuple(
            replace(node, layer=node.path) if node.path in once else node for node in reading.nodes
        ),
        tuple(sorted(reading.edges)),
    )


def _short(error: Exception) -> str:
    """The words of an error, which may quote a configuration from elsewhere."""
    return one_line(str(error)[:_MOST_CHARACTERS])


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a layer in the configuration of its model."""

    name: str
    number: int
    layer: Mapping[str, Any]
    takes: Sequence[Tensor]


@dataclass(frozen=True, slots=True)
class _Model:
    """A model's configuration: its calls, each behind those that it takes from."""

    inputs: Sequence[str]
    calls: Sequence[_Call]
    outputs: Sequence[Tensor]


@dataclass(slots=True)
class _Reading:
    """The nodes and edges that were read so far.

    Attributes:
        most: how many calls and edges may still be followed.
        nodes: the nodes, in the order of the calls.
        edges: the edges, as indices of nodes.
        n_calls: how often each path was called.
        models: what was read of each model's configuration, by its identity.
    """

    most: int
    nodes: list[GraphNode] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)
    n_calls: Counter[str] = field(default_factory=Counter)
    models: dict[int, _Model] = field(default_factory=dict)

    def enter(
        self, layer: Mapping[str, Any], prefix: str, feeds: Sequence[int] | None, depth: int
    ) -> list[int]:
        """Adds the calls of a model.

        Args:
            layer: the model's configuration.
            prefix: of the paths of its layers.
            feeds: the node of each of its inputs; None for the outermost model, whose inputs are
                nodes themselves.
            depth: how many models it is in.

        Returns:
            The node of each of its outputs.
        """
        if depth > _MOST_DEPTH or len(prefix) > _MOST_CHARACTERS:
            raise ValueError(f"models lie in models beyond {_MOST_DEPTH}")
        model = self._read(layer)
        self._spend(len(model.calls))
        if feeds is None:
            feeds = [self._add(name, INPUT_KIND, ()) for name in model.inputs]
        outputs = {(name, 0): [node] for name, node in zip(model.inputs, feeds, strict=True)}
        for call in model.calls:
            taken = [_output(outputs, tensor) for tensor in call.takes]
            path = f"{prefix}{call.name}"
            if is_model(call.layer):
                nodes = self.enter(call.layer, f"{path}/", taken, depth + 1)
            else:
                nodes = [self._add(path, str(call.layer["class_name"]), taken)]
            outputs[call.name, call.number] = nodes
        return [_output(outputs, tensor) for tensor in model.outputs]

    def _add(self, path: str, kind: str, taken: Sequence[int]) -> int:
        """Adds a node, and returns its index."""
        if len(path) > _MOST_CHARACTERS:
            raise ValueError(f"a path has more than {_MOST_CHARACTERS} characters")
        self._spend(len(taken))
        self.n_calls[path] += 1
        number = self.n_calls[path]
        self.nodes.append(GraphNode(path if number == 1 else f"{path}#{number}", kind))
        self.edges |= {(node, len(self.nodes) - 1) for node in taken}
        return len(self.nodes) - 1

    def _read(self, layer: Mapping[str, Any]) -> _Model:
        """What a model's configuration says, which is read once; the model may be called often."""
        if id(layer) not in self.models:
            self.models[id(layer)] = _read_model(layer)
        return self.models[id(layer)]

    def _spend(self, count: int) -> None:
        self.most -= 1 + count
        if self.most < 0:
            raise ValueError("it has more calls of layers than are followed")


def _output(outputs: Mapping[tuple[str, int], Sequence[int]], tensor: Tensor) -> int:
    """The node that made a tensor; one layer makes all that it returns."""
    name, number, place = tensor
    nodes = outputs[name, number]
    return nodes[place if len(nodes) > 1 else 0]


def _read_model(layer: Mapping[str, Any]) -> _Model:
    """The calls in a model's configuration."""
    config = layer["config"]
    if "input_layers" not in config:
        if layer["class_name"] != "Sequential":
            raise ValueError(f"{layer['class_name']} is neither functional nor sequential")
        names = [inner["config"]["name"] for inner in config["layers"]]
        calls = [
            _Call(name, 0, inner, [(before, 0, 0)])
            for before, name, inner in zip(names, names[1:], config["layers"][1:], strict=False)
        ]
        if config["layers"][0]["class_name"] != INPUT_KIND:
            raise ValueError("a sequential model states no input")
        return _Model(names[:1], calls, [(names[-1], 0, 0)])
    layers = {inner["name"]: (place, inner) for place, inner in enumerate(config["layers"])}
    listed = {
        (place, number): _Call(name, number, inner, list(tensors_of_call(taken)))
        for name, (place, inner) in layers.items()
        for number, taken in enumerate(inner["inbound_nodes"])
    }
    inputs = [name for name, _, _ in tensors_of_ends(config["input_layers"])]
    outputs = []
    for name, number, tensor in tensors_of_ends(config["output_layers"]):
        # Keras counts the calls of a functional model from 1 here, and from 0 elsewhere.
        is_functional = "input_layers" in layers[name][1]["config"]
        outputs.append((name, number - is_functional, tensor))
    return _Model(
        inputs, _in_order(listed, {name: place for name, (place, _) in layers.items()}), outputs
    )


def _in_order(calls: Mapping[tuple[int, int], _Call], places: Mapping[str, int]) -> list[_Call]:
    """Calls behind those that they take from, else as the configuration lists them.

    Args:
        calls: the calls by the place of their layer, and their number.
        places: the place of each layer.
    """
    after: dict[tuple[int, int], list[tuple[int, int]]] = {}
    n_before = {}
    for key, call in calls.items():
        before = {(places[name], number) for name, number, _ in call.takes} & calls.keys()
        n_before[key] = len(before)
        for other in before:
            after.setdefault(other, []).append(key)
    ready = [key for key, count in n_before.items() if not count]
    heapq.heapify(ready)
    ordered = []
    while ready:
        key = heapq.heappop(ready)
        ordered.append(calls[key])
        for other in after.get(key, ()):
            n_before[other] -= 1
            if not n_before[other]:
                heapq.heappush(ready, other)
    if len(ordered) < len(calls):
        raise ValueError("layers take from each other in a circle")
    return ordered
