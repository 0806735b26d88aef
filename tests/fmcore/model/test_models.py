"""Models of every shape that people have: what is captured equals what Keras predicts."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose

from fmcore import capture_activations, open_store, verify_store
from fmcore.capture import CaptureOptions
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.model.probe import KerasProbe
from fmcore.storage import problems

pytestmark = pytest.mark.keras
SHAPE = (12, 10, 3)


def conv(filters=4, name=None, **options):
    return layers.Conv2D(filters, 3, name=name, **options)


def head(x, n_classes=3, *, activation="softmax", **options):
    dense = layers.Dense(n_classes, activation=activation, **options)
    return dense(layers.GlobalMaxPooling2D()(x))


def functional(x, output):
    return keras.Model(x, output)


# Each makes (model, {path: a model that puts out what is to be captured}, shape of an image).


def plain():
    x = keras.Input(SHAPE)
    one = conv(name="one")(x)
    two = conv(name="two", activation="relu")(one)
    return functional(x, head(two)), {"one": functional(x, one), "two": functional(x, two)}


def sequential():
    model = keras.Sequential([keras.Input(SHAPE), conv(name="one"), layers.Flatten()])
    model.add(layers.Dense(3))
    return model, {"one": functional(model.inputs, model.layers[0].output)}


def sequential_not_built():
    inner = conv(name="one")
    model = keras.Sequential([inner, layers.GlobalMaxPooling2D(), layers.Dense(3)])
    x = keras.Input(SHAPE)
    return model, {"one": functional(x, inner(x))}


def nested():
    inner = keras.Sequential(
        [keras.Input(SHAPE), conv(name="one", padding="same"), layers.ReLU()], name="inner"
    )
    x = keras.Input(SHAPE)
    two = conv(name="two")(inner(x))
    first = functional(inner.inputs, inner.layers[0].output)
    return functional(x, head(two)), {"inner/one": first, "two": functional(x, two)}


def nested_twice():
    deep = keras.Sequential([keras.Input(SHAPE), conv(3, name="c", padding="same")], name="deep")
    x = keras.Input(SHAPE)
    middle = keras.Model(x, deep(layers.Rescaling(2.0)(x)), name="middle")
    outer = keras.Input(SHAPE)
    seen = keras.Model(middle.inputs, middle.outputs[0])
    return functional(outer, head(middle(outer))), {"middle/deep/c": seen}


def shared():
    twice = conv(3, name="twice", padding="same")
    x = keras.Input(SHAPE)
    first = twice(x)
    second = twice(layers.ReLU()(first))
    expected = {"twice": functional(x, first), "twice#2": functional(x, second)}
    return functional(x, head(second)), expected


def shared_model():
    tower = keras.Sequential([keras.Input(SHAPE), conv(3, name="c", padding="same")], name="tower")
    x = keras.Input(SHAPE)
    left, right = tower(x), tower(layers.Rescaling(-1.0)(x))
    expected = {"tower/c": functional(x, left), "tower/c#2": functional(x, right)}
    return functional(x, head(layers.Concatenate()([left, right]))), expected


def several_outputs():
    x = keras.Input(SHAPE)
    one = conv(name="one")(x)
    outputs = {"maps": one, "scores": head(one), "other": head(one, 5)}
    return keras.Model(x, outputs), {"one": functional(x, one)}


def channels_first():
    x = keras.Input((3, 12, 10))
    options = {"data_format": "channels_first", "padding": "same"}
    one = layers.Conv2D(4, 3, name="one", **options)(x)
    act = layers.ReLU(name="act")(layers.BatchNormalization(axis=1)(one))
    two = layers.Conv2D(5, 3, name="two", **options)(act)
    pooled = layers.GlobalMaxPooling2D(data_format="channels_first")(two)
    model = keras.Model(x, layers.Dense(3, activation="softmax")(pooled))
    last = {name: layers.Permute((2, 3, 1))(out) for name, out in (("one", one), ("two", two))}
    image = keras.Input(SHAPE)
    turned = layers.Permute((3, 1, 2))(image)
    return model, {
        name: functional(image, keras.Model(x, out)(turned)) for name, out in last.items()
    }


def any_size():
    x = keras.Input((None, None, 3))
    one = conv(name="one", strides=2)(x)
    return functional(x, head(one)), {"one": functional(x, one)}


def depthwise_and_separable():
    x = keras.Input(SHAPE)
    one = layers.DepthwiseConv2D(3, depth_multiplier=2, name="one")(x)
    two = layers.SeparableConv2D(4, 3, name="two", padding="same")(one)
    three = layers.Conv2DTranspose(2, 3, strides=2, name="three")(two)
    expected = {
        name: functional(x, out) for name, out in (("one", one), ("two", two), ("three", three))
    }
    return functional(x, head(three)), expected


def rows():
    x = keras.Input((30, 2))
    one = layers.Conv1D(4, 5, name="one", padding="causal", dilation_rate=2)(x)
    two = layers.SeparableConv1D(3, 3, name="two", strides=2)(layers.MaxPooling1D()(one))
    three = layers.Conv1DTranspose(2, 3, name="three")(two)
    model = functional(x, layers.Dense(3)(layers.Flatten()(three)))
    return model, {n: functional(x, o) for n, o in (("one", one), ("two", two), ("three", three))}


class Block(layers.Layer):
    """A layer with layers in it, as people write them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.one = conv(3, name="c", padding="same")
        self.two = conv(3, name="c", padding="same")

    def call(self, x):
        return self.two(keras.ops.relu(self.one(x))) + x


