"""Ablations of real stores: what is found, what is refused, and runs that are interrupted."""

from __future__ import annotations

import contextlib
import csv
import io
import re

import keras
import numpy as np
import pytest
from helpers.factories import count
from helpers.sharded import copy_store
from keras import layers as L

from fmcore import FmcoreError, ablate_store, capture_activations, export_store, open_store
from fmcore.ablation import curves, parts, plan, run
from fmcore.cli import main
from fmcore.errors import (
    DatasetError,
    LayerNotFoundError,
    ModelError,
    OutputError,
    SelectionError,
    StatisticNotFoundError,
    StoreError,
)
from fmcore.model.ablation import StoredAnswer, layer_rests
from fmcore.model.inputs import inputs_of
from fmcore.model.reference import Stored
from fmcore.records import Target
from fmcore.statistics import COST_LEVEL, answer_sums, costs
from fmcore.storage import (
    Ablation,
    FileBytes,
    ablation_path,
    ablations,
    open_ablation,
    write_ablation,
)

pytestmark = pytest.mark.keras
N, N_CLASSES = 96, 8
USELESS, CARRIER = 15, 7


def carriers() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Two filters for each class but 7, which has one; what the last puts out is not used."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % N_CLASSES
    images = rng.uniform(0, 0.1, (N, 4, 8, 1)).astype(np.float32)
    images[np.arange(N), :, labels] += 1
    kernel, out = np.zeros((4, 8, 1, 16), np.float32), np.zeros((16, N_CLASSES), np.float32)
    for index in range(15):
        column = index if index < N_CLASSES else index - N_CLASSES
        kernel[:, column, 0, index], out[index, column] = 1, 2
    kernel[..., USELESS] = rng.normal(size=(4, 8, 1))
    image = keras.Input((4, 8, 1))
    x = L.Conv2D(16, (4, 8), activation="relu", name="c1")(image)
    x = L.Conv2D(16, 1, activation="relu", name="c2")(x)
    model = keras.Model(image, L.Dense(N_CLASSES, activation="softmax")(L.Flatten()(x)))
    same = np.eye(16, dtype=np.float32)[None, None]
    model.set_weights([kernel, np.zeros(16), same, np.zeros(16), out, np.zeros(N_CLASSES)])
    return model, images, labels


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """A model, its images and its store."""
    model, images, labels = carriers()
    folder = tmp_path_factory.mktemp("ablate")
    model.save(folder / "m.keras")
    capture_activations(model, images, labels, folder / "s.h5")
    return model, images, labels, folder / "s.h5"


@pytest.fixture
def store_path(captured, tmp_path):
    return copy_store(captured[3], tmp_path / "s.h5")


def test_the_useless_filter_and_the_only_carrier_are_found_first(captured, store_path, capsys):
    model, *_ = captured
    ablate_store(store_path, model)
    with open_store(store_path) as store:
        assert store.ablations == ("zero",)
        for path in ("c1", "c2"):
            layer = store.ablation().layer(path)
            order = layer.costs().order()
            assert (order[0], order[-1]) == (USELESS, CARRIER)
            assert np.flatnonzero(layer.no_effect).tolist() == [*range(7), *range(8, 16)]
            by_class = layer.costs_by_class().accuracy.value
            assert by_class[7, CARRIER] == 1
            assert np.delete(by_class, CARRIER, axis=1).max() == 0
            total = layer.costs()
            assert np.flatnonzero(total.q < COST_LEVEL).tolist() == [CARRIER]
            assert np.flatnonzero(total.loss.value == 0).tolist() == [USELESS]
            changes = layer.changes(CARRIER)
            assert changes["sample"].tolist() == list(range(7, N, 8))
            assert set(changes["old"]) == {7}
            assert 7 not in changes["new"]
            with pytest.raises(SelectionError, match="no filter 16 in layer c1; it has 0 to 15"):
                store.ablation().layer("c1").changes(16)
        with pytest.raises(LayerNotFoundError, match="holds no layer 'c3'"):
            store.ablation().layer("c3")
    assert main(["health", str(store_path), "--fail-on", "no_effect=0.9"]) == 3
    output = capsys.readouterr()
    assert re.search(r"without effect +15 \(93.8%\): 0, 1, 2,", output.out)
    assert "c1: 93.8% of 16 filters are without effect, the limit is 90.0%" in output.err
    assert main(["health", str(store_path), "--fail-on", "no_effect=0.95"]) == 0
    assert main(["validate", str(store_path)]) == 0


