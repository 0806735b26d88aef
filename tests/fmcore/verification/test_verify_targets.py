"""`fmcore verify` of several labels, numbers and one output of two, whole and with faults."""

from __future__ import annotations

import dataclasses
import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from fmcore import capture_activations, open_store, verify_store
from fmcore.cli import main
from fmcore.model.probe import KerasProbe
from fmcore.storage.writer import StoreWriter

pytestmark = pytest.mark.keras
N = 50
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 8, 8), dtype=np.uint8)
CLASSES = np.arange(N) % 3
HAS = (RNG.random((N, 3)) < [0.5, 0.2, 0.7]).astype(np.uint8)
# Numbers in units that are far apart, as degrees and meters are.
BOXES = (RNG.normal(size=(N, 2)) * [1, 1e4]).astype(np.float32)
FROM_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
LABELS_RIGHT = "labels right 0."


def network(head, loss=None):
    x = keras.Input((8, 8, 1))
    maps = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    outputs = head(layers.Flatten()(maps))
    model = keras.Model(x, outputs, name="net")
    if loss is not None:
        model.compile(loss=loss)
    return model


def two_heads(x):
    return [layers.Dense(3, activation="softmax", name="kind")(x), layers.Dense(2, name="box")(x)]


def heads_by_key(x):
    """A dict whose keys are neither in sorted order nor the names of layers."""
    return {"z": layers.Dense(3, activation="softmax")(x), "b": layers.Dense(2)(x)}


class Written(keras.Model):
    """A subclassed model, of which Keras knows no graph."""

    def __init__(self):
        super().__init__(name="written")
        self.conv = layers.Conv2D(4, 3, name="conv")
        self.flat = layers.Flatten()
        self.kind = layers.Dense(3, activation="softmax")
        self.box = layers.Dense(2)

    def call(self, x):
        x = self.flat(self.conv(x))
        return {"z": self.kind(x), "b": self.box(x)}


# Head, loss, labels, options, and what the line says was compared.
CASES = {
    "labels": (
        layers.Dense(3, activation="sigmoid", name="out"), "binary_crossentropy", HAS, (),
        f"pixels, labels, output 'out' as labels, {LABELS_RIGHT}",
    ),
    "labels of logits": (
        layers.Dense(3, name="out"), FROM_LOGITS, HAS.astype(np.float32), (),
        f"pixels, labels, output 'out' as labels, {LABELS_RIGHT}",
    ),
    "numbers": (
        layers.Dense(2, name="out"), "mse", BOXES, (),
        "pixels, numbers, output 'out' as number, mean absolute error ",
    ),
    "one number": (
        layers.Dense(1, name="out"), "mse", BOXES[:, 0], (),
        "pixels, numbers, output 'out' as number, mean absolute error ",
    ),
    "one number that is a class index": (
        layers.Dense(1, name="out"), "mse", CLASSES, (),
        "pixels, numbers, output 'out' as number, mean absolute error ",
    ),
    "the second output": (
        two_heads, None, BOXES, ("--output", "box"),
        "pixels, numbers, output 'box' as number, mean absolute error ",
    ),
    "the first output": (
        two_heads, None, CLASSES, ("--output", "kind"),
        "pixels, labels, output 'kind' as class, accuracy 0.",
    ),
    "an output by its key": (
        heads_by_key, None, BOXES, ("--output", "b"),
        "pixels, numbers, output 'b' as number, mean absolute error ",
    ),
    "log softmax": (
        layers.Dense(3, activation="log_softmax", name="out"), None, CLASSES, (),
        "pixels, labels, output 'out' as class, accuracy 0.",
    ),
    "logits": (
        layers.Dense(3, name="out"), SPARSE_LOGITS, CLASSES, (),
        "pixels, labels, output 'out' as class, accuracy 0.",
    ),
    "one logit": (
        layers.Dense(1, name="out"), FROM_LOGITS, CLASSES % 2, (),
        "pixels, labels, output 'out' as class, accuracy 0.",
    ),
    "features": (
        layers.Dense(3, name="out"), "mse", BOXES, ("--target", "none"), "pixels, maps of conv",
    ),
}  # fmt: skip


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(params=CASES)
def case(request, tmp_path, capsys):
    """A model, its data, and how they are captured and verified."""
    head, loss, labels, options, compared = CASES[request.param]
    keras.utils.set_random_seed(1)
    if isinstance(head, layers.Layer):
        head = type(head).from_config(head.get_config())
    network(head, loss).save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=labels)

    def capture():
        store = tmp_path / "s.h5"
        command = ("capture", tmp_path / "m.keras", "--data", tmp_path / "d.npz")
        assert run(*command, "--out", store, *options, "--force") == 0
        return store

    def verify(data=tmp_path / "d.npz"):
        capsys.readouterr()
        code = run("verify", tmp_path / "s.h5", "--model", tmp_path / "m.keras", "--data", data)
        (line,) = capsys.readouterr().out.splitlines()
        return code, line

    return request.param, compared, labels, capture, verify


