"""The graph of a model's layers equals Keras' own, whatever the model is made of."""

from __future__ import annotations

import functools
import re
from collections import Counter

import numpy as np
import pytest
from helpers.factories import count

from fmcore import capture_activations, open_store
from fmcore.storage import problems
from fmcore.storage.format.graph import configured_graph, graph_json, parse_graph

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.keras

from keras import layers, ops  # noqa: E402

SIZE = 16


def called(model, captured=()):
    """The graph from a trace, as a capture has it."""
    from fmcore.model.graph import CALLED, graph_of
    from fmcore.model.inputs import inputs_of
    from fmcore.model.trace import trace_model

    graphs, inputs = [], inputs_of(model, image_shape=(SIZE, SIZE, 3))

    def choose(trace):
        graphs.append(graph_of(model, trace, captured))
        return trace.outputs

    trace_model(model, inputs.signature(), inputs.arranged, choose)
    graph, words = graphs[-1]
    assert words == CALLED
    return graph


def configured(model, captured=()):
    """The graph from the configuration alone, as a store of before has it."""
    return configured_graph(model.to_json().encode(), captured)


def image():
    return keras.Input((SIZE, SIZE, 3), name="image")


def tutorial():
    from fmcore.model.tutorial import tutorial_network

    return tutorial_network((SIZE, SIZE, 1), n_classes=10)


def sequence():
    return keras.Sequential(
        [image(), layers.Conv2D(3, 3), layers.Dropout(0.5), layers.Flatten(), layers.Dense(2)]
    )


def residual():
    x = start = image()
    for _ in range(3):
        y = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(x))
        x = ops.relu(y) + x * 2.0
    return keras.Model(start, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def branches():
    """Two inputs, a layer with two inputs by name, dropout beside what it takes, two outputs."""
    start, extra = image(), keras.Input((4,), name="extra")
    x = layers.Conv2D(4, 3, padding="same")(start)
    dropped = layers.Dropout(0.5)(x)
    rows = [layers.Reshape((-1, 4))(maps) for maps in (x, dropped)]
    y = layers.MultiHeadAttention(2, 2)(rows[0], value=rows[1])
    y = layers.Concatenate()([layers.Flatten()(y), extra, layers.Flatten()(layers.ReLU()(x))])
    return keras.Model({"image": start, "extra": extra}, [layers.Dense(2)(y), dropped])


def block(name):
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(3, 3, padding="same", name="conv"),
            layers.Dropout(0.5, name="drop"),
        ],
        name=name,
    )


def pair(name):
    """A model of two inputs and two outputs, with another one inside."""
    first, second = keras.Input((SIZE, SIZE, 3)), keras.Input((SIZE, SIZE, 3))
    inner = block("inner")
    total = layers.Add(name="sum")([inner(first), second])
    return keras.Model([first, second], [layers.ReLU(name="relu")(total), first], name=name)


def nested():
    start = image()
    x, y = pair("outer")([layers.Conv2D(3, 1, name="conv")(start), start])
    return keras.Model(start, layers.Dense(2)(layers.Flatten()(layers.Subtract()([x, y]))))


def nested_twice():
    start, outer = image(), pair("outer")
    x, y = outer([start, layers.Conv2D(3, 1, name="conv")(start)])
    x, y = outer([layers.ReLU()(y), x])
    return keras.Model(start, layers.Dense(2)(layers.Flatten()(layers.Add()([x, y]))))


def nested_end():
    """Models are outputs, of which Keras counts the calls from 1."""
    start, end = image(), keras.Input((SIZE, SIZE, 3))
    tail = keras.Model(end, layers.ReLU(name="relu")(layers.Conv2D(2, 3, name="conv")(end)))
    return keras.Model(start, [tail(start * 2.0), tail(start)])


def shared():
    x = start = image()
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    for _ in range(3):
        x = layers.ReLU()(conv(x))
    return keras.Model(start, layers.Dense(2)(layers.Flatten()(layers.Add()([x, conv(start)]))))


def depthwise():
    x = start = image()
    x = layers.DepthwiseConv2D(3, padding="same")(layers.Rescaling(1 / 255)(x))
    x = layers.SeparableConv2D(6, 3)(layers.BatchNormalization()(x))
    x = layers.SpatialDropout2D(0.2)(layers.Activation("linear")(x))
    return keras.Model(start, layers.GlobalMaxPooling2D()(layers.Conv2DTranspose(2, 2)(x)))


