"""Frozen records that packages pass to each other; no Keras, no HDF5."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import LayerNotFoundError

# Of several labels, one whose probability is this or more is taken to be predicted.
LABEL_FROM = 0.5
# The kind of a node that is an input of the model.
INPUT_KIND = "InputLayer"


@dataclass(frozen=True, slots=True, eq=False)
class LayerSpec:
    """One captured layer of a model.

    Attributes:
        path: the layer's Keras path, such as `conv1`, which identifies it.
        shape: sizes of one sample's activation: (y, x, filter).
        kind: the Keras class, such as `Conv2D`.
        activation: name of the activation function that was applied, such as `relu`.
        kernel_size: (y, x), in pixels of the layer's input.
        strides: (y, x), in pixels of the layer's input.
        padding: `valid` or `same`.
        dilation: (y, x), in pixels of the layer's input.
        kernel: <float32>[kernel_y, kernel_x, kernel_input, kernel_output], or None where unknown;
            the pointwise part of a separable layer.
        depthwise_kernel: <float32>[depthwise_y, depthwise_x, depthwise_input, multiplier], the
            depthwise part of a separable layer; None for others.
        bias: <float32>[filter], or None where the layer has none.
        receptive_field: <int32>[y, x, side], the first row, first column, last row and last column
            of the input that each unit sees; None where unknown. See `fmcore.model.hulls`.
        field_words: `exact`; `at most` and why units may see less; or why it is unknown.
    """

    path: str
    shape: tuple[int, int, int]
    kind: str = ""
    activation: str = ""
    kernel_size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    padding: str = ""
    dilation: tuple[int, int] = (1, 1)
    kernel: NDArray[np.float32] | None = None
    depthwise_kernel: NDArray[np.float32] | None = None
    bias: NDArray[np.float32] | None = None
    receptive_field: NDArray[np.int32] | None = None
    field_words: str = "unknown"


class Kind(StrEnum):
    """Which kind of layers is captured; `all` is every layer that puts out maps or numbers."""

    CONV = "conv"
    ACTIVATION = "activation"
    DENSE = "dense"
    ALL = "all"


class Tap(StrEnum):
    """What is stored of a layer: its output, or that of the normalization and activation after it.

    The layers after it count where they are layers of their own.
    """

    OUTPUT = "output"
    ACTIVATION = "activation"


class Policy(StrEnum):
    """How a layer's activations are stored: exactly, in half the bytes, or only pooled."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    POOLED = "pooled"


class Compression(StrEnum):
    """Which layers' maps are compressed: those for which it pays, all, or none."""

    AUTO = "auto"
    DEFLATE = "deflate"
    NONE = "none"


class StatisticsScope(StrEnum):
    """Which statistics a capture computes: all, or only moments, pooled tables and class maps."""

    ALL = "all"
    BASIC = "basic"


class LabelSource(StrEnum):
    """Where labels come from: with the images, from the model's predictions, or from nowhere."""

    GIVEN = "given"
    PREDICTED = "predicted"
    NONE = "none"


class Target(StrEnum):
    """What kind of answer a model gives: one class of several, several labels, numbers, or none."""

    CLASS = "class"
    LABELS = "labels"
    NUMBER = "number"
    NONE = "none"


class Ending(StrEnum):
    """What makes the values of an output, as far as a model's graph tells.

    A `sigmoid` is anything that keeps each value by itself between 0 and 1; `other` is an operation
    that tells nothing about its values.
    """

    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log softmax"
    SIGMOID = "sigmoid"
    LINEAR = "linear"
    OTHER = "other"


class LossKind(StrEnum):
    """What a loss measures: one class of several, each label by itself, or numbers."""

    CLASSES = "classes"
    LABELS = "labels"
    NUMBERS = "numbers"
    UNKNOWN = "unknown"


class Conversion(StrEnum):
    """How the values of an output become what is stored; the last two make two classes of one."""

    IDENTITY = "identity"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    TWO_COLUMNS = "two columns"
    TWO_COLUMNS_OF_SIGMOID = "two columns of a sigmoid"


