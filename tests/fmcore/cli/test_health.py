"""Planted faults are all found, and findings equal their definitions on the raw arrays."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.cli import main
from fmcore.cli.health import health_report, parse_limits
from fmcore.statistics import HEALTH_RULES, HealthInputs, LayerHealth, dead_filters, layer_health

pytestmark = pytest.mark.keras
N, N_CLASSES = 240, 4
LABELS = np.arange(N) % N_CLASSES


def images() -> np.ndarray:
    """Noise; a bright bar on the left, except in class 2."""
    found = np.random.default_rng(0).random((N, 12, 12, 1), dtype=np.float32)
    found[LABELS != 2, :, 0] += 5
    return found


def classifier(seed: int = 0, last: str = "relu") -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(8, 3, activation="relu", name="first"),
            layers.Conv2D(6, 3, activation=last, name="last"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(N_CLASSES, activation="softmax"),
        ]
    )


def plant(model: keras.Model) -> None:
    """Faults in known filters of the first layer, and NaN in one of the last."""
    kernel, bias = model.get_layer("first").get_weights()
    bias[1] = -1e6  # dead
    kernel[..., 3], bias[3] = kernel[..., 2], bias[2]  # a copy
    kernel[..., 4], bias[4] = np.abs(kernel[..., 4]), 10  # always on
    kernel[..., 5], bias[5] = 0, -4
    kernel[1, 0, 0, 5] = 1  # sees only what is brighter than 4: nothing in class 2
    kernel[..., 6], bias[6] = 0, -5.999  # sees only the very brightest
    kernel[1, 0, 0, 6] = 1
    model.get_layer("first").set_weights([kernel, bias])
    kernel, bias = model.get_layer("last").get_weights()
    bias[2] = np.nan
    model.get_layer("last").set_weights([kernel, bias])


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    # A ReLU of TensorFlow makes 0 of NaN on a CPU.
    model, path = classifier(last="linear"), tmp_path_factory.mktemp("health") / "s.h5"
    plant(model)
    return capture_activations(model, images(), LABELS, path, class_names=["a", "b", "c", "d"])


def test_every_planted_fault_is_found(planted):
    with open_store(planted) as store:
        report = health_report(store)
        first, last = report.layers["first"], report.layers["last"]
        found = {name: np.flatnonzero(each).tolist() for name, each in first.findings.items()}
        maps = store.layers["first"].activation[:N]
        rare = (maps[..., 6].max(axis=(1, 2)) > 0).sum()
    assert found["dead"] == [1]
    assert 3 in found["duplicate"]
    assert first.duplicate_of[3] == 2
    assert 4 in found["always_on"]
    assert 5 in found["dead_for_class"]
    assert np.flatnonzero(first.dead_classes[:, 5]).tolist() == [2]
    assert (6 in found["nearly_dead"]) == (0 < rare < 0.001 * N)
    assert found["nonfinite"] == []
    assert np.flatnonzero(last.findings["nonfinite"]).tolist() == [2]
    assert not last.findings["dead"][2]


def by_definition(raw: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """The findings in plain numpy on <float>[sample, y, x, filter]."""
    finite = np.isfinite(raw).all(axis=(0, 1, 2))
    active = (raw > 0).any(axis=(1, 2))  # [sample, filter]
    dead = ~active.any(axis=0) & finite
    alive = ~dead & finite
    of_classes = np.stack([~active[labels == each].any(axis=0) for each in np.unique(labels)])
    means = raw.mean(axis=(1, 2), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = np.tril(np.corrcoef(means.T) > 0.99, -1)
    return {
        "dead": dead,
        "nearly_dead": alive & (active.sum(axis=0) < 0.001 * len(raw)),
        "dead_for_class": alive & of_classes.any(axis=0),
        "always_on": alive
        & (raw >= 0).all(axis=(0, 1, 2))
        & ((raw > 0).mean(axis=(0, 1, 2)) >= 0.999),
        "duplicate": alike.any(axis=1),
        "nonfinite": ~finite,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("statistics", ["all", "basic"])
def test_findings_in_random_models_equal_their_definition_on_the_raw_arrays(
    seed, statistics, tmp_path
):
    model, rng = classifier(seed), np.random.default_rng(seed)
    for name in ("first", "last"):
        kernel, bias = model.get_layer(name).get_weights()
        bias[:] = rng.normal(size=len(bias)) * 2  # some dead, some always on
        kernel[..., -1] = kernel[..., 0] * 2
        bias[-1] = bias[0] * 2
        model.get_layer(name).set_weights([kernel, bias])
    path = capture_activations(model, images(), LABELS, tmp_path / "s.h5", statistics=statistics)
    with open_store(path) as store:
        for name, layer in health_report(store).layers.items():
            expected = by_definition(store.layers[name].activation[:N], LABELS)
            assert expected.keys() == layer.findings.keys() == HEALTH_RULES.keys()
            for finding in HEALTH_RULES:
                assert_array_equal(layer.findings[finding], expected[finding], err_msg=finding)


def test_the_exit_code_says_whether_more_was_found_than_may_be(planted, capsys):
    assert main(["health", str(planted)]) == 0
    said = capsys.readouterr().out
    assert "first: 8 filters" in said
    assert "5 (c)" in said
    assert "3 as 2" in said
    assert main(["health", str(planted), "--fail-on", "dead=0.5,nonfinite=1"]) == 0
    assert main(["health", str(planted), "--fail-on", "dead=0.1,nonfinite"]) == 3
    said = capsys.readouterr().err
    assert "first: 12.5% of 8 filters are dead, the limit is 10.0%" in said
    assert "last: 16.7% of 6 filters are non-finite, the limit is 0.0%" in said
    assert main(["health", str(planted), "--fail-on", "dead for a class=0.2"]) == 3
    said = capsys.readouterr().err
    assert "first: 25.0% of 8 filters are dead for a class, the limit is 20.0%" in said
    assert main(["health", str(planted), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["layers"]["first"]
    assert told["findings"]["dead"] == {"filters": [1], "share": 0.125}
    assert {"filter": 5, "class": "c"} in told["dead_for_class"]
    assert told["duplicate_of"]["3"] == 2


@pytest.mark.parametrize("wrong", ["ded=0.1", "dead=2", "dead=x", "dead=-1", "dead=nan"])
def test_limits_that_are_none_are_usage_errors(planted, wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["health", str(planted), "--fail-on", wrong])
    assert caught.value.code == 2
    assert "finding" in capsys.readouterr().err.lower()


def test_limits_are_read_as_people_write_them():
    assert parse_limits("dead=0.1, nearly-dead = 0.2,nonfinite,") == {
        "dead": 0.1,
        "nearly_dead": 0.2,
        "nonfinite": 0.0,
    }


def test_a_finding_is_known_by_its_name_and_by_its_words():
    for name, rule in HEALTH_RULES.items():
        assert rule.name == name
        for text in (name, name.replace("_", "-"), rule.words, rule.words.replace(" ", "-")):
            assert parse_limits(f"{text}=0.5") == {name: 0.5}


def test_where_the_layer_has_negative_values_a_dead_filter_may_be_harmless(planted, capsys):
    assert main(["health", str(planted)]) == 0
    first, last = capsys.readouterr().out.split("last: 6 filters")
    assert "may be harmless" not in first
    assert "(dead: the layer has values below zero, so it may be harmless" in last


def test_details_name_some_classes_and_count_the_rest():
    dead_classes = np.ones((5, 2), bool)
    dead_classes[1:, 1] = False
    flags = {"dead_for_class": np.array([True, True]), "duplicate": np.array([False, True])}
    health = LayerHealth(flags, dead_classes, np.array([-1, 0]), signed=False)
    many, single = (health.detail("dead_for_class", index, "abcde") for index in range(2))
    assert (many.text, many.short) == ("dead for classes a, b, c and 2 more", "dead for 5 classes")
    assert (many.aside, many.other) == ("(a, b, c and 2 more)", None)
    assert (single.text, single.short) == ("dead for class a", "dead for 1 class")
    copy = health.detail("duplicate", 1, "abcde")
    assert (copy.text, copy.short) == ("duplicate of filter 0", "duplicate of 0")
    assert (copy.aside, copy.other) == ("as 0", 0)


def test_a_filter_that_is_not_finite_is_not_dead():
    high = np.array([[-1.0, 0.0, np.nan], [-2.0, 0.0, -1.0]])
    n_nonfinite = np.array([[0, 0, 9], [0, 1, 0]])
    assert dead_filters(high, n_nonfinite).tolist() == [True, False, False]


def test_a_filter_that_is_active_in_under_a_thousandth_of_samples_is_nearly_dead():
    pooled_max = np.zeros((5_000, 3), dtype=np.float32)
    pooled_max[:4, 1] = pooled_max[:5, 2] = 1
    inputs = HealthInputs(
        low=np.zeros((1, 3)),
        high=pooled_max.max(axis=0)[np.newaxis].astype(np.float64),
        zero_fraction=np.ones(3),
        n_nonfinite=np.zeros((1, 3), np.int64),
        n_samples=np.array([5_000]),
        pooled_max=pooled_max,
        alike=np.eye(3, dtype=bool),
    )
    found = layer_health(inputs).findings
    assert found["dead"].tolist() == [True, False, False]
    assert found["nearly_dead"].tolist() == [False, True, False]
