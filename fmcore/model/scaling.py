"""Decides which preprocessing of pixels a model gets, and says why.

The only place where this is decided: for the command, for Python and for the callback.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from fmcore.dataset import (
    AS_GIVEN,
    Decision,
    LabelledImages,
    Preprocessing,
    default_preprocessing,
    preprocessing_named,
)
from fmcore.dataset.preprocessing import UNIT, largest_pixel
from fmcore.model.inputs import ModelInputs
from fmcore.model.keras_names import application_inside, application_preprocessing
from fmcore.model.sight import Arrays, Finding, FirstSight, Takes
from fmcore.model.training_record import read_record
from fmcore.records import Target

log = logging.getLogger(__name__)

# What a model answers for images and further inputs: probabilities [sample, class] or
# [sample, label], or numbers [sample, n].
Answer = Callable[[NDArray[np.float32], Arrays], NDArray[np.float32]]

N_FIRST = 16  # samples whose pixels are described
# Labeled samples on which preprocessings are compared: as many as have so many pixels.
MOST_TRIED, FEWEST_TRIED, PIXELS_TRIED = 512, 32, 1 << 22
# Samples that are tried together: as many as have so many pixels, whose activations are small
# beside any --memory. For small images, most of the time goes into the calls of the model.
FEWEST_TOGETHER, MOST_TOGETHER, PIXELS_TOGETHER = 4, 256, 1 << 17
# A preprocessing is far better if it raises the mean accuracy of the classes by so much, and chance
# does so more rarely than 1 in 1,000,
FAR, RARE, DEVIATIONS = 0.1, 1e-3, 3.0
# or if it halves the loss, lowers it by so much, and is hardly less often right. Networks of ReLU
# predict the same classes at other scales, but with other probabilities: on pixels that are too
# small none that tells anything.
LOWER_LOSS, LESS_RIGHT, FEWEST_FOR_LOSS = 0.2, 0.02, 10
# Of the loss of a model that knows nothing, log(classes): more than this tells too little.
USEFUL_LOSS = 0.7
# A model that is right more often than chance by so much, but tells almost nothing by its loss.
UNSURE_BUT_RIGHT, UNSURE_LOSS = 0.2, 0.95
LEAST_PROBABILITY = 1e-7  # as in Keras' own losses
# Divergences, in nats, of images that a batch normalization was trained on, and of others.
FITS_WITHIN, MISFITS_BY = 0.5, 3.0
# Float pixels above this were not scaled by anybody.
SCALED = 8.0
DECIDE = "--scale 1 feeds pixels as given, --scale 255 divides them"


def decide(
    model: keras.Model,
    samples: LabelledImages,
    inputs: ModelInputs,
    *,
    declared: Preprocessing | None = None,
    is_checked: bool = True,
    source: str | Path = "",
    answer: Answer | None = None,
    target: Target = Target.CLASS,
) -> Decision:
    """The preprocessing of pixels for a model.

    What a person declared is done. Float pixels stay as they are. For uint8 pixels counts, in this
    order: what the model's file records of its training, the architecture of `keras.applications`
    that was named, what the model does to black and white images, and that pixels are usually
    divided by 255. Where samples with labels, or the moments that a batch normalization was trained
    on, say clearly that other pixels are right, they win.

    Args:
        model: a Keras model.
        samples: the test set, as `fmcore.model.inputs.fit_to_model` returns it.
        inputs: the model's inputs.
        declared: the preprocessing that a person asks for.
        is_checked: whether to warn where what is declared looks wrong.
        source: the model's file or name.
        answer: what the model answers, where that is clear already.
        target: the kind of answer.

    Raises:
        ModelError: if the record in the model's file cannot be read.
        DatasetError: if an image cannot be decoded.
    """
    evidence = _Evidence(model, samples, inputs, answer, target)
    recorded = read_record(Path(source)) if source else None
    if declared is not None:
        warning = evidence.doubt(recorded) if is_checked and declared == AS_GIVEN else ""
        return evidence.decision(declared, "", warning)
    if samples.images.dtype != np.uint8:
        return evidence.decision(AS_GIVEN, "", evidence.doubt(recorded))
    if evidence.largest <= 1:
        reason = f"no uint8 pixel is above {evidence.largest:g}"
        return evidence.decision(AS_GIVEN, reason, evidence.doubt(recorded))
    if recorded is not None:
        return evidence.challenged(recorded, "as the model's file records of its training")
    named = application_preprocessing(str(source)) if source else None
    if named is not None:
        return evidence.challenged(named, f"as {source} was trained")
    finding = evidence.finding
    ends = f"{_number(finding.black)} to {_number(finding.white)}"
    match finding.takes:
        case Takes.RAW:
            reason = f"the model scales pixels itself: {evidence.name} sees {ends}"
            return evidence.challenged(AS_GIVEN, reason)
        case Takes.EITHER:
            reason = f"the model scales pixels itself: {evidence.name} sees the same at any scale"
            return evidence.decision(AS_GIVEN, reason)
        case Takes.UNIT:
            reason = f"the model takes pixels of 0 to 1: {evidence.name} sees {ends}"
            return evidence.challenged(UNIT, reason)
    return evidence.challenged(default_preprocessing(samples.images), "", is_default=True)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A preprocessing, tried on labeled samples.

    Of several labels, each label of a sample is a case by itself.

    Attributes:
        preprocessing: what was tried.
        correct: <bool>[case], whether the answer is right: the predicted class, whether a label is
            there, or a number to half of the standard deviation of all.
        losses: <float64>[case], the cross-entropy; of numbers, the squared error in units of their
            variance.
        labels: <int64>[case], what cases are balanced by: classes, a label and whether it is there.
        ignorance: the mean loss of a model that knows nothing.
    """

    preprocessing: Preprocessing
    correct: NDArray[np.bool_]
    losses: NDArray[np.float64]
    labels: NDArray[np.int64]
    ignorance: float

    @property
    def words(self) -> str:
        name, loss = _name(self.preprocessing), _number(self.loss)
        return f"{name}: {self.correct.mean():.1%} right, loss {loss}"

    @property
    def loss(self) -> float:
        """The mean cross-entropy, as Keras' `evaluate` returns it."""
        return float(self.losses.mean())

    @property
    def by_class(self) -> list[NDArray[np.bool_]]:
        """For each class in the labels, whether the predictions of its samples are right."""
        return [self.correct[self.labels == index] for index in np.unique(self.labels)]

    @property
    def balanced(self) -> float:
        """The mean of the accuracies of the classes; a model that sees nothing has 1 / classes."""
        return float(np.mean([correct.mean() for correct in self.by_class]))

    @property
    def is_useful(self) -> bool:
        """Whether the probabilities tell much of the classes."""
        return self.loss <= USEFUL_LOSS * self.ignorance

    @property
    def is_too_unsure(self) -> bool:
        """Whether predictions are often right, while the probabilities are nearly all alike."""
        is_right = self.balanced > 1 / len(self.by_class) + UNSURE_BUT_RIGHT
        return is_right and self.loss > UNSURE_LOSS * self.ignorance

    def is_far_better(self, other: _Trial) -> bool:
        """Whether this preprocessing is better by more than chance makes it."""
        return self._is_righter(other) or self._has_lower_loss(other)

    def _is_righter(self, other: _Trial) -> bool:
        gains = [
            own.astype(float) - others
            for own, others in zip(self.by_class, other.by_class, strict=True)
        ]
        mean = float(np.mean([gain.mean() for gain in gains]))
        # A class of a few samples that all agree still varies: one more is counted for each.
        error = float(np.sqrt(sum((np.sum(gain**2) + 1) / len(gain) ** 2 for gain in gains)))
        wins, losses = (sum(int((sign * gain > 0).sum()) for gain in gains) for sign in (1, -1))
        is_rare = wins + losses > 0 and binomtest(wins, wins + losses).pvalue < RARE
        beats_chance = self.balanced > 1 / len(gains) + FAR
        is_sure = mean >= DEVIATIONS * error / len(gains) or is_rare
        return mean >= FAR and beats_chance and is_sure

    def _has_lower_loss(self, other: _Trial) -> bool:
        gain = other.losses - self.losses
        error = float(gain.std() / np.sqrt(len(gain)))
        return (
            len(gain) >= FEWEST_FOR_LOSS
            and self.is_useful
            and self.balanced >= other.balanced - LESS_RIGHT
            and self.loss <= other.loss / 2
            and float(gain.mean()) >= max(LOWER_LOSS, DEVIATIONS * error)
        )


