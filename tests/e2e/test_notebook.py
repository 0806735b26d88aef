"""docs/linear_probe.ipynb, run on an export of a real capture, held against the store itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import DEAD_FILTER, run_fmcore
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from threadpoolctl import threadpool_limits

from fmcore import open_store

NOTEBOOK = Path(__file__).parents[2] / "docs" / "linear_probe.ipynb"
LAYERS = {"conv1": 16, "conv2": 32}
KEPT = (
    *("label", "train", "held_out", "choose", "check", "accuracy", "majority", "model_accuracy"),
    *("mean", "std", "least", "most", "near_zero", "before", "after", "at_random", "after_most"),
)
# Runs the code cells in one namespace, as a kernel does, until all names to be kept are bound.
RUN = """
import json, sys
import numpy as np
names = {}
for cell in json.load(sys.stdin)["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)
    if names.keys() >= set(sys.argv[2:]):
        break
np.savez(sys.argv[1], **{name: names[name] for name in sys.argv[2:]})
"""


def notebook() -> dict:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


def code_cells() -> dict[str, str]:
    cells = notebook()["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"}


def run(
    into: Path, *, cwd: Path, export: Path | None, keep: Sequence[str] = KEPT
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    environment.pop("FMCORE_EXPORT", None)
    if export is not None:
        environment["FMCORE_EXPORT"] = str(export)
    return subprocess.run(
        # A warning, such as that a fit did not converge, is an error.
        [sys.executable, "-W", "error::UserWarning", "-c", RUN, into, *keep],
        input=NOTEBOOK.read_text(encoding="utf-8"),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def export(digits_store) -> Path:
    folder = digits_store.with_name("export")
    run_fmcore("export", digits_store, "--out", folder, "--what", "pooled", "--format", "npy")
    return folder


@pytest.fixture(scope="module")
def found(export, tmp_path_factory) -> dict:
    """What the notebook found, by the names of its variables."""
    folder = tmp_path_factory.mktemp("found")
    done = run(folder / "found.npz", cwd=folder, export=export)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz", allow_pickle=True) as kept:
        return {name: kept[name] if kept[name].ndim else kept[name].item() for name in kept}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def standardised(store, layer: str, rows: np.ndarray, *, without=()) -> np.ndarray:
    """Mean and max of each filter straight from the store, in units of the rows' own spread."""
    tables = [store.layers[layer].pooled(name)[...].astype(np.float64) for name in ("mean", "max")]
    columns = np.concatenate([np.delete(table, without, axis=1) for table in tables], axis=1)
    spread = columns[rows].std(axis=0)
    return (columns - columns[rows].mean(axis=0)) / np.where(spread == 0, 1, spread)


def refit(columns: np.ndarray, targets: np.ndarray, rows: np.ndarray) -> LogisticRegression:
    """The same penalty by another solver: the optimum is one, so the scores must agree."""
    return LogisticRegression(solver="newton-cg", tol=1e-6, max_iter=500).fit(
        columns[rows], targets[rows]
    )


def test_the_notebook_is_stored_without_outputs_and_with_the_id_of_each_cell():
    stored = notebook()
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in stored["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in stored["cells"]:
        assert cell["cell_type"] in ("code", "markdown")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.parametrize("cell", code_cells())
def test_each_code_cell_compiles_and_is_short(cell):
    source = code_cells()[cell]
    compile(source, cell, "exec")
    assert source.count("\n") < 25


@pytest.mark.keras
def test_train_and_held_out_are_halves_with_the_same_share_of_each_class(found, digits_store):
    with open_store(digits_store) as store:
        assert_array_equal(found["label"], store.labels)
        assert store.n_samples == 3000
    halves = np.concatenate([found["train"], found["held_out"]])
    assert_array_equal(np.sort(halves), np.arange(3000))
    parts = np.concatenate([found["choose"], found["check"]])
    assert_array_equal(np.sort(parts), np.sort(found["held_out"]))
    for one, other in (("train", "held_out"), ("choose", "check")):
        counts = [np.bincount(found["label"][found[part]]) for part in (one, other)]
        assert np.abs(counts[0] - counts[1]).max() <= 1


@pytest.mark.keras
def test_each_probe_is_far_above_the_largest_class_and_below_the_model(found):
    assert found["accuracy"].keys() == LAYERS.keys()
    assert 0.1 <= found["majority"] < 0.15
    for accuracy in found["accuracy"].values():
        assert accuracy > found["majority"] + 0.3
    assert found["accuracy"]["conv1"] < found["accuracy"]["conv2"] < found["model_accuracy"]


@pytest.mark.keras
@pytest.mark.parametrize("layer", LAYERS)
def test_a_probe_fitted_straight_from_the_store_is_as_accurate(found, digits_store, layer):
    with open_store(digits_store) as store:
        columns = standardised(store, layer, found["train"])
        labels, predictions = store.labels, store.predictions
    held_out = found["held_out"]
    assert columns.shape == (3000, 2 * LAYERS[layer])
    again = refit(columns, labels, found["train"]).predict(columns[held_out])
    # Solvers stop at slightly different places, which may move a sample on the border.
    assert found["accuracy"][layer] == pytest.approx(
        (again == labels[held_out]).mean(), abs=3 / len(held_out)
    )
    assert found["model_accuracy"] == (predictions == labels)[held_out].mean()


@pytest.mark.keras
def test_importance_equals_shuffling_a_filters_pooled_values_by_hand(found, digits_store):
    choose, rng = found["choose"], np.random.default_rng(1)
    with open_store(digits_store) as store:
        columns = standardised(store, "conv2", found["train"])
        is_class = store.labels == 8
    probe = refit(columns, is_class, found["train"])
    whole = average_precision_score(is_class[choose], probe.decision_function(columns[choose]))
    for index in range(LAYERS["conv2"]):
        falls = []
        for _ in range(20):
            shuffled = columns[choose].copy()
            both = [index, LAYERS["conv2"] + index]
            shuffled[:, both] = rng.permutation(shuffled[:, both])
            score = average_precision_score(is_class[choose], probe.decision_function(shuffled))
            falls.append(whole - score)
        error = np.hypot(np.std(falls), found["std"][index]) / np.sqrt(20)
        assert abs(np.mean(falls) - found["mean"][index]) <= 5 * error + 1e-4, index


@pytest.mark.keras
def test_dead_filters_have_no_importance_and_are_named_first(found, digits_store):
    with open_store(digits_store) as store:
        dead = np.flatnonzero(store.layers["conv2"].health().findings["dead"])
    assert DEAD_FILTER in dead  # training may have left others
    assert_array_equal(found["mean"][dead], 0)
    assert_array_equal(found["std"][dead], 0)
    assert_array_equal(found["least"][: len(dead)], dead)
    assert np.isin(dead, found["near_zero"]).all()


@pytest.mark.keras
def test_a_quarter_of_the_filters_is_least_and_a_quarter_most_important(found):
    least, others = found["least"], np.setdiff1d(np.arange(32), found["least"])
    assert len(least) == len(set(least)) == len(found["most"]) == 8
    assert np.maximum(found["mean"][least], 0).max() <= found["mean"][others].min()
    assert found["mean"][found["most"]].min() >= np.sort(found["mean"])[-8]


@pytest.mark.keras
@pytest.mark.parametrize(
    ("score", "dropped"), [("before", None), ("after", "least"), ("after_most", "most")]
)
def test_scores_without_filters_equal_a_refit_straight_from_the_store(
    found, digits_store, score, dropped
):
    check = found["check"]
    without = found[dropped] if dropped else []
    with open_store(digits_store) as store:
        columns = standardised(store, "conv2", found["train"], without=without)
        is_class = store.labels == 8
    probe = refit(columns, is_class, found["train"])
    expected = average_precision_score(is_class[check], probe.decision_function(columns[check]))
    assert found[score] == pytest.approx(expected, abs=2e-3)


@pytest.mark.keras
def test_the_least_important_filters_cost_less_than_others(found):
    assert len(found["at_random"]) == 20
    assert found["after_most"] < np.mean(found["at_random"]) < found["after"]
    assert found["after"] > found["before"] - 0.03


@pytest.mark.keras
def test_started_in_docs_it_finds_the_export_and_the_same_numbers(found, export, tmp_path):
    (tmp_path / "docs").mkdir()
    shutil.copytree(export, tmp_path / "data" / "export")
    keep = ("label", "train", "held_out", "accuracy")
    done = run(tmp_path / "found.npz", cwd=tmp_path / "docs", export=None, keep=keep)
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(tmp_path / "found.npz", allow_pickle=True) as again:
        for name in ("label", "train", "held_out"):
            assert_array_equal(again[name], found[name])
        assert again["accuracy"].item() == found["accuracy"]


@pytest.mark.keras
def test_an_export_of_maps_is_refused_with_what_to_do(digits_store, tmp_path):
    run_fmcore("export", digits_store, "--out", tmp_path / "maps", "--sample", "0:10")
    done = run(tmp_path / "found.npz", cwd=tmp_path, export=tmp_path / "maps")
    assert done.returncode != 0
    assert "holds no pooled tables: export with --what pooled --format npy" in done.stderr
