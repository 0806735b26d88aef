"""Which Keras layers are captured, and what of them a store records."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

CONVOLUTIONS = (
    layers.Conv1D,
    layers.Conv1DTranspose,
    layers.Conv2D,
    layers.Conv2DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
)
VOLUMES = (layers.Conv3D, layers.Conv3DTranspose)
ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Softmax,
)
# The same as operations, such as `keras.ops.relu(x)`, by the names of their classes.
ACTIVATING = frozenset(
    (
        *("Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6"),
        *("Selu", "Sigmoid", "Silu", "Softplus", "Tanh"),
    )
)
# What may stand between a convolution and its activation.
NORMALIZING = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
)


def kind_of(operation: Any) -> str:
    """Which of `KINDS` a layer or operation is; empty where it is another one."""
    if isinstance(operation, CONVOLUTIONS + VOLUMES):
        return "conv"
    if isinstance(operation, layers.Dense):
        return "dense"
    return "activation" if is_activation(operation) else ""


def is_activation(operation: Any) -> bool:
    """Whether it does nothing but an activation function."""
    return isinstance(operation, ACTIVATIONS) or (
        not isinstance(operation, layers.Layer) and type(operation).__name__ in ACTIVATING
    )


def activation_name(operation: Any) -> str:
    """Such as `relu`; the class' name for an activation that is a layer, such as `LeakyReLU`."""
    if isinstance(operation, ACTIVATIONS) and not isinstance(operation, layers.Activation):
        return type(operation).__name__
    if not isinstance(operation, layers.Layer) and is_activation(operation):
        return type(operation).__name__.lower()
    activation = getattr(operation, "activation", None)
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def geometry(layer: Any) -> dict[str, Any]:
    """Kernel size, strides, padding and dilation, as (y, x); of a layer along x alone y is 1."""
    if not isinstance(layer, CONVOLUTIONS):
        return {}
    return {
        "kernel_size": pair(layer.kernel_size),
        "strides": pair(layer.strides),
        "padding": layer.padding,
        "dilation": pair(layer.dilation_rate),
    }


def weights(layer: Any) -> dict[str, Any]:
    """`kernel` and `bias` of a layer, None where it has none of that shape.

    The axes of a transposed, depthwise or separable kernel are other ones; a store has no place for
    them under this name.
    """
    found = {one.name: one for one in getattr(layer, "weights", ())}
    kernel = None
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Dense):
        kernel = _float32(found.get("kernel"))
        if kernel is not None and kernel.ndim < 4:
            kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
    return {"kernel": kernel, "bias": _float32(found.get("bias"))}


def pair(sizes: Any) -> tuple[int, int]:
    """(y, x) of a setting that layers along x alone have but once."""
    both = tuple(map(int, sizes)) if isinstance(sizes, tuple | list) else (int(sizes),)
    return (both[0], both[1]) if len(both) == 2 else (1, both[0])


def _float32(weight: Any) -> NDArray[np.float32] | None:
    if weight is None:
        return None
    return np.asarray(keras.ops.convert_to_numpy(weight), dtype=np.float32)