def mobile_net():
    return keras.applications.MobileNetV3Small(input_shape=(32, 32, 3), weights=None, classes=4)


def dense_net():
    return keras.applications.DenseNet121(input_shape=(32, 32, 3), weights=None, classes=4)


ARCHITECTURES = [
    *(tutorial, sequence, residual, branches, nested, nested_twice, nested_end, shared),
    *(depthwise, mobile_net, dense_net)[: count(2, 3)],
]
built = functools.cache(lambda architecture: architecture())
traced = functools.cache(lambda architecture: called(built(architecture)))


def keras_edges(model):
    """Every edge of Keras' own graph by its paths, and every node's path, both counted."""
    nodes, edges = Counter(), Counter()
    outputs = {}

    def enter(model, prefix, feeds, place):
        """Follows the outputs of a call of a model; `feeds` are the paths that its inputs have."""
        graph = getattr(model, "_functional", None) or model

        def source(tensor):
            operation, node_index, tensor_index = tensor._keras_history
            node = operation._inbound_nodes[node_index]
            path, key = f"{prefix}{operation.name}", (*place, id(operation), node_index)
            if isinstance(operation, layers.InputLayer):
                if feeds is None:
                    outputs[key] = outputs.get(key) or [visit(key, path, ())]
                    return outputs[key][0]
                index = [id(part) for part in graph._inputs].index(id(tensor))
                return feeds[index]
            if key not in outputs:
                taken = [source(below) for below in node.input_tensors]
                if isinstance(operation, keras.Model):
                    outputs[key] = enter(operation, f"{path}/", taken, key)
                else:
                    outputs[key] = [visit(key, path, taken)] * len(node.output_tensors)
            return outputs[key][tensor_index]

        return [source(tensor) for tensor in graph._outputs]

    def visit(key, path, taken):
        nodes[path] += 1
        edges.update({(below, (path, key)) for below in taken})
        return path, key

    enter(model, "", None, ())
    return nodes, Counter((first, second) for (first, _), (second, _) in edges)


def bare(path):
    return re.sub(r"#\d+$", "", path)


def counted(graph):
    paths = [bare(node.path) for node in graph.nodes]
    return Counter(paths), Counter((paths[first], paths[second]) for first, second in graph.edges)


@pytest.mark.share
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nodes_and_edges_are_those_of_keras(architecture):
    model = built(architecture)
    expected = keras_edges(model)
    for graph in (traced(architecture), configured(model)):
        assert counted(graph) == expected
        assert parse_graph(graph_json(graph), ()) == graph


@pytest.mark.share
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_shapes_kinds_and_parameters_are_those_of_keras(architecture):
    model, graph = built(architecture), traced(architecture)
    assert graph.parameters == model.count_params()
    nodes = {node.path: node for node in graph.nodes}
    assert len(nodes) == len(graph.nodes), "no path is there twice"
    for operation in (getattr(model, "_functional", None) or model).operations:
        if isinstance(operation, keras.Model):
            continue
        node = nodes[operation.name]
        assert node.kind == type(operation).__name__
        own = operation._inbound_nodes[-1].outputs[0].shape[1:]
        assert node.shape == tuple(own)
        count = operation.count_params() if isinstance(operation, layers.Layer) else 0
        assert node.parameters == count
    config = configured(model)
    assert [node.kind for node in config.nodes].count("InputLayer") == len(model.inputs)
    assert {(node.shape, node.parameters) for node in config.nodes} == {(None, None)}
    assert config.parameters is None


class Own(keras.Model):
    """Its own code between its layers, as no configuration tells it."""

    def __init__(self):
        super().__init__()
        self.conv1 = layers.Conv2D(4, 3, padding="same")
        self.block = block_of_own()
        self.drop = layers.Dropout(0.5)
        self.conv2 = layers.Conv2D(4, 3, padding="same")
        self.unused = layers.Dense(3)
        self.dense = layers.Dense(3)

    def call(self, images):
        x = tf.nn.relu(self.conv1(images[..., :1]) * 2.0)
        dropped = self.drop(x)
        y = self.block(dropped) + x
        parts = tf.split(self.conv2(y), 2, axis=-1)
        z = ops.concatenate([parts[1], parts[0], self.conv2(ops.relu(dropped))], axis=-1)
        for _ in range(40):
            z = ops.sin(z) + tf.constant(1.0)
        return self.dense(tf.reduce_mean(z, [1, 2]))


