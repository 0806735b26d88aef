"""Random samples of a data set through Keras itself, compared with what a store holds of them."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset import LabelledImages, preprocessing_of_words
from fmcore.errors import ModelError
from fmcore.records import ModelInfo
from fmcore.storage import Layer, Store
from fmcore.verification.differences import (
    SUBJECTS,
    Difference,
    Subject,
    first_map_difference,
    first_output_difference,
    first_pooled_difference,
    first_unequal,
    largest_deviation,
)
from fmcore.verification.outputs import Answers, answers_of

PIXEL_AXES = ("y", "x", "channel")
# Maps of this size are in memory at once, and as much again while they are compared.
BLOCK_BYTES = 256_000_000
SCANNED = 256  # images that are read together where a difference is looked for
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
    differences: dict[Subject, Difference] = {}
    comparison = _Comparison(store, samples, differences, on_progress)
    accuracy: float | None = None
    compared: tuple[str, ...] = ()
    data_difference = _data_difference(store, samples, rows, class_names)
    if data_difference is not None:
        comparison.note(data_difference)
    else:
        comparison.note(_model_difference(store, model))
        try:
            accuracy = comparison.run(rows, reference())
            compared = _compared(store, accuracy, comparison.deviation)
        except ModelError:
            if Subject.MODEL not in differences:  # another model may have other layers
                raise
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
    off = f" (at most {deviation:.1g} of the largest activation off)"
    return (
        "pixels",
        *(["labels"] if store.has_labels else []),
        *(["output"] if store.has_predictions else []),
        *([] if accuracy is None else [f"accuracy {accuracy:.4f}"]),
        *([f"maps of {_layers_text(kept)}{off}"] if kept else []),
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


def _data_difference(
    store: Store, samples: LabelledImages, rows: NDArray[np.int64], class_names: Sequence[str]
) -> Difference | None:
    """The first difference between the data and what the store holds of them.

    Only the rows are read where the data have the fingerprint that the store recorded; otherwise
    the first difference is looked for in all samples.
    """
    for what, expected, stored in (
        ("size of the images", samples.images.shape[1:], store.images.shape[1:]),
        ("number of images", len(samples), store.n_samples),
        ("type of the pixels", samples.images.dtype, np.dtype(store.images.stored_dtype)),
    ):
        if expected != stored:
            return Difference(Subject.PIXELS, what, str(expected), str(stored))
    fingerprint = store.about()["dataset"]["fingerprint"]
    labels = _labels_by_name(samples, store, class_names)
    if isinstance(labels, Difference):
        return labels
    is_same = fingerprint == labels.fingerprint
    if not is_same or not np.array_equal(_images(samples, rows), store.images[rows]):
        difference = _image_difference(store, samples)
        if difference is not None:
            return difference
    difference = _label_difference(store, labels)
    if difference is not None or is_same:
        return difference
    parts = ", ".join(("images", "labels", *samples.others))
    return Difference(
        Subject.DATA,
        f"fingerprint of {parts}",
        f"{labels.fingerprint[:12]}…",
        f"{str(fingerprint)[:12]}…",
    )


def _labels_by_name(
    samples: LabelledImages, store: Store, class_names: Sequence[str]
) -> LabelledImages | Difference:
    """The data with the class indices of the store, which may number other classes too."""
    stored = store.class_names
    if samples.labels is None or not class_names:
        return samples
    absent = [name for name in class_names if name not in stored]
    if absent:
        expected, names = f"the class {absent[0]!r}", ", ".join(map(repr, stored[:MOST_NAMED]))
        return Difference(Subject.LABELS, "class names", expected, names)
    indices = np.array([stored.index(name) for name in class_names])
    return dataclasses.replace(samples, labels=indices[samples.labels])


def _label_difference(store: Store, samples: LabelledImages) -> Difference | None:
    if samples.labels is None and not store.has_labels:
        return None
    if samples.labels is None or not store.has_labels:
        expected = "none" if samples.labels is None else "a label for each image"
        source = f"labels are {store.labels_are}" if store.has_labels else store.why_no_outcomes
        return Difference(Subject.LABELS, "", expected, source)
    return first_unequal(Subject.LABELS, samples.labels, store.labels, np.arange(store.n_samples))


def _image_difference(store: Store, samples: LabelledImages) -> Difference | None:
    """The first difference between all images of the data and of the store: pixels, or order."""
    expected = _digests(samples.images)
    stored = _digests(store.images)
    unequal = [index for index, pair in enumerate(zip(expected, stored, strict=True))
               if pair[0] != pair[1]]  # fmt: skip
    if not unequal:
        return None
    first = unequal[0]
    if Counter(expected) == Counter(stored):
        place, other = f"sample {first}", expected.index(stored[first])
        return Difference(Subject.ORDER, place, f"image {first} of the data", f"its image {other}")
    # Where images are in another order too, an image that is nowhere in the store says more.
    in_store = set(stored)
    first = next((index for index in unequal if expected[index] not in in_store), first)
    rows = np.array([first])
    return first_unequal(
        Subject.PIXELS, _images(samples, rows), store.images[rows], rows, PIXEL_AXES
    )


def _digests(images: Any) -> list[bytes]:
    """SHA-256 of the pixels of each image."""
    return [
        hashlib.sha256(np.ascontiguousarray(image).data).digest()
        for start in range(0, images.shape[0], SCANNED)
        for image in np.asarray(images[start : start + SCANNED])
    ]


def _images(samples: LabelledImages, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Some images, before preprocessing, [sample, image_y, image_x, image_channel]."""
    if isinstance(samples.images, np.ndarray):
        return samples.images[rows]
    return np.concatenate([samples.images[int(row) : int(row) + 1] for row in rows])


