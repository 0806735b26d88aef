"""Random samples of a data set through Keras itself, compared with what a store holds of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages, preprocessing_of_words
from fmcore.errors import ModelError
from fmcore.records import ModelInfo
from fmcore.storage import Layer, Store
from fmcore.verification.data import data_difference, images_of
from fmcore.verification.differences import (
    SUBJECTS,
    Difference,
    Subject,
    first_map_difference,
    first_output_difference,
    first_pooled_difference,
    largest_deviation,
)
from fmcore.verification.outputs import answers_of

# Maps of this size are in memory at once; with what comparing them takes, 0.6 GB were measured.
BLOCK_BYTES = 64_000_000
MOST_NAMED = 8  # more layers than these are counted, not named, in one line


class Reference(Protocol):
    """What Keras itself makes of images; see `fmcore.model.reference.KerasReference`."""

    @property
    def resolution(self) -> float:
        """How far results may lie apart, relative to the largest."""

    @property
    def output_names(self) -> Sequence[str]:
        """The name of each output of the model."""

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
        """The model's outputs, and <float32>[sample, y, x, filter] for each layer of the store."""

    def accuracy(
        self,
        images: NDArray[np.float32],
        others: Mapping[str, NDArray[np.float32]],
        labels: NDArray[np.int64],
        *,
        output: int,
        threshold: float | None,
    ) -> float:
        """The accuracy that Keras' `evaluate` measures."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison.

    Attributes:
        store: the store's file.
        n_samples: the number of samples that were compared.
        n_stored: the number of samples in the store.
        seed: what chose the samples.
        compared: what was compared with Keras, in words; empty where the data differ.
        accuracy: the accuracy that Keras measures on these samples; None where the store has none.
        deviation: how far a stored activation lies from that of Keras at most, relative to the
            largest activation of its layer.
        differences: the first difference of each kind, in the order of `SUBJECTS`.
    """

    store: str
    n_samples: int
    n_stored: int
    seed: int
    compared: tuple[str, ...]
    accuracy: float | None
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
    accuracy: float | None = None
    compared: tuple[str, ...] = ()
    difference = data_difference(store, samples, rows, class_names)
    comparison.note(difference)
    if difference is None:
        comparison.note(_model_difference(store, model))
        try:
            accuracy = comparison.run(rows, reference())
            compared = _compared(store, accuracy, comparison.deviation)
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
        accuracy=accuracy,
        deviation=comparison.deviation,
        differences=tuple(differences[what] for what in SUBJECTS if what in differences),
    )


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


def _compared(store: Store, accuracy: float | None, deviation: float) -> tuple[str, ...]:
    """What a comparison with Keras has covered, in words."""
    kept = [layer.path for layer in store.layers.values() if layer.has_maps]
    pooled = [path for path in store.layers if path not in kept]
    off = f"at most {deviation:.1g} of the largest activation off" if deviation else "exactly"
    return (
        "pixels",
        *(["labels"] if store.has_labels else []),
        *(["output"] if store.has_predictions else []),
        *([] if accuracy is None else [f"accuracy {accuracy:.4f}"]),
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

    def run(self, rows: NDArray[np.int64], reference: Reference) -> float | None:
        """Compares output and maps of some samples.

        Args:
            rows: <int64>[sample], the samples.
            reference: the model.

        Returns:
            The accuracy that Keras measures on them; None where the store has none.
        """
        store = self.store
        preprocessing = preprocessing_of_words(str(store.about()["dataset"]["preprocessing"]))
        predicted = _Predicted.read(store, rows) if store.has_predictions else None
        sample_bytes = sum(4 * math.prod(layer.shape) for layer in store.layers.values())
        step = max(1, BLOCK_BYTES // max(1, sample_bytes))
        n_correct, n_ties, is_measured = 0, 0, store.has_outcomes
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = rows[part]
            images = preprocessing(images_of(self.samples, block))
            others = {name: values[block] for name, values in self.samples.others.items()}
            outputs, activations = reference.predict(images, others)
            if predicted is not None:
                answers = answers_of(outputs, reference.output_names, predicted.words)
                slack = reference.resolution * max(1.0, answers.size)
                self.note(
                    first_output_difference(
                        answers.probability,
                        predicted.probability[part],
                        predicted.prediction[part],
                        block,
                        slack=slack,
                    )
                )
                is_measured = is_measured and answers.fits(len(store.class_names))
                if is_measured:
                    share = reference.accuracy(
                        images,
                        others,
                        predicted.label[part],
                        output=answers.output,
                        threshold=answers.threshold,
                    )
                    n_correct += round(share * len(block))
                    n_ties += answers.n_ties(2 * slack)
            for layer, maps in zip(store.layers.values(), activations, strict=True):
                self._compare_maps(layer, maps, block, reference.resolution)
            self.on_progress(len(block))
        if predicted is None or not is_measured:
            return None
        accuracy = n_correct / len(rows)
        if abs(n_correct - predicted.n_correct) > n_ties:
            place, stored = f"over {len(rows):,} samples", predicted.n_correct / len(rows)
            self.note(Difference(Subject.ACCURACY, place, f"{accuracy:.4f}", f"{stored:.4f}"))
        return accuracy

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
class _Predicted:
    """What a store holds of the model's answers for some samples.

    Attributes:
        words: how the probabilities were made from the model's output.
        probability: <float32>[sample, class].
        prediction: <int64>[sample].
        label: <int64>[sample].
    """

    words: str
    probability: NDArray[np.float32]
    prediction: NDArray[np.int64]
    label: NDArray[np.int64]

    @classmethod
    def read(cls, store: Store, rows: NDArray[np.int64]) -> Self:
        """Reads them once, because each is one array of the file."""
        return cls(
            words=str(store.about()["model"]["output"]),
            probability=store.probabilities[rows],
            prediction=store.predictions[rows],
            label=store.labels[rows],
        )

    @property
    def n_correct(self) -> int:
        """The number of predictions that are the label."""
        return int((self.prediction == self.label).sum())
