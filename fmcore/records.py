"""Frozen records that packages pass to each other; no Keras, no HDF5."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


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
        kernel: <float32>[kernel_y, kernel_x, kernel_input, kernel_output], or None where unknown.
        bias: <float32>[filter], or None where the layer has none.
        receptive_field: <int32>[y, x, side], the first row, first column, last row and last column
            of the input that each unit sees; None where unknown. See `fmcore.model.hulls`.
        field_words: `exact`, or why the receptive field is unknown.
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


class StatisticsScope(StrEnum):
    """Which statistics a capture computes: all, or only moments, pooled tables and class maps."""

    ALL = "all"
    BASIC = "basic"


class LabelSource(StrEnum):
    """Where labels come from: with the images, from the model's predictions, or from nowhere."""

    GIVEN = "given"
    PREDICTED = "predicted"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model a capture ran.

    Attributes:
        name: the model's own name.
        digest: SHA-256 of the architecture and the weights, in hex.
        architecture: the model's configuration as JSON.
        framework: what ran the model, such as `keras 3.15.1, tensorflow 2.21.0`.
        output: how the probabilities were made from the model's output, or why there are none.
    """

    name: str
    digest: str = ""
    architecture: str = "{}"
    framework: str = ""
    output: str = ""


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
    """

    activations: tuple[NDArray[np.float32], ...]
    probability: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """What the columns of a store's samples are made of, for one batch.

    Attributes:
        images: <uint8 or float32>[sample, image_y, image_x, image_channel], before preprocessing.
        labels: <int64>[sample], the class of each sample.
        probability: <float32>[sample, class]; None where the model puts out no class scores.
    """

    images: NDArray[np.generic]
    labels: NDArray[np.int64]
    probability: NDArray[np.float32] | None
