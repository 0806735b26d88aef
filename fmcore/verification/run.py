"""Random samples of a data set through Keras itself, compared with what a store holds of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages, preprocessing_of_words
from fmcore.errors import DatasetError, ModelError
from fmcore.records import ModelInfo, Target
from fmcore.storage import Layer, Store
from fmcore.verification.data import data_difference
from fmcore.verification.differences import (
    SUBJECTS,
    Difference,
    Subject,
    first_answer_difference,
    first_map_difference,
    first_pooled_difference,
    first_prediction_difference,
    largest_deviation,
    tolerance,
)
from fmcore.verification.measures import Total, measures, recorded_difference
from fmcore.verification.outputs import NOUNS, Answers, Recorded, answers_of

# Maps of this size are in memory at once; with what comparing them takes, 0.6 GB were measured.
BLOCK_BYTES = 64_000_000
# Samples that are read where the fingerprint says that the data are those of the store.
READ_SAMPLES = 200
MOST_NAMED = 8  # more layers than these are counted, not named, in one line


class Reference(Protocol):
    """What Keras itself makes of images; see `fmcore.model.reference.KerasReference`."""

    @property
    def resolution(self) -> float:
        """How far results may lie apart, relative to the largest."""

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> tuple[dict[str, NDArray[np.float32]], list[NDArray[np.float32]]]:
        """The model's outputs by name, and <float32>[sample, y, x, filter] for each layer."""

    def evaluate(
        self,
        images: NDArray[np.float32],
        others: Mapping[str, NDArray[np.float32]],
        truth: NDArray[np.generic],
        *,
        target: Target,
        output: str,
        threshold: float | None,
    ) -> float:
        """The accuracy, or mean absolute error, that Keras' `evaluate` measures."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison.

    Attributes:
        store: the store's file.
        n_samples: the number of samples that were compared.
        n_stored: the number of samples in the store.
        seed: what chose the samples.
        compared: what was compared with Keras, in words; empty where the data differ.
        measured: how right the model is on these samples, by Keras' `evaluate` and `predict`:
            `accuracy`; `labels right` and `exact match`; or `mean absolute error`. Empty where the
            store holds no answers or no labels of their kind.
        deviation: how far a stored activation lies from that of Keras at most, relative to the
            largest activation of its layer.
        differences: the first difference of each kind, in the order of `SUBJECTS`.
    """

    store: str
    n_samples: int
    n_stored: int
    seed: int
    compared: tuple[str, ...]
    measured: Mapping[str, float]
    deviation: float
    differences: tuple[Difference, ...]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def words(self) -> str:
        """The result in one line; where something differs, what differs first."""
        if self.differences:
            first, *others = self.differences
            then = ""
            if first.subject == Subject.MODEL:  # another model may compute the same
                same = "; on these samples it computes the same" if self.compared else ""
                then = f"; then {others[0]}" if others else same
            return f"{self.store} differs: {first}{then}; {_remedy(first.subject)}"
        return (
            f"{self.store} is what Keras computes for {self.n_samples:,} of {self.n_stored:,} "
            f"samples (seed {self.seed}): {', '.join(self.compared)}"
        )