def changing(monkeypatch, change):
    """Lets every capture of all samples change the answers, as a fault in it would."""
    call = KerasProbe.__call__

    def changed(self, images, others=None):
        captured = call(self, images, others)
        if len(images) != N:  # the trial on the first samples
            return captured
        name = "output" if captured.probability is None else "probability"
        values = np.array(getattr(captured, name))
        change(values)
        return dataclasses.replace(captured, **{name: values})

    monkeypatch.setattr(KerasProbe, "__call__", changed)


def test_what_keras_computes_is_compared_and_a_wrong_answer_or_label_is_found(
    case, tmp_path, monkeypatch
):
    name, compared, labels, capture, verify = case
    capture()
    code, line = verify()
    assert (code, compared in line) == (0, True), line

    other = labels.copy()
    other[21] = 1 - other[21] if labels is HAS or other.max() == 1 else other[20]
    np.savez(tmp_path / "other.npz", x_test=IMAGES, y_test=other)
    code, line = verify(tmp_path / "other.npz")
    assert code == 1
    found = "data set, fingerprint of images, labels" if name == "features" else "labels, sample 21"
    assert f"differs: {found}" in line

    if name == "features":
        return
    with open_store(tmp_path / "s.h5") as store:
        axis = {"class": "class", "labels": "label", "number": "number"}[store.target]

    def wrong(values):
        # The first number is small beside the second, and a fault in it is too.
        values[17, 0] += 1e-4 * max(1, np.abs(values[:, 0]).max())

    changing(monkeypatch, wrong)
    capture()
    code, line = verify()
    assert code == 1
    what = "" if axis == "number" else "probability, "
    assert f"differs: output, {what}sample 17, {axis} 0: expected " in line


def test_a_subclassed_model_is_compared_by_the_keys_of_its_outputs(tmp_path):
    model = Written()
    pixels = IMAGES[..., np.newaxis] / np.float32(255)
    model(pixels[:1])
    for output, labels in (("b", BOXES), ("z", CLASSES)):
        store = capture_activations(model, pixels, labels, tmp_path / f"{output}.h5", output=output)
        result = verify_store(store, model, pixels, labels)
        assert result.agrees, result.words
        assert f"output {output!r}" in result.words


def labels_store(tmp_path, labels=HAS, **options):
    keras.utils.set_random_seed(1)
    model = network(layers.Dense(3, activation="sigmoid"), "binary_crossentropy")
    pixels = IMAGES[..., np.newaxis] / np.float32(255)
    store = capture_activations(model, pixels, labels, tmp_path / "s.h5", **options)
    return store, model, pixels


