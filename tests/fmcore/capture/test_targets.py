"""What a model puts out is decided on evidence that agrees, and never against any of it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import cohen_kappa_score, log_loss, r2_score

from fmcore.capture.options import CaptureOptions
from fmcore.capture.targets import (
    LEAST_KAPPA,
    LEAST_SKILL,
    N_EVIDENCE,
    Sampled,
    _Case,
    _Score,
    decide_output,
    plan_output,
)
from fmcore.dataset import Preprocessing, labelled_images
from fmcore.errors import DatasetError, FmcoreError, ModelError, SelectionError
from fmcore.records import (
    Conversion,
    Ending,
    Loss,
    LossKind,
    ModelInfo,
    ModelOutput,
    OutputPlan,
    Target,
    Truth,
)

N = 200
RNG = np.random.default_rng(0)
LOSSES = {
    "none": Loss(),
    "classes": Loss("sparse_categorical_crossentropy", LossKind.CLASSES),
    "classes from logits": Loss("categorical_crossentropy", LossKind.CLASSES, from_logits=True),
    "labels": Loss("binary_crossentropy", LossKind.LABELS),
    "labels from logits": Loss("binary_crossentropy", LossKind.LABELS, from_logits=True),
    "numbers": Loss("mean_squared_error", LossKind.NUMBERS),
    "unknown": Loss("my_loss"),
}
SCORES = RNG.normal(size=(N, 3)) * 4
VALUES = {
    Ending.SOFTMAX: softmax(SCORES, axis=1),
    Ending.LOG_SOFTMAX: log_softmax(SCORES, axis=1),
    Ending.SIGMOID: expit(SCORES),
    Ending.LINEAR: SCORES,
    Ending.OTHER: np.maximum(SCORES, 0),
}


def truth_of(labels) -> Truth | None:
    return labelled_images(np.zeros((N, 2, 2)), labels, where="here").truth


TRUTHS = {
    "none": lambda n: None,
    "right classes": lambda n: SCORES.argmax(axis=1) if n > 1 else (SCORES[:, 0] > 0).astype(int),
    "random classes": lambda n: RNG.integers(0, max(n, 2), N),
    "one-hot": lambda n: np.eye(n)[SCORES.argmax(axis=1)] if n > 1 else np.eye(2)[
        (SCORES[:, 0] > 0).astype(int)],
    "labels": lambda n: (SCORES[:, :n] > 0).astype(int) if n > 1 else np.ones((N, 2)),
    "numbers": lambda n: SCORES[:, :n] + 0.1,
    "other numbers": lambda n: RNG.random((N, n)),
}  # fmt: skip


def decide(output, labels, values, **options):
    truth = truth_of(labels)
    sampled = Sampled(np.arange(N), {output.index: np.asarray(values, np.float32)})
    return decide_output([output], truth, lambda: sampled, CaptureOptions(**options), model="net")


def output(n, ending, loss=None, **options):
    return ModelOutput("out", 0, (n,), ending, ending.value, loss=loss or Loss(), **options)


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("ending", Ending)
def test_nothing_is_decided_against_graph_loss_or_labels(ending, n):
    kinds = {LossKind.CLASSES: Target.CLASS, LossKind.NUMBERS: Target.NUMBER}
    for loss, truth in itertools.product(LOSSES, TRUTHS):
        labels = TRUTHS[truth](n)
        one = output(n, ending, LOSSES[loss])
        try:
            plan = decide(one, labels, VALUES[ending][:, :n])
        except ModelError:
            continue
        where = f"{ending}, {loss}, {truth}: {plan.record}"
        # The loss of one class of several trains nothing else.
        if LOSSES[loss].kind == LossKind.CLASSES:
            assert plan.target == Target.CLASS, where
        if ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX):
            assert (plan.target, n) == (Target.CLASS, 3), where
        if truth == "labels":
            assert plan.target == Target.LABELS, where
        if truth in ("numbers", "other numbers"):
            assert plan.target == Target.NUMBER, where
        if LOSSES[loss].kind == LossKind.LABELS:
            assert plan.target in (Target.CLASS if n == 1 else Target.LABELS, Target.CLASS), where
            assert n == 1 or plan.target == Target.LABELS or ending in (
                Ending.SOFTMAX, Ending.LOG_SOFTMAX), where  # fmt: skip
        if ending == Ending.LINEAR and LOSSES[loss].kind in kinds:
            assert plan.target == kinds[LOSSES[loss].kind], where
        if truth == "random classes" and loss in ("none", "unknown"):
            assert ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX) or (ending, n) == (
                Ending.SIGMOID, 1), where  # fmt: skip
        if truth == "none" and loss in ("none", "unknown"):
            assert ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX), where
        assert plan.evidence


@pytest.mark.parametrize(
    ("one", "labels"),
    [
        (output(3, Ending.SOFTMAX), SCORES.argmax(axis=1)),
        (output(3, Ending.SOFTMAX), None),
        (output(1, Ending.SIGMOID), (SCORES[:, 0] > 0).astype(int)),
        (output(3, Ending.LINEAR), SCORES),
        (output(1, Ending.LINEAR, LOSSES["numbers"]), None),
        (output(1, Ending.LINEAR, LOSSES["labels from logits"]), SCORES[:, 0] > 0),
    ],
)
def test_the_model_does_not_run_where_the_rest_says_it(one, labels):
    def sample():
        raise AssertionError("values were asked for")

    assert decide_output([one], truth_of(labels), sample, model="net").target != Target.NONE


EXTREMES = np.array([[-1e4, 0, 1e4], [-88, -1, 0], [3, 3, 3], [1e-8, 0, -1e-8]], np.float32)


def test_probabilities_are_those_of_scipy_at_the_extremes_too():
    one, values = output(3, Ending.LINEAR), EXTREMES

    def converted(conversion, rows=values):
        return OutputPlan(Target.CLASS, "", output=one, conversion=conversion).convert(rows)

    assert_allclose(converted(Conversion.SOFTMAX), softmax(values, axis=1), rtol=1e-6)
    assert_allclose(converted(Conversion.SIGMOID), expit(values), rtol=1e-6)
    column = values[:, :1]
    both = np.hstack([1 - expit(column), expit(column)])
    assert_allclose(
        converted(Conversion.TWO_COLUMNS_OF_SIGMOID, column), both, rtol=1e-6, atol=1e-7
    )
    assert_array_equal(converted(Conversion.IDENTITY), values)
    assert converted(Conversion.SOFTMAX).dtype == np.float32


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_scores_are_those_of_scikit_learn(scale):
    labels = SCORES.argmax(axis=1)
    noisy = softmax(scale * (SCORES + RNG.normal(size=SCORES.shape) * 4), axis=1)
    score = _Score.of(noisy, labels)
    kappa = (score.accuracy - score.chance) / (1 - score.chance)
    assert kappa == pytest.approx(cohen_kappa_score(labels, noisy.argmax(axis=1)))
    prior = np.tile(np.bincount(labels) / N, (N, 1))
    skill = 1 - log_loss(labels, noisy.clip(1e-7, 1)) / log_loss(labels, prior)
    assert score.skill == pytest.approx(skill, abs=1e-3)
    assert score.agrees == (kappa >= LEAST_KAPPA)
    assert score.convinces == (kappa >= LEAST_KAPPA and skill >= LEAST_SKILL)


def test_closeness_is_the_r2_of_scikit_learn():
    labels = SCORES + RNG.normal(size=SCORES.shape)
    sampled = Sampled(np.arange(N), {0: SCORES.astype(np.float32)})
    case = _Case(output(3, Ending.LINEAR), truth_of(labels), lambda: sampled)
    expected = r2_score(labels, SCORES, multioutput="variance_weighted")
    assert case.closeness == pytest.approx(expected, abs=1e-5)


def test_random_numbers_convince_nobody():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n_samples, n_classes = rng.integers(5, 256), rng.integers(2, 10)
        probability = softmax(rng.normal(size=(n_samples, n_classes)), axis=1)
        assert not _Score.of(probability, rng.integers(0, n_classes, n_samples)).agrees


@pytest.mark.parametrize(("precision", "is_class"), [(4 * 2.0**-7, True), (1e-4, False)])
def test_probabilities_of_low_precision_sum_to_1_within_it(precision, is_class):
    rounded = np.round(softmax(SCORES, axis=1) * 256) / 256
    rounded[0, 0] += 1 / 128
    one = output(3, Ending.OTHER, tolerance=precision)
    if is_class:
        assert decide(one, None, rounded).target == Target.CLASS
    else:
        with pytest.raises(ModelError, match="their sums"):
            decide(one, None, rounded)


class Spread:
    """A model of one number, the sample's own; no loss and no graph say what it is."""

    outputs = (output(1, Ending.LINEAR),)
    info = ModelInfo("net")

    def __init__(self):
        self.rows, self.batches = [], []

    def answers(self, images, others):
        self.rows += images[:, 0, 0, 0].tolist()
        self.batches.append(len(images))
        assert_array_equal(others["age"][:, 0], images[:, 0, 0, 0])
        return {0: images[:, 0, 0, :1]}


