"""The rest of a model, from a layer on, answers as the whole model with a layer that replaces."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.ablated import ARCHITECTURES, Replaced
from helpers.factories import count, sampled
from keras import layers as L

from fmcore import ablate_store, capture_activations, open_store
from fmcore.model.ablation import StoredAnswer, joint_rest, layer_rests
from fmcore.model.inputs import inputs_of
from fmcore.model.reference import Stored
from fmcore.records import Target

pytestmark = pytest.mark.keras
N = 64
RNG = np.random.default_rng(0)
IMAGES = RNG.random((N, 12, 12, 1), dtype=np.float32)
LABELS = np.arange(N) % 4
# Whose layers' filters go together.
TRIED = ("tutorial", "residual", "branches", "nested")
# Where the store holds what another layer puts out.
TAPS = {("batch_norm", "c1"): "relu1", ("batch_norm", "c2"): "relu2"}


@pytest.fixture(scope="module", params=sampled(3, ARCHITECTURES))
def captured(request, tmp_path_factory):
    """The name of an architecture, a model of it, and its store."""
    keras.utils.set_random_seed(3)
    model = ARCHITECTURES[request.param]()
    path = tmp_path_factory.mktemp("rest") / "s.h5"
    tap = "activation" if request.param == "batch_norm" else "output"
    target = {"target": "class"} if request.param == "depthwise" else {}
    capture_activations(model, IMAGES, LABELS, path, tap=tap, **target)
    return request.param, model, path


def places(store, n):
    """Filters of all layers in turn, (layer, filter)."""
    layers = list(store.layers.values())
    pairs = [(layer, index) for index in range(99) for layer in layers if index < layer.n_filters]
    return pairs[:n]


def probabilities(outputs, name):
    if name != "depthwise":
        return outputs
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.share
@pytest.mark.parametrize("by", ["zero", "mean"])
def test_costs_are_those_of_the_whole_model_with_a_layer_that_replaces(captured, by):
    name, model, path = captured
    ablate_store(path, model, by=by, overwrite=True)
    whole = probabilities(model.predict(IMAGES, verbose=0), name)
    rows = np.arange(N)
    with open_store(path) as store:
        ablation = store.ablation(by)
        assert ablation.layers == tuple(store.layers)
        references = {}
        for layer, index in places(store, count(6, 20)):
            layer_name, _, call = layer.path.rpartition("/")[2].partition("#")
            if layer.path not in references:
                tapped = TAPS.get((name, layer_name), layer_name)
                references[layer.path] = Replaced(
                    model, tapped, layer.n_filters, call=int(call or 1)
                )
            reference = references[layer.path]
            means = layer.activation[...].mean(axis=(0, 1, 2), dtype=np.float64)
            reference.set(index, means if by == "mean" else 0.0)
            expected = probabilities(reference.model.predict(IMAGES, verbose=0), name)
            measured = ablation.layer(layer.path)
            assert (measured.answers[index] == expected.argmax(axis=1)).all()
            costs = measured.costs()
            right = [(p.argmax(axis=1) == LABELS).mean() for p in (whole, expected)]
            assert costs.accuracy.value[index] == pytest.approx(right[0] - right[1], abs=1e-12)
            truth = [p[rows, LABELS].astype(np.float64) for p in (whole, expected)]
            rounding = 1e-5 * truth[1].mean()
            fall = (truth[0] - truth[1]).mean()
            assert costs.probability.value[index] == pytest.approx(fall, abs=rounding)
            rise = np.log(truth[0] / truth[1]).mean()
            assert costs.loss.value[index] == pytest.approx(rise, abs=2e-5)


@pytest.mark.share
def test_each_probability_is_that_of_the_whole_model(captured):
    name, model, path = captured
    with open_store(path) as store:
        layers = list(store.layers.values())
        stored = [Stored(layer.path, layer.attributes["kind"], layer.shape) for layer in layers]
        output = store.about()["model"]["output_name"]
        inputs = inputs_of(model)
        rests = layer_rests(model, inputs, stored, StoredAnswer(Target.CLASS, output))
        for layer, rest in list(zip(layers, rests, strict=True))[: count(2, 99)]:
            layer_name, _, call = layer.path.rpartition("/")[2].partition("#")
            tapped = TAPS.get((name, layer_name), layer_name)
            reference = Replaced(model, tapped, layer.n_filters, call=int(call or 1))
            variants = RNG.random((4, layer.n_filters)) < 0.4  # several go together
            maps = layer.activation[...]
            # Of stored maps and of images, one sample and many.
            shared = [rest.share(None, None, IMAGES, {}), rest.share(None, None, IMAGES[:1], {})]
            if not rest._sides:
                shared.append(rest.share(maps, None, None, {}))
            answers = [rest.answers(batch, variants) for batch in shared]
            for index, variant in enumerate(variants):
                reference.set(variant)
                expected = reference.model.predict(IMAGES, verbose=0)
                for got in answers:
                    part = expected[: got.shape[1]]
                    np.testing.assert_allclose(got[index], part, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", TRIED)
def test_answers_without_filters_of_all_layers_are_those_of_layers_that_replace(name, tmp_path):
    keras.utils.set_random_seed(3)
    model = ARCHITECTURES[name]()
    path = tmp_path / "s.h5"
    capture_activations(model, IMAGES, LABELS, path, target="class")
    with open_store(path) as store:
        layers = list(store.layers.values())
        means = [layer.activation[...].mean(axis=(0, 1, 2), dtype=np.float64) for layer in layers]
        stored = [Stored(layer.path, layer.attributes["kind"], layer.shape) for layer in layers]
        answer = StoredAnswer(Target.CLASS, store.about()["model"]["output_name"])
    reference, replaced = model, []
    for layer in layers:  # a copy of the copy, so that all of them replace
        layer_name, _, call = layer.path.rpartition("/")[2].partition("#")
        replaced.append(Replaced(reference, layer_name, layer.n_filters, call=int(call or 1)))
        reference = replaced[-1].model
    # The order of the layers is not that of the graph.
    rest = joint_rest(model, inputs_of(model), stored[::-1], answer)
    sizes = [layer.n_filters for layer in layers[::-1]]
    variants = RNG.random((5, sum(sizes))) < [[0], [1], [0.2], [0.5], [0.5]]
    flags = np.split(variants, np.cumsum(sizes)[:-1], axis=1)[::-1]
    for values in ([0.0] * len(layers), means):
        pairs = zip(values, layers, strict=True)
        maps = [np.broadcast_to(np.float32(it), (1, *layer.shape)) for it, layer in pairs]
        shared = [rest.share(IMAGES, {}, maps[::-1]), rest.share(IMAGES[:1], {}, maps[::-1])]
        if values is not means:
            shared.append(rest.share(IMAGES, {}, None))
        answers = [rest.answers(batch, variants) for batch in shared]
        for index in range(len(variants)):
            for layer, mask, value in zip(replaced, flags, values, strict=True):
                layer.set(mask[index], value)
            expected = reference.predict(IMAGES, verbose=0)
            for got in answers:
                part = expected[: got.shape[1]]
                np.testing.assert_allclose(got[index], part, rtol=1e-5, atol=1e-6)


def test_outputs_for_other_samples_take_the_place_in_all_layers():
    keras.utils.set_random_seed(3)
    model = ARCHITECTURES["tutorial"]()
    layers = [model.get_layer(name) for name in ("conv1", "conv2")]
    pools = [model.get_layer(name) for name in ("pool1", "pool2")]
    stored = [Stored(it.name, "Conv2D", it.output.shape[1:]) for it in layers]
    rest = joint_rest(model, inputs_of(model), stored, StoredAnswer(Target.CLASS))
    end = keras.Model(pools[1].output, model.output)
    partners = RNG.permutation(N)
    whole = keras.Model(model.input, [it.output for it in layers]).predict(IMAGES, verbose=0)
    others = rest.maps(IMAGES[partners], {})
    for maps, expected in zip(others, whole, strict=True):
        np.testing.assert_allclose(maps, expected[partners], rtol=1e-5, atol=1e-6)
    variants = RNG.random((3, sum(maps.shape[-1] for maps in whole))) < 0.5
    answers = rest.answers(rest.share(IMAGES, {}, others), variants)
    for index, variant in enumerate(variants):
        x, start = IMAGES, 0
        for layer, pool, maps in zip(layers, pools, whole, strict=True):
            flags, start = variant[start : start + maps.shape[-1]], start + maps.shape[-1]
            x = np.asarray(pool(np.where(flags, maps[partners], np.asarray(layer(x)))))
        expected = end.predict(x, verbose=0)
        np.testing.assert_allclose(answers[index], expected, rtol=1e-5, atol=1e-6)


def test_filters_of_channels_first_layers_go_as_those_of_the_model_with_channels_last():
    def network(data_format: str, shape: tuple[int, ...]) -> keras.Model:
        image = keras.Input(shape)
        x = L.Conv2D(5, 3, activation="relu", data_format=data_format, name="c1")(image)
        y = L.Conv2D(4, 3, data_format=data_format, name="c2")(x)
        z = L.Conv2D(4, 3, data_format=data_format, name="c3")(x)
        x = L.GlobalAveragePooling2D(data_format=data_format)(L.Add()([y, z]))
        return keras.Model(image, L.Dense(3, activation="softmax")(x))

    images = RNG.random((6, 8, 9, 2), dtype=np.float32)
    model, last = network("channels_first", (2, 8, 9)), network("channels_last", (8, 9, 2))
    shapes = {"c1": (6, 7, 5), "c2": (4, 5, 4), "c3": (4, 5, 4)}
    stored = [Stored(name, "Conv2D", shape) for name, shape in shapes.items()]
    rest = joint_rest(model, inputs_of(model), stored, StoredAnswer(Target.CLASS))
    variants = RNG.random((3, 13)) < 0.4
    answers = rest.answers(rest.share(images, {}, None), variants)
    for index, variant in enumerate(variants):
        last.set_weights(model.get_weights())
        for name, gone in zip(shapes, np.split(variant, [5, 9]), strict=True):
            kernel, bias = last.get_layer(name).get_weights()
            last.get_layer(name).set_weights([kernel * ~gone, bias * ~gone])
        expected = last.predict(images, verbose=0)
        np.testing.assert_allclose(answers[index], expected, rtol=1e-5, atol=1e-6)


def test_another_sample_takes_the_place(tmp_path):
    model = ARCHITECTURES["tutorial"]()
    path = tmp_path / "s.h5"
    capture_activations(model, IMAGES, LABELS, path)
    ablate_store(path, model, by="resample", layers="conv2", seed=5)
    rest = keras.Model(model.get_layer("pool2").output, model.output)
    pool = keras.Model(model.input, model.get_layer("pool2").output)
    planes = pool.predict(IMAGES, verbose=0)
    circle = np.random.default_rng(5).permutation(N)
    partners = np.empty(N, int)
    partners[circle] = np.roll(circle, 1)
    assert (partners != np.arange(N)).all()
    with open_store(path) as store:
        answers = store.ablation("resample").layer("conv2").answers
    for index in range(4):
        mixed = planes.copy()
        mixed[..., index] = planes[partners, ..., index]
        assert (answers[index] == rest.predict(mixed, verbose=0).argmax(axis=1)).all()