@dataclass(slots=True)
class _Comparison:
    """The comparison of a store with Keras, block by block.

    Attributes:
        store: the store.
        samples: the data.
        differences: the first difference of each kind that was noted.
        on_progress: called with the number of samples compared since the last call.
        deviation: the largest deviation of an activation, relative to the largest of its layer.
    """

    store: Store
    samples: LabelledImages
    differences: dict[Subject, Difference]
    on_progress: Callable[[int], object]
    deviation: float = 0.0

    def note(self, difference: Difference | None) -> None:
        """Keeps a difference if it is the first of its kind."""
        if difference is not None:
            self.differences.setdefault(difference.subject, difference)

    def run(self, rows: NDArray[np.int64], reference: Reference) -> float | None:
        """Compares output and maps of some samples, and returns the accuracy that Keras measures.

        Args:
            rows: <int64>[sample], the samples.
            reference: the model.
        """
        store = self.store
        preprocessing = preprocessing_of_words(str(store.about()["dataset"]["preprocessing"]))
        sample_bytes = sum(4 * math.prod(layer.shape) for layer in store.layers.values())
        step = max(1, BLOCK_BYTES // max(1, sample_bytes))
        n_correct, n_stored, n_ties = 0, 0, 0
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            images = preprocessing(_images(self.samples, block))
            others = {name: values[block] for name, values in self.samples.others.items()}
            outputs, activations = reference.predict(images, others)
            if store.has_predictions:
                words = str(store.about()["model"]["output"])
                answers = answers_of(outputs, reference.output_names, words)
                slack = reference.resolution * max(1.0, answers.size)
                self.note(self._output_difference(answers, block, slack))
                if store.has_outcomes and answers.fits(len(store.class_names)):
                    labels = store.labels[block]
                    share = reference.accuracy(
                        images,
                        others,
                        labels,
                        output=answers.output,
                        threshold=answers.threshold,
                    )
                    n_correct += round(share * len(block))
                    n_stored += int((store.predictions[block] == labels).sum())
                    n_ties += answers.n_ties(2 * slack)
            for layer, maps in zip(store.layers.values(), activations, strict=True):
                self._compare_maps(layer, maps, block, reference.resolution)
            self.on_progress(len(block))
        if not store.has_outcomes:
            return None
        accuracy = n_correct / len(rows)
        if abs(n_correct - n_stored) > n_ties:
            place, stored = f"over {len(rows):,} samples", n_stored / len(rows)
            self.note(Difference(Subject.ACCURACY, place, f"{accuracy:.4f}", f"{stored:.4f}"))
        return accuracy

    def _output_difference(
        self, answers: Answers, block: NDArray[np.int64], slack: float
    ) -> Difference | None:
        store = self.store
        return first_output_difference(
            answers.probability,
            store.probabilities[block],
            store.predictions[block],
            block,
            slack=slack,
        )

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