def block_of_own():
    class Block(layers.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = (layers.Conv2D(4, 1) for _ in range(2))

        def call(self, x):
            return self.first(x) + self.second(x)

    return Block()


def test_own_code_between_layers_does_not_cut_the_graph():
    model = Own()
    model(tf.zeros([1, SIZE, SIZE, 3]))
    graph = called(model)
    names = {  # as Keras numbers them
        model.conv1.name: "conv1",
        model.conv2.name: "conv2",
        model.drop.name: "drop",
        model.dense.name: "dense",
        f"{model.block.name}/{model.block.first.name}": "first",
        f"{model.block.name}/{model.block.second.name}": "second",
    }
    paths = [
        names.get(bare(node.path), node.kind) + node.path[len(bare(node.path)) :]
        for node in graph.nodes
    ]
    assert {(paths[first], paths[second]) for first, second in graph.edges} == {
        ("InputLayer", "conv1"),
        ("conv1", "drop"),
        ("drop", "first"),
        ("drop", "second"),
        *((one, "conv2") for one in ("conv1", "first", "second")),
        ("drop", "conv2#2"),
        *((one, "dense") for one in ("conv2", "conv2#2")),
    }
    assert graph.nodes[0].shape == (SIZE, SIZE, 3)
    unused = model.unused.count_params() if model.unused.built else 0
    assert graph.parameters == model.count_params() - unused
    with pytest.raises(ValueError, match=r"neither functional nor sequential|another form"):
        configured(model)


def test_calls_that_cannot_be_read_are_nodes_without_edges():
    class Hidden(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.inside = layers.Conv2D(2, 3), layers.ReLU(name="inside")
            self.dense = layers.Dense(2)
            self.run = tf.function(self.inside)

        def call(self, images):
            return self.dense(tf.reduce_mean(self.run(self.conv(images)), [1, 2]))

    model = Hidden()
    model(tf.zeros([1, SIZE, SIZE, 3]))
    graph = called(model)
    kinds = [node.kind for node in graph.nodes]
    assert kinds == ["InputLayer", "Conv2D", "ReLU", "Dense"]
    assert graph.nodes[2].shape is None
    assert graph.edges == ((0, 1), (1, 3)), "what it makes of the convolution reaches the dense one"


def test_masks_survive_layers_that_return_what_they_take():
    """Keras keeps masks with tensors; a tensor of dropout's own must have it too."""
    x = start = keras.Input((SIZE, 3))
    x = layers.LSTM(2)(layers.Dropout(0.5)(layers.Masking(0.0)(x)))
    model = keras.Model(start, x)
    rows = np.random.default_rng(0).random((3, SIZE, 3)).astype(np.float32)
    rows[:, 5:] = 0
    seen = []

    def choose(trace):
        seen.append(len(trace.calls))
        return trace.outputs

    from fmcore.model.inputs import inputs_of
    from fmcore.model.trace import trace_model

    inputs = inputs_of(model)
    (values,) = trace_model(model, inputs.signature(), inputs.arranged, choose)(rows[:, np.newaxis])
    np.testing.assert_allclose(values, model.predict(rows, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_store_holds_the_graph_with_its_captured_layers(tmp_path):
    model = nested_twice()
    images = np.random.default_rng(0).random((5, SIZE, SIZE, 3)).astype(np.float32)
    path = capture_activations(model, images, np.arange(5) % 2, tmp_path / "s.h5", target="none")
    assert list(problems(path)) == []
    with open_store(path) as store:
        graph = store.graph()
        assert counted(graph) == keras_edges(model)
        assert [node.layer for node in graph.nodes if node.layer] == list(store.layers)
        assert all(node.layer in ("", node.path) for node in graph.nodes)
        for node in graph.nodes:
            if node.layer:
                assert store.layers[node.layer].shape == node.shape
        assert graph.inputs_of("conv") == ("image",)
        assert graph.inputs_of("outer/inner/conv") == ("image",)
        assert [node.kind for node in graph.between("outer/inner/conv#2")] == ["ReLU"]
        assert graph.inputs_of("outer/inner/conv#2") == ("image",)
        assert store.about()["model"]["graph"] == "as the model called its layers"
