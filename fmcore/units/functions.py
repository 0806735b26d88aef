"""Keras' activation functions in numpy, as its layers apply them by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def _special() -> Any:
    # Imported here because it takes 0.5 s of CPU, which would delay every start.
    from scipy import special

    return special


def _leaky(values: Array, slope: float) -> Array:
    return np.where(values > 0, values, slope * values)


def _elu(values: Array, alpha: float = 1.0) -> Array:
    return np.where(values > 0, values, alpha * np.expm1(np.minimum(values, 0)))


def _hard_sigmoid(values: Array) -> Array:
    return np.clip(values / 6 + 0.5, 0, 1)


# By the names that Keras gives them in a configuration. Softmax is over filters, the last axis.
FUNCTIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": lambda values: values,
    "relu": lambda values: np.maximum(values, 0),
    "relu6": lambda values: np.clip(values, 0, 6),
    "leaky_relu": lambda values: _leaky(values, 0.2),
    "elu": _elu,
    "selu": lambda values: _SELU_SCALE * _elu(values, _SELU_ALPHA),
    "gelu": lambda values: values * _special().ndtr(values),
    "sigmoid": lambda values: _special().expit(values),
    "hard_sigmoid": _hard_sigmoid,
    "silu": lambda values: values * _special().expit(values),
    "swish": lambda values: values * _special().expit(values),
    "hard_silu": lambda values: values * _hard_sigmoid(values),
    "hard_swish": lambda values: values * _hard_sigmoid(values),
    "tanh": np.tanh,
    "softplus": lambda values: np.logaddexp(values, 0),
    "softsign": lambda values: values / (1 + np.abs(values)),
    "exponential": np.exp,
    "softmax": lambda values: _special().softmax(values, axis=-1),
}


def relu_of(config: Mapping[str, Any]) -> Callable[[Array], Array]:
    """The function of Keras' layer `ReLU`, with its largest value, slope and threshold."""
    most = config.get("max_value")
    slope, threshold = float(config.get("negative_slope") or 0), float(config.get("threshold") or 0)

    def function(values: Array) -> Array:
        above = values if most is None else np.minimum(values, float(most))
        return np.where(values > threshold, above, slope * (values - threshold))

    return function


# Of layers that only apply a function, by their classes: the function, from the configuration.
LAYERS: Mapping[str, Callable[[Mapping[str, Any]], Callable[[Array], Array]]] = {
    "Activation": lambda config: FUNCTIONS[config["activation"]],
    "ReLU": relu_of,
    "LeakyReLU": lambda config: lambda v: _leaky(v, float(config["negative_slope"])),
    "ELU": lambda config: lambda v: _elu(v, float(config["alpha"])),
    "Softmax": lambda config: {-1: FUNCTIONS["softmax"]}[config["axis"]],
}
