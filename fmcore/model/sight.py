"""What a model's first layer with weights sees of an image: measured, not read off layer names.

The image is followed through the traced graph, operations and layers alike, up to the first
convolution or matrix product with weights. Augmentation and casts change nothing there; scaling,
normalization and `preprocess_input` do, however they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.model.inputs import ModelInputs
from fmcore.model.trace import Trace, trace_model

Arrays = Mapping[str, NDArray[np.float32]]

# Operations of TensorFlow that mix pixels with weights.
MIXING = frozenset(
    (
        *("Conv", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2"),
        *("DepthwiseConv2dNative", "XlaConvV2", "XlaDotV2"),
        *("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "MatMul"),
    )
)
# Operations that run a graph of their own, which is not looked into.
FUNCTIONS = frozenset(
    ("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If", "StatelessIf")
)
# Operations whose result depends on an image's size, not on its pixels.
SIZES = frozenset(("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"))

# Gray levels that a model is shown, as parts of white.
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Values up to here are small: [0, 1], [-1, 1] and ImageNet's normalization stay below 5, a batch
# normalization that was trained for an epoch or two below 16.
SMALL = 16.0
# A change of scale by less may be anything, such as a residual branch's factor.
LEAST_CHANGE = 4.0
# Where the first layer sees 0 for a gray value in here, it was trained with 0-255, or with 0-1.
RAW_CENTERS, UNIT_CENTERS = (8.0, 255.0), (0.02, 1.5)


class Takes(StrEnum):
    """Which pixels a model takes, by its graph."""

    RAW = "0 to 255"
    UNIT = "0 to 1"
    EITHER = "any scale"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class Finding:
    """Which pixels a model takes, and what its first layer with weights sees of them.

    Attributes:
        takes: which pixels the model takes.
        black: what the first layer sees for a black image, scaled as the model takes it.
        white: the same for a white image.
    """

    takes: Takes
    black: float = 0.0
    white: float = 0.0


class FirstSight:
    """The part of a model before its first layers with weights.

    Attributes:
        name: the path of the first layer with weights; `the model` where none is seen.
    """

    def __init__(self, model: keras.Model, inputs: ModelInputs) -> None:
        """Traces the model once.

        Raises:
            ModelError: if the model cannot be run as a graph.
        """
        self.name = "the model"
        self._normalization: keras.layers.BatchNormalization | None = None
        n_first = 0

        def choose(trace: Trace) -> list[tf.Tensor]:
            nonlocal n_first
            image = trace.inputs[inputs.image]
            first, below = _first_seen(image)
            n_first = len(first)
            later = [call for call in trace.calls if call.output.name in below]
            if first and later:
                self.name = later[0].path
            tensors = [tf.cast(tensor, tf.float32) for tensor in first or [image]]
            for call in later:
                operation = call.operation
                if isinstance(operation, keras.layers.BatchNormalization) and call.inputs:
                    self._normalization = operation
                    tensors.append(tf.cast(call.inputs[0], tf.float32))
                    break
            return tensors

        self._run = trace_model(
            model,
            inputs.signature(),
            inputs.arranged,
            choose,
            compiled=inputs.channels_first and not tf.config.list_physical_devices("GPU"),
        )
        self._others, self._n_first = inputs.others, max(n_first, 1)

    def __call__(self, images: NDArray[np.float32], others: Arrays) -> list[NDArray[np.float32]]:
        """What each of the first layers with weights sees of images.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: values of the model's other inputs, <float32>[sample, ...], by name.
        """
        return self._outputs(images, others)[: self._n_first]

    def misfit(self, images: NDArray[np.float32], others: Arrays) -> float | None:
        """How far images are from what the first batch normalization after weights was trained on.

        Returns:
            The median over channels of the Kullback-Leibler divergence, in nats, between normal
            distributions with the moments of these images and with the moving ones; None where
            there is no such layer, or it was never trained.
        """
        layer = self._normalization
        if layer is None:
            return None
        mean, variance = (
            np.asarray(keras.ops.convert_to_numpy(weight), np.float64)
            for weight in (layer.moving_mean, layer.moving_variance)
        )
        if not mean.any() and (variance == 1).all():
            return None
        values = self._outputs(images, others)[-1].astype(np.float64)
        axes = tuple(axis for axis in range(values.ndim) if axis != layer.axis % values.ndim)
        trained = variance + layer.epsilon
        ratio = (values.var(axis=axes) + layer.epsilon) / trained
        shift = (values.mean(axis=axes) - mean) ** 2 / trained
        return float(np.median((ratio + shift - 1 - np.log(ratio)) / 2))

    def finding(self, images: NDArray[np.float32], others: Arrays, *, largest: float) -> Finding:
        """Which pixels the model takes, by what it does to black, gray and white images.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel], of 0 to 255.
            others: values of the model's other inputs for these images.
            largest: the largest pixel of the whole set.
        """
        alike = _are_alike(self(images, others), self(images / np.float32(255), others))
        if alike:
            return Finding(Takes.EITHER)
        raw, unit = self._levels(images, others, 255.0), self._levels(images, others, 1.0)
        findings = [_find(*pair, largest=largest) for pair in zip(raw, unit, strict=True)]
        agree = len({finding.takes for finding in findings}) == 1
        return findings[0] if agree else Finding(Takes.UNKNOWN)

    def _levels(
        self, images: NDArray[np.float32], others: Arrays, white: float
    ) -> list[NDArray[np.float32]]:
        """What each first layer sees of uniform images, <float32>[level, value]."""
        first = {name: values[:1] for name, values in others.items()}
        shots = [
            self(np.full_like(images[:1], white * level, dtype=np.float32), first)
            for level in LEVELS
        ]
        return [np.stack([seen.ravel() for seen in layer]) for layer in zip(*shots, strict=True)]

    def _outputs(self, images: NDArray[np.float32], others: Arrays) -> list[NDArray[np.float32]]:
        values = [tf.constant(others[name]) for name in self._others]
        return [np.asarray(output) for output in self._run(tf.constant(images), *values)]


def _first_seen(image: tf.Tensor) -> tuple[list[tf.Tensor], set[str]]:
    """What operations with weights take that no other such operation comes before.

    Args:
        image: the model's image in its graph.

    Returns:
        The tensors, each once; and the names of all tensors that are made of them by weights.
    """
    before, after, learned = {image.name}, set[str](), set[str]()
    first: dict[str, tf.Tensor] = {}
    for operation in image.graph.get_operations():  # in the order in which they were made
        inputs = list(operation.inputs)
        names = {tensor.name for tensor in inputs}
        outputs = {tensor.name for tensor in operation.outputs}
        if operation.type in SIZES:
            continue
        if names & after:
            after |= outputs
        elif names & before:
            has_weights = bool(names & learned) or any(t.dtype == tf.resource for t in inputs)
            if has_weights and operation.type in MIXING | FUNCTIONS:
                after |= outputs
                for tensor in _numeric(inputs):
                    if tensor.name in before:
                        first.setdefault(tensor.name, tensor)
            else:
                before |= outputs
        elif operation.type == "ReadVariableOp" or names & learned:
            learned |= outputs
    return list(first.values()), after


def _numeric(tensors: list[tf.Tensor]) -> Iterator[tf.Tensor]:
    return (tensor for tensor in tensors if tensor.dtype.is_floating or tensor.dtype.is_integer)


def _are_alike(raw: list[NDArray[np.float32]], unit: list[NDArray[np.float32]]) -> bool:
    """Whether the first layers see the same of images, however these are scaled."""
    return all(
        np.ptp(one_scale) > 0 and np.abs(one_scale - other).max() < 0.02 * np.ptp(one_scale)
        for one_scale, other in zip(raw, unit, strict=True)
    )


def _find(raw: NDArray[np.float32], unit: NDArray[np.float32], *, largest: float) -> Finding:
    """Which pixels a first layer was made for.

    Args:
        raw: <float32>[level, value], what it sees of `LEVELS` where white is 255.
        unit: the same where white is 1.
        largest: the largest pixel of the whole set.
    """
    finite = np.isfinite(raw).all(axis=0) & np.isfinite(unit).all(axis=0)
    moved = finite & ((raw[-1] != raw[0]) | (unit[-1] != unit[0]))
    if not moved.any():
        return Finding(Takes.UNKNOWN)
    raw, unit = raw[:, moved], unit[:, moved]
    of_raw = Finding(Takes.RAW, *_ends(raw))
    of_unit = Finding(Takes.UNIT, *_ends(unit))
    is_flat = [_share_of_grays(levels) < 0.02 for levels in (raw, unit)]
    if is_flat[0] != is_flat[1]:  # clipped at 1, or rounded to whole numbers
        return of_unit if is_flat[0] else of_raw
    slope = float(np.median(np.abs(raw[-1] - raw[0]))) / 255
    if slope * largest <= SMALL and slope * LEAST_CHANGE <= 1:
        return of_raw
    if slope == 0:
        return Finding(Takes.UNKNOWN)
    changes = raw[-1] != raw[0]
    center = float(np.median(-raw[0, changes] * 255 / (raw[-1] - raw[0])[changes]))
    if RAW_CENTERS[0] <= center <= RAW_CENTERS[1]:
        return of_raw
    if slope >= SMALL or UNIT_CENTERS[0] <= abs(center) <= UNIT_CENTERS[1]:
        return of_unit
    return Finding(Takes.UNKNOWN)


def _ends(levels: NDArray[np.float32]) -> tuple[float, float]:
    return float(np.median(levels[0])), float(np.median(levels[-1]))


def _share_of_grays(levels: NDArray[np.float32]) -> float:
    """How much of the way from black to white lies between the grays of `LEVELS`."""
    whole = float(np.median(np.abs(levels[-1] - levels[0])))
    return float(np.median(np.abs(levels[-2] - levels[1]))) / whole if whole else 0.0