def blocks():
    x = keras.Input(SHAPE)
    block = Block(name="block")
    model = functional(x, head(block(x)))
    first, second = functional(x, block.one(x)), functional(x, block.two(keras.ops.relu(x)))
    return model, {"block/c": first, "block/c#2": keras.Sequential([first, second])}


class Written(keras.Model):
    """A subclassed model that has not been called yet."""

    def __init__(self):
        super().__init__()
        self.first = conv(name="first")
        self.more = [conv(name="second"), conv(name="third")]
        self.dense = layers.Dense(3)

    def call(self, x, training=None):
        x = self.first(x)
        for one in self.more:
            x = one(x) if not training else x
        return self.dense(keras.ops.mean(x, axis=(1, 2)))


def subclassed():
    model = Written()
    x = keras.Input(SHAPE)
    first = model.first(x)
    second = model.more[0](first)
    expected = {"first": first, "second": second, "third": model.more[1](second)}
    return model, {name: functional(x, out) for name, out in expected.items()}


def wrapped():
    inner = conv(3, name="c")
    x = keras.Input(SHAPE)
    out = layers.SpectralNormalization(inner, name="norm")(x)
    return functional(x, head(out)), {"norm/c": functional(x, out)}


def half_precision(policy):
    def make():
        x = keras.Input(SHAPE)
        one = conv(name="one", dtype=policy)(x)
        two = conv(name="two", dtype=policy, activation="relu")(layers.ReLU(dtype=policy)(one))
        float32 = layers.Activation("linear", dtype="float32")
        expected = {"one": functional(x, float32(one)), "two": functional(x, float32(two))}
        return functional(x, head(two)), expected

    return make


def dense_and_activations():
    x = keras.Input(SHAPE)
    flat = layers.Flatten()(layers.ReLU(name="act")(conv(name="one")(x)))
    hidden = layers.Dense(7, activation="tanh", name="hidden")(flat)
    out = layers.Dense(3, name="out", activation="softmax")(hidden)
    tile = layers.Reshape((1, 1, -1))
    expected = {"hidden": functional(x, tile(hidden)), "out": functional(x, tile(out))}
    return functional(x, out), expected


def binary():
    x = keras.Input(SHAPE)
    one = conv(name="one")(x)
    return functional(x, head(one, 1, activation="sigmoid")), {"one": functional(x, one)}


def binary_logit():
    x = keras.Input(SHAPE)
    one = conv(name="one")(x)
    return functional(x, head(one, 1, activation=None)), {"one": functional(x, one)}


def any_length():
    x = keras.Input((None, 2))
    one = layers.Conv1D(4, 5, name="one")(x)
    out = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(one))
    return functional(x, out), {"one": functional(x, one)}


MODELS = {
    "plain": plain,
    "sequential": sequential,
    "sequential, not built": sequential_not_built,
    "nested": nested,
    "nested twice": nested_twice,
    "a layer called twice": shared,
    "a model called twice": shared_model,
    "several outputs": several_outputs,
    "channels first": channels_first,
    "any size": any_size,
    "depthwise, separable, transposed": depthwise_and_separable,
    "rows": rows,
    "a layer with layers in it": blocks,
    "subclassed": subclassed,
    "a wrapper": wrapped,
    "float16": half_precision("mixed_float16"),
    "bfloat16": half_precision("mixed_bfloat16"),
    "dense": dense_and_activations,
    "one output": binary,
    "one output, a logit": binary_logit,
}
RELATIVE = {"float16": 1e-3, "bfloat16": 1e-2}  # the types themselves hold no more