class _Evidence:
    """What can be measured of a model and a test set; each only when it is asked for.

    Attributes:
        name: the path of the first layer with weights.
        largest: the largest pixel of the set, by magnitude.
    """

    def __init__(
        self,
        model: keras.Model,
        samples: LabelledImages,
        inputs: ModelInputs,
        answer: Answer | None,
        target: Target,
    ) -> None:
        self._model, self._samples = model, samples
        self._answer, self._target = answer, target
        self._sight = FirstSight(model, inputs)
        self._first = np.asarray(samples.images[:N_FIRST])
        self._others = samples.others_of(slice(N_FIRST))
        self._finding: Finding | None = None
        self.name = self._sight.name
        self.largest = largest_pixel(samples.images)

    @property
    def finding(self) -> Finding:
        """Which pixels the model takes, by its graph."""
        if self._finding is None:
            pixels = self._first.astype(np.float32)
            white = 255.0 if self._samples.images.dtype == np.uint8 else max(self.largest, 1.0)
            self._finding = self._sight.finding(
                pixels * np.float32(255 / white),
                self._others,
                largest=self.largest if self.largest > 1 else 255.0,
            )
        return self._finding

    def decision(self, preprocessing: Preprocessing, reason: str, warning: str = "") -> Decision:
        """A decision, with what the model's first layer will see of the first samples."""
        seen = self._sight(preprocessing(self._first), self._others)[0]
        low, mean, high = (_number(float(f(seen))) for f in (np.min, np.mean, np.max))
        sight = (
            f"{self.name} will see {low} to {high}, mean {mean} (first {len(self._first)} samples)"
        )
        return Decision(preprocessing, reason, sight, warning)

    def challenged(
        self, preprocessing: Preprocessing, reason: str, *, is_default: bool = False
    ) -> Decision:
        """A decision for the preprocessing, unless labels or a batch normalization say otherwise.

        Args:
            preprocessing: what is done unless something else is clearly right.
            reason: why.
            is_default: whether nothing but custom speaks for the preprocessing.
        """
        tried = self._tried(preprocessing)
        counted = _results(tried)
        better = _far_better(tried)
        if better is not None:
            reason = f"measured: {counted}"
            return self.decision(better, reason, self._override(preprocessing, better, counted))
        if not is_default:
            return self.decision(preprocessing, reason)
        misfits = self._misfits(preprocessing)
        fitting = _fitting(misfits)
        if fitting is not None and not _is_clear(tried):
            if fitting == preprocessing:
                reason = "the batch normalization was trained on such pixels"
                return self.decision(preprocessing, reason)
            reason = "measured: the batch normalization was trained on such pixels"
            divergences = "; ".join(f"{_name(each)}: {value:.3g}" for each, value in misfits)
            measured = f"divergence from its moments in nats, {divergences}"
            return self.decision(fitting, reason, self._override(preprocessing, fitting, measured))
        reason = f"the default for uint8; {counted or 'neither the model nor labels tell'}"
        return self.decision(preprocessing, reason, self._hint(tried))

    def doubt(self, recorded: Preprocessing | None) -> str:
        """Why images that are fed as they are may not be what the model takes, or nothing.

        Args:
            recorded: the preprocessing that the model's file records of its training.
        """
        largest, takes = self.largest, self.finding.takes
        images = "the images are fed as they are"
        if takes == Takes.RAW and largest <= 1:
            return (
                f"{images}, but the model scales pixels itself, and {self.name} sees "
                f"{_number(self.finding.black)} to {_number(self.finding.white)} of pixels of 0 to "
                f"255; the largest here is {largest:.3g}: give pixels that are not scaled yet"
            )
        if takes in (Takes.RAW, Takes.EITHER) or largest <= SCALED:
            return ""
        if recorded is not None and recorded != AS_GIVEN:
            return f"{images}, but the model's file records {recorded.words} of its training"
        tried = self._tried(AS_GIVEN)
        better = _far_better(tried)
        fitting = None if better or _is_clear(tried) else _fitting(self._misfits(AS_GIVEN))
        if better is not None:
            return f"{images}, but {_results(tried)}; preprocess them as in training"
        if fitting is not None and fitting != AS_GIVEN:
            return (
                f"{images}, but the model's batch normalization was trained on other pixels "
                f"({_name(fitting)}); preprocess them as in training"
            )
        if takes == Takes.UNIT:
            return (
                f"{images}, up to {largest:.3g}, but the model takes pixels of 0 to 1: then "
                f"{self.name} sees {_number(self.finding.black)} to {_number(self.finding.white)}"
            )
        return ""

    def _candidates(self, first: Preprocessing) -> list[Preprocessing]:
        """The preprocessing, then those that other models of such images were trained with."""
        candidates = [first, UNIT, AS_GIVEN, preprocessing_named("mobilenet")]
        if 1 < self.largest < 128 and isinstance(self._samples.images, np.ndarray):
            candidates.append(Preprocessing(scale=self.largest))
        if self._samples.image_shape[2] == 3:
            candidates += [preprocessing_named("densenet"), preprocessing_named("vgg16")]
        nameless = [dataclasses.replace(candidate, name="") for candidate in candidates]
        nameless[0] = first
        return [
            candidate
            for index, candidate in enumerate(nameless)
            if candidate.steps not in {before.steps for before in nameless[:index]}
        ]

    def _tried(self, first: Preprocessing) -> list[_Trial]:
        """The candidates on labeled samples; only the first where none can be far better."""
        samples, answer, target = self._samples, self._answer, self._target
        truth = samples.truth
        truth = None if truth is None else truth.read_as(target)
        if answer is None or truth is None:
            return []
        pixels = max(1, int(np.prod(samples.image_shape)))
        most = int(np.clip(PIXELS_TRIED // pixels, FEWEST_TRIED, MOST_TRIED))
        together = int(np.clip(PIXELS_TOGETHER // pixels, FEWEST_TOGETHER, MOST_TOGETHER))
        rng = np.random.default_rng(0)
        rows = np.sort(rng.permutation(len(samples))[:most])
        true = np.asarray(truth.values)[rows]
        if len(np.unique(true)) < 2:
            return []
        images = samples.images_of(rows)
        others = {name: values[rows] for name, values in samples.others.items()}
        trials: list[_Trial] = []
        for candidate in self._candidates(first):
            parts = []
            for start in range(0, len(rows), together):
                part = slice(start, start + together)
                inputs = {name: values[part] for name, values in others.items()}
                parts.append(answer(candidate(images[part]), inputs))
            trial = _trial(candidate, np.concatenate(parts).astype(np.float64), true, target)
            if trial is None:  # refused later, with all labels at hand
                return []
            trials.append(trial)
            if trials[0].balanced > 1 - FAR and trials[0].loss < LOWER_LOSS:
                break
        return trials

    def _misfits(self, first: Preprocessing) -> list[tuple[Preprocessing, float]]:
        """How far each candidate is from what a batch normalization was trained on."""
        misfits = []
        for candidate in self._candidates(first):
            value = self._sight.misfit(candidate(self._first), self._others)
            if value is not None and np.isfinite(value):
                misfits.append((candidate, value))
        return misfits

    def _override(self, usual: Preprocessing, better: Preprocessing, measured: str) -> str:
        return (
            f"pixels are preprocessed otherwise than usual ({_name(better)}, not {_name(usual)}): "
            f"{measured}; to decide yourself: {DECIDE}"
        )

    def _hint(self, tried: Sequence[_Trial]) -> str:
        """What speaks against the default where nothing could be measured."""
        if _is_clear(tried):
            return ""
        if tried and tried[0].is_too_unsure:
            return (
                f"the model's probabilities tell less than its predictions, as on pixels that are "
                f"too small: {_results(tried)}; if it was trained otherwise, say so: {DECIDE}"
            )
        inside = application_inside(self._model)
        if inside is not None:
            name, preprocessing = inside
            return (
                f"the model contains {name} of keras.applications, and nothing tells whether it "
                f"was trained on {_name(UNIT)} or on {_name(preprocessing)}; "
                f"--preprocess {preprocessing.name} gives the latter"
            )
        if self.largest < 128 and isinstance(self._samples.images, np.ndarray):
            return (
                f"pixels are divided by 255, but none is above {self.largest:g}; if the model was "
                f"trained otherwise, say so: --scale {self.largest:g} or --scale 1"
            )
        return ""


def _trial(
    preprocessing: Preprocessing, answers: NDArray[np.float64], true: NDArray[Any], target: Target
) -> _Trial | None:
    """How right answers are; None where they do not fit the labels.

    Args:
        preprocessing: what was tried.
        answers: <float64>[sample, class], [sample, label] or [sample, n].
        true: <int64>[sample], <bool>[sample, label] or <float32>[sample, n].
        target: the kind of both.
    """
    if target == Target.CLASS:
        if true.max() >= answers.shape[1]:
            return None
        of_label = answers[np.arange(len(true)), true]
        correct = answers.argmax(axis=1) == true
        return _Trial(preprocessing, correct, _entropy(of_label), true, np.log(answers.shape[1]))
    if true.shape != answers.shape:
        return None
    columns = np.broadcast_to(np.arange(true.shape[1]), true.shape)
    if target == Target.LABELS:
        of_label = np.where(true, answers, 1 - answers).reshape(-1)
        by_label = (2 * columns + true).reshape(-1)
        return _Trial(preprocessing, of_label > 0.5, _entropy(of_label), by_label, np.log(2))
    deviations = true.astype(np.float64).std(axis=0)
    errors = (answers - true) / np.where(deviations > 0, deviations, 1)
    correct = np.abs(errors).reshape(-1) < 0.5
    return _Trial(preprocessing, correct, errors.reshape(-1) ** 2, columns.reshape(-1), 1.0)


def _entropy(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.log(np.clip(probability, LEAST_PROBABILITY, 1))


def _far_better(tried: Sequence[_Trial]) -> Preprocessing | None:
    """The best preprocessing, if it is far better than the first."""
    better = [trial for trial in tried[1:] if trial.is_far_better(tried[0])]
    return min(better, key=_rank).preprocessing if better else None


def _rank(trial: _Trial) -> tuple[float, float]:
    """Sorts the best trial first: the one that is right most often, to 5%, with the lowest loss.

    Losses with the same four digits are equal, and the candidate that comes first wins: what is
    below that another processor rounds otherwise.
    """
    return -round(trial.balanced * 20), float(f"{trial.loss:.4g}")


def _results(tried: Sequence[_Trial]) -> str:
    """How well the first preprocessing does, and the best of the others; empty without labels."""
    if not tried:
        return ""
    others = sorted(tried[1:], key=_rank)[:1]
    results = "; ".join(trial.words for trial in (tried[0], *others))
    return f"of {len(tried[0].labels):,} labeled samples, {results}"


def _is_clear(tried: Sequence[_Trial]) -> bool:
    """Whether the first preprocessing tells the classes apart, with fitting probabilities."""
    if not tried:
        return False
    chance = 1 / len(tried[0].by_class)
    return tried[0].is_useful and tried[0].balanced > chance + (1 - chance) / 2


def _fitting(misfits: Sequence[tuple[Preprocessing, float]]) -> Preprocessing | None:
    """The preprocessing that clearly fits a batch normalization; the first, if it fits too."""
    if not misfits:
        return None
    best, least = min(misfits, key=lambda pair: pair[1])
    first, usual = misfits[0]
    if usual <= FITS_WITHIN:
        return first
    return best if least <= FITS_WITHIN and usual > least + MISFITS_BY else None


def _name(preprocessing: Preprocessing) -> str:
    return preprocessing.steps or "as given"


def _number(value: float) -> str:
    return f"{value:.3g}"