@dataclass(frozen=True, slots=True)
class Loss:
    """What an output was trained with, as far as the model says so.

    Attributes:
        name: such as `binary_crossentropy`; empty where the model does not say.
        kind: what it measures.
        from_logits: whether it takes values that are not probabilities yet.
    """

    name: str = ""
    kind: LossKind = LossKind.UNKNOWN
    from_logits: bool = False


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """One output of a model, as its graph and its loss describe it.

    Attributes:
        name: the output's name, unique in the model.
        index: its place among the model's outputs.
        shape: its shape for one sample; None where that is not fixed.
        ending: what makes its values.
        words: the operations that make them, in words.
        tolerance: how far a sum of probabilities may be from 1 in the precision of the model.
        is_float: whether its values are floats.
        loss: what it was trained with.
    """

    name: str
    index: int
    shape: tuple[int, ...] | None
    ending: Ending = Ending.OTHER
    words: str = ""
    tolerance: float = 1e-4
    is_float: bool = True
    loss: Loss = field(default_factory=Loss)

    @property
    def n_values(self) -> int | None:
        """The number of values for each sample; None where these are maps, or no floats."""
        if self.shape is None or not self.is_float or len(self.shape) > 1:
            return None
        return self.shape[0] if self.shape else 1

    @property
    def shape_words(self) -> str:
        """Its shape for one sample, in words."""
        if self.shape is None:
            return "an unknown shape"
        return str(self.shape) if self.shape else "one number"


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """Which output of a model is its answer, of which kind, and how that was decided.

    Attributes:
        target: the kind of answer.
        words: what is stored of the output, or why there is nothing.
        evidence: what the decision rests on.
        output: the output; None if the target is `none`.
        n_outputs: the number of outputs that the model has.
        conversion: how values become probabilities; `identity` for numbers.
        has_truth: whether the labels of the samples are of this kind, so that they can be compared.
    """

    target: Target
    words: str
    evidence: str = ""
    output: ModelOutput | None = None
    n_outputs: int = 1
    conversion: Conversion = Conversion.IDENTITY
    has_truth: bool = False

    @property
    def n_classes(self) -> int | None:
        """The number of classes; None if the answer is not one of several classes."""
        if self.target != Target.CLASS or self.output is None:
            return None
        return max(self.output.n_values or 0, 2)

    @property
    def record(self) -> str:
        """What a store records: what it holds of the output, and why."""
        return f"{self.words} ({self.evidence})" if self.evidence else self.words

    def convert(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is stored of an output's values: probabilities, or numbers as they are.

        Args:
            values: <float32>[sample, n].

        Returns:
            <float32>[sample, class] for classes, <float32>[sample, n] for labels and numbers.
        """
        if self.conversion == Conversion.SOFTMAX:
            powers = np.exp(values - values.max(axis=1, keepdims=True))
            return powers / powers.sum(axis=1, keepdims=True)
        if self.conversion in (Conversion.SIGMOID, Conversion.TWO_COLUMNS_OF_SIGMOID):
            values = np.exp(-np.logaddexp(np.float32(0), -values))
        if self.conversion in (Conversion.TWO_COLUMNS, Conversion.TWO_COLUMNS_OF_SIGMOID):
            return np.concatenate([1 - values, values], axis=1)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is true of each sample, by its labels.

    Attributes:
        kind: what the labels are taken for: `class`, `labels` or `number`.
        values: <int64>[sample], <bool>[sample, label] or <float32>[sample, number].
        names: the name of each class or label, by its index; empty where labels are numbers.
        words: the form in which the labels came.
        n_columns: how many columns they had; 1 where there was one value for each sample.
        by_name: whether labels came as names, so that their order is that of `names`.
    """

    kind: Target
    values: NDArray[np.int64] | NDArray[np.bool_] | NDArray[np.float32]
    names: tuple[str, ...] = ()
    words: str = "class indices"
    n_columns: int = 1
    by_name: bool = False

    def read_as(self, kind: Target) -> Truth | None:
        """Labels as another kind, such as class indices as numbers; None if that is impossible."""
        if kind == self.kind:
            return self
        if self.kind == Target.LABELS and kind == Target.NUMBER:
            return replace(self, kind=kind, values=self.values.astype(np.float32))
        if self.kind != Target.CLASS or kind not in (Target.LABELS, Target.NUMBER):
            return None
        indices = self.values.astype(np.int64)
        dtype: type[Any] = np.bool_ if kind == Target.LABELS else np.float32
        if self.n_columns > 1:
            rows = indices[:, np.newaxis] == np.arange(self.n_columns)
            return replace(self, kind=kind, values=rows.astype(dtype))
        if self.by_name or (kind == Target.LABELS and indices.max(initial=0) > 1):
            return None
        return replace(self, kind=kind, values=indices[:, np.newaxis].astype(dtype))


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One call of a layer of a model, or one of the model's inputs.

    Attributes:
        path: the layer's Keras path, such as `outer/inner/conv1`; a second call ends in `#2`.
        kind: the Keras class, such as `Conv2D`; `InputLayer` for an input.
        shape: the sizes of its output for one sample, None where one is not fixed; None as a whole
            where the shape is not known.
        parameters: the number of its weights, those that an earlier node has too left out; None
            where it is not known.
        layer: the path of the captured layer that this is; empty where it is none.
    """

    path: str
    kind: str
    shape: tuple[int | None, ...] | None = None
    parameters: int | None = None
    layer: str = ""


@dataclass(frozen=True, slots=True)
class ModelGraph:
    """The calls of a model's layers, and what each takes from which.

    Layers inside models and layers of a person's own stand in their place, by their paths. A node
    without a successor is an output of the model, or a call whose edges are not known, as inside a
    `tf.function`.

    Attributes:
        nodes: the model's inputs, then the calls; what a call takes stands before it.
        edges: (from, to) as indices of `nodes`, sorted, each once; from is less than to. Operations
            that are no layers, such as `x + y` in a subclassed model, lie on the edges.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[int, int], ...] = ()

    @property
    def parameters(self) -> int | None:
        """The number of all weights; None where that of a node is not known."""
        counts = [node.parameters for node in self.nodes]
        return None if None in counts else sum(count or 0 for count in counts)

    def before(self, index: int) -> tuple[int, ...]:
        """The nodes whose output a node takes, by index, ascending."""
        return tuple(first for first, second in self.edges if second == index)

    def after(self, index: int) -> tuple[int, ...]:
        """The nodes that take a node's output, by index, ascending."""
        return tuple(second for first, second in self.edges if first == index)

    def index_of(self, layer: str) -> int:
        """The index of the node that is a captured layer.

        Raises:
            LayerNotFoundError: if none is.
        """
        for index, node in enumerate(self.nodes):
            if layer and node.layer == layer:
                return index
        raise LayerNotFoundError(f"no node of the model's graph is the layer {layer!r}")

    def inputs_of(self, layer: str) -> tuple[str, ...]:
        """What reaches a captured layer with no captured layer between, in the model's order.

        Args:
            layer: the path of the captured layer.

        Returns:
            The paths of captured layers, and of inputs of the model.

        Raises:
            LayerNotFoundError: if no node is that layer.
        """
        ends, _ = self._behind(layer)
        return tuple(self.nodes[index].layer or self.nodes[index].path for index in ends)

    def between(self, layer: str) -> tuple[GraphNode, ...]:
        """The nodes between a captured layer and its `inputs_of`, in the model's order.

        Args:
            layer: the path of the captured layer.

        Raises:
            LayerNotFoundError: if no node is that layer.
        """
        return tuple(self.nodes[index] for index in self._behind(layer)[1])

    def _behind(self, layer: str) -> tuple[list[int], list[int]]:
        """What a captured layer reads, and what lies between, by index, ascending."""
        before: dict[int, list[int]] = {}
        for first, second in self.edges:
            before.setdefault(second, []).append(first)
        waiting, seen = list(before.get(self.index_of(layer), ())), set[int]()
        while waiting:
            index = waiting.pop()
            if index not in seen:
                seen.add(index)
                waiting += () if self._is_end(index) else before.get(index, ())
        ends = [index for index in sorted(seen) if self._is_end(index)]
        return ends, [index for index in sorted(seen) if not self._is_end(index)]

    def _is_end(self, index: int) -> bool:
        return bool(self.nodes[index].layer) or self.nodes[index].kind == INPUT_KIND


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model a capture ran.

    Attributes:
        name: the model's own name.
        digest: SHA-256 of the architecture and the weights, in hex.
        architecture: the model's configuration as JSON.
        framework: what ran the model, such as `keras 3.15.1, tensorflow 2.21.0`.
        output: what the store holds of the model's output and how that was decided, or why there
            is nothing.
        graph: the calls of its layers; None where there is none.
        graph_words: where that is from, or why there is none.
    """

    name: str
    digest: str = ""
    architecture: str = "{}"
    framework: str = ""
    output: str = ""
    graph: ModelGraph | None = None
    graph_words: str = "none: what ran the model knows no layers but those that were captured"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """Which test set a capture ran over.

    Attributes:
        name: such as `mnist`.
        source: where the images came from, in words.
        fingerprint: SHA-256 of the images and labels in order, in hex.
        preprocessing: what was done to an image before the model saw it.
        labels: where the labels come from.
    """

    name: str
    source: str
    fingerprint: str
    preprocessing: str
    labels: LabelSource = LabelSource.GIVEN


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """The output of a model for one batch of images.

    Attributes:
        activations: for each captured layer, <float32>[sample, y, x, filter].
        probability: <float32>[sample, class]; None where the model puts out no class scores.
        output: <float32>[sample, n], the probability of each of several labels, or numbers; None
            where the model puts out neither.
    """

    activations: tuple[NDArray[np.float32], ...]
    probability: NDArray[np.float32] | None
    output: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """What the columns of a store's samples are made of, for one batch.

    Attributes:
        images: <uint8 or float32>[sample, image_y, image_x, image_channel], before preprocessing.
        labels: <int64>[sample], the class of each sample.
        probability: <float32>[sample, class]; None where the model puts out no class scores.
        output: <float32>[sample, target], the probability of each of several labels, or numbers;
            None where the model puts out neither.
        truth: <bool or float32>[sample, target], which labels or numbers are true; None if unknown.
    """

    images: NDArray[np.generic]
    labels: NDArray[np.int64]
    probability: NDArray[np.float32] | None
    output: NDArray[np.float32] | None = None
    truth: NDArray[np.generic] | None = None
