"""`fmcore verify` on real models and stores, whole and with a fault planted in each part."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from fmcore import capture_activations, open_store, verify_store
from fmcore.cli import main
from fmcore.errors import DatasetError, InputFileError, ModelError, SelectionError
from fmcore.model.probe import KerasProbe
from fmcore.model.tutorial import tutorial_network
from fmcore.records import Captured

pytestmark = pytest.mark.keras
N = 60
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (N, 12, 12), dtype=np.uint8)
LABELS = np.arange(N) % 4


def save_data(path, images=IMAGES, labels=LABELS):
    np.savez(path, x_test=images, **({} if labels is None else {"y_test": labels}))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, its data and its store."""
    folder = tmp_path_factory.mktemp("verify")
    keras.utils.set_random_seed(0)
    tutorial_network((12, 12, 1), n_classes=4).save(folder / "m.keras")
    save_data(folder / "d.npz")
    capture(folder / "m.keras", folder / "d.npz", folder / "s.h5")
    return folder


def capture(model, data, store, *options):
    arguments = ["capture", model, "--data", data, "--out", store, *options]
    assert main([str(argument) for argument in arguments]) == 0
    return store


@pytest.fixture
def verify(folder, capsys):
    """Runs the command, and gives its exit code and the only line that it prints."""

    def run(*options, store=None, model=None, data=None):
        arguments = ["verify", store or folder / "s.h5", "--model", model or folder / "m.keras"]
        arguments += ["--data", data or folder / "d.npz", *options]
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        (line,) = capsys.readouterr().out.splitlines()
        return code, line

    return run


def test_a_store_is_what_keras_predicts(verify, folder):
    code, line = verify("--samples", 25, "--seed", 3)
    assert code == 0
    assert line.startswith(
        f"{folder / 's.h5'} is what Keras computes for 25 of 60 samples (seed 3)"
    )
    assert "pixels, labels, output 'dense' as class, accuracy 0." in line
    assert "maps of conv1, conv2 (" in line
    assert verify()[1].count("60 of 60 samples (seed 0)") == 1


def test_the_accuracy_is_that_of_keras_evaluate(verify, folder):
    model = keras.models.load_model(folder / "m.keras")
    pixels = IMAGES[..., np.newaxis].astype(np.float32) / 255
    accuracy = model.evaluate(pixels, LABELS, verbose=0, return_dict=True)["accuracy"]
    assert f"accuracy {accuracy:.4f}," in verify()[1]


def test_one_pixel_is_found_in_samples_that_were_not_chosen(verify, tmp_path):
    images = IMAGES.copy()
    images[41, 7, 5] ^= 1
    code, line = verify("--samples", 1, data=save_data(tmp_path / "d.npz", images))
    assert code == 1
    values = f"expected {images[41, 7, 5]}, found {IMAGES[41, 7, 5]}"
    assert f"differs: pixels, sample 41, y 7, x 5, channel 0: {values}; name the data" in line