def images_for(model, n: int = 9) -> np.ndarray:
    inputs = getattr(model, "inputs", None)
    shape = SHAPE
    if inputs and len(inputs[0].shape) == 3:
        shape = (1, *inputs[0].shape[1:])
    return np.random.default_rng(0).random((n, *shape)).astype(np.float32)


def assert_equals_predict(store, path: str, expected: np.ndarray, *, rtol: float = 1e-5) -> None:
    stored = store.layers[path].activation[: len(expected)]
    expected = expected.reshape(stored.shape)
    assert np.abs(expected).max() > 0
    assert_allclose(stored, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_what_is_captured_equals_what_keras_predicts(name, tmp_path):
    keras.utils.set_random_seed(1)
    model, expected = MODELS[name]()
    images, labels = images_for(model), np.arange(9) % (2 if "one output" in name else 3)
    options = {"kind": "dense" if name == "dense" else "conv", "target": "class"}
    options["output"] = "scores" if name == "several outputs" else ""
    path = capture_activations(
        model, images, labels, tmp_path / "s.h5", batch_size=4, statistics="basic", **options
    )
    with open_store(path) as store:
        assert list(store.layers) == list(expected)
        for layer, reference in expected.items():
            given = images.reshape(-1, *reference.inputs[0].shape[1:]) if name == "rows" else images
            if name == "channels first":  # which TensorFlow has on CPUs through XLA alone
                reference.compile(jit_compile=True)
            values = reference.predict(given, verbose=0)
            assert_equals_predict(store, layer, values, rtol=RELATIVE.get(name, 1e-5))
        accuracy = store.about()["model"]["test_accuracy"]
    assert list(problems(path)) == []
    verification = verify_store(path, model, images, labels)
    assert verification.agrees, verification.words
    assert verification.measured == {"accuracy": accuracy}


@pytest.mark.parametrize("name", ["nested", "channels first", "float16"])
def test_what_follows_a_layer_is_verified_by_keras_own_means(name, tmp_path):
    model, _ = MODELS[name]()
    images, labels = images_for(model), np.arange(9) % 3
    path = capture_activations(model, images, labels, tmp_path / "s.h5", tap="activation")
    with open_store(path) as store:
        assert "ReLU" in store.layers[next(iter(store.layers))].attributes["kind"]
    verification = verify_store(path, model, images, labels)
    assert verification.agrees, verification.words


def test_one_output_is_the_second_of_two_classes(tmp_path):
    for name, make in (("own", binary), ("logit", binary_logit)):
        model, _ = make()
        # A logit that lies between 0 and 1 is none the less a logit.
        model.layers[-1].kernel.assign(model.layers[-1].kernel * 0)
        model.layers[-1].bias.assign([0.4])
        images, out = images_for(model), tmp_path / f"{name}.h5"
        capture_activations(model, images, np.arange(9) % 2, out, target="class")
        expected = model.predict(images, verbose=0)[:, 0]
        if name == "logit":
            expected = 1 / (1 + np.exp(-expected))
        with open_store(out) as store:
            found = np.stack([store.probability(index) for index in range(9)])
            assert_allclose(found, np.stack([1 - expected, expected], axis=1), rtol=1e-5)
            words = store.about()["model"]["output"]
            assert words.startswith("sigmoid" if name == "logit" else "the model's own")


def backbone():
    x = keras.Input(SHAPE)
    one = conv(name="one", activation="relu")(x)
    return functional(x, conv(5, name="two")(one)), "(8, 6, 5)"


def autoencoder():
    x = keras.Input(SHAPE)
    small = conv(name="one", strides=2, padding="same")(x)
    return functional(
        x, layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="two")(small)
    ), "(12, 10, 3)"


def segmentation():
    x = keras.Input(SHAPE)
    one = conv(name="one")(x)
    two = layers.Conv2D(2, 1, name="two", activation="softmax")(one)
    return keras.Model(x, [two, layers.Flatten()(one)[:, None]]), "(10, 8, 2), (1, 320)"


