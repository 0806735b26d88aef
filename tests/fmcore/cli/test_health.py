"""Planted faults are all found, and findings equal their definitions on the raw arrays."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from helpers.odd import ordinary_values
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
    dead = (raw == raw[0, 0, 0]).all(axis=(0, 1, 2)) & finite
    alive = ~dead & finite
    zero = (raw == 0).all(axis=(1, 2))
    of_classes = np.stack([zero[labels == each].all(axis=0) for each in np.unique(labels)])
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.corrcoef(raw.reshape(-1, raw.shape[-1]).T.astype(np.float64))
        alike = np.tril(r > 0.99, -1)
    return {
        "dead": dead,
        "nearly_dead": alive & ((~zero).sum(axis=0) < 0.001 * len(raw)),
        "dead_for_class": alive & of_classes.any(axis=0),
        "never_positive": alive & ~active.any(axis=0) & active.any(),
        "always_on": alive
        & (raw >= 0).all(axis=(0, 1, 2))
        & ((raw > 0).mean(axis=(0, 1, 2)) >= 0.999),
        "duplicate": alike.any(axis=1),
        "nonfinite": ~finite,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("statistics", "last"), [("all", "relu"), ("basic", "tanh")])
def test_findings_in_random_models_equal_their_definition_on_the_raw_arrays(
    seed, statistics, last, tmp_path
):
    model, rng = classifier(seed, last), np.random.default_rng(seed)
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
    assert "last: 16.7% of 6 filters are non-finite, the limit is 0%" in said
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


def inputs(low, high, activation: str = "", **fields) -> HealthInputs:
    """A layer of which only the range of each class and filter is of interest."""
    low, high = np.array(low, float), np.array(high, float)
    defaults = {
        "zero_fraction": np.zeros(low.shape[1]),
        "n_finite": np.full(low.shape, 100),
        "n_nonfinite": np.zeros(low.shape, np.int64),
        "n_samples": np.full(len(low), 50),
        "map_max": np.ones((50 * len(low), low.shape[1]), np.float32),
        "map_zeros": np.zeros((50 * len(low), low.shape[1]), np.float32),
        "duplicate_of": np.full(low.shape[1], -1),
    }
    return HealthInputs(low=low, high=high, activation=activation, **(defaults | fields))


def test_what_varies_below_zero_is_not_dead_for_a_class_nor_at_all():
    signed = inputs([[-14, -3, 0, -2], [-9, -3, 0, -1]], [[-0.5, -3, 0, 4], [-0.7, -3, 0, 3]])
    found = layer_health(signed).findings
    assert found["dead"].tolist() == [False, True, True, False]
    assert found["never_positive"].tolist() == [True, False, False, False]
    for name in ("nearly_dead", "dead_for_class", "always_on"):
        assert not found[name].any()
    assert HEALTH_RULES["dead"].is_grave
    assert not HEALTH_RULES["never_positive"].is_grave


def test_a_layer_that_is_never_above_zero_is_so_by_nature():
    logarithms = inputs([[-14, -3]], [[-0.5, 0]], "log_softmax")
    assert not layer_health(logarithms).findings["never_positive"].any()


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", [True, True]),
        ("linear", [False, False]),  # the data say that it is positive by nature
        ("my_function", [False, False]),
        ("sigmoid", [False, False]),
        ("hard_sigmoid", [False, False]),
        ("Softmax", [False, False]),
        ("LeakyReLU", [True, True]),
    ],
)
def test_filters_are_not_always_on_where_the_activation_function_makes_them_so(
    activation, expected
):
    on = inputs([[0.1, 0.2]], [[0.9, 3]], activation)
    assert layer_health(on).findings["always_on"].tolist() == expected
    mixed = inputs([[0.1, 0]], [[0.9, 3]], activation, zero_fraction=np.array([0, 0.5]))
    is_positive = activation in ("sigmoid", "hard_sigmoid", "Softmax")
    assert layer_health(mixed).findings["always_on"].tolist() == [not is_positive, False]


@pytest.mark.parametrize("last", ["softmax", "sigmoid", "softplus", "exponential"])
def test_every_activation_function_that_is_positive_by_nature_is_known(last, tmp_path):
    path = capture_activations(classifier(last=last), images(), LABELS, tmp_path / "s.h5")
    with open_store(path) as store:
        layer = store.layers["last"]
        assert (layer.activation[:N] > 0).all()
        assert not layer.health().findings["always_on"].any()


def test_a_filter_that_is_never_above_zero_in_a_linear_layer_has_scores(tmp_path):
    model = classifier(last="linear")
    kernel, bias = model.get_layer("last").get_weights()
    bias[1] = -100
    model.get_layer("last").set_weights([kernel, bias])
    path = capture_activations(model, images(), LABELS, tmp_path / "s.h5")
    with open_store(path) as store:
        layer = store.layers["last"]
        maps = layer.activation[:N][..., 1]
        assert maps.max() < 0
        assert not layer.health().findings["dead"].any()
        assert layer.health().findings["never_positive"][1]
        means = maps.mean(axis=(1, 2), dtype=np.float64)
        between = sum(
            (each == LABELS).sum() * (means[each == LABELS].mean() - means.mean()) ** 2
            for each in range(N_CLASSES)
        )
        eta2 = between / ((means - means.mean()) ** 2).sum()
        assert layer.statistic("eta2", pooling="mean")[1] == pytest.approx(eta2, rel=1e-4)
        assert layer.undefined("mean")[1] == 0


def test_details_name_some_classes_and_count_the_rest():
    dead_classes = np.ones((5, 2), bool)
    dead_classes[1:, 1] = False
    flags = {"dead_for_class": np.array([True, True]), "duplicate": np.array([False, True])}
    health = LayerHealth(flags, dead_classes, np.array([-1, 0]), ordinary_values(2))
    many, single = (health.detail("dead_for_class", index, "abcde") for index in range(2))
    assert (many.text, many.short) == ("dead for classes a, b, c and 2 more", "dead for 5 classes")
    assert (many.aside, many.other) == ("(a, b, c and 2 more)", None)
    assert (single.text, single.short) == ("dead for class a", "dead for 1 class")
    copy = health.detail("duplicate", 1, "abcde")
    assert (copy.text, copy.short) == ("duplicate of filter 0", "duplicate of 0")
    assert (copy.aside, copy.other) == ("as 0", 0)


def test_a_filter_that_is_not_finite_is_not_dead():
    high = np.array([[-1.0, 0.0, np.nan], [-1.0, 0.0, -1.0]])
    n_nonfinite = np.array([[0, 0, 9], [0, 1, 0]])
    assert dead_filters(high, high, n_nonfinite).tolist() == [True, False, False]


def test_a_filter_that_is_active_in_under_a_thousandth_of_samples_is_nearly_dead():
    map_max = np.zeros((5_000, 3), dtype=np.float32)
    map_max[:4, 1] = map_max[:5, 2] = 1
    rare = inputs(
        np.zeros((1, 3)),
        map_max.max(axis=0)[np.newaxis],
        n_samples=np.array([5_000]),
        map_max=map_max,
        map_zeros=1 - map_max / 9,
        zero_fraction=np.ones(3),
    )
    found = layer_health(rare).findings
    assert found["dead"].tolist() == [True, False, False]
    assert found["nearly_dead"].tolist() == [False, True, False]
