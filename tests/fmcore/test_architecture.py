"""Which layers read the planes of the model's images, by what Keras wrote of the model."""

from __future__ import annotations

import json

import keras
import pytest
from keras import layers

from fmcore.architecture import layer_settings, plane_source


def config_of(model) -> dict:
    return json.loads(model.to_json())


def reads_image(config, path: str) -> bool:
    source = plane_source(config, path)
    return source is not None and source.is_only_input and source.maps is None


def sequence(*before):
    return keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            *before,
            layers.Conv2D(3, 3, name="a"),
            layers.Conv2D(2, 3, name="b"),
        ]
    )


def test_the_first_layer_reads_the_image_and_later_ones_do_not():
    for before in ((), (layers.Rescaling(1 / 255), layers.ZeroPadding2D())):
        config = config_of(sequence(*before))
        assert [reads_image(config, name) for name in "ab"] == [True, False]
    config = config_of(sequence(layers.Lambda(lambda x: x[..., ::-1])))
    assert not reads_image(config, "a"), "it may have reversed them"


def test_graphs_are_followed_into_models_in_models():
    inner = sequence(layers.Rescaling(2.0))
    inner.name = "inner"
    image = keras.Input((8, 8, 3))
    first = layers.Conv2D(3, 1, name="first")(image)
    direct = config_of(keras.Model(image, [inner(layers.Normalization()(image)), first]))
    assert reads_image(direct, "inner/a")
    assert not reads_image(direct, "inner/b")
    assert reads_image(direct, "first")
    behind = config_of(keras.Model(image, inner(layers.Conv2D(3, 1, name="first")(image))))
    assert not reads_image(behind, "inner/a")


def test_of_several_inputs_or_calls_nothing_is_guessed():
    image, extra = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    conv = layers.Conv2D(3, 1, name="a")
    assert not reads_image(config_of(keras.Model([image, extra], [conv(image), extra])), "a")
    again = layers.Conv2D(3, 1, name="a")
    assert not reads_image(config_of(keras.Model(image, again(again(image)))), "a")


def test_planes_are_followed_through_layers_that_keep_them_and_no_others():
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="a")(image)
    y = layers.Dropout(0.1)(layers.ReLU()(layers.BatchNormalization()(layers.MaxPooling2D()(x))))
    y = layers.Conv2D(4, 1, name="b")(layers.UpSampling2D()(y))
    z = layers.Conv2D(3, 1, name="c")(layers.Add(name="join")([x, y]))
    w = layers.Dense(2, name="d")(layers.Flatten()(layers.AveragePooling2D(2)(z)))
    config = config_of(keras.Model(image, w))
    sources = {name: plane_source(config, name) for name in "abcd"}
    assert [sources[name].path for name in "bcd"] == ["a", "join", "c"]
    assert (sources["a"].kind, sources["a"].is_only_input) == ("InputLayer", True)
    assert [sources[name].kind for name in "bc"] == ["Conv2D", "Add"]
    assert [sources[name].maps for name in "bcd"] == [None, None, (4, 4, 3)]
    assert plane_source(config, "join") is None, "it reads two layers"
    assert layer_settings(config, "a")["filters"] == 4
    assert layer_settings(config, "none") == {}


def test_planes_are_followed_into_and_out_of_models_in_models():
    inner = sequence(layers.Rescaling(2.0))
    inner.name = "inner"
    image = keras.Input((8, 8, 3))
    after = layers.Conv2D(2, 1, name="after")(layers.ReLU()(inner(image)))
    config = config_of(keras.Model(image, after))
    assert plane_source(config, "after").path == "inner/b"
    assert plane_source(config, "inner/b").path == "inner/a"
    assert plane_source(config, "inner/a").is_only_input
    turns = {"config": {"layers": [{"class_name": "ReLU", "config": {"name": "a"}}]}}
    tensor = {"config": {"keras_history": ["a", 0, 0]}}
    turns["config"]["layers"][0]["inbound_nodes"] = [{"args": [tensor]}]
    assert plane_source(turns, "a") is None, "it reads itself"


def test_maps_that_have_filters_first_are_flattened_with_filters_last():
    model = keras.Sequential(
        [
            layers.Input((3, 5, 4)),
            layers.Conv2D(2, 1, data_format="channels_first", name="a"),
            layers.Flatten(data_format="channels_first"),
            layers.Dense(2, name="d"),
        ]
    )
    assert plane_source(config_of(model), "d").maps == (5, 4, 2)


@pytest.mark.parametrize("config", [{}, {"config": 3}, {"config": {"layers": [3]}}, {"layers": []}])
def test_other_configurations_say_nothing(config):
    assert not reads_image(config, "a")


def test_a_model_that_is_called_twice_says_what_is_in_it_but_not_what_is_fed_to_it():
    inner = sequence()
    inner.name = "inner"
    first, second = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    config = config_of(keras.Model([first, second], [inner(first), inner(second)]))
    assert plane_source(config, "inner/a") is None
    assert plane_source(config, "inner/b").path == "inner/a"


def test_a_model_with_two_outputs_hides_nothing_of_the_layers_beside_it():
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(2, 1, name="a")(image)
    pair = keras.Model(image, [conv, layers.ReLU()(conv)], name="pair")
    second = layers.Conv2D(2, 1, name="b")(pair(image)[1])
    config = config_of(keras.Model(image, [second, layers.Conv2D(2, 1, name="c")(image)]))
    assert plane_source(config, "c").is_only_input
    assert plane_source(config, "pair/a").is_only_input
    assert plane_source(config, "b") is None, "which of the two it reads, is not followed"