def test_the_measures_are_those_of_keras(tmp_path):
    store, model, pixels = labels_store(tmp_path)
    measured = verify_store(store, model, pixels, HAS, samples=30, seed=2).measured
    rows = np.sort(np.random.default_rng(2).choice(N, 30, replace=False))
    predicted = model.predict(pixels[rows], verbose=0)
    model.compile(loss="binary_crossentropy", metrics=["binary_accuracy"])
    evaluated = model.evaluate(pixels[rows], HAS[rows], verbose=0, return_dict=True)
    assert measured["labels right"] == pytest.approx(evaluated["binary_accuracy"])
    exact = ((predicted >= 0.5) == HAS[rows]).all(axis=1).mean()
    assert measured["exact match"] == pytest.approx(exact)

    numbers = network(layers.Dense(2), "mae")
    other = capture_activations(numbers, pixels, BOXES, tmp_path / "n.h5")
    measured = verify_store(other, numbers, pixels, BOXES).measured
    assert measured == {
        "mean absolute error": pytest.approx(numbers.evaluate(pixels, BOXES, verbose=0), rel=1e-5)
    }


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "labels: expected none, found 3 labels of each image"),
        (HAS[:, :2], "labels: expected rows of 2 zeros and ones, found 3 labels of each image"),
        (BOXES, "labels: expected 2 numbers, found 3 labels of each image"),
    ],
)
def test_labels_of_another_kind_are_labels_that_differ(tmp_path, labels, words):
    store, model, pixels = labels_store(tmp_path)
    result = verify_store(store, model, pixels, labels)
    assert not result.agrees
    assert words in result.words


def test_labels_that_were_not_captured_differ_from_none(tmp_path):
    store, model, pixels = labels_store(tmp_path, None, target="labels")
    result = verify_store(store, model, pixels, None)
    assert result.agrees, result.words
    assert "pixels, output " in result.words
    assert result.measured == {}
    words = verify_store(store, model, pixels, HAS).words
    assert "labels: expected rows of 3 zeros and ones, found none" in words


@pytest.mark.parametrize("labels", [HAS[:, :2], BOXES, CLASSES])
def test_labels_that_do_not_fit_are_said_not_to_be_compared(tmp_path, caplog, labels):
    store, model, pixels = labels_store(tmp_path, labels, target="labels")
    assert "are not compared with the answers, which are several labels (3 for" in caplog.text
    assert verify_store(store, model, pixels, labels).agrees


def test_one_hot_rows_may_be_several_labels(tmp_path):
    rows = np.eye(3, dtype=np.float32)[CLASSES]
    store, model, pixels = labels_store(tmp_path, rows, target="labels")
    assert verify_store(store, model, pixels, rows).agrees
    words = verify_store(store, model, pixels, rows[::-1]).words
    assert "differs: labels, sample 0, label 0: expected False, found True" in words


@pytest.mark.parametrize("form", ["text", "categories", "one-hot columns"])
def test_names_and_one_hot_rows_are_the_classes_of_the_store(tmp_path, form):
    texts = np.array(["emu", "cat", "dog"])[CLASSES]
    labels = {
        "text": texts,
        "categories": pd.Categorical(texts, ["dog", "emu", "cat"]),
        "one-hot columns": pd.get_dummies(pd.Series(texts)),
    }[form]
    other = labels.iloc[::-1] if form == "one-hot columns" else labels[::-1]
    pixels = IMAGES[..., np.newaxis] / np.float32(255)
    model = network(layers.Dense(3, activation="softmax"))
    names = {} if form == "one-hot columns" else {"class_names": ["emu", "dog", "cat"]}
    store = capture_activations(model, pixels, labels, tmp_path / "s.h5", **names)
    result = verify_store(store, model, pixels, labels)
    assert result.agrees, result.words
    assert "differs: labels, sample 0: " in verify_store(store, model, pixels, other).words


def test_names_of_labels_are_compared_where_they_are_given(tmp_path, capsys):
    network(layers.Dense(3, activation="sigmoid"), "binary_crossentropy").save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=HAS)
    (tmp_path / "names.txt").write_text("cat\ndog\nred\n")
    (tmp_path / "other.txt").write_text("dog\ncat\nred\n")
    store, data = tmp_path / "s.h5", ("--data", tmp_path / "d.npz")
    names, other = (("--class-names", tmp_path / f"{name}.txt") for name in ("names", "other"))
    assert run("capture", tmp_path / "m.keras", *data, "--out", store, *names) == 0
    verify = ("verify", store, "--model", tmp_path / "m.keras", *data)
    assert run(*verify) == run(*verify, *names) == 0
    capsys.readouterr()
    assert run(*verify, *other) == 1
    line = capsys.readouterr().out
    assert (
        "labels, names of labels: expected 'dog', 'cat', 'red', found 'cat', 'dog', 'red'" in line
    )