@pytest.mark.parametrize("n", [3, 33, N_EVIDENCE, 1000])
def test_samples_are_spread_over_all_of_the_test_set(n):
    """Folders are sorted by class: the first samples would be of one."""
    images = np.repeat(np.arange(n, dtype=np.float32), 4).reshape(n, 2, 2)
    others = {"age": np.arange(n, dtype=np.float32)[:, np.newaxis] / 2}
    samples = labelled_images(images, np.arange(n) // 2, where="here", others=others)
    model = Spread()
    plan = plan_output(model, samples, preprocessing=Preprocessing(2.0))
    assert plan.target == Target.NUMBER
    assert "as numbers its values explain" in plan.evidence
    seen = np.array(model.rows) * 2
    assert len(seen) == len(set(seen)) == min(n, N_EVIDENCE)
    assert (seen[0], seen[-1]) == (0, n - 1)
    assert np.diff(seen).max() <= -(-n // N_EVIDENCE) + 1
    assert max(model.batches) <= 32


MAPS = ModelOutput("maps", 0, (8, 8, 2))


def test_a_model_of_maps_has_no_answer_and_none_can_be_named():
    def decide_maps(**options):
        return decide_output([MAPS], None, lambda: None, CaptureOptions(**options), model="net")

    for options in ({}, {"target": "none"}, {"predictions": False}):
        plan = decide_maps(**options)
        assert (plan.target, plan.output, plan.n_classes) == (Target.NONE, None, None)
        assert "the model puts out (8, 8, 2) for each image" in plan.record
    for options in ({"target": "class"}, {"target": "number"}, {"output": "maps"}):
        with pytest.raises(ModelError, match="needs an output of one or several numbers"):
            decide_maps(**options)
    with pytest.raises(SelectionError, match="output 'map'; model 'net' has maps; did you mean"):
        decide_maps(output="map")


@pytest.mark.parametrize(
    ("shape", "n"), [((), 1), ((4,), 4), ((2, 2), None), (None, None), ((0,), 0)]
)
def test_an_output_of_numbers_has_at_most_one_axis_for_each_sample(shape, n):
    assert ModelOutput("a", 0, shape).n_values == n
    assert ModelOutput("a", 0, shape, is_float=False).n_values is None


def test_every_refusal_is_an_error_of_the_project():
    one = output(3, Ending.SOFTMAX)
    with pytest.raises(DatasetError, match="or --target number") as caught:
        decide(one, SCORES, VALUES[Ending.SOFTMAX], target="class")
    assert caught.value.field == "target"
    for target, ending, truth, n in itertools.product(
        ("class", "labels", "number", "none"), Ending, TRUTHS, (1, 3)
    ):
        try:
            plan = decide(output(n, ending), TRUTHS[truth](n), VALUES[ending][:, :n], target=target)
        except FmcoreError:
            continue
        assert plan.target == target
        if target == "class":
            rows = plan.convert(VALUES[ending][:, :n].astype(np.float32))
            assert rows.shape == (N, max(n, 2))
            assert (rows >= 0).all()
            assert (rows <= 1).all()
