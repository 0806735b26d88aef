"""Decides which output of a model is its answer, and of which kind: on evidence, or not at all.

Evidence is what the model's graph ends in, the loss it was trained with, the form of the labels,
and, where these do not suffice, the values over real samples. Nothing is decided where they
contradict each other: then a person says it, with `target` and `output`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.capture.options import DEFAULTS, CaptureOptions, TargetOption
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.errors import DatasetError, FmcoreError, ModelError, SelectionError
from fmcore.records import (
    Conversion,
    Ending,
    LossKind,
    ModelInfo,
    ModelOutput,
    OutputPlan,
    Target,
    Truth,
)
from fmcore.selection import near_matches

N_EVIDENCE = 256  # samples over which values are looked at, evenly spread
EVIDENCE_BATCH = 8  # whose activations are small beside any --memory
# What it takes to believe that values say the label. They are strict on purpose: who is asked
# types a word, and who is guessed for gets wrong numbers.
LEAST_KAPPA = 0.3  # agreement with the labels beyond chance (Cohen 1960)
LEAST_SIGMAS = 5.0  # standard errors by which the agreement is above chance
LEAST_SKILL = 0.1  # share by which the cross-entropy is below that of the class frequencies
NEAR_NUMBERS = 0.5  # R² from which values are near the labels as numbers
FAR_FROM_NUMBERS = -1.0  # R² below which they are not numbers near the labels
# An answer is recorded with its evidence; these are how its conversion is called.
_WORDS = {
    (Target.CLASS, Conversion.IDENTITY): "{} own probabilities",
    (Target.CLASS, Conversion.SOFTMAX): "softmax of {} output",
    (Target.CLASS, Conversion.TWO_COLUMNS): "{} own probability of class 1",
    (Target.CLASS, Conversion.TWO_COLUMNS_OF_SIGMOID): (
        "sigmoid of {} output, the probability of class 1"
    ),
    (Target.LABELS, Conversion.IDENTITY): "{} own probability of each label",
    (Target.LABELS, Conversion.SIGMOID): "sigmoid of {} output, the probability of each label",
    (Target.NUMBER, Conversion.IDENTITY): "{} own numbers",
}


class Answering(Protocol):
    """The part of a model that says what it puts out."""

    @property
    def outputs(self) -> Sequence[ModelOutput]:
        """All outputs, in the model's order."""

    @property
    def info(self) -> ModelInfo:
        """What a store records of the model."""

    def answers(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> dict[int, NDArray[np.float32]]:
        """The values of outputs that are numbers, <float32>[sample, n], by the output's index."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a model puts out for some samples, evenly spread over the test set.

    Attributes:
        rows: <int64>[row], the indices of the samples.
        values: <float32>[row, n] for each output that puts out numbers for a sample, by its index.
    """

    rows: NDArray[np.int64]
    values: dict[int, NDArray[np.float32]]


def plan_output(
    model: Answering,
    samples: LabelledImages,
    options: CaptureOptions = DEFAULTS,
    *,
    preprocessing: Preprocessing,
) -> OutputPlan:
    """Decides what is captured of a model's output, over the samples of a capture.

    Args:
        model: the model.
        samples: the test set.
        options: the options of the capture; target, output and predictions are used here.
        preprocessing: the preprocessing of pixels for the model.

    Raises:
        ModelError, SelectionError, DatasetError: as `decide_output` does.
    """

    def sample() -> Sampled:
        n_samples = len(samples)
        rows = np.unique(np.linspace(0, n_samples - 1, N_EVIDENCE).astype(np.int64))
        parts: list[dict[int, NDArray[np.float32]]] = []
        for part in np.split(rows, range(EVIDENCE_BATCH, len(rows), EVIDENCE_BATCH)):
            others = {name: values[part] for name, values in samples.others.items()}
            parts.append(model.answers(preprocessing(samples.images_of(part)), others))
        return Sampled(
            rows, {index: np.concatenate([part[index] for part in parts]) for index in parts[0]}
        )

    return decide_output(model.outputs, samples.truth, sample, options, model=model.info.name)


# Answers for images and further inputs, <float32>[sample, n].
Answers = Callable[[NDArray[np.float32], Mapping[str, NDArray[np.float32]]], NDArray[np.float32]]


def answers_before_pixels(
    model: Answering,
    plan_for: Callable[[Preprocessing], OutputPlan],
    preprocessings: Sequence[Preprocessing],
) -> tuple[Answers | None, Target]:
    """What a model answers, and the kind of that, before it is decided which pixels it gets.

    None where there is no answer, or nothing tells yet what it is.

    Args:
        model: the model.
        plan_for: decides what is captured of the output with a preprocessing, as `plan_output`.
        preprocessings: what may be right; what a model puts out may be clear only with one of them.
    """
    for preprocessing in preprocessings:
        try:
            plan = plan_for(preprocessing)
        except FmcoreError:
            continue  # the same question comes again, once the pixels are decided
        return _answers_as_planned(model, plan), plan.target
    return None, Target.NONE


def _answers_as_planned(model: Answering, plan: OutputPlan) -> Answers | None:
    output = plan.output
    if output is None:
        return None
    return lambda images, others: plan.convert(model.answers(images, others)[output.index])


def decide_output(
    outputs: Sequence[ModelOutput],
    truth: Truth | None,
    sample: Callable[[], Sampled],
    options: CaptureOptions = DEFAULTS,
    *,
    model: str,
) -> OutputPlan:
    """Decides which output is the answer of a model, of which kind, and how it is converted.

    Args:
        outputs: all outputs of the model.
        truth: what is true of each sample; None if nobody knows.
        sample: runs the model over some samples; called only where their values are needed.
        options: the options of the capture; target, output and predictions are used here.
        model: the model's name, for messages.

    Raises:
        ModelError: if the evidence is not enough, with what it is, and what to say.
        SelectionError: if there is no such output.
        DatasetError: if the labels are not of the kind that was asked for.
    """
    choice = TargetOption.NONE if not options.predictions else options.target
    named = _named(outputs, options.output, model)
    candidates = [output for output in named if output.n_values]
    shapes = ", ".join(output.shape_words for output in outputs) or "nothing"
    nothing = f"the model puts out {shapes} for each image"
    if choice == TargetOption.NONE:
        return OutputPlan(Target.NONE, f"no class distribution: {nothing}",
                          "as was chosen", n_outputs=len(outputs))  # fmt: skip
    if not candidates:
        if choice == TargetOption.AUTO and not options.output:
            return OutputPlan(
                Target.NONE, f"no class distribution: {nothing}", n_outputs=len(outputs)
            )
        raise ModelError(
            f"model {model!r}: {nothing}; a target other than none needs an output of one or "
            "several numbers for each image; leave out --target and --output (target=, output= in "
            "Python)",
            field="target",
        )
    sampled = functools.cache(sample)
    cases = [_Case(output, truth, sampled) for output in candidates]
    if choice != TargetOption.AUTO:
        if len(cases) > 1:
            raise _which_output(cases, [], model)
        wanted = Target(choice.value)
        conversion = _conversion_for(cases[0], wanted, model)
        return _plan(cases[0], wanted, conversion, "as was chosen", len(outputs))
    verdicts = [_decide(case) for case in cases]
    if len(cases) == 1:
        verdict = verdicts[0]
        if verdict.target is None:
            raise _which_target(cases[0], verdict, model)
        return _plan(
            cases[0], verdict.target, verdict.conversion, "; ".join(verdict.reasons), len(outputs)
        )
    index = _only_fit(cases, verdicts)
    if index is None or (target := verdicts[index].target) is None:
        raise _which_output(cases, verdicts, model)
    others = ", ".join(case.output.name for case in cases if case is not cases[index])
    evidence = "; ".join((*verdicts[index].reasons, f"the labels do not fit {others}"))
    return _plan(cases[index], target, verdicts[index].conversion, evidence, len(outputs))


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the evidence says about one output; the target is None where it is not enough."""

    target: Target | None
    reasons: tuple[str, ...]
    conversion: Conversion = Conversion.IDENTITY


@dataclass(frozen=True, eq=False)
class _Case:
    """One output, the labels, and the values over some samples where they are needed."""

    output: ModelOutput
    truth: Truth | None
    sample: Callable[[], Sampled]

    @property
    def n(self) -> int:
        return self.output.n_values or 0

    @property
    def loss_kind(self) -> LossKind:
        return self.output.loss.kind

    @property
    def from_logits(self) -> bool:
        return self.output.loss.from_logits

    @property
    def has_no_loss(self) -> bool:
        """Whether nothing is said of a loss; one that is not known may be of margins."""
        return not self.output.loss.name

    @functools.cached_property
    def values(self) -> NDArray[np.float64]:
        return self.sample().values[self.output.index].astype(np.float64)

    @functools.cached_property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.values).all())

    @functools.cached_property
    def is_distribution(self) -> bool:
        """Whether the values of every sample are at least 0 and sum to 1."""
        tolerance = self.output.tolerance
        if self.n < 2 or not self.is_finite:
            return False
        return bool(
            (self.values >= -tolerance).all()
            and (np.abs(self.values.sum(axis=1) - 1) <= tolerance).all()
        )

    @functools.cached_property
    def is_unit(self) -> bool:
        """Whether all values are from 0 to 1."""
        tolerance = self.output.tolerance
        return bool(((self.values >= -tolerance) & (self.values <= 1 + tolerance)).all())

    def truth_as(self, kind: Target) -> Truth | None:
        """The labels as a kind, where they have the width of the output; else None."""
        truth = None if self.truth is None else self.truth.read_as(kind)
        if truth is None or (kind != Target.CLASS and truth.values.shape[1] != self.n):
            return None
        return truth

    def true_values(self, kind: Target) -> NDArray[np.float64] | None:
        """The labels of the sampled rows as a kind; None as for `truth_as`."""
        truth = self.truth_as(kind)
        return None if truth is None else truth.values[self.sample().rows].astype(np.float64)

    @property
    def n_true_classes(self) -> int:
        """The number of classes that the labels need; 0 where they are none."""
        if self.truth is None or self.truth.kind != Target.CLASS:
            return 0
        return max(int(self.truth.values.max(initial=0)) + 1, self.truth.n_columns,
                   len(self.truth.names))  # fmt: skip

    @functools.cached_property
    def closeness(self) -> float:
        """R² of the values as predictions of the labels as numbers; -inf where they are none."""
        labels = self.true_values(Target.NUMBER)
        if labels is None or not self.is_finite:
            return -np.inf
        spread = ((labels - labels.mean(axis=0)) ** 2).sum()
        return float(1 - ((self.values - labels) ** 2).sum() / spread) if spread > 0 else -np.inf

    def score(self, conversion: Conversion) -> _Score | None:
        """How well the converted values tell the classes; None where labels are none of them."""
        labels = self.true_values(Target.CLASS)
        n_classes = max(self.n, 2)
        if labels is None or not self.is_finite or self.n_true_classes > n_classes:
            return None
        plan = OutputPlan(Target.CLASS, "", output=self.output, conversion=conversion)
        return _Score.of(plan.convert(self.values.astype(np.float32)), labels.astype(np.int64))

    @functools.cached_property
    def own_score(self) -> _Score | None:
        """How well the values tell the classes, as what they look like; None as for `score`."""
        truth = self.truth
        if truth is not None and truth.n_columns > 1 and truth.n_columns != self.n:
            return None
        if self.n > 1:  # a softmax changes no order
            return self.score(Conversion.SOFTMAX)
        is_own = self.output.ending == Ending.SIGMOID or self.is_unit
        return self.score(Conversion.TWO_COLUMNS if is_own else Conversion.TWO_COLUMNS_OF_SIGMOID)

    def label_score(self, conversion: Conversion) -> _Score | None:
        """How well the converted values tell each of several labels, over all of them."""
        labels = self.true_values(Target.LABELS)
        if labels is None or not self.is_finite:
            return None
        plan = OutputPlan(Target.LABELS, "", output=self.output, conversion=conversion)
        column = plan.convert(self.values.astype(np.float32)).reshape(-1, 1)
        score = _Score.of(np.hstack([1 - column, column]), labels.ravel().astype(np.int64))
        return replace(score, unit="labels of samples")


@dataclass(frozen=True, slots=True)
class _Score:
    """How well probabilities tell the classes of some samples.

    Attributes:
        accuracy: the share of the samples whose class is right.
        chance: the accuracy of guesses as frequent as these, without a look at the sample.
        n_samples: the number of samples.
        skill: the share by which the cross-entropy is below that of the class frequencies.
        unit: what is counted, in words.
    """

    accuracy: float
    chance: float
    n_samples: int
    skill: float
    unit: str = "samples"

    @classmethod
    def of(cls, probability: NDArray[np.floating], labels: NDArray[np.int64]) -> _Score:
        n_samples, n_classes = probability.shape
        guesses = probability.argmax(axis=1)
        true_share = np.bincount(labels, minlength=n_classes) / n_samples
        chance = float(true_share @ (np.bincount(guesses, minlength=n_classes) / n_samples))
        present = true_share[true_share > 0]
        entropy = float(-(present * np.log(present)).sum())
        right = probability[np.arange(n_samples), labels].clip(1e-7, 1)
        skill = 1 - float(-np.log(right).mean()) / entropy if entropy > 0 else -np.inf
        return cls(float((guesses == labels).mean()), chance, n_samples, skill)

    @property
    def agrees(self) -> bool:
        """Whether classes are told far above chance."""
        rest = 1 - self.chance
        if rest <= 0:
            return False
        error = np.sqrt(max(self.chance, 1 / self.n_samples) * rest / self.n_samples)
        beyond = self.accuracy - self.chance
        return bool(beyond / rest >= LEAST_KAPPA and beyond >= LEAST_SIGMAS * error)

    @property
    def convinces(self) -> bool:
        """Whether the probabilities themselves are plausible too, and not only their order."""
        return self.agrees and self.skill >= LEAST_SKILL

    @property
    def words(self) -> str:
        return (
            f"right for {self.accuracy:.2f} of {self.n_samples} {self.unit}, where chance is "
            f"{self.chance:.2f}"
        )


def _decide(case: _Case) -> _Verdict:
    """What an output is, by all evidence that there is."""
    verdict = _decide_single(case) if case.n == 1 else _decide_row(case)
    facts = [f"it ends in {_article(case.output.words)}"]
    if case.output.loss.name:
        logits = " from logits" if case.from_logits else ""
        facts.append(f"its loss is {case.output.loss.name}{logits}")
    if case.truth is not None:
        facts.append(f"labels are {case.truth.words}")
    return _Verdict(verdict.target, (*facts, *verdict.reasons), verdict.conversion)


def _article(words: str) -> str:
    return "a linear operation" if words == "linear" else f"a {words}"


def _unclear(*reasons: str) -> _Verdict:
    return _Verdict(None, reasons)


def _decide_row(case: _Case) -> _Verdict:
    """What an output of several values is."""
    ending, loss = case.output.ending, case.loss_kind
    is_class = ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX)
    # A linear operation may mix probabilities, unless its loss or its labels say that it does not.
    is_plain = ending == Ending.LINEAR and (
        case.from_logits
        or loss == LossKind.NUMBERS
        or (case.truth is not None and case.truth.kind == Target.NUMBER)
    )
    if is_class or (not is_plain and case.is_distribution):
        reasons = () if is_class else (f"its values sum to 1 for {len(case.values)} samples",)
        return _decide_distribution(case, reasons)
    if case.truth is None:
        if ending == Ending.SIGMOID:
            if loss == LossKind.LABELS:
                return _Verdict(Target.LABELS, ())
        elif loss == LossKind.LABELS and case.from_logits:
            return _Verdict(Target.LABELS, (), Conversion.SIGMOID)
        elif loss == LossKind.CLASSES and case.from_logits:
            return _Verdict(Target.CLASS, (), Conversion.SOFTMAX)
        elif loss == LossKind.NUMBERS and ending == Ending.LINEAR:
            return _Verdict(Target.NUMBER, ())
        return _unclear("there are no labels to compare with", _range(case))
    if case.truth.kind == Target.NUMBER:
        return _decide_numbers(case)
    if case.truth.kind == Target.LABELS:
        return _decide_labels(case)
    return _decide_classes(case, is_one_hot=case.truth.n_columns > 1)


def _decide_distribution(case: _Case, reasons: tuple[str, ...]) -> _Verdict:
    """What an output is whose values are a distribution."""
    truth, loss = case.truth, case.loss_kind
    is_log = case.output.ending == Ending.LOG_SOFTMAX
    conversion = Conversion.SOFTMAX if is_log else Conversion.IDENTITY
    if truth is None:
        if loss in (LossKind.CLASSES, LossKind.UNKNOWN):
            return _Verdict(Target.CLASS, reasons, conversion)
        return _unclear("there are no labels to compare with")
    if truth.kind != Target.CLASS:
        return _unclear("values that sum to 1 tell classes, which these labels are not")
    if truth.n_columns > 1 and truth.n_columns != case.n:
        return _unclear(_widths(case))
    return _Verdict(Target.CLASS, reasons, conversion)


def _decide_numbers(case: _Case) -> _Verdict:
    """What an output is whose labels are numbers that are no classes."""
    if case.truth_as(Target.NUMBER) is None:
        return _unclear(_widths(case))
    loss, ending = case.loss_kind, case.output.ending
    is_bounded = ending == Ending.SIGMOID or (ending == Ending.OTHER and case.is_unit)
    if loss == LossKind.NUMBERS or (loss == LossKind.UNKNOWN and not is_bounded):
        return _Verdict(Target.NUMBER, ())
    if loss == LossKind.UNKNOWN and case.closeness >= NEAR_NUMBERS:
        return _Verdict(Target.NUMBER, (_closeness(case),))
    return _unclear(_closeness(case), _range(case))


def _decide_labels(case: _Case) -> _Verdict:
    """What an output is whose labels are rows of 0 and 1."""
    if case.truth_as(Target.LABELS) is None:
        return _unclear(_widths(case))
    ending, loss = case.output.ending, case.loss_kind
    if ending == Ending.SIGMOID:
        if loss == LossKind.CLASSES:
            return _unclear("the loss is that of one class of several")
        return _Verdict(Target.LABELS, ())
    if loss == LossKind.LABELS:
        if case.from_logits:
            return _Verdict(Target.LABELS, (), Conversion.SIGMOID)
        if ending == Ending.OTHER and case.is_unit:
            return _Verdict(Target.LABELS, (_range(case),))
    elif case.has_no_loss:
        is_own = ending == Ending.OTHER and case.is_unit
        conversion = Conversion.IDENTITY if is_own else Conversion.SIGMOID
        score = case.label_score(conversion)
        if score and score.convinces and (is_own or case.closeness < FAR_FROM_NUMBERS):
            reason = f"as probabilities of labels its values are {score.words}"
            return _Verdict(Target.LABELS, (reason,), conversion)
    return _unclear(_range(case), _closeness(case))


def _decide_classes(case: _Case, *, is_one_hot: bool) -> _Verdict:
    """What an output of several values is, which are no distribution, whose labels are classes."""
    ending, loss = case.output.ending, case.loss_kind
    if is_one_hot and case.truth_as(Target.LABELS) is None:
        return _unclear(_widths(case))
    if ending == Ending.SIGMOID:
        if loss == LossKind.CLASSES:
            return _Verdict(Target.CLASS, ("values need not sum to 1",))
        if is_one_hot:
            return _unclear("rows with a single 1 each may be one class, or several labels")
        return _unclear(f"it puts out {case.n} values by themselves, for one class of each sample")
    score = case.score(Conversion.SOFTMAX)
    if loss == LossKind.CLASSES and case.from_logits:
        return _Verdict(Target.CLASS, (), Conversion.SOFTMAX)
    if loss == LossKind.CLASSES:
        return _unclear("the loss takes probabilities, but values do not sum to 1", _range(case))
    if loss == LossKind.NUMBERS and ending == Ending.LINEAR and not is_one_hot:
        if score is None or not score.agrees:
            return _Verdict(Target.NUMBER, ("the labels are not these numbers",))
        return _unclear(f"as classes its values are {score.words}")
    is_told = case.has_no_loss and score is not None and score.convinces
    # Values from 0 to 1, or near one-hot rows, are no logits: a softmax makes them nearly equal.
    is_number = case.is_unit or (is_one_hot and case.closeness >= NEAR_NUMBERS)
    if is_told and score is not None and not is_number:
        reason = f"as scores of classes its values are {score.words}"
        return _Verdict(Target.CLASS, (reason,), Conversion.SOFTMAX)
    reasons = [_range(case)]
    if score is not None:
        reasons.append(f"as scores of classes its values are {score.words}")
    elif case.n_true_classes > case.n:
        reasons.append(f"labels need {case.n_true_classes} classes")
    return _unclear(*reasons)


def _decide_single(case: _Case) -> _Verdict:
    """What an output of one value is."""
    truth, ending, loss = case.truth, case.output.ending, case.loss_kind
    if ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX):
        return _unclear("a softmax of one value is always the same")
    if truth is None:
        if loss == LossKind.LABELS and ending == Ending.SIGMOID:
            return _Verdict(Target.CLASS, (), Conversion.TWO_COLUMNS)
        if loss == LossKind.LABELS and case.from_logits:
            return _Verdict(Target.CLASS, (), Conversion.TWO_COLUMNS_OF_SIGMOID)
        if loss == LossKind.NUMBERS and ending == Ending.LINEAR:
            return _Verdict(Target.NUMBER, ())
        return _unclear("there are no labels to compare with", _range(case))
    if truth.kind == Target.NUMBER:
        return _decide_numbers(case)
    if truth.kind == Target.LABELS or case.n_true_classes > 2:
        is_number = truth.kind == Target.CLASS and truth.n_columns == 1 and not truth.names
        if is_number and ending != Ending.SIGMOID:
            if loss == LossKind.NUMBERS:
                return _Verdict(Target.NUMBER, ())
            if loss == LossKind.UNKNOWN and case.closeness >= NEAR_NUMBERS:
                return _Verdict(Target.NUMBER, (_closeness(case),))
        reasons = [_range(case)]
        if case.n_true_classes > 2:
            reasons.append(f"labels need {case.n_true_classes} classes")
        return _unclear(*reasons, _closeness(case) if is_number else _widths(case))
    return _decide_two_classes(case)


def _decide_two_classes(case: _Case) -> _Verdict:
    """What an output of one value is whose labels are of two classes."""
    ending, loss = case.output.ending, case.loss_kind
    if loss == LossKind.CLASSES:
        return _unclear("the loss takes a value for each class", _range(case))
    if ending == Ending.SIGMOID:
        return _Verdict(Target.CLASS, (), Conversion.TWO_COLUMNS)
    is_own = ending == Ending.OTHER and case.is_unit
    if loss == LossKind.LABELS:
        if case.from_logits and not is_own:
            return _Verdict(Target.CLASS, (), Conversion.TWO_COLUMNS_OF_SIGMOID)
        if is_own and not case.from_logits:
            return _Verdict(Target.CLASS, (_range(case),), Conversion.TWO_COLUMNS)
        return _unclear("its loss and its values contradict each other", _range(case))
    if loss == LossKind.NUMBERS:
        if ending == Ending.LINEAR:
            return _Verdict(Target.NUMBER, ())
        return _unclear(_range(case))
    conversion = Conversion.TWO_COLUMNS if is_own else Conversion.TWO_COLUMNS_OF_SIGMOID
    score = case.score(conversion)
    is_told = case.has_no_loss and score is not None and score.convinces
    if is_told and score and (is_own or case.closeness < FAR_FROM_NUMBERS):
        what = "a probability" if is_own else "a logit"
        return _Verdict(Target.CLASS, (f"as {what} it is {score.words}",), conversion)
    if case.has_no_loss and not is_own and case.closeness >= NEAR_NUMBERS:
        return _Verdict(Target.NUMBER, (_closeness(case),))
    reasons = [_range(case)]
    if score is not None:
        what = "a probability" if is_own else "a logit"
        reasons.append(f"as {what} it is {score.words}")
    return _unclear(*reasons, _closeness(case))


def _range(case: _Case) -> str:
    values = case.values
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        return f"{n_bad} of its {values.size} values for {len(values)} samples are not finite"
    words = f"its values for {len(values)} samples are {values.min():.3g} to {values.max():.3g}"
    if case.n == 1:
        return words
    sums = values.sum(axis=1)
    return f"{words}, and their sums {sums.min():.3g} to {sums.max():.3g}"


def _closeness(case: _Case) -> str:
    if not np.isfinite(case.closeness):
        return "the labels are not numbers that it could predict"
    return f"as numbers its values explain {case.closeness:.2f} of the labels' variance (R²)"


def _widths(case: _Case) -> str:
    n_columns = 0 if case.truth is None else case.truth.n_columns
    return f"labels have {n_columns} values for each sample, the output {case.n}"


def _conversion_for(case: _Case, target: Target, model: str) -> Conversion:
    """How an output becomes what a person says that it is.

    Raises:
        ModelError: if it cannot be that.
        DatasetError: if the labels cannot be of that kind.
    """
    output, ending = case.output, case.output.ending
    if target == Target.NUMBER:
        return Conversion.IDENTITY
    if target == Target.LABELS:
        if ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX):
            raise ModelError(
                f"model {model!r}: output {output.name!r} ends in {_article(output.words)}, whose "
                "values sum to 1, so they are not of several labels; give --target class "
                "(target='class' in Python)",
                field="target",
            )
        is_own = ending == Ending.SIGMOID or (ending == Ending.OTHER and case.is_unit)
        return Conversion.IDENTITY if is_own else Conversion.SIGMOID
    if case.truth is not None and case.truth.kind != Target.CLASS:
        raise DatasetError(
            f"--target class (target='class' in Python), but labels are {case.truth.words}; give "
            f"class indices, or no labels, or --target {case.truth.kind}",
            field="target",
        )
    if case.n == 1:
        if ending in (Ending.SOFTMAX, Ending.LOG_SOFTMAX):
            raise ModelError(
                f"model {model!r}: output {output.name!r} is a softmax of one value, which is "
                "always the same, so it tells no class; give --target none (target='none')",
                field="target",
            )
        if ending == Ending.SIGMOID or (ending == Ending.OTHER and case.is_unit):
            return Conversion.TWO_COLUMNS
        if case.truth is not None and case.closeness >= NEAR_NUMBERS:
            score = case.score(Conversion.TWO_COLUMNS_OF_SIGMOID)
            wrong = f"; as a logit it is {score.words}" if score else ""
            raise ModelError(
                f"model {model!r}: output {output.name!r} is no logit: {_closeness(case)}{wrong}; "
                "give --target number (target='number' in Python)",
                field="target",
            )
        return Conversion.TWO_COLUMNS_OF_SIGMOID
    is_own = ending in (Ending.SOFTMAX, Ending.SIGMOID) or case.is_distribution
    is_own = is_own or (ending == Ending.OTHER and case.is_unit)
    return Conversion.IDENTITY if is_own else Conversion.SOFTMAX


def _plan(
    case: _Case, target: Target, conversion: Conversion, evidence: str, n_outputs: int
) -> OutputPlan:
    output = case.output
    owner = "the model's" if n_outputs == 1 else f"output {output.name!r}, 1 of {n_outputs},"
    return OutputPlan(
        target,
        _WORDS[target, conversion].format(owner),
        evidence,
        output=output,
        n_outputs=n_outputs,
        conversion=conversion,
        has_truth=case.truth_as(target) is not None,
    )


def _named(outputs: Sequence[ModelOutput], name: str, model: str) -> Sequence[ModelOutput]:
    """The output of a name, or all."""
    if not name:
        return outputs
    names = [output.name for output in outputs]
    if name not in names:
        raise SelectionError(
            f"output {name!r}; model {model!r} has {', '.join(names)}{near_matches(name, names)}",
            field="output",
        )
    return [outputs[names.index(name)]]


def _only_fit(cases: Sequence[_Case], verdicts: Sequence[_Verdict]) -> int | None:
    """The index of the only output that the labels fit; None where another may be meant."""
    if cases[0].truth is None:
        return None
    decided = [index for index, verdict in enumerate(verdicts) if verdict.target is not None]
    fits = [index for index in decided if _has_truth(cases[index], verdicts[index])]
    if len(fits) != 1:
        return None
    score = cases[fits[0]].own_score
    is_told = score is not None and score.agrees
    others = [case for case in cases if case is not cases[fits[0]]]
    return None if any(_may_fit(case, is_told=is_told) for case in others) else fits[0]


def _has_truth(case: _Case, verdict: _Verdict) -> bool:
    """Whether the labels are those of an output of the decided kind."""
    if verdict.target == Target.CLASS:
        return case.n_true_classes <= max(case.n, 2)
    return verdict.target is not None and case.truth_as(verdict.target) is not None


def _may_fit(case: _Case, *, is_told: bool) -> bool:
    """Whether labels may be those of an output.

    Args:
        case: the output.
        is_told: whether another output tells the labels; then this one does not where its values
            say nothing of them.
    """
    ending, truth, score = case.output.ending, case.truth, case.own_score
    if truth is not None and truth.kind == Target.LABELS and ending == Ending.SOFTMAX:
        return False
    if score is not None and case.loss_kind != LossKind.NUMBERS and (score.agrees or not is_told):
        return True
    for kind in (Target.LABELS, Target.NUMBER):
        if case.truth_as(kind) is not None and (case.closeness > 0 or not is_told):
            return True
    return False


def _which_target(case: _Case, verdict: _Verdict, model: str) -> ModelError:
    values = "one value" if case.n == 1 else f"{case.n} values"
    return ModelError(
        f"model {model!r}: it is not clear what output {case.output.name!r}, {values} for each "
        f"image, is: {'; '.join(verdict.reasons)}. Give --target class, labels, number or none "
        "(target= in Python): class, one of several classes; labels, several labels; number, one "
        "or several numbers; none, features",
        field="target",
    )


def _which_output(cases: Sequence[_Case], verdicts: Sequence[_Verdict], model: str) -> ModelError:
    lines = []
    for index, case in enumerate(cases):
        values = "one value" if case.n == 1 else f"{case.n} values"
        about = [values, f"ends in {_article(case.output.words)}"]
        if case.output.loss.name:
            about.append(f"loss {case.output.loss.name}")
        if verdicts and (target := verdicts[index].target) is not None:
            about.append(f"by itself {target}")
        lines.append(f"{case.output.name} ({', '.join(about)})")
    return ModelError(
        f"model {model!r} has several outputs that may be its answer: {'; '.join(lines)}. Name one "
        "with --output NAME (output= in Python), or give --target none",
        field="output",
    )