def says_which():
    x = keras.Input(SHAPE)
    scores = head(conv(name="one")(x), name="two")
    return functional(x, keras.ops.argmax(scores, axis=1)), "one number"


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("make", [backbone, autoencoder, segmentation, says_which])
def test_a_model_that_names_no_class_has_no_predictions(make, labelled, tmp_path, caplog):
    keras.utils.set_random_seed(1)
    model, shape = make()
    images, labels = images_for(model), np.arange(9) % 4
    path = capture_activations(
        model, images, labels if labelled else None, tmp_path / "s.h5", batch_size=4
    )
    words = f"no class distribution: the model puts out {shape} for each image"
    assert f"{words}: the store has no predictions" in caplog.text
    assert ("all are in one class, 'all'" in caplog.text) != labelled
    with open_store(path) as store:
        assert store.about()["model"]["output"] == words
        assert not store.has_predictions
        assert store.class_names == (("0", "1", "2", "3") if labelled else ("all",))
        assert np.array_equal(store.labels, labels if labelled else np.zeros(9))
        for layer in store.layers:
            expected = functional(model.inputs, model.get_layer(layer).output)
            assert_equals_predict(store, layer, expected.predict(images, verbose=0))
    assert list(problems(path)) == []


def test_features_that_look_like_scores_are_what_one_says(tmp_path):
    model, images = backbone()[0], images_for(backbone()[0])
    pooled = functional(model.inputs, keras.layers.GlobalAveragePooling2D()(model.output))
    n_features = pooled.output.shape[1]
    labels = np.arange(9) % 2
    capture_activations(pooled, images, labels, tmp_path / "taken.h5", target="class")
    with open_store(tmp_path / "taken.h5") as store:
        assert len(store.class_names) == n_features
    for name, options in {"a": {"predictions": False}, "b": {"target": "none"}}.items():
        capture_activations(pooled, images, labels, tmp_path / name, **options)
        with open_store(tmp_path / name) as store:
            assert not store.has_predictions
            assert store.class_names == ("0", "1")
            assert f"({n_features},)" in store.about()["model"]["output"]


def test_images_in_the_models_own_order_of_axes_are_turned(tmp_path):
    first, _ = channels_first()
    images = images_for(first).reshape(9, *SHAPE)
    given = {"rows": any_length()[0], "first": first}
    arrays = {"rows": np.random.default_rng(0).random((9, 30, 2)).astype("f4")}
    arrays["first"] = images.transpose(0, 3, 1, 2)
    for name, model in given.items():
        capture_activations(model, arrays[name], np.arange(9) % 3, tmp_path / f"{name}.h5")
    with open_store(tmp_path / "rows.h5") as store:
        assert store.layers["one"].shape == (1, 26, 4)
    with open_store(tmp_path / "first.h5") as store:
        assert_allclose(np.stack([store.image(index) for index in range(9)]), images)


def test_what_is_not_of_samples_is_not_captured():
    x = keras.Input((8, 8, 3))
    windows = keras.ops.reshape(x, (-1, 4, 4, 3))
    one = conv(2, name="windows")(windows)
    model = functional(x, layers.Dense(3)(keras.ops.reshape(one, (-1, 4 * 2 * 2 * 2))))
    with pytest.raises(ModelError, match=r"'windows' .* of 2 images it makes 8 rows; leave it out"):
        KerasProbe(model)
    # Two rows are right of the two images that a model is tried with, and of no other number.
    first_two = layers.Lambda(lambda images: images[:2], output_shape=(8, 8, 3))
    pair = conv(2, name="pair")(first_two(x))
    probe = KerasProbe(functional(x, layers.Dense(3)(layers.Flatten()(pair))))
    with pytest.raises(ModelError, match=r"'pair' .* of 5 images it makes 2 rows; leave it out"):
        probe(np.zeros((5, 8, 8, 3), "f4"))


def test_a_model_is_the_same_after_a_capture(tmp_path):
    model, _ = nested()
    before = model.to_json()
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    capture_activations(model, images_for(model), np.arange(9) % 3, tmp_path / "s.h5")
    assert model.to_json() == before
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_several_inputs_are_given_by_name(tmp_path):
    image, age = keras.Input(SHAPE, name="image"), keras.Input((2,), name="age")
    one = conv(name="one")(image)
    merged = layers.Concatenate()([layers.Flatten()(one), age])
    rng = np.random.default_rng(0)
    given = {"age": rng.random((7, 2)), "image": rng.random((7, *SHAPE)).astype(np.float32)}
    labels = np.arange(7) % 3
    for inputs in ([image, age], {"image": image, "age": age}):
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(merged))
        out = tmp_path / f"{type(inputs).__name__}.h5"
        capture_activations(model, given, labels, out, batch_size=3)
        in_order = given if isinstance(inputs, dict) else [given["image"], given["age"]]
        with open_store(out) as store:
            maps = keras.Model(image, one).predict(given["image"], verbose=0)
            assert_equals_predict(store, "one", maps)
            probability = np.stack([store.probability(index) for index in range(7)])
            assert_allclose(probability, model.predict(in_order, verbose=0), rtol=1e-5, atol=1e-6)
    with pytest.raises(DatasetError, match="besides images the model takes age, found nothing"):
        capture_activations(model, given["image"], labels, tmp_path / "no.h5")
    with pytest.raises(DatasetError, match="age has 6 rows, but there are 7 images"):
        capture_activations(model, given | {"age": np.zeros((6, 2))}, labels, tmp_path / "no.h5")