def test_a_recorded_measure_that_does_not_follow_from_the_answers_is_found(tmp_path, monkeypatch):
    finish = StoreWriter._finish

    def wrong(self):
        self._n_exact += 1
        self._n_correct += 1
        self._errors[-1:] += 1e-3 * N
        finish(self)

    monkeypatch.setattr(StoreWriter, "_finish", wrong)
    pixels = IMAGES[..., np.newaxis] / np.float32(255)
    for head, labels, words in (
        (layers.Dense(3, activation="softmax"), CLASSES, "recorded accuracy"),
        (layers.Dense(3, activation="sigmoid"), HAS, "recorded exact match"),
        (layers.Dense(2), BOXES[:, ::-1], "recorded mean absolute error of '1'"),
    ):
        model, store = network(head), tmp_path / "s.h5"
        kind = "number" if labels.dtype == np.float32 else "auto"
        kind = "labels" if labels is HAS else kind
        capture_activations(model, pixels, labels, store, target=kind, overwrite=True)
        assert (
            f"differs: quality, {words}: expected "
            in verify_store(store, model, pixels, labels).words
        )


@pytest.mark.parametrize(("labels", "words"), [(HAS, "share of right labels"), (BOXES, "mean abs")])
def test_an_accuracy_is_not_expected_of_labels_and_numbers(tmp_path, capsys, labels, words):
    n = labels.shape[1]
    head = layers.Dense(n, activation="sigmoid" if labels is HAS else None)
    network(head, "binary_crossentropy" if labels is HAS else "mse").save(tmp_path / "m.keras")
    np.savez(tmp_path / "d.npz", x_test=IMAGES, y_test=labels)
    command = ("capture", tmp_path / "m.keras", "--data", tmp_path / "d.npz", "--out")
    assert run(*command, tmp_path / "s.h5", "--expect-accuracy", "0.5") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "s.h5").exists()


def test_the_commands_say_what_was_stored_of_labels_and_numbers(tmp_path, capsys):
    np.savez(tmp_path / "hot.npz", x_test=IMAGES, y_test=HAS)
    np.savez(tmp_path / "box.npz", x_test=IMAGES, y_test=BOXES)
    np.savez(tmp_path / "one.npz", x_test=IMAGES, y_test=BOXES[:, 0])
    heads = {
        "hot": (layers.Dense(3, activation="sigmoid"), "binary_crossentropy"),
        "box": (layers.Dense(2), "mse"),
        "one": (layers.Dense(1), "mse"),
    }
    for name, (head, loss) in heads.items():
        model, store = tmp_path / f"{name}.keras", tmp_path / f"{name}.h5"
        network(head, loss).save(model)
        command = ("capture", model, "--data", tmp_path / f"{name}.npz", "--out", store)
        assert run(*command, "--dry-run") == 0
        planned = "predicted numbers" if name != "hot" else "probabilities"
        assert f"images, labels, {planned}: " in capsys.readouterr().out
        assert run(*command) == 0
        with open_store(store) as opened:
            quality = [f"{value:.4g}" for value in opened.target_quality()]
            exact = opened.about()["model"].get("exact_match")
            right = f"{opened.target_quality().mean():.4f}"
        expected = {
            "hot": f"labels right {right}, all labels of a sample {exact or 0:.4f}",
            "box": f"mean absolute error 0: {quality[0]}, 1: {quality[-1]}",
            "one": f"mean absolute error {quality[0]}",
        }[name]
        assert f"{expected}, " in capsys.readouterr().out
        assert run("info", store) == 0
        assert f"net, {expected}\n" in capsys.readouterr().out
        assert run("info", store, "--json") == 0
        assert json.loads(capsys.readouterr().out)["targets"] == [
            str(n) for n in range(len(quality))
        ]
        assert run("health", store) == 0