def test_scaled_pixels_are_pixels_that_differ(verify, tmp_path):
    code, line = verify(data=save_data(tmp_path / "d.npz", IMAGES // 2))
    assert code == 1
    assert f"pixels, sample 0, y 0, x 0, channel 0: expected {IMAGES[0, 0, 0] // 2}, found" in line
    code, line = verify(data=save_data(tmp_path / "f.npz", IMAGES / np.float32(255)))
    assert code == 1
    assert "pixels, type of the pixels: expected float32, found uint8" in line


def test_permuted_samples_are_samples_in_another_order(verify, tmp_path):
    order = np.arange(N)
    order[[10, 20]] = 20, 10
    data = save_data(tmp_path / "d.npz", IMAGES[order], LABELS[order])
    code, line = verify("--samples", 1, data=data)
    assert code == 1
    difference = "order of samples, sample 10: expected image 10 of the data, found its image 20"
    assert f"differs: {difference};" in line


def test_a_changed_pixel_comes_before_the_order(verify, tmp_path):
    images = IMAGES[::-1].copy()
    images[33, 2, 1] ^= 1
    code, line = verify(data=save_data(tmp_path / "d.npz", images, LABELS[::-1]))
    assert code == 1
    assert "differs: pixels, sample 33, " in line


def test_a_label_is_compared_in_samples_that_were_not_chosen(verify, tmp_path):
    labels = LABELS.copy()
    labels[50] = 0
    code, line = verify("--samples", 1, data=save_data(tmp_path / "d.npz", labels=labels))
    assert code == 1
    assert "differs: labels, sample 50: expected 0, found 2;" in line
    code, line = verify(data=save_data(tmp_path / "none.npz", labels=None))
    assert code == 1
    assert "labels: expected none, found labels are given" in line


def test_fewer_samples_are_counted(verify, tmp_path):
    code, line = verify(data=save_data(tmp_path / "d.npz", IMAGES[:59], LABELS[:59]))
    assert code == 1
    assert "differs: pixels, number of images: expected 59, found 60;" in line


def test_another_model_is_known_by_its_digest_and_by_what_it_computes(verify, folder, tmp_path):
    model = keras.models.load_model(folder / "m.keras")
    model.optimizer = None
    model.save(tmp_path / "renamed.keras")
    kernel = model.get_layer("conv2").kernel
    kernel.assign(np.asarray(kernel) * np.float32(1.01))
    model.save(tmp_path / "other.keras")
    code, line = verify(model=tmp_path / "other.keras")
    assert code == 1
    assert "differs: model, digest: expected " in line
    assert "; then output, probability, sample 0, class 0: expected " in line
    other = tutorial_network((12, 12, 1), n_classes=7)
    other.save(tmp_path / "seven.keras")
    code, line = verify(model=tmp_path / "seven.keras")
    assert code == 1
    assert "; then output, size of the axis class: expected 7, found 4; name the model" in line


def test_a_store_that_was_captured_again_with_a_changed_weight_differs(verify, folder, tmp_path):
    model = keras.models.load_model(folder / "m.keras")
    bias = np.zeros(16, np.float32)
    bias[11] = 1e-3
    model.get_layer("conv1").bias.assign(bias)
    model.save(tmp_path / "changed.keras")
    store = capture(tmp_path / "changed.keras", folder / "d.npz", tmp_path / "s.h5")
    code, line = verify(store=store)
    assert code == 1
    assert "differs: model, digest" in line
    result = verify_store(store, folder / "m.keras", IMAGES, LABELS)
    by_subject = {difference.subject.value: difference for difference in result.differences}
    assert list(by_subject) == ["model", "output", "maps"]
    assert by_subject["maps"].place.startswith("layer conv1, sample 0, y ")
    assert by_subject["maps"].place.endswith("filter 11")


def changing(monkeypatch, change):
    """Lets every capture change what the model puts out, as a fault in it would."""
    call = KerasProbe.__call__

    def changed(self, images, others=None):
        captured = call(self, images, others)
        maps = [np.array(values) for values in captured.activations]
        probability = captured.probability.copy()
        if len(images) == N:  # not the trial on the first samples
            change(maps, probability)
        return Captured(tuple(maps), probability)

    monkeypatch.setattr(KerasProbe, "__call__", changed)


def wrong_map(maps, probability):
    maps[1][42, 2, 1, 30] += 2e-5 * maps[1].max()


def wrong_maximum(maps, probability):
    maps[1][42, 2, 1, 30] += maps[1].max()


def wrong_probability(maps, probability):
    probability[7, 2] += 2e-5


def wrong_answer(maps, probability):
    probability[7] = probability[7, ::-1]


@pytest.mark.parametrize(
    ("change", "policy", "place"),
    [
        (wrong_map, "float32", "maps, layer conv2, sample 42, y 2, x 1, filter 30: expected "),
        (wrong_maximum, "float16", "maps, layer conv2, sample 42, y 2, x 1, filter 30: expected "),
        (wrong_maximum, "pooled", "maps, pooled mean of layer conv2, sample 42, filter 30: "),
        (wrong_probability, "float32", "output, probability, sample 7, class 2: expected "),
        (wrong_answer, "float32", "output, probability, sample 7, class 0: expected "),
    ],
)
def test_one_wrong_value_of_a_capture_is_found_where_it_is(
    change, policy, place, verify, folder, tmp_path, monkeypatch
):
    changing(monkeypatch, change)
    options = ("--policy", f"conv2={policy}")
    store = capture(folder / "m.keras", folder / "d.npz", tmp_path / "s.h5", *options)
    code, line = verify(store=store)
    assert code == 1
    assert f"differs: {place}" in line


def test_a_model_that_cannot_be_compared_at_all_is_another_model(verify, tmp_path):
    x = keras.Input((12, 12, 1))
    maps = keras.layers.Conv2D(2, 3, name="elsewhere")(x)
    out = keras.layers.Dense(4)(keras.layers.Flatten()(maps))
    keras.Model(x, out, name="stranger").save(tmp_path / "m.keras")
    code, line = verify(model=tmp_path / "m.keras")
    assert code == 1
    assert "differs: model, digest: expected " in line
    assert "(stranger, " in line


OWN_CODE = """
import keras

FACTOR = {factor}


@keras.saving.register_keras_serializable("own")
class Scaled(keras.layers.Layer):
    def call(self, x):
        return x * FACTOR
"""


def test_code_that_changed_after_the_capture_shows_in_the_maps(verify, tmp_path, monkeypatch):
    """The file is the same, and so is its digest: only Keras' own answer tells."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_scaling.py").write_text(OWN_CODE.format(factor=1.0))
    import own_scaling

    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 1))
    maps = keras.layers.Conv2D(3, 3, name="after")(own_scaling.Scaled(name="scaled")(x))
    out = keras.layers.GlobalMaxPooling2D()(maps)
    model, data = tmp_path / "own.keras", save_data(tmp_path / "d.npz", labels=LABELS % 3)
    keras.Model(x, out).save(model)
    monkeypatch.setitem(keras.saving.get_custom_objects(), "own>Scaled", own_scaling.Scaled)
    custom = ("--custom", "own_scaling:Scaled")
    store = capture(model, data, tmp_path / "s.h5", *custom, "--target", "class")
    assert verify(*custom, store=store, model=model, data=data)[0] == 0
    monkeypatch.setattr(sys.modules["own_scaling"], "FACTOR", 1.001)
    code, line = verify(*custom, store=store, model=model, data=data)
    assert code == 1
    assert "differs: output, probability, sample 0" in line
    # Without an output to compare, the maps are the first to differ.
    no_output = capture(model, data, tmp_path / "t.h5", *custom, "--no-predictions")
    monkeypatch.setattr(sys.modules["own_scaling"], "FACTOR", 1.0)
    code, line = verify(*custom, store=no_output, model=model, data=data)
    assert code == 1
    assert "differs: maps, layer after, sample 0, y 0, x 0, filter " in line


def test_code_in_the_file_runs_only_where_it_is_trusted(folder, tmp_path, capsys):
    x = keras.Input((12, 12, 1))
    maps = keras.layers.Conv2D(3, 3, name="one")(keras.layers.Lambda(lambda x: x * 2)(x))
    model = tmp_path / "lambda.keras"
    keras.Model(x, keras.layers.GlobalMaxPooling2D()(maps)).save(model)
    data = save_data(tmp_path / "d.npz", labels=LABELS % 3)
    store = capture(model, data, tmp_path / "s.h5", "--trust", "--target", "class")
    command = [str(part) for part in ("verify", store, "--model", model, "--data", data)]
    assert main(command) == 1
    assert "give --trust for a file that you made yourself" in capsys.readouterr().err
    assert main([*command, "--trust"]) == 0


def test_other_policies_and_preprocessings_are_verified_as_recorded(verify, folder, tmp_path):
    options = ("--policy", "conv1=float16,conv2=pooled", "--scale", 127.5, "--mean", "0.123456789")
    store = capture(folder / "m.keras", folder / "d.npz", tmp_path / "s.h5", *options)
    code, line = verify(store=store)
    assert code == 0
    assert "maps of conv1 (at most " in line
    assert line.endswith(", pooled tables of conv2")


@pytest.mark.parametrize("predictions", [True, False])
def test_what_a_store_does_not_hold_is_not_claimed(verify, folder, tmp_path, predictions):
    data = save_data(tmp_path / "d.npz", labels=None)
    options = () if predictions else ("--no-predictions",)
    store = capture(folder / "m.keras", data, tmp_path / "s.h5", *options)
    code, line = verify(store=store, data=data)
    assert code == 0
    output = "output 'dense' as class, " if predictions else ""
    assert f"pixels, {output}maps" in line
    code, line = verify(store=store)
    assert code == 1
    assert "labels: expected a label for each image, found no " in line


def test_folders_of_images_are_verified_with_labels_by_name(verify, folder, tmp_path):
    from PIL import Image

    for index in range(12):
        name = tmp_path / "images" / "ab"[index % 2] / f"{index}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[index]).save(name)
    (tmp_path / "names.txt").write_text("c\nb\nd\na\n")
    names = ("--class-names", tmp_path / "names.txt")
    store = capture(folder / "m.keras", tmp_path / "images", tmp_path / "s.h5", *names)
    assert verify(store=store, data=tmp_path / "images")[0] == 0
    assert verify(*names, store=store, data=tmp_path / "images")[0] == 0
    (tmp_path / "images/a").rename(tmp_path / "images/x")
    code, line = verify(store=store, data=tmp_path / "images")
    assert code == 1
    assert "labels, class names: expected the class 'x', found 'c', 'b', 'd', 'a'" in line


def test_other_inputs_that_differ_show_in_the_fingerprint(tmp_path):
    x, extra = keras.Input((8, 8, 1), name="image"), keras.Input((2,), name="extra")
    maps = keras.layers.Conv2D(3, 3, name="one")(x)
    flat = keras.layers.Concatenate()([keras.layers.GlobalMaxPooling2D()(maps), extra])
    model = keras.Model([x, extra], keras.layers.Dense(3)(flat))
    images = {"image": RNG.random((9, 8, 8, 1)), "extra": RNG.random((9, 2))}
    labels = np.arange(9) % 3
    store = capture_activations(model, images, labels, tmp_path / "s.h5", target="class")
    assert verify_store(store, model, images, labels).agrees
    images["extra"] = images["extra"] + 1
    (difference,) = verify_store(store, model, images, labels).differences
    assert difference.subject == "data set"
    assert difference.place == "fingerprint of images, labels, extra"


def test_the_callers_model_stays_as_it_was(tmp_path):
    model = tutorial_network((12, 12, 1), n_classes=4)
    pixels = IMAGES[..., np.newaxis].astype(np.float32) / 255
    store = capture_activations(model, pixels, LABELS, tmp_path / "s.h5")
    optimizer, weights = model.optimizer, model.get_weights()
    assert verify_store(store, model, pixels, LABELS, samples=7, seed=1).agrees
    assert model.optimizer is optimizer
    assert model.loss == "sparse_categorical_crossentropy"
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_layers_inside_a_nested_model_stay_as_they_were(tmp_path):
    """A layer that was called a second time no longer knows its output."""
    inner = keras.Sequential(
        [keras.Input((12, 12, 1)), keras.layers.Conv2D(3, 3, name="one")], name="inner"
    )
    x = keras.Input((12, 12, 1))
    model = keras.Model(x, keras.layers.GlobalMaxPooling2D()(inner(x)))
    pixels, labels = IMAGES[..., np.newaxis] / np.float32(255), LABELS % 3
    store = capture_activations(model, pixels, labels, tmp_path / "s.h5", target="class")
    output = inner.get_layer("one").output
    assert verify_store(store, model, pixels, labels).agrees
    assert inner.get_layer("one").output is output


def test_blocks_of_samples_give_what_all_at_once_give(folder, monkeypatch):
    store, model = folder / "s.h5", keras.models.load_model(folder / "m.keras")
    whole = verify_store(store, model, IMAGES, LABELS)
    monkeypatch.setattr("fmcore.verification.run.BLOCK_BYTES", 100_000)
    steps = []
    blocks = verify_store(store, model, IMAGES, LABELS, on_progress=steps.append)
    assert len(steps) > 3
    assert sum(steps) == N
    assert (blocks.agrees, blocks.measured) == (True, whole.measured)


def test_what_cannot_be_compared_is_refused_in_one_line(folder, tmp_path):
    store, model = folder / "s.h5", folder / "m.keras"
    for options, error, message in (
        ({"samples": 0}, SelectionError, "samples=0; expected a whole number from 1"),
        ({"seed": 0.5}, SelectionError, "seed=0.5; expected a whole number from 0"),
    ):
        with pytest.raises(error, match=message):
            verify_store(store, model, IMAGES, LABELS, **options)
    with pytest.raises(DatasetError, match="images are 11x12x1, the model takes 12x12x1"):
        verify_store(store, model, IMAGES[:, 1:], LABELS)
    with pytest.raises(InputFileError):
        verify_store(tmp_path / "none.h5", model, IMAGES, LABELS)
    (tmp_path / "m.keras").write_text("no model")
    with pytest.raises(ModelError):
        verify_store(store, tmp_path / "m.keras", IMAGES, LABELS)


def accuracy_of(store):
    with open_store(store) as opened:
        return opened.about()["model"]["test_accuracy"]


def test_an_accuracy_is_expected_to_its_last_digit(folder, tmp_path, capsys):
    accuracy = accuracy_of(folder / "s.h5")
    command = ["capture", folder / "m.keras", "--data", folder / "d.npz", "--out"]
    command = [str(word) for word in command]
    store = str(tmp_path / "s.h5")
    near, far = f"{accuracy:.2f}", f"{accuracy + 0.011:.2f}"
    assert abs(float(near) - accuracy) <= 0.005 < abs(float(far) - accuracy)
    assert main([*command, store, "--expect-accuracy", near]) == 0
    capsys.readouterr()
    assert main([*command, store, "--force", "--expect-accuracy", far]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the test accuracy is {accuracy:.6g}, expected {far} ± 0.005" in line
    assert f"{store} is kept" in line
    assert accuracy_of(store) == accuracy
    assert main([*command, store, "--force", "--expect-accuracy", f"{accuracy + 0.0002:.4f}"]) == 1
    for text in ("1", "91%", "1.5", "-0.1", "nan"):
        with pytest.raises(SystemExit, match="2"):
            main([*command, store, "--force", f"--expect-accuracy={text}"])


def test_half_of_the_last_digit_is_near_enough(folder, tmp_path):
    with open_store(folder / "s.h5") as store:
        labels = store.predictions[:40]
    labels[23:] = (labels[23:] + 1) % 4
    data = save_data(tmp_path / "d.npz", IMAGES[:40], labels)
    for text in ("0.57", "0.58"):
        store = capture(
            folder / "m.keras", data, tmp_path / f"{text}.h5", "--expect-accuracy", text
        )
        assert accuracy_of(store) == 0.575


def test_an_accuracy_that_nobody_can_know_is_refused(folder, tmp_path, capsys):
    data = save_data(tmp_path / "d.npz", labels=None)
    store = tmp_path / "s.h5"
    command = ["capture", folder / "m.keras", "--out", store, "--expect-accuracy", "0.5"]
    command = [str(word) for word in command]
    assert main([*command, "--data", str(data)]) == 1
    assert "needs labels, and the images have none" in capsys.readouterr().err
    assert not store.exists()
    assert main([*command, "--data", str(folder / "d.npz"), "--no-predictions"]) == 1
    assert "and the target is none; leave it out" in capsys.readouterr().err
    assert not store.exists()