def test_a_tap_stores_what_follows_as_layers_of_their_own(tmp_path):
    x = keras.Input(SHAPE)
    one = conv(name="one", use_bias=False)(x)
    relu = layers.ReLU(max_value=6)(layers.BatchNormalization()(one))
    two = layers.BatchNormalization()(conv(name="two", padding="same")(relu))
    out = layers.Activation("gelu")(layers.Add()([two, relu]))
    three = keras.ops.relu(conv(name="three")(out))
    model = functional(x, head(three))
    images = images_for(model)
    path = capture_activations(model, images, np.arange(9) % 3, tmp_path / "s.h5", tap="activation")
    with open_store(path) as store:
        for name, tensor in (("one", relu), ("two", two), ("three", three)):
            assert_equals_predict(store, name, functional(x, tensor).predict(images, verbose=0))
        words = {name: layer.attributes["kind"] for name, layer in store.layers.items()}
        assert words == {
            "one": "Conv2D + BatchNormalization + ReLU",
            "two": "Conv2D + BatchNormalization",
            "three": "Conv2D + Relu",
        }
        functions = [one.attributes["activation_function"] for one in store.layers.values()]
        assert functions == ["ReLU", "linear", "relu"]


def test_patterns_and_kinds_choose_layers():
    model, _ = dense_and_activations()

    def taken(**options):
        return [layer.path for layer in KerasProbe(model, CaptureOptions(**options)).layers]

    assert taken() == ["one"]
    assert taken(kind="activation") == ["act"]
    assert taken(kind="all", layers="re:(one|act)") == ["one", "act"]
    assert taken(kind="all", layers="o*,hidden") == ["one", "hidden", "out"]
    with pytest.raises(
        SelectionError, match=r"'re:\(' is not a valid regular expression: missing \)"
    ):
        taken(layers="re:(")
    with pytest.raises(SelectionError, match=r"'hiden' matches no dense layer.*mean hidden"):
        taken(kind="dense", layers="hiden")
    with pytest.raises(ModelError, match="kind 'densse'; expected conv, activation, dense, all"):
        taken(kind="densse")


@pytest.mark.parametrize("name", ["..", "a.b", "con", "x" * 200, "0"])
def test_names_that_are_no_file_names_are_those_of_layers(name, tmp_path):
    x = keras.Input(SHAPE)
    model = functional(x, head(conv(name=name)(x)))
    path = capture_activations(model, images_for(model), np.arange(9) % 3, tmp_path / "s.h5")
    with open_store(path) as store:
        assert list(store.layers) == [name]
    assert list(problems(path)) == []
    assert [one.name for one in tmp_path.iterdir()] == ["s.h5"]


def test_an_input_may_leave_out_its_last_axis_as_in_keras(tmp_path):
    image, age = keras.Input(SHAPE, name="image"), keras.Input((1,), name="age")
    maps = layers.GlobalMaxPooling2D()(conv(name="one")(image))
    scores = layers.Dense(3, activation="softmax")(layers.Concatenate()([maps, age]))
    model = keras.Model([image, age], scores)
    rng = np.random.default_rng(0)
    images, ages = rng.random((5, *SHAPE)).astype("f4"), rng.random(5).astype("f4")
    stores = []
    for index, values in enumerate((ages, ages[:, np.newaxis])):
        given = {"age": values, "image": images}
        capture_activations(model, given, np.arange(5) % 3, tmp_path / f"{index}.h5")
        with open_store(tmp_path / f"{index}.h5") as store:
            stores.append(np.stack([store.probability(row) for row in range(5)]))
    assert_allclose(stores[0], stores[1])
    given = {"image": images, "age": np.zeros((5, 1, 2))}
    with pytest.raises(DatasetError, match="age is 1x2 for each sample, the model takes 1"):
        capture_activations(model, given, None, tmp_path / "no.h5")
