"""The graph of a model in a store: what was written is read, and nothing that is no graph."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import re

import h5py
import pytest
from helpers.factories import GRAPH, NumpyProbe, count, make_plan, make_samples, make_store
from hypothesis import given, settings
from hypothesis import strategies as st

from fmcore import open_store
from fmcore.capture import capture
from fmcore.cli import main
from fmcore.errors import GraphNotStoredError, LayerNotFoundError, StoreError
from fmcore.records import GraphNode, ModelGraph
from fmcore.storage import problems
from fmcore.storage.format.graph import configured_graph, graph_json, parse_graph

LAYERS = {"block/conv 1", "conv2"}


def taken(name, number=0):
    return {"class_name": "__keras_tensor__", "config": {"keras_history": [name, number, 0]}}


def layer(kind, name, *calls, **config):
    nodes = [{"args": [taken(*call)], "kwargs": {}} for call in calls]
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": nodes,
    }


# A model in a model, which is called twice.
INNER = layer("Sequential", "inner", ("in",), ("conv2",))
INNER["config"]["layers"] = [layer("InputLayer", "x"), layer("Conv2D", "a"), layer("ReLU", "b")]
CONFIGURATION = {
    "class_name": "Functional",
    "config": {
        "layers": [
            layer("InputLayer", "in"),
            INNER,
            layer("Conv2D", "conv2", ("inner", 0)),
            layer("Dense", "end", ("inner", 1)),
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["end", 0, 0]],
    },
}


def store_of(path, graph, words="as the model called its layers"):
    """A real store whose model has a graph, or none."""
    plan = make_plan(12)
    model = dataclasses.replace(plan.store.model, graph=graph, graph_words=words)
    plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, model=model))
    return capture(NumpyProbe(), make_samples(12), path, plan)


def mutated(draw, value):
    """A JSON value in which something at random is something else."""
    places = []

    def enter(parent):
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)):
            places.append((parent, key))
            if isinstance(parent[key], dict | list):
                enter(parent[key])

    value = copy.deepcopy(value)
    enter(value)
    anything = st.one_of(
        *(st.none(), st.booleans(), st.integers(-3, 9), st.just(1 << 70), st.floats()),
        *(st.text(max_size=3), st.just([]), st.just({}), st.just([["a"]] * 3), st.just("in")),
        *(st.sampled_from([copy.deepcopy(parent[key]) for parent, key in places]),),
    )
    for parent, key in draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        if isinstance(parent, list) and key >= len(parent):
            continue  # it was taken out
        if draw(st.booleans()):
            parent[key] = draw(anything)
        elif isinstance(parent, list) or key in parent:
            del parent[key]
    return value


def test_a_graph_is_read_as_it_was_written(tmp_path, capsys):
    path = make_store(tmp_path / "s.h5")
    with open_store(path) as store:
        assert store.graph() == GRAPH
        assert store.graph().parameters == sum(node.parameters for node in GRAPH.nodes)
    with h5py.File(path, locking=False) as file:
        text = json.loads(file["model/graph"][...].tobytes())
    assert [node["path"] for node in text["nodes"]] == [node.path for node in GRAPH.nodes]
    assert [tuple(edge) for edge in text["edges"]] == list(GRAPH.edges)
    assert main(["info", str(path)]) == 0
    assert "5 calls of layers, 154 parameters" in capsys.readouterr().out


def test_what_a_layer_reads_is_found_through_what_was_not_captured():
    assert GRAPH.before(4) == (1,)
    assert GRAPH.after(0) == (1, 2)
    assert GRAPH.inputs_of("conv2") == GRAPH.inputs_of("block/conv 1") == ("image",)
    assert [node.path for node in GRAPH.between("conv2")] == ["pool"]
    joined = ModelGraph(
        (
            *(GraphNode(name, "InputLayer") for name in "xy"),
            GraphNode("a", "Conv2D", layer="a"),
            GraphNode("add", "Add"),
            GraphNode("relu", "ReLU"),
            GraphNode("b", "Conv2D", layer="b"),
        ),
        ((0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 5)),
    )
    assert joined.inputs_of("b") == ("y", "a")
    assert [node.path for node in joined.between("b")] == ["add", "relu"]
    assert joined.parameters is None
    for name in ("add", ""):
        with pytest.raises(LayerNotFoundError):
            joined.inputs_of(name)


def test_a_store_without_a_graph_says_why(tmp_path, capsys):
    path = store_of(tmp_path / "s.h5", None, "none: it has too many nodes")
    assert list(problems(path)) == []
    with (
        open_store(path) as store,
        pytest.raises(GraphNotStoredError, match=r"s\.h5 holds no .*too many nodes.*capture"),
    ):
        store.graph()
    assert main(["info", str(path)]) == 0
    assert "its layers are not known" in capsys.readouterr().out


def test_the_configuration_tells_what_a_store_of_before_lacks():
    graph = configured_graph(json.dumps(CONFIGURATION).encode(), ["conv2", "inner/a"])
    paths = [node.path for node in graph.nodes]
    assert paths == ["in", "inner/a", "inner/b", "conv2", "inner/a#2", "inner/b#2", "end"]
    assert graph.edges == tuple((index, index + 1) for index in range(6))
    # Which call of `inner/a` was captured, the configuration does not say.
    assert [node.layer for node in graph.nodes if node.layer] == ["conv2"]


@settings(max_examples=count(150, 20_000), deadline=None)
@given(st.data())
def test_a_damaged_graph_is_a_named_error_or_a_graph(data):
    damaged = json.dumps(mutated(data.draw, json.loads(graph_json(GRAPH)))).encode()
    with contextlib.suppress(ValueError):
        graph = parse_graph(damaged, LAYERS)
        assert parse_graph(graph_json(graph), LAYERS) == graph
        assert all(first < second < len(graph.nodes) for first, second in graph.edges)
        assert {node.layer for node in graph.nodes} <= {"", *LAYERS}


@settings(max_examples=count(150, 20_000), deadline=None)
@given(st.data())
def test_a_damaged_configuration_is_a_named_error_or_a_graph(data):
    damaged = json.dumps(mutated(data.draw, CONFIGURATION)).encode()
    with contextlib.suppress(ValueError):
        graph = configured_graph(damaged, LAYERS)
        assert parse_graph(graph_json(graph), LAYERS) == graph


def of(nodes=(), edges=()):
    full = [
        {"path": "a", "kind": "K", "shape": None, "parameters": None, "layer": ""} | node
        for node in nodes
    ]
    return json.dumps({"nodes": full, "edges": list(edges)}).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b"7", "an object of nodes and edges"),
        (of([{}, {}], [[1, 0]]), "the edge [1, 0]"),
        (of([{}], [[0, 0]]), "the edge [0, 0]"),
        (of([{}, {}], [[0, 2]]), "the edge [0, 2]"),
        (of([{}, {}], [[0, 1], [0, 1]]), "sorted edges, each once"),
        (of([{}, {}], [[0, True]]), "no pair of indices"),
        (of([{"kind": "a\nb"}]), "node 0 with another kind"),
        (of([{"path": "\ud800"}]), "node 0 with another path"),
        (of([{"path": "x" * 1001}]), "node 0 with another path"),
        (of([{"shape": [1.5]}]), "node 0 with another shape"),
        (of([{"shape": [1] * 17}]), "node 0 with another shape"),
        (of([{"parameters": -1}]), "node 0 with other parameters"),
        (of([{"parameters": 1 << 60}]), "node 0 with other parameters"),
        (of([{"layer": "conv3"}]), "the layer 'conv3'"),
        (of([{"layer": "conv2"}, {"layer": "conv2"}]), "a layer in two nodes"),
        (of([{}, {"kind": "InputLayer"}]), "inputs first"),
        (of([{"kind": "InputLayer"}] * 2, [[0, 1]]), "edges from inputs"),
        (of([{}] * 20_001), "at most 20,000"),
        (b" " * ((16 << 20) + 1), "at most 16,777,216"),
    ],
    ids=str,
)
def test_what_is_no_graph_is_refused_in_words(data, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_graph(data, LAYERS)


def test_a_damaged_graph_leaves_the_rest_of_a_store(tmp_path, monkeypatch):
    from fmcore.storage import skeleton

    monkeypatch.setattr(skeleton, "graph_json", lambda _: of([{}, {}], [[1, 0]]))
    path = make_store(tmp_path / "s.h5")
    with open_store(path) as store:
        assert store.layers["conv2"].feature_maps(3).shape == (4, 4, 3)
        with pytest.raises(StoreError, match=r"damaged store: of /model/graph it has the edge"):
            store.graph()
    (problem,) = problems(path)
    assert problem.startswith("/model/graph: it has the edge [1, 0], expected two of 2 nodes")


def calls_of_calls(depth, width):
    """Models in models, each of which calls the next several times."""
    inside = layer("ReLU", "end", ("in",))
    for index in range(depth):
        calls = [("in",), *((inside["name"], number) for number in range(width - 1))]
        inner = inside | {"inbound_nodes": layer("", "", *calls)["inbound_nodes"]}
        outer = layer("Functional", f"m{index}", ("in",))
        outer["config"] |= {
            "layers": [layer("InputLayer", "in"), inner],
            "input_layers": [["in", 0, 0]],
            "output_layers": [[inner["name"], width - (index == 0), 0]],
        }
        inside = outer
    return inside


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (calls_of_calls(3, 3), ""),
        (calls_of_calls(30, 2), "more calls of layers"),
        (calls_of_calls(40, 1), "models lie in models"),
        (layer("Sequential", "m", layers=[]), "IndexError"),
        (layer("Mine", "m"), "neither functional nor sequential"),
        ([], "TypeError"),
    ],
)
def test_a_configuration_costs_a_bounded_amount(model, words):
    if not words:
        graph = configured_graph(json.dumps(model).encode(), ())
        assert len(graph.nodes) == 1 + 3**3
        return
    with pytest.raises(ValueError, match=words):
        configured_graph(json.dumps(model).encode(), ())


def test_a_circle_of_layers_is_refused():
    model = copy.deepcopy(CONFIGURATION)
    model["config"]["layers"][1] = layer("ReLU", "inner", ("conv2",), ("conv2",))
    with pytest.raises(ValueError, match="in a circle"):
        configured_graph(json.dumps(model).encode(), ())


def test_what_a_reader_does_not_take_is_not_written():
    long = ModelGraph((GraphNode("x" * 2000, "Conv2D"),))
    with pytest.raises(ValueError, match="another path"):
        graph_json(long)