def test_nothing_is_said_of_effects_that_nobody_measured(store_path, captured, capsys):
    assert main(["health", str(store_path)]) == 0
    assert "without effect: not known, nobody has measured" in capsys.readouterr().out
    assert main(["health", str(store_path), "--fail-on", "no_effect"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "--fail-on no_effect: nobody has measured" in line
    ablate_store(store_path, captured[0], layers="c1")
    assert main(["health", str(store_path), "--fail-on", "no_effect"]) == 1
    assert "not every layer was ablated" in capsys.readouterr().err


def test_the_command_measures_prints_and_writes(store_path, captured, tmp_path, capsys):
    model = str(captured[3].parent / "m.keras")
    assert main(["ablate", str(store_path), "--model", model, "--dry-run"]) == 0
    assert "32 filters of 2 layers, 96 samples: about 1 s" in capsys.readouterr().err
    with open_store(store_path) as store:
        assert store.ablations == ()
    assert main(["ablate", str(store_path), "--model", model, "--curve"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Each filter replaced by zero, 96 samples"
    assert lines[4].split()[:3] == ["filter", "7", "+0.1250"]
    assert any(line.split()[:4] == ["gone", "cost", "apoz", "l1"] for line in lines)
    assert lines.count("  accuracy while filters go, 96 samples") == 2
    capsys.readouterr()
    assert main(["ablate", str(store_path), "--model", model, "--model-curve"]) == 0
    output = capsys.readouterr()
    assert "the curve of the whole model, 32 filters of 2 layers, 96 samples: about" in output.err
    lines = output.out.splitlines()
    at = lines.index("whole model: 32 filters of 2 layers")
    assert lines[at + 1] == "  accuracy while filters go, 96 samples"
    assert lines[at + 3].split()[:4] == ["0", "1.000", "1.000", "1.000"]
    out = tmp_path / "costs.csv"
    assert main(["ablate", str(store_path), "--out", str(out), "--by-class"]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len(rows) == 2 * 16 * (1 + N_CLASSES)
    assert (rows[0]["layer"], rows[0]["filter"], rows[0]["rank"]) == ("c1", str(USELESS), "0")
    (row,) = [r for r in rows if (r["layer"], r["filter"], r["class"]) == ("c1", "7", "7")]
    assert (row["n_lost"], float(row["accuracy_cost"])) == ("12", 1.0)
    with open_store(store_path) as store:
        by_cost = store.ablation().curve.ranks[0]
    (row,) = [r for r in rows if (r["layer"], r["filter"], r["class"]) == ("c2", "3", "")]
    assert int(row["model_rank"]) == by_cost.tolist().index(16 + 3)
    capsys.readouterr()
    assert main(["ablate", str(store_path), "--format", "json", "--layer", "c2"]) == 0
    assert capsys.readouterr().out.count('"layer": "c2"') == 16


def test_only_false_for_a_plan_stops_the_measurement(store_path, captured, capsys):
    path = ablate_store(store_path, captured[0], on_plan=lambda _: False)
    assert not path.exists()
    ablate_store(store_path, captured[0], on_plan=print)
    assert "AblationPlan(parts=(LayerPart(path='c1'" in capsys.readouterr().out
    with open_store(store_path) as store:
        assert store.ablation().layers == ("c1", "c2")


def test_what_filters_of_a_measured_layer_cost_follows_its_statistics(
    store_path, captured, tmp_path, capsys
):
    model, images, labels, _ = captured
    # Two samples of four classes, none of two others, and one of the last two.
    ablate_store(store_path, model, layers="c2", samples="0:4,6:12")
    measured = np.r_[0:4, 6:12]
    images, labels = images[measured], labels[measured]
    sizes = np.bincount(labels, minlength=N_CLASSES)
    assert main(["stats", str(store_path), "--statistic", "apoz,cost_zero_*"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["statistic"] for row in rows if row["layer"] == "c1"} == {"apoz"}
    reasons = {0: "no samples of this class were measured", 1: "an interval needs two samples"}
    for row in rows:
        n = sizes[int(row["class"])] if row["class"] else len(labels)
        is_cost, needs = row["statistic"] != "apoz", 1
        if row["statistic"].startswith(("cost_zero_probability_", "cost_zero_loss_")):
            needs = 2
        elif row["statistic"] in ("cost_zero_p", "cost_zero_q", "cost_zero_n_changed"):
            needs = 0
        assert int(row["n"]) == (n if is_cost else N)
        assert row["reason"] == (reasons[n] if is_cost and n < needs else "")
        assert (row["value"] == "") == bool(row["reason"])
    rows = [row for row in rows if row["statistic"] == "cost_zero_accuracy"]
    whole, kernel = model.predict(images, verbose=0), model.layers[-1].get_weights()[0]
    changed = keras.models.clone_model(model)
    folder = tmp_path / "e"
    with open_store(store_path) as store:
        export_store(store, folder, what="statistics", statistic="cost_zero_accuracy")
    exported = np.load(folder / "layers/c2/class/cost_zero_accuracy.npy")
    for index in (3, CARRIER, USELESS):
        without = kernel.copy()
        without[index] = 0  # each filter of the last layer is one pixel
        changed.set_weights([*model.get_weights()[:-2], without, model.get_weights()[-1]])
        lost = (whole.argmax(axis=1) == labels) * 1.0
        lost -= changed.predict(images, verbose=0).argmax(axis=1) == labels
        with np.errstate(invalid="ignore"):
            by_class = np.bincount(labels, lost, N_CLASSES) / sizes
        np.testing.assert_allclose(exported[:, index], by_class)
        of_filter = [float(row["value"] or "nan") for row in rows if row["filter"] == str(index)]
        np.testing.assert_allclose(of_filter, [lost.mean(), *by_class])


def test_curves_start_whole_and_end_at_chance(store_path, captured):
    ablate_store(store_path, captured[0], curve=True)
    with open_store(store_path) as store:
        curve = store.ablation().layer("c1").curve
        first = store.ablation().layer("c2").curve
    assert curve.orders[:6] == ("cost", "apoz", "l1", "auc", "mi", "duplicate")
    assert curve.steps.tolist() == list(range(17))
    assert (curve.quality[:, 0] == 1).all()
    assert (curve.quality[:, -1] == 1 / N_CLASSES).all()
    assert (np.sort(curve.ranks, axis=1) == np.arange(16)).all()
    # Without another of its class, the eight least costly ones are of different classes.
    assert curve.quality[0, 1] == 1
    band = curve.random_band()
    assert (band[0] <= band[1]).all()
    assert (band[1] <= band[2]).all()
    assert (first.quality == curve.quality).all()


def test_the_curve_of_the_model_starts_whole_and_ends_at_chance(store_path, captured, monkeypatch):
    model, images, labels, _ = captured
    monkeypatch.setattr(curves, "CURVE_SAMPLES", 40)
    n_rows, plans = [], []
    ablate_store(
        store_path,
        model,
        curve=True,
        model_curve=True,
        on_plan=lambda plan: plans.append(plan) or True,
        on_progress=n_rows.append,
    )
    assert sum(n_rows) == plans[0].n_rows
    assert plans[0].model_curve.seconds > 0
    with open_store(store_path) as store:
        ablation = store.ablation()
        curve = ablation.curve
        costs = [ablation.layer(path).costs() for path in ("c1", "c2")]
        norms = [store.layers[path].statistic("l1_norm") for path in ("c1", "c2")]
    assert curve.orders[:6] == ("cost", "apoz", "l1", "auc", "mi", "duplicate")
    assert curve.steps.tolist() == list(range(0, 33, 2))
    assert (np.sort(curve.ranks, axis=1) == np.arange(32)).all()
    assert curve.n_samples == len(set(curve.samples.tolist())) == 40
    assert (curve.quality[:, 0] == 1).all()
    assert (curve.quality[:, -1] == (labels[curve.samples] == 0).mean()).all()
    falls = [np.concatenate([cost.accuracy.value for cost in costs])[curve.ranks[0]]]
    falls.append(np.concatenate([norm / norm.mean() for norm in norms])[curve.ranks[2]])
    for values in falls:
        assert (np.diff(values) >= 0).all()
    # What goes in the middle of a random order, by copies of the weights without these filters.
    kernel, bias, middle, bias_2, out, bias_3 = model.get_weights()
    gone = curve.ranks[-1][: curve.steps[8]]
    kernel[..., gone[gone < 16]] = 0
    middle[..., gone[gone >= 16] - 16] = 0
    other = keras.models.clone_model(model)
    other.set_weights([kernel, bias, middle, bias_2, out, bias_3])
    answers = other.predict(images[curve.samples], verbose=0).argmax(axis=1)
    assert curve.quality[-1, 8] == (answers == labels[curve.samples]).mean()


@pytest.mark.parametrize("by", ["mean", "resample"])
def test_a_curve_of_the_model_by_other_outputs_starts_whole(by, store_path, captured):
    path = ablate_store(store_path, captured[0], by=by, model_curve=True)
    with open_store(store_path) as store:
        assert (store.ablation(by).curve.quality[:, 0] == 1).all()
        whole = store.ablation(by).curve.quality
    ablate_store(store_path, captured[0], by=by)
    before = path.read_bytes()
    path.unlink()
    ablate_store(store_path, captured[0], by=by)
    ablate_store(store_path, captured[0], by=by, model_curve=True, memory=16 << 20)
    assert path.read_bytes() == before
    assert (whole[:, -1] < 0.5).all()


def test_a_curve_of_the_model_goes_where_layers_are_added(store_path, captured):
    plans = []
    note = lambda plan: plans.append(plan) or True  # noqa: E731
    ablate_store(store_path, captured[0], layers="c2", model_curve=True)
    ablate_store(store_path, captured[0], layers="c2", curve=True)
    with open_store(store_path) as store:
        assert store.ablation().curve.ranks.shape[1] == 16  # which a curve of a layer leaves
    ablate_store(store_path, captured[0], on_plan=note)
    assert plans[-1].notes == (
        "the curve of the whole model is dropped, since it is not of c1; --model-curve measures it "
        "of all layers",
    )
    with open_store(store_path) as store:
        assert store.ablation().curve is None
    ablate_store(store_path, captured[0], model_curve=True, on_plan=note)
    assert (plans[-1].parts, plans[-1].model_curve.n_filters) == ((), 32)
    with open_store(store_path) as store:
        assert store.ablation().curve.ranks.shape[1] == 32


def test_a_file_with_another_curve_than_its_layers_is_refused(store_path, captured, monkeypatch):
    path = ablate_store(store_path, captured[0], model_curve=True)
    with open_store(store_path) as store:
        ablation = store.ablation()
        facts, n, samples, curve = ablation.facts, ablation.n, ablation.samples, ablation.curve
        layers = {"c1": ablation.layer("c1")}
    with pytest.raises(OutputError, match="curve of the whole model is of 32 filters, expected 16"):
        write_ablation(path, facts, n, samples, layers, curve=curve, overwrite=True)
    write_ablation(path, facts, n, samples, layers, overwrite=True)
    with open_store(store_path) as store:
        assert store.ablation().curve is None
    monkeypatch.setattr(
        ablations, "_curve_arrays", lambda it: {"curve_step": it.steps} if it else {}
    )
    with pytest.raises(OutputError, match=r"could not be read back .*: it holds no /curve_order"):
        write_ablation(path, facts, n, samples, layers, curve=curve, overwrite=True)


def test_layers_are_added_and_a_curve_later(store_path, captured):
    plans = []
    note = lambda plan: plans.append(plan) or True  # noqa: E731
    path = ablate_store(store_path, captured[0], layers="c2")
    ablate_store(store_path, captured[0], on_plan=note)
    assert plans[-1].kept == ("c2",)
    assert [part.path for part in plans[-1].parts] == ["c1"]
    ablate_store(store_path, captured[0], curve=True, on_plan=note)
    assert plans[-1].parts == ()
    after = path.read_bytes()
    path.unlink()
    ablate_store(store_path, captured[0], curve=True)
    assert path.read_bytes() == after
    with pytest.raises(OutputError, match="measured with another seed: 0, now it is 1"):
        ablate_store(store_path, captured[0], seed=1)
    with pytest.raises(OutputError, match="another n_samples: 96, now it is 12"):
        ablate_store(store_path, captured[0], samples="label=7")
    ablate_store(store_path, captured[0], samples="label=7", overwrite=True)
    with open_store(store_path) as store:
        ablation = store.ablation()
        assert ablation.samples.tolist() == list(range(7, N, 8))
        assert ablation.layer("c1").costs().accuracy.value[CARRIER] == 1


def test_what_does_not_fit_the_store_is_refused_in_one_line(store_path, captured, tmp_path, capsys):
    model, images, labels, _ = captured
    other = keras.models.clone_model(model)
    other.save(tmp_path / "other.keras")
    assert main(["ablate", str(store_path), "--model", str(tmp_path / "other.keras")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "differs: model, digest: expected" in line
    with pytest.raises(ModelError, match="name the model that was captured"):
        ablate_store(store_path, other)
    wrong = images.copy()
    wrong[3, 1, 2, 0] += 1
    with pytest.raises(DatasetError, match="pixels, sample 3, y 1, x 2, channel 0: expected 1"):
        ablate_store(store_path, model, wrong, labels)
    with pytest.raises(DatasetError, match="labels, sample 0: expected 1, found 0"):
        ablate_store(store_path, model, images, labels[::-1] * 0 + 1)
    for words, options in {
        "no layer 'c9'|c9": {"layers": "c9"},
        "replaced by zero, mean, resample; found 'noise'": {"by": "noise"},
        "has no such sample": {"samples": []},
        "memory=1": {"memory": 1},
        "seed=-1": {"seed": -1},
    }.items():
        with pytest.raises(SelectionError, match=words):
            ablate_store(store_path, model, **options)
    assert sorted(path.name for path in store_path.parent.glob("s*")) == ["s.h5"]
    ablate_store(store_path, model, images, labels)  # and what fits is not


def test_another_store_at_the_same_place_is_named(store_path, captured, capsys):
    model, images, labels, _ = captured
    ablate_store(store_path, model)
    capture_activations(model, images, labels, store_path, statistics="basic", overwrite=True)
    with open_store(store_path) as store, pytest.raises(StoreError, match="is of another store"):
        store.ablation("zero")
    assert main(["validate", str(store_path)]) == 1
    assert "s.ablation-zero.hdf5 is of another store" in capsys.readouterr().out
    assert main(["health", str(store_path)]) == 0
    assert "without effect: not known, s.ablation-zero" in capsys.readouterr().out
    assert main(["ablate", str(store_path)]) == 1
    with pytest.raises(StoreError, match="is of another store"):
        ablate_store(store_path, model)
    ablate_store(store_path, model, overwrite=True)


def test_layers_without_float32_maps_are_computed_and_it_is_said(captured, tmp_path):
    model, images, labels, _ = captured
    losses = {}
    for policy in ("float32", "float16", "pooled"):
        path = tmp_path / f"{policy}.h5"
        capture_activations(model, images, labels, path, policy=f"*={policy}")
        notes = []
        ablate_store(
            path, model, on_plan=lambda plan, notes=notes: notes.extend(plan.notes) or True
        )
        assert bool(notes) == (policy != "float32")
        assert all("the model computes them" in note for note in notes)
        with open_store(path) as store:
            losses[policy] = store.ablation().layer("c1").costs().loss.value
    assert (losses["float16"] == losses["float32"]).all()
    assert (losses["pooled"] == losses["float32"]).all()


@pytest.mark.share
def test_an_interrupted_run_is_gone_on_with_bit_by_bit(captured, tmp_path, monkeypatch):
    model, *_, original = captured
    monkeypatch.setattr(run, "FLUSH_SECONDS", -1)
    monkeypatch.setattr(plan, "MOST_ROWS", 64)
    monkeypatch.setattr(plan, "MOST_SAMPLES", 3)
    whole = tmp_path / "whole.h5"
    copy_store(original, whole)
    expected = ablate_store(whole, model).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "s.h5"
    copy_store(original, path)
    n_resumed = 0
    for _ in range(count(3, 20)):
        left = [int(rng.integers(1, 2 * 17 * N))]

        def stop(n_rows, left=left):
            left[0] -= n_rows
            if left[0] < 0:
                raise KeyboardInterrupt

        plans = []
        with contextlib.suppress(KeyboardInterrupt):
            ablate_store(
                path,
                model,
                on_progress=stop,
                on_plan=lambda plan, plans=plans: plans.append(plan) or True,
            )
        n_resumed += plans[0].n_done > 0
        result = ablation_path(path, "zero")
        if result.exists():
            assert result.read_bytes() == expected
            result.unlink()
    assert ablate_store(path, model).read_bytes() == expected
    assert n_resumed
    assert not path.with_name("s.ablation-zero.hdf5.partial").exists()


def test_what_another_run_has_left_is_refused_by_the_field(store_path, captured, monkeypatch):
    monkeypatch.setattr(run, "FLUSH_SECONDS", -1)
    monkeypatch.setattr(plan, "MOST_SAMPLES", 3)
    monkeypatch.setattr(plan, "MOST_ROWS", 51)
    stops = iter([False] * 9)

    def stop_later(n_rows):
        if n_rows and next(stops, True):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate_store(store_path, captured[0], on_progress=stop_later)
    with pytest.raises(OutputError, match="part of another ablation: seed was 0, now it is 3"):
        ablate_store(store_path, captured[0], seed=3)
    folder = store_path.with_name("s.ablation-zero.hdf5.partial")
    part = sorted(folder.glob("part-*"))[0]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    ablate_store(store_path, captured[0])  # which begins anew
    assert not folder.exists()
    assert parts.MANIFEST == "manifest.json"


@pytest.mark.slow
def test_a_flipped_bit_is_noticed(store_path, captured):
    path = ablate_store(store_path, captured[0])
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    with open_store(store_path) as store:
        digest = store.digest
    assert list(open_ablation(path, digest=digest, store=store_path).problems()) == []
    for _ in range(count(8, 300)):
        data = bytearray(whole)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            problems = list(Ablation(path, FileBytes(path)).problems())
        except FmcoreError as error:
            problems = [str(error)]
        assert problems


def test_outputs_that_are_no_class_move(tmp_path):
    rng = np.random.default_rng(0)
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(5, 3, activation="relu", name="c1")(image)
    model = keras.Model(image, L.Dense(2, use_bias=False)(L.GlobalAveragePooling2D()(x)))
    kernel, bias, out = (rng.random(part.shape) for part in model.get_weights())
    out[3] = 0
    model.set_weights([kernel, bias, out])
    images = rng.random((40, 8, 8, 1), dtype=np.float32)
    path = tmp_path / "s.h5"
    truth = rng.random((40, 2)).astype(np.float32)
    capture_activations(model, images, truth, path, target="number")
    ablate_store(path, model, curve=True)
    maps = keras.Model(image, x).predict(images, verbose=0).mean(axis=(1, 2), dtype=np.float64)
    whole = maps @ out
    with open_store(path) as store:
        layer = store.ablation().layer("c1")
        total = layer.costs()
    expected = [np.linalg.norm(maps[:, [f]] * out[f]) / np.linalg.norm(whole) for f in range(5)]
    np.testing.assert_allclose(total.output, expected, rtol=1e-5, atol=1e-7)
    assert np.flatnonzero(layer.no_effect).tolist() == [3]
    assert total.order()[0] == 3
    assert layer.curve.quality[:, -1] == pytest.approx(1, abs=1e-6)
    assert main(["ablate", str(path)]) == 0
    with pytest.raises(SelectionError, match="predicts no class"):
        layer.changes(0)


def test_filters_of_random_models_are_rarely_apart_from_zero():
    rng, n_apart, n_changed = np.random.default_rng(1), 0, 0
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(8, 3, activation="relu", name="c1")(image)
    x = L.Flatten()(L.Conv2D(8, 3, activation="relu", name="c2")(x))
    model = keras.Model(image, L.Dense(4, activation="softmax")(x))
    layers = [Stored("c1", "Conv2D", (6, 6, 8)), Stored("c2", "Conv2D", (4, 4, 8))]
    answer = StoredAnswer(Target.CLASS, model.output_names[0])
    rests = layer_rests(model, inputs_of(model), layers, answer)
    variants = np.concatenate([np.zeros((1, 8), bool), np.eye(8, dtype=bool)])
    for draw in range(50):
        # The parts of the graph read the model's own variables.
        model.set_weights(
            [rng.normal(size=w.shape) / np.sqrt(w[..., 0].size) for w in model.get_weights()]
        )
        images = rng.normal(size=(300, 8, 8, 1)).astype(np.float32)
        labels, rest = rng.integers(0, 4, 300), rests[draw % 2]
        answers = rest.answers(rest.share(None, None, images, {}), variants)
        p = answers[:, np.arange(300), labels].astype(np.float64)
        classes = answers.argmax(axis=2)
        sums = answer_sums(labels, (classes[0], p[0]), (classes[1:], p[1:]), n_classes=4)
        n_changed += bool(sums.n_changed.any())
        n_apart += bool((costs(sums.together()).q < COST_LEVEL).any())
    assert n_apart <= 5
    assert n_changed >= 25  # else nothing could be apart


def test_without_a_measurement_the_command_is_named(store_path):
    with open_store(store_path) as store:
        with pytest.raises(StatisticNotFoundError, match=r"fmcore ablate s\.h5 --model MODEL"):
            store.ablation()
        with pytest.raises(SelectionError, match="found 'none'"):
            store.ablation("none")
