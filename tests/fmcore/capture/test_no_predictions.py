"""A store of a model that predicts no class is whole, and no reader makes numbers up."""

from __future__ import annotations

import dataclasses
import json
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers.factories import CLASS_NAMES, NumpyEncoder, encoded_plan, make_encoded_store, reference
from numpy.testing import assert_array_equal

from fmcore import export_store, open_store
from fmcore.capture import capture, with_labels
from fmcore.cli import main
from fmcore.dataset import AS_GIVEN, LabelledImages
from fmcore.errors import DatasetError, PredictionsNotStoredError, SelectionError, StoreError
from fmcore.export import FORMATS
from fmcore.storage import problems
from fmcore.storage.file.nodes import DIGEST, attributes_digest, fixed_text

WORDS = NumpyEncoder.info.output


@pytest.fixture(scope="module", params=["labels", "no labels"])
def path(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoded")
    return make_encoded_store(folder / "encoded.h5", labelled=request.param == "labels")


@pytest.fixture
def encoded(path):
    with open_store(path) as opened:
        yield opened


def test_it_is_whole_and_says_what_it_lacks(path, encoded):
    assert list(problems(path)) == []
    assert not encoded.has_predictions
    assert not encoded.has_outcomes
    assert encoded.about()["model"]["output"] == WORDS
    assert "test_accuracy" not in encoded.about()["model"]
    for name, values in zip(encoded.layers, reference().activations, strict=True):
        assert_array_equal(encoded.layers[name].activation[:], values)
    for read in ("predictions", "probabilities"):
        with pytest.raises(PredictionsNotStoredError, match="holds no predictions: no class"):
            getattr(encoded, read)
    with pytest.raises(PredictionsNotStoredError):
        encoded.probability(0)
    if encoded.has_labels:
        assert encoded.class_names == CLASS_NAMES
        assert encoded.accuracy_words == "no predictions"
    else:
        assert encoded.class_names == ("all",)
        assert encoded.labels_are == "none"
        assert not encoded.labels.any()
        assert encoded.accuracy_words == "no predictions and no labels"


def test_the_commands_say_so(path, encoded, tmp_path, capsys):
    assert main(["info", str(path)]) == 0
    message = capsys.readouterr().out
    assert encoded.accuracy_words in message
    assert WORDS in message
    assert main(["info", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"] is False
    for outcome in ("correct", "wrong"):
        command = ["export", str(path), "--out", str(tmp_path / "a"), "--sample", outcome]
        assert main(command) == 1
        message = capsys.readouterr().err
        assert f"cannot choose samples of encoded.h5: {encoded.accuracy_words}" in message
    assert main(["health", str(path)]) == 0
    assert main(["stats", str(path), "--statistic", "auc"]) == 0


def test_tables_leave_out_what_nobody_knows(encoded):
    labels = {"label", "label_name"} if encoded.has_labels else set()
    assert set(encoded.samples.columns) == {"id"} | labels
    tree = encoded.to_xarray()
    assert "prediction" not in tree
    assert "probability" not in tree
    assert ("label" in tree) == encoded.has_labels
    assert ("label" in tree["conv2"].coords) == encoded.has_labels


@pytest.mark.parametrize("what", ["maps", "pooled", "statistics"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_leaves_out_what_nobody_knows(encoded, tmp_path, name, what):
    if what not in FORMATS[name].takes:
        pytest.skip("the format does not hold it")
    manifest = export_store(encoded, tmp_path, format_name=name, what=what, layer="conv2")
    assert manifest["labels"] == encoded.labels_are
    names = [*manifest["files"], *manifest["arrays"]]
    assert not [name for name in names if "prediction" in name or "probability" in name]
    if FORMATS[name].holds_tables and what != "statistics":
        for file in manifest["files"]:
            content = (
                tmp_path / file
            ).read_bytes()  # every format has the names of its columns as they are
            assert b"prediction" not in content
            if "maps" not in file:
                assert (b"label" in content) == encoded.has_labels
    elif what != "statistics":
        assert any("label" in name for name in names) == encoded.has_labels


def test_statistics_can_be_computed_again(encoded, path, tmp_path):
    copy = shutil.copy(path, tmp_path / "copy.h5")
    out = tmp_path / "stats.csv"
    assert main(["stats", str(copy), "--recompute", "--out", str(out)]) == 0
    assert len(pd.read_csv(out))


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [True, False])
def test_a_capture_is_taken_up_at_its_last_checkpoint(labelled, tmp_path):
    samples, plan = encoded_plan(4_200, labelled=labelled, batch_size=64)
    plan = dataclasses.replace(plan, checkpoint_rows=640)

    class Dying(NumpyEncoder):
        left = 30

        def __call__(self, images, others=None):
            self.left -= 1
            if self.left < 0:
                raise RuntimeError("the model failed")
            return super().__call__(images, others)

    out = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        capture(Dying(), samples, out, plan)
    capture(NumpyEncoder(), samples, out, plan)
    assert list(problems(out)) == []
    with open_store(out) as store:
        assert not store.has_predictions
        assert store.has_labels == labelled
        assert_array_equal(store.labels, samples.labels)
        assert_array_equal(
            store.layers["conv2"].activation[:37], reference(4_200).activations[1][:37]
        )


def test_classes_are_those_that_the_labels_name():
    def of(labels, names, *, all_named=False):
        images = np.zeros((3, 9, 8, 1), np.uint8)
        given_labels = None if labels is None else np.array(labels)
        samples = LabelledImages(images, given_labels)
        options = {"all_named": all_named, "preprocessing": AS_GIVEN, "where": "here"}
        return with_labels(NumpyEncoder(), samples, names, **options)

    assert of([0, 4, 1], ())[1] == ("0", "1", "2", "3", "4")
    assert of([0, 4, 1], ("cat", "dog"))[1] == ("cat", "dog", "2", "3", "4")
    assert of([0, 0, 1], ("cat", "dog", "bird"))[1] == ("cat", "dog", "bird")
    with pytest.raises(DatasetError, match="label 4 of sample 1 is outside the 2 classes"):
        of([0, 4, 1], ("cat", "dog"), all_named=True)
    with pytest.raises(DatasetError, match="2 class names, such as 'cat', but the images have no"):
        of(None, ("cat", "dog"))


def test_the_outcome_of_predicted_labels_chooses_nothing(tmp_path):
    path = make_encoded_store(tmp_path / "s.h5")
    with open_store(path) as store:
        store.has_predictions, store.labels_are = True, "predicted"
        with pytest.raises(SelectionError, match="classes are what the model predicts"):
            export_store(store, tmp_path / "out", sample="wrong")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: add(file, "prediction"), "/samples/probability is missing"),
        (
            lambda file: file["model"].attrs.create("test_accuracy", 0.5),
            "has the attribute test_accuracy, but",
        ),
        (
            lambda file: file["dataset"].attrs.create("labels", fixed_text("predicted")),
            "the attribute labels is 'predicted', but",
        ),
    ],
)
def test_predictions_are_there_whole_or_not_at_all(edit, message, tmp_path):
    path = make_encoded_store(tmp_path / "s.h5", 7)
    with h5py.File(path, "r+") as file:
        edit(file)
        file.attrs[DIGEST] = fixed_text(attributes_digest(file))
    assert any(message in problem for problem in problems(path))
    with pytest.raises(StoreError, match=message):
        open_store(path)


def add(file: h5py.File, name: str) -> None:
    file.copy("samples/label", f"samples/{name}")


def test_labels_that_nobody_knows_are_zero(tmp_path):
    path = make_encoded_store(tmp_path / "s.h5", 7)
    with h5py.File(path, "r+") as file:
        file["dataset"].attrs.create("labels", fixed_text("none"))
        file.attrs[DIGEST] = fixed_text(attributes_digest(file))
    assert any("/samples/label is not 0" in problem for problem in problems(path))