def verify(
    store: Store,
    samples: LabelledImages,
    model: ModelInfo,
    reference: Callable[[], Reference],
    *,
    class_names: Sequence[str] = (),
    n_samples: int,
    seed: int,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Verification:
    """Compares random samples of a store with what Keras makes of the data.

    Where the data differ, the model is not run: nothing that it says could be compared.

    Args:
        store: an open store.
        samples: the test set, as it fits the model.
        model: which model it is.
        reference: opens the model for Keras; called where the data are those of the store.
        class_names: the names of the classes of the data's labels; empty where labels are the
            indices in the store.
        n_samples: the number of samples to compare; all where there are fewer.
        seed: fixes which.
        on_progress: called with the number of samples compared since the last call.

    Raises:
        ModelError: if Keras cannot run the model.
        DatasetError: if images cannot be read.
        StoreError: if the store is damaged.
        SelectionError: if its preprocessing cannot be read.
    """
    rows = random_rows(store.n_samples, n_samples, seed)
    comparison = _Comparison(store, samples, on_progress)
    measured: dict[str, float] = {}
    compared: tuple[str, ...] = ()
    difference = data_difference(store, samples, rows, class_names)
    comparison.note(difference)
    if difference is None:
        comparison.note(_model_difference(store, model))
        try:
            measured = comparison.run(rows, reference())
            comparison.note(recorded_difference(store))
            compared = _compared(store, measured, comparison.deviation)
        except ModelError:
            if Subject.MODEL not in comparison.differences:  # another may have other layers
                raise
    differences = comparison.differences
    return Verification(
        store=str(store.path),
        n_samples=len(rows),
        n_stored=store.n_samples,
        seed=seed,
        compared=compared,
        measured=measured,
        deviation=comparison.deviation,
        differences=tuple(differences[what] for what in SUBJECTS if what in differences),
    )


def require_captured_model(store: Store, model: ModelInfo) -> None:
    """Refuses a model that is not the one that was captured.

    Raises:
        ModelError: with both digests.
    """
    difference = _model_difference(store, model)
    if difference is not None:
        raise ModelError(f"{store.path} differs: {difference}; {_remedy(difference.subject)}")


def require_captured_data(
    store: Store, samples: LabelledImages, class_names: Sequence[str]
) -> None:
    """Refuses data that are not those that were captured.

    Args:
        store: an open store.
        samples: the test set, as it fits the model.
        class_names: the names of the classes of the data's labels; empty where labels are the
            indices in the store.

    Raises:
        DatasetError: with the first difference.
    """
    rows = random_rows(store.n_samples, READ_SAMPLES, 0)
    difference = data_difference(store, samples, rows, class_names)
    if difference is not None:
        raise DatasetError(f"{store.path} differs: {difference}; {_remedy(difference.subject)}")


def _remedy(subject: Subject) -> str:
    if subject == Subject.MODEL:
        return "name the model that was captured, or capture this one with --force"
    if SUBJECTS.index(subject) < SUBJECTS.index(Subject.MODEL):
        return "name the data that were captured, or capture these with --force"
    return "capture again with --force"


def random_rows(n_stored: int, n_samples: int, seed: int) -> NDArray[np.int64]:
    """The samples to compare, <int64>[sample], in order and each once."""
    size = min(n_samples, n_stored)
    return np.sort(np.random.default_rng(seed).choice(n_stored, size, replace=False))


def _compared(store: Store, measured: Mapping[str, float], deviation: float) -> tuple[str, ...]:
    """What a comparison with Keras has covered, in words."""
    kept = [layer.path for layer in store.layers.values() if layer.has_maps]
    pooled = [path for path in store.layers if path not in kept]
    recorded = Recorded.of(store)
    off = f"at most {deviation:.1g} of the largest activation off" if deviation else "exactly"
    return (
        "pixels",
        *(["labels"] if store.has_labels else []),
        *([] if store.truth is None else [NOUNS[store.target]]),
        *([] if recorded is None else [recorded.words]),
        *(
            f"{name} {value:.4{'g' if store.target == Target.NUMBER else 'f'}}"
            for name, value in measured.items()
        ),
        *([f"maps of {_layers_text(kept)} ({off})"] if kept else []),
        *([f"pooled tables of {_layers_text(pooled)}"] if pooled else []),
    )


def _layers_text(paths: Sequence[str]) -> str:
    return ", ".join(paths) if len(paths) <= MOST_NAMED else f"{len(paths)} layers"


def _model_difference(store: Store, model: ModelInfo) -> Difference | None:
    about = store.about()["model"]
    if about["digest"] == model.digest:
        return None
    return Difference(
        Subject.MODEL,
        "digest",
        f"{model.digest[:12]}… ({model.name}, {model.framework})",
        f"{str(about['digest'])[:12]}… ({about['name']}, {about['framework']})",
    )


@dataclass(slots=True)
class _Comparison:
    """The comparison of a store with Keras, block by block.

    Attributes:
        store: the store.
        samples: the data.
        on_progress: called with the number of samples compared since the last call.
        differences: the first difference of each kind that was noted.
        deviation: the largest deviation of an activation, relative to the largest of its layer.
    """

    store: Store
    samples: LabelledImages
    on_progress: Callable[[int], object]
    differences: dict[Subject, Difference] = field(default_factory=dict)
    deviation: float = 0.0

    def note(self, difference: Difference | None) -> None:
        """Keeps a difference if it is the first of its kind."""
        if difference is not None:
            self.differences.setdefault(difference.subject, difference)

    def run(self, rows: NDArray[np.int64], reference: Reference) -> dict[str, float]:
        """Compares output and maps of some samples.

        Args:
            rows: <int64>[sample], the samples.
            reference: the model.

        Returns:
            How right the model is on them by Keras; see `Verification.measured`.
        """
        store = self.store
        preprocessing = preprocessing_of_words(str(store.about()["dataset"]["preprocessing"]))
        held = _Held.read(store, rows)
        sample_bytes = sum(4 * math.prod(layer.shape) for layer in store.layers.values())
        step = max(1, BLOCK_BYTES // max(1, sample_bytes))
        totals: dict[str, Total] = {}
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = rows[part]
            images = preprocessing(self.samples.images_of(block))
            others = {name: values[block] for name, values in self.samples.others.items()}
            outputs, activations = reference.predict(images, others)
            if held is not None:
                answers = answers_of(outputs, held.recorded)
                slack = held.slack(answers, reference.resolution)
                self._compare_answers(held, answers, slack, part, block)
                if held.truth is not None and answers.values.shape[1] == held.values.shape[1]:
                    recorded, truth = held.recorded, held.truth[part]
                    evaluated = reference.evaluate(
                        images,
                        others,
                        truth,
                        target=recorded.target,
                        output=recorded.output,
                        threshold=recorded.threshold,
                    )
                    stored = held.values[part]
                    for name, total in measures(
                        recorded.target, evaluated, answers.values, stored, truth, slack
                    ).items():
                        totals[name] = totals.get(name, Total()) + total
            for layer, maps in zip(store.layers.values(), activations, strict=True):
                self._compare_maps(layer, maps, block, reference.resolution)
            self.on_progress(len(block))
        for name, total in totals.items():
            if not total.agrees:
                expected, stored_text = (
                    f"{value / len(rows):.6g}" for value in (total.keras, total.stored)
                )
                place = f"{name} over {len(rows):,} samples"
                self.note(Difference(Subject.QUALITY, place, expected, stored_text))
        return {name: total.keras / len(rows) for name, total in totals.items()}

    def _compare_answers(
        self,
        held: _Held,
        answers: Answers,
        slack: NDArray[np.float64],
        part: slice,
        block: NDArray[np.int64],
    ) -> None:
        difference = first_answer_difference(
            answers.values, held.values[part], block, slack=slack, axis=held.recorded.axis
        )
        if difference is None and held.prediction is not None:
            difference = first_prediction_difference(
                answers.values, held.prediction[part], block, slack=slack
            )
        self.note(difference)

    def _compare_maps(
        self, layer: Layer, maps: NDArray[np.float32], block: NDArray[np.int64], resolution: float
    ) -> None:
        if not layer.has_maps:
            tables = {name: layer.pooled(name)[block] for name in layer.pooled_names}
            self.note(
                first_pooled_difference(layer.path, maps, tables, block, resolution=resolution)
            )
            return
        stored = layer.activation[block]
        self.deviation = max(self.deviation, largest_deviation(maps, stored))
        self.note(
            first_map_difference(
                layer.path, layer.policy, maps, stored, block, resolution=resolution
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What a store holds of the model's answers for some samples.

    Attributes:
        recorded: what the store records of its answers.
        values: <float32>[sample, n], the probability of each class or label, or numbers.
        prediction: <int64>[sample], the predicted class; None for other targets.
        truth: <int64>[sample], <bool>[sample, n] or <float32>[sample, n], what is true of each
            sample; None if unknown.
    """

    recorded: Recorded
    values: NDArray[np.float32]
    prediction: NDArray[np.int64] | None
    truth: NDArray[np.generic] | None

    @classmethod
    def read(cls, store: Store, rows: NDArray[np.int64]) -> Self | None:
        """Reads them once, because each is one array of the file; None if there are no answers."""
        recorded = Recorded.of(store)
        if recorded is None:
            return None
        if recorded.target == Target.CLASS:
            labels = store.labels[rows] if store.has_outcomes else None
            return cls(recorded, store.probabilities[rows], store.predictions[rows], labels)
        values, truth = store.answers, store.truth
        assert values is not None  # noqa: S101 (FORMAT.md: each target with names has answers)
        return cls(recorded, values[rows], None, None if truth is None else truth[rows])

    def slack(self, answers: Answers, resolution: float) -> NDArray[np.float64]:
        """How far each answer may be from the expected one, <float64>[sample, n].

        Numbers are measured by the largest of their own column, which may be in other units.
        """
        if (
            self.recorded.target != Target.NUMBER
            or answers.values.shape[1:] != self.values.shape[1:]
        ):
            return np.full(answers.values.shape, resolution * max(1.0, answers.size))
        sizes = np.abs(np.where(np.isfinite(self.values), self.values, 0)).astype(np.float64)
        return tolerance(answers.values, resolution, largest=sizes.max(axis=0))
