"""Reads a store; results are numpy arrays or plain Python, never h5py objects.

with open_store("mnist.h5") as store:
    maps = store.layers["conv2"].feature_maps(7)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import (
    GraphNotStoredError,
    LayerNotFoundError,
    PredictionsNotStoredError,
    StatisticNotFoundError,
    StoreError,
)
from fmcore.numbers import fraction_text, number_text
from fmcore.records import LABEL_FROM, ModelGraph, Target
from fmcore.selection import Group, Mask, Picks, near_matches, parse_group
from fmcore.statistics import (
    STATISTICS,
    Calibration,
    ClassCounts,
    Confusion,
    Contrast,
    Replacement,
    confusion,
    label_counts,
    most_confident,
    replacement_named,
)
from fmcore.storage.ablations import Ablation, ablation_path, open_ablation
from fmcore.storage.chunks.stored_array import StoredArray
from fmcore.storage.contrasts import Samples, as_mask, contrast
from fmcore.storage.file.layer_facts import LayerFacts
from fmcore.storage.file.nodes import damage_as_store_error, read_attributes, read_text
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.format.columns import NUMBERS
from fmcore.storage.format.graph import configured_graph, parse_graph
from fmcore.storage.format.schema import CAPTURE, DATASET, MODEL, array_path
from fmcore.storage.handle import StoreFile
from fmcore.storage.interop import Arrays, data_frame, data_tree
from fmcore.storage.layer import Layer
from fmcore.storage.outcomes import stored_calibration
from fmcore.storage.sample_facts import StoreFacts

if TYPE_CHECKING:
    import pandas
    import xarray

MOST_NAMED = 8  # more numbers than these are not listed in one line
# The arrays of several labels, and of numbers: a store has one of each pair, or none.
_TRUTH = ("has_label", "number")
_ANSWERS = ("label_probability", "predicted_number")
_QUALITY = ("target_accuracy", "target_error")


def open_store(path: str | Path, *, file: FileBytes | None = None) -> Store:
    """Opens a store for reading.

    Args:
        path: the file.
        file: the file, if it is open: this very one is read, and `path` is for messages only.

    Raises:
        InputFileError: if there is no such file, or it cannot be read.
        StoreError: if it is not a store, or refers to other files.
        UnsupportedVersionError: if its format has another major version.
    """
    return Store(Path(path), file)


class Store:
    """Read-only view of one store (see FORMAT.md); a context manager.

    Attributes:
        path: the file.
        n_samples: the number of samples.
        class_names: the name of each class.
        labels_are: who set the labels: `given`, `predicted` or `none`.
        has_predictions: whether the store holds predictions and probabilities.
        target: the kind of answer that the model gives.
    """

    def __init__(self, path: Path, file: FileBytes | None = None) -> None:
        self.path = path
        self._file = StoreFile(path, file)
        self._about: dict[str, dict[str, Any]] | None = None  # until it is asked for
        self._ablations: dict[Replacement, Ablation] = {}
        hdf5 = self._file.hdf5
        try:
            with damage_as_store_error(path):
                self._facts = {facts.path: facts for facts in self._file.layers.values()}
                self.n_samples = self._file.n_samples
                self.class_names = tuple(self._file.texts("class_name"))
                # Read once, because every thumbnail needs it.
                self.labels_are = read_text(hdf5[DATASET], "labels")
                self.has_predictions = self._file.has("prediction")
                self.target = Target(read_text(hdf5[MODEL], "target"))
        except StoreError:
            self.close()
            raise

    @property
    def file(self) -> StoreFile:
        """The open file, for this package only."""
        return self._file

    @property
    def digest(self) -> str:
        """A digest, in hex, that differs between stores: over metadata and the places of chunks.

        It does not cover the values, which have checksums of their own.
        """
        return self._file.digest

    @property
    def n_bytes(self) -> int:
        """The size of the file and of its shards."""
        return self._file.n_bytes

    @property
    def n_shards(self) -> int:
        """The number of shards that hold the samples; 0 if they lie in the file itself."""
        return 0 if self._file.shards is None else len(self._file.shards.shards)

    @property
    def real_path(self) -> Path:
        """Where the open store lies, without links.

        Raises:
            OSError: if that is not known.
        """
        return self._file.bytes.real_path()

    @property
    def ablations(self) -> tuple[str, ...]:
        """How filters were replaced, of each ablation that lies beside the store."""
        try:
            path = self.real_path
        except OSError:
            return ()
        exists = os.path.exists  # False where the name is too long
        return tuple(by for by in Replacement if exists(ablation_path(path, by)))

    def ablation(self, by: str = "") -> Ablation:
        """What the model loses without each filter, as `fmcore ablate` has measured it.

        Args:
            by: how filters were replaced, `zero`, `mean` or `resample`; the first that there is
                where it is left out.

        Raises:
            SelectionError: if there is no such replacement.
            StatisticNotFoundError: if it was not measured.
            StoreError: if the file is damaged, or of another store.
        """
        replacement = replacement_named(by or next(iter(self.ablations), Replacement.ZERO))
        if replacement not in self._ablations:
            try:
                self._ablations[replacement] = open_ablation(
                    ablation_path(self.real_path, replacement), digest=self.digest, store=self.path
                )
            except OSError as error:
                raise StatisticNotFoundError(
                    f"nobody has measured what the model of {self.path.name} loses without its "
                    f"filters: `fmcore ablate {self.path.name} --model MODEL --by {replacement}` "
                    "does, on the machine where the store lies"
                ) from error
        return self._ablations[replacement]

    @property
    def images(self) -> StoredArray:
        """The images as stored, [sample, image_y, image_x, image_channel]; indexing reads them."""
        return self._file.array("image")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(image_y, image_x, image_channel)."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The captured layers by Keras path, in the model's order."""
        return _Layers(self._file, self._facts)

    @property
    def ids(self) -> list[str]:
        """A name for each sample."""
        return self._file.texts("id")

    @property
    def class_sizes(self) -> NDArray[np.int64]:
        """The number of samples with each label, <int64>[class]."""
        return self._file.read("n_samples")

    def image(self, sample: int) -> NDArray[Any]:
        """The image as stored, <uint8 or float32>[image_y, image_x, image_channel]."""
        return self.images.row(self.check_sample(sample))

    def group(self, expression: str | Group) -> Mask:
        """Which samples belong to a group, <bool>[sample].

        Args:
            expression: such as `label=7 prediction=1` or `wrong confidence>0.9`; see
                `fmcore.selection.parse_group`.

        Raises:
            SelectionError: if it is none, or names what the store does not have.
            InputFileError: if it names a file that cannot be read.
        """
        return _as_group(expression).mask(StoreFacts(self))

    def picks(self, expression: str | Group) -> Picks:
        """The samples of a group as rows: as its list has them, else ascending, <int64>[row].

        Raises:
            SelectionError, InputFileError: as `group`.
        """
        return _as_group(expression).picks(StoreFacts(self))

    def confusion(self) -> Confusion:
        """How many samples of each label have each prediction, and what follows of it.

        Raises:
            StatisticNotFoundError: if labels or predictions are not known.
        """
        labels, predictions = self._outcomes("confusion of classes")
        return confusion(labels, predictions, n_classes=len(self.class_names))

    def class_counts(self) -> ClassCounts:
        """What precision, recall and F1 of each class are made of; `scores()` makes them.

        Of a model of several labels, of each label: the model gives those of probability 0.5 and
        more.

        Raises:
            StatisticNotFoundError: if labels or predictions are not known.
        """
        if self.target != Target.LABELS:
            return self.confusion().classes
        truth, answers = self.truth, self.answers
        if truth is None or answers is None:
            raise StatisticNotFoundError(
                f"{self.path.name} has no scores of labels: no labels of its samples are known"
            )
        return label_counts(truth, answers >= LABEL_FROM)

    def calibration(self) -> Calibration:
        """Whether the model is right as often as it is confident.

        Raises:
            StatisticNotFoundError: if labels or predictions are not known.
        """
        outcomes = self._outcomes("calibration")
        return stored_calibration(self._file.array("probability"), *outcomes)

    def mistakes(self) -> NDArray[np.int64]:
        """The samples whose prediction is wrong, the most confident first, <int64>[sample].

        Raises:
            SelectionError: if labels or predictions are not known.
        """
        facts = StoreFacts(self)
        is_wrong = ~facts.correct()
        return most_confident(facts.confidence(), is_wrong)

    def contrast(
        self, a: Samples, b: Samples | None = None, *, by: str = "mean", layer: str = ""
    ) -> Contrast:
        """How each filter tells one group of samples from another, beside chance.

        Samples of both groups are left out of both, which a note says.

        Args:
            a: group A: an expression such as `label=7 wrong`, flags <bool>[sample], or indices.
            b: group B; all samples that are not of A where it is left out.
            by: the pooled value that is compared: `mean`, `max`, or `zeros`, the share of exact
                zeros.
            layer: layers by name or glob, several with commas; all where it is empty.

        Raises:
            SelectionError: if there are no such samples or layers, or none is left of a group.
            StatisticNotFoundError: if the store lacks the pooled table.
        """
        masks = [
            None if samples is None else as_mask(samples, self.n_samples, self.group)
            for samples in (a, b)
        ]
        assert masks[0] is not None  # noqa: S101 (a is given)
        return contrast(self.layers, masks[0], masks[1], by=by, pattern=layer)

    @property
    def samples(self) -> pandas.DataFrame:
        """One row a sample: id, label, prediction, their names, correct, probability.

        The index is the index of the sample; `probability` is what the model gives to its
        prediction. Without labels or predictions, their columns are left out.

        Raises:
            MissingLibraryError: if pandas is not installed.
        """
        columns: dict[str, Any] = {"id": self.ids, **self.classes_of_samples()}
        names = np.array(self.class_names, dtype=object)
        for column in self.class_columns:
            columns[f"{column}_name"] = names[columns[column]]
        if self.has_outcomes:
            columns["correct"] = columns["label"] == columns["prediction"]
        if self.has_predictions:
            rows = np.arange(self.n_samples)
            columns["probability"] = self.probabilities[rows, columns["prediction"]]
        columns |= self.numbers_of_samples()
        for kind, values in (("true", self.truth), ("predicted", self.answers)):
            if values is not None:
                columns |= {
                    f"{kind}_{name}": values[:, at] for at, name in enumerate(self.target_names)
                }
        return data_frame(columns, index="sample")

    def to_xarray(self) -> xarray.DataTree:
        """The store as a tree: samples at the root, and a node for each layer by its group's name.

        Images, maps, pooled tables and statistics are read when they are used, while the store is
        open; `load` of the tree, or of a part of it, reads all of that.

        Raises:
            MissingLibraryError: if xarray is not installed.
        """
        classes = self.classes_of_samples()
        columns = classes | self.numbers_of_samples()
        arrays: dict[str, Arrays] = {name: (("sample",), rows) for name, rows in columns.items()}
        if self.has_predictions:
            arrays["probability"] = (("sample", "class"), self.probabilities)
        for name, values in (("truth", self.truth), ("answer", self.answers)):
            if values is not None:
                arrays[name] = (("sample", "target"), values)
        return data_tree(
            self.path.stem,
            arrays | {"image": self.images},
            coords={
                "sample": (("sample",), np.arange(self.n_samples)),
                "id": (("sample",), np.array(self.ids, dtype=object)),
                "class": (("class",), np.array(self.class_names, dtype=object)),
                "target": (("target",), np.array(self.target_names, dtype=object)),
            },
            attrs={
                f"{group}_{name}": value
                for group, attributes in self.about().items()
                for name, value in attributes.items()
            },
            nodes={
                layer.group: (layer.arrays(), layer.attributes) for layer in self.layers.values()
            },
            shared=tuple(classes),
        )

    @property
    def similarities(self) -> tuple[str, ...]:
        """The names of the statistics across layers that the store holds."""
        return tuple(
            name
            for name, statistic in STATISTICS.items()
            if "layer" in statistic.axes and self._file.has(name)
        )

    def similarity(self, name: str) -> NDArray[np.float64]:
        """A statistic across the layers in their order: [layer], or [layer, other_layer] for CKA.

        Raises:
            StatisticNotFoundError: if the store has no such statistic.
        """
        names = self.similarities
        if name not in names:
            remedy = "" if names else "; `fmcore stats STORE --recompute` computes them"
            raise StatisticNotFoundError(
                f"no statistic {name!r} across layers in {self.path.name}; it holds "
                f"{', '.join(names) or 'none'}{near_matches(name, names)}{remedy}"
            )
        return self._file.read(name)

    def about(self) -> dict[str, dict[str, str | int | float]]:
        """Every attribute of the file, the model, the data set and the capture, by group."""
        hdf5 = self._file.hdf5
        if self._about is None:
            groups = {"store": "/", **{name: name for name in (MODEL, DATASET, CAPTURE)}}
            self._about = {name: read_attributes(hdf5[path]) for name, path in groups.items()}
        return {name: dict(attributes) for name, attributes in self._about.items()}

    def architecture(self) -> dict[str, Any]:
        """The model's configuration, as Keras wrote it."""
        parsed: dict[str, Any] = json.loads(self._file.read("architecture").tobytes())
        return parsed

    def graph(self) -> ModelGraph:
        """The calls of the model's layers, and what each takes from which.

        Where the store holds none, as one of format 1.0, it is made of `architecture`: shapes and
        parameters are None then, and of a layer that is called several times no call is said to be
        a captured layer.

        Raises:
            GraphNotStoredError: if the store holds none, and its configuration tells none.
            StoreError: if it is damaged.
        """
        try:
            if self._file.has("graph"):
                return parse_graph(self._file.read("graph").tobytes(), self._facts)
        except ValueError as error:
            raise StoreError(
                f"{self.path} is a damaged store: of /{array_path('graph')} {error}; `fmcore "
                "validate` lists all problems; capture again, or restore it from a copy"
            ) from error
        words = self.about()[MODEL].get("graph", "the store is older than graphs")
        try:
            return configured_graph(self._file.read("architecture").tobytes(), self._facts)
        except ValueError as error:
            raise GraphNotStoredError(
                f"{self.path.name} holds no graph of its model: {words}; and {error}; `fmcore "
                "capture` of this version writes one"
            ) from error

    @property
    def has_labels(self) -> bool:
        """Whether the labels came with the images."""
        return self.labels_are == "given"

    @property
    def has_classes(self) -> bool:
        """Whether samples are told apart by class; else the only class stands for all of them."""
        return self.labels_are != "none"

    @property
    def has_outcomes(self) -> bool:
        """Whether there are labels and predictions, so that each prediction is correct or wrong."""
        return self.has_labels and self.has_predictions

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index, <int64>[sample]; the true class if `has_labels`."""
        return self._file.read("label")

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The model's class index, <int64>[sample].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
        """
        return self._file.read(self._predicted("prediction"))

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The probability that the model gives to each class, <float32>[sample, class].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
        """
        return self._file.read(self._predicted("probability"))

    def probability(self, sample: int) -> NDArray[np.float32]:
        """The probability that the model gives to each class for one sample, <float32>[class].

        Raises:
            PredictionsNotStoredError: if the store holds no predictions.
            SampleNotFoundError: if there is no such sample.
        """
        name = self._predicted("probability")
        return self._file.array(name).row(self.check_sample(sample))

    @property
    def class_columns(self) -> tuple[str, ...]:
        """The class columns that the store has: `label` and `prediction`, one of them, or none."""
        labels = ("label",) if self.has_classes else ()
        return (*labels, *(("prediction",) if self.has_predictions else ()))

    def classes_of_samples(self) -> dict[str, NDArray[np.int64]]:
        """The class index of each sample, <int64>[sample], by the names in `class_columns`."""
        return {name: self._file.read(name) for name in self.class_columns}

    def numbers_of_samples(self) -> dict[str, NDArray[Any]]:
        """The columns of the samples with a number each that are no class, by name, [sample]."""
        return {name: self._file.read(name) for name in NUMBERS if self._file.has(name)}

    @property
    def test_accuracy(self) -> float | None:
        """The share of samples whose prediction equals their label; None where it is unknown."""
        return float(self.about()[MODEL]["test_accuracy"]) if self.has_outcomes else None

    @property
    def accuracy_words(self) -> str:
        """How right the model is, such as `test accuracy 0.9841`, or why that is unknown."""
        quality = self.target_quality()
        if quality is not None:
            return self._quality_words(quality)
        accuracy = self.test_accuracy
        return (
            self.why_no_outcomes if accuracy is None else f"test accuracy {fraction_text(accuracy)}"
        )

    @property
    def why_no_outcomes(self) -> str:
        """Why no prediction is correct or wrong; empty if each of them is."""
        if self.has_outcomes:
            return ""
        if self.target in (Target.LABELS, Target.NUMBER):
            kind = "several labels" if self.target == Target.LABELS else "numbers"
            return f"the model gives {kind}, no class"
        if self.has_predictions:
            return "no labels: classes are what the model predicts"
        return "no predictions" if self.has_labels else "no predictions and no labels"

    @property
    def target_names(self) -> tuple[str, ...]:
        """The name of each of several labels, or of each number; empty for other targets."""
        return tuple(self._file.texts("target_name")) if self._file.has("target_name") else ()

    @property
    def truth(self) -> NDArray[Any] | None:
        """Labels or numbers that are true of each sample; None where there are none.

        <bool>[sample, target] for several labels, <float32>[sample, target] for numbers.
        """
        name = self._held(_TRUTH)
        return None if name is None else _as_truth(name, self._file.read(name))

    def truth_of(self, sample: int) -> NDArray[Any] | None:
        """What `truth` holds of one sample, <bool or float32>[target]; None where there is none.

        Raises:
            SampleNotFoundError: if there is no such sample.
        """
        name = self._held(_TRUTH)
        at = self.check_sample(sample)
        return None if name is None else _as_truth(name, self._file.array(name).row(at))

    @property
    def answers(self) -> NDArray[np.float32] | None:
        """What the model gives for each sample, <float32>[sample, target]; None for other targets.

        The probability of each of several labels, or numbers.
        """
        name = self._held(_ANSWERS)
        return None if name is None else self._file.read(name)

    def answer(self, sample: int) -> NDArray[np.float32] | None:
        """What `answers` holds of one sample, <float32>[target]; None for other targets.

        Raises:
            SampleNotFoundError: if there is no such sample.
        """
        name = self._held(_ANSWERS)
        at = self.check_sample(sample)
        return None if name is None else self._file.array(name).row(at)

    def target_quality(self) -> NDArray[np.float64] | None:
        """How right the model is about each label or number, <float64>[target]; None if unknown.

        The share of samples for which it is right about a label; the mean absolute error of a
        number.
        """
        name = self._held(_QUALITY)
        return None if name is None else self._file.read(name)

    def check_sample(self, sample: int) -> int:
        """Returns the index if there is such a sample.

        Raises:
            SampleNotFoundError: if there is none; negative indices are not accepted.
        """
        return self._file.check_sample(sample)

    def close(self) -> None:
        """Closes the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._file.is_closed:
            return f"<closed Store {self.path.name!r}>"
        return (
            f"<Store {self.path.name!r}: {self.n_samples:,} samples, "
            f"{len(self._facts)} layers ({', '.join(self._facts)})>"
        )

    def _held(self, names: tuple[str, ...]) -> str | None:
        """The first of some arrays that the store holds; None if it holds none of them."""
        return next((name for name in names if self._file.has(name)), None)

    def _quality_words(self, quality: NDArray[np.float64]) -> str:
        if self.target == Target.LABELS:
            exact = self.about()[MODEL]["exact_match"]
            return (
                f"labels right {fraction_text(quality.mean())}, "
                f"all labels of a sample {fraction_text(float(exact))}"
            )
        errors = [
            f"{name}: {number_text(error, digits=4)}"
            for name, error in zip(self.target_names, quality, strict=True)
        ]
        if len(errors) == 1 or len(errors) > MOST_NAMED:
            over = "" if len(errors) == 1 else f" over {len(errors)} numbers"
            return f"mean absolute error {number_text(quality.mean(), digits=4)}{over}"
        return f"mean absolute error {', '.join(errors)}"

    def _outcomes(self, what: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The labels and the predictions, each <int64>[sample], of classes that there are."""
        if not self.has_outcomes:
            raise StatisticNotFoundError(f"{self.path.name} has no {what}: {self.why_no_outcomes}")
        labels, predictions, n_classes = self.labels, self.predictions, len(self.class_names)
        for values in (labels, predictions):
            if values.size and not 0 <= values.min() <= values.max() < n_classes:
                raise StoreError(
                    f"{self.path.name} is a damaged store: it names a class that it does not "
                    f"hold, expected 0 to {n_classes - 1}; `fmcore validate` lists all problems"
                )
        return labels, predictions

    def _predicted(self, name: str) -> str:
        if not self.has_predictions:
            raise PredictionsNotStoredError(
                f"{self.path.name} holds no predictions: {self.about()[MODEL]['output']}"
            )
        return name


def _as_group(expression: str | Group) -> Group:
    return parse_group(expression) if isinstance(expression, str) else expression


def _as_truth(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """Flags of labels as they are read in Python; numbers as they are."""
    return values.astype(np.bool_) if name == "has_label" else values


class _Layers(Mapping[str, Layer]):
    """The layers by path; an error for a wrong path names the right ones."""

    def __init__(self, file: StoreFile, facts: Mapping[str, LayerFacts]) -> None:
        self._file = file
        self._facts = facts

    def __getitem__(self, path: str) -> Layer:
        if path not in self._facts:
            names = list(self._facts)
            raise LayerNotFoundError(
                f"no layer {path!r} in {self._file.path.name}; it holds {', '.join(names)}"
                f"{near_matches(path, names)}"
            )
        return Layer(self._file, self._facts[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)
