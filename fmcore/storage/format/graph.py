"""The graph of a model as JSON in a store: written, and read as from a stranger."""

from __future__ import annotations

import json
from collections.abc import Collection
from itertools import pairwise
from typing import Any

from fmcore.architecture import graph_of_configuration
from fmcore.records import INPUT_KIND, GraphNode, ModelGraph

# Keras' deepest architectures have a thousand layers and few more edges; unrolled loops have more.
MOST_NODES, MOST_EDGES = 20_000, 200_000
MOST_BYTES = 16 << 20
# Of a path or a kind. Deep nesting takes a path to some hundred characters.
MOST_CHARACTERS = 1000
MOST_AXES = 16
# What JavaScript counts exactly.
MOST_COUNT = (1 << 53) - 1
_FIELDS = ("path", "kind", "shape", "parameters", "layer")


def graph_json(graph: ModelGraph) -> bytes:
    """A graph as the store and the HTTP API have it: `{"nodes": [{…}], "edges": [[from, to]]}`.

    Raises:
        ValueError: if it is larger than a reader takes, or is no graph that one takes, saying why.
    """
    nodes = [{name: getattr(node, name) for name in _FIELDS} for node in graph.nodes]
    data = json.dumps({"nodes": nodes, "edges": graph.edges}, separators=(",", ":")).encode()
    parse_graph(data, {node.layer for node in graph.nodes if node.layer})
    return data


def parse_graph(data: bytes, layers: Collection[str]) -> ModelGraph:
    """The graph that a text holds.

    Args:
        data: what `graph_json` returned, or anything else.
        layers: the paths of the captured layers.

    Raises:
        ValueError: if it is no graph, saying what was expected and found.
    """
    _require(len(data) <= MOST_BYTES, f"{len(data):,} bytes", f"at most {MOST_BYTES:,}")
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    is_object = isinstance(parsed, dict) and parsed.keys() >= {"nodes", "edges"}
    _require(is_object, "something else", "an object of nodes and edges")
    nodes, edges = parsed["nodes"], parsed["edges"]
    for name, values, most in (("nodes", nodes, MOST_NODES), ("edges", edges, MOST_EDGES)):
        _require(isinstance(values, list), f"{name} that are no list", "a list")
        _require(len(values) <= most, f"{len(values):,} {name}", f"at most {most:,}")
    graph = ModelGraph(
        tuple(_node(index, fields) for index, fields in enumerate(nodes)),
        tuple(_edge(pair, len(nodes)) for pair in edges),
    )
    _require_order(graph)
    captured = [node.layer for node in graph.nodes if node.layer]
    for layer in captured:
        _require(layer in layers, f"the layer {layer!r}", "layers that the store holds")
    _require(len(set(captured)) == len(captured), "a layer in two nodes", "each in one")
    return graph


def configured_graph(architecture: bytes, layers: Collection[str]) -> ModelGraph:
    """The graph that a model's configuration tells, see `graph_of_configuration`.

    Args:
        architecture: the configuration, JSON.
        layers: the paths of the captured layers.

    Raises:
        ValueError: if it tells none, or one that a reader does not take, saying why.
    """
    _require(len(architecture) <= MOST_BYTES, "a large configuration", f"{MOST_BYTES:,} bytes")
    try:
        parsed = json.loads(architecture)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its configuration is no JSON: {error}") from error
    # Most calls take from one other.
    graph = graph_of_configuration(parsed, layers, most=3 * MOST_NODES)
    graph_json(graph)
    return graph


def _require_order(graph: ModelGraph) -> None:
    """Refuses a graph that is not in the order which `ModelGraph` states."""
    is_input = [node.kind == INPUT_KIND for node in graph.nodes]
    in_order = is_input == sorted(is_input, reverse=True)
    _require(in_order, "an input behind a call", "inputs first")
    into = any(is_input[second] for _, second in graph.edges)
    _require(not into, "an edge to an input", "edges from inputs")
    in_order = all(first < second for first, second in pairwise(graph.edges))
    _require(in_order, "edges out of order", "sorted edges, each once")


def _node(index: int, fields: Any) -> GraphNode:
    where = f"node {index}"
    _require(isinstance(fields, dict), f"{where}, which is no object", "an object")
    path, kind, shape, parameters, layer = (fields.get(name) for name in _FIELDS)
    for name, text in (("path", path), ("kind", kind)):
        is_name = isinstance(text, str) and 0 < len(text) <= MOST_CHARACTERS and text.isprintable()
        _require(is_name, f"{where} with another {name}", "a printable text of it")
    is_layer = isinstance(layer, str) and len(layer) <= MOST_CHARACTERS
    _require(is_layer, f"{where} with another layer", "the path of one, or nothing")
    is_shape = isinstance(shape, list) and len(shape) <= MOST_AXES
    is_shape = is_shape and all(size is None or _is_count(size) for size in shape)
    _require(shape is None or is_shape, f"{where} with another shape", "sizes or null")
    is_count = parameters is None or _is_count(parameters)
    _require(is_count, f"{where} with other parameters", "a count or null")
    return GraphNode(path, kind, None if shape is None else tuple(shape), parameters, layer)


def _edge(pair: Any, n_nodes: int) -> tuple[int, int]:
    is_pair = isinstance(pair, list) and len(pair) == 2 and all(map(_is_count, pair))
    _require(is_pair, "an edge that is no pair of indices", "[from, to]")
    first, second = pair
    is_forward = first < second < n_nodes
    _require(is_forward, f"the edge {pair}", f"two of {n_nodes:,} nodes, the first one before")
    return first, second


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_COUNT


def _require(is_right: bool, content: str, expected: str) -> None:
    if not is_right:
        raise ValueError(f"it has {content}, expected {expected}")
