"""What became worse since a baseline: planted changes are found, and chance alone makes none."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import mannwhitneyu

from fmcore import capture_activations
from fmcore.cli import main
from fmcore.cli.health import parse_limits
from fmcore.statistics import HEALTH_CHANGES, ClassAucs
from fmcore.statistics.health_changes import KNOWN, lost_classes

pytestmark = pytest.mark.keras
N, CLASSES = 400, ["a", "b", "c", "d"]
LABELS = np.arange(N) % 4


def images() -> np.ndarray:
    """Noise of four channels; in each class another channel is brighter."""
    found = np.random.default_rng(0).random((N, 12, 12, 4), dtype=np.float32)
    found[np.arange(N), ..., LABELS] += 0.3
    return found


def network(n_filters: int = 8, n_classes: int = 4, name: str = "first") -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 4)),
            layers.Conv2D(n_filters, 3, activation="relu", name=name),
            layers.Flatten(),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def selective(*, lost: bool = False, died: bool = False, copied: bool = False) -> keras.Model:
    """Filters 0 to 3 see a channel each, and so know a class; the others see noise."""
    model, rng = network(), np.random.default_rng(1)
    kernel, bias = model.get_layer("first").get_weights()
    kernel[:], bias[:] = rng.normal(size=kernel.shape), 0.5
    kernel -= kernel.mean(axis=(0, 1))  # which sees a channel no brighter than another
    for index in range(4):
        kernel[..., index] = np.eye(4)[index]
    if lost:
        kernel[..., 0] = np.roll(kernel[..., 4], 1, axis=0)
    if died:
        kernel[..., 1], bias[1] = 0, -1
    if copied:
        kernel[..., 7], bias[7] = kernel[..., 2], bias[2]
    model.get_layer("first").set_weights([kernel, bias])
    return model


def stored(model: keras.Model, path, labels: np.ndarray = LABELS, **options):
    options = {"class_names": CLASSES} | options
    return capture_activations(model, images(), labels, path, **options)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return stored(selective(), tmp_path_factory.mktemp("baseline") / "before.h5")


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    model = selective(lost=True, died=True, copied=True)
    return stored(model, tmp_path_factory.mktemp("worse") / "after.h5")


def test_planted_changes_are_found_and_nothing_else(baseline, worse, capsys):
    assert main(["health", str(worse), "--against", str(baseline), "--json"]) == 0
    against = json.loads(capsys.readouterr().out)["against"]
    assert against["store"] == str(baseline)
    assert against["definitions"].keys() == HEALTH_CHANGES.keys()
    layer = against["layers"]["first"]
    found = {name: each["filters"] for name, each in layer["changes"].items()}
    assert found == {name: [] for name in HEALTH_CHANGES} | {
        "new_dead": [1],
        "new_duplicate": [7],
        "new_always_on": [7],  # as filter 2, which it repeats
        "lost_class": [0, 1],
    }
    assert layer["lost_class"] == [{"filter": 0, "class": "a"}, {"filter": 1, "class": "b"}]
    assert layer["changes"]["new_dead"]["share"] == 1 / 8
    assert main(["health", str(worse), "--against", str(baseline)]) == 0
    lines = capsys.readouterr().out.split(f"Since {baseline}:")[1].splitlines()
    assert "first: 8 filters" in lines
    assert any(line.split() == ["newly", "dead", "1", "(12.5%):", "1"] for line in lines)
    assert any("without their class" in line and "0 (a), 1 (b)" in line for line in lines)
    assert main(["health", str(baseline), "--against", str(baseline)]) == 0
    assert "first: 8 filters, nothing became worse" in capsys.readouterr().out


def test_the_exit_code_says_whether_more_became_worse_than_may_be(baseline, worse, capsys):
    after, before = str(worse), str(baseline)
    limits = "new_dead=0,new_duplicate=0,lost_class=0"
    assert main(["health", before, "--against", before, "--fail-on", limits]) == 0
    capsys.readouterr()
    assert main(["health", after, "--against", before, "--fail-on", limits]) == 3
    said = capsys.readouterr().err
    assert "first: 12.5% of 8 filters are newly dead, the limit is 0% (filters 1)" in said
    assert "are newly duplicate, the limit is 0% (filters 7)" in said
    assert "25.0% of 8 filters are without their class" in said
    assert "(filters 0 (a), 1 (b))" in said
    assert main(["health", after, "--against", before, "--fail-on", "lost-class=0.25"]) == 0
    assert main(["health", after, "--against", before, "--fail-on", "dead=0,lost_class=1"]) == 3
    assert "are dead" in capsys.readouterr().err


def test_a_limit_of_changes_without_a_baseline_is_a_usage_error(worse, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["health", str(worse), "--fail-on", "new_dead=0"])
    assert caught.value.code == 2
    assert "--fail-on new_dead needs --against BASELINE" in capsys.readouterr().err


def test_a_change_is_known_by_its_name_and_by_its_words():
    for name, change in HEALTH_CHANGES.items():
        for text in (name, name.replace("_", "-"), change.words):
            assert parse_limits(f"{text}=0.5") == {name: 0.5}


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (network(name="other"), {}, "differ in layers: only "),
        (network(n_filters=9), {}, "layer first has 9 filters in "),
        (network(), {"class_names": ["a", "b", "c", "e"]}, "differ in classes: only "),
        (network(), {"class_names": ["b", "a", "c", "d"]}, "the same classes in another order"),
    ],
)
def test_stores_that_cannot_be_compared_say_what_differs(
    model, options, words, baseline, tmp_path, capsys
):
    path = stored(model, tmp_path / "s.h5", **options)
    assert main(["health", str(path), "--against", str(baseline)]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_without_scores_or_classes_no_filter_loses_its_class(baseline, tmp_path, capsys):
    basic = stored(selective(lost=True), tmp_path / "basic.h5", statistics="basic")
    assert main(["health", str(basic), "--against", str(baseline)]) == 0
    assert f"not compared, {basic} was captured without scores" in capsys.readouterr().out
    arguments = ["health", str(basic), "--against", str(baseline), "--fail-on"]
    assert main([*arguments, "new_dead=0"]) == 0
    assert main([*arguments, "lost_class=0"]) == 1
    assert "--fail-on lost_class: " in capsys.readouterr().err


def test_another_test_set_is_named(baseline, tmp_path, capsys):
    path = stored(selective(), tmp_path / "s.h5", labels=np.roll(LABELS, 1))
    assert main(["health", str(path), "--against", str(baseline)]) == 0
    assert "are of different test sets" in capsys.readouterr().out


def aucs_of(values: np.ndarray, labels: np.ndarray) -> ClassAucs:
    """AUC and band by SciPy of <float>[filter, sample], as if the pooled max were the mean."""
    n_classes = labels.max() + 1
    auc, high = np.zeros((2, n_classes, len(values)))
    for label in range(n_classes):
        inside = labels == label
        n_1, n_2 = int(inside.sum()), int((~inside).sum())
        u = mannwhitneyu(values[:, inside], values[:, ~inside], axis=1).statistic
        auc[label] = u / (n_1 * n_2)
        high[label] = 0.5 + 1.96 * np.sqrt((n_1 + n_2 + 1) / (12 * n_1 * n_2))
    return ClassAucs(np.stack([auc, auc]), np.stack([high, high]))


def test_chance_alone_loses_no_class_and_a_class_that_is_known_is_not_lost_to_noise():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    noise = [aucs_of(rng.normal(size=(2_000, 300)), labels) for _ in range(2)]
    assert (noise[0].auc > noise[0].high).any(axis=(0, 1)).mean() > 0.15  # bands alone would not do
    assert (lost_classes(*noise) == -1).all()
    # A filter that just counts as known, seen twice with noise of its own.
    weak = KNOWN * 1.96 * np.sqrt(1 / 30) * np.eye(10)[labels].T[np.arange(2_000) % 10]
    twice = [aucs_of(weak + rng.normal(size=weak.shape), labels) for _ in range(2)]
    known = lost_classes(twice[0], noise[0]) >= 0
    assert 0.2 < known.mean() < 0.8
    assert (lost_classes(*twice) >= 0).mean() < 0.02


def test_a_filter_loses_the_class_of_its_largest_auc_and_none_with_few_samples():
    def aucs(mean, largest, high=0.6) -> ClassAucs:
        both = np.array([mean, largest])[..., np.newaxis]
        return ClassAucs(both, np.full(both.shape, high))

    before = aucs([0.9, 0.7], [0.95, 0.99])
    assert lost_classes(before, aucs([0.9, 0.5], [0.9, 0.6])).tolist() == [1]
    assert lost_classes(before, aucs([0.1, 0.61], [0.1, 0.1])).tolist() == [-1]
    assert lost_classes(before, aucs([np.nan] * 2, [np.nan] * 2)).tolist() == [1]
    assert lost_classes(aucs([0.7, 0.5], [0.74, 0.5]), aucs([0, 0], [0, 0])).tolist() == [-1]
    few = aucs([1.0, 0.5], [1.0, 0.5], high=0.75)
    assert lost_classes(few, aucs([0, 0], [0, 0], high=0.75)).tolist() == [-1]
    nothing = aucs([np.nan] * 2, [np.nan] * 2)
    assert lost_classes(nothing, nothing).tolist() == [-1]
