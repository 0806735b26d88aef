"""What a model puts out: what its graph ends in, and what it was trained with."""

from __future__ import annotations

import functools
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fmcore.errors import InputFileError
from fmcore.hdf5_guard import foreign_text
from fmcore.model.inputs import inputs_of
from fmcore.model.trace import PASS_THROUGH, Trace, trace_model
from fmcore.records import Ending, Loss, LossKind, ModelOutput

LEAST_TOLERANCE = 1e-4  # thousands of float32 probabilities sum to 1 within 1e-5
MOST_CONFIG_BYTES = 64 << 20
# The attribute that keeps what the file of a model says of its losses; Keras forgets it where it
# loads without compiling, which would run the code of optimizers and metrics.
LOSS_ATTRIBUTE = "_fmcore_loss"

_SHORT_NAMES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
    "huber_loss": "huber",
    "logcosh": "log_cosh",
}
LOSSES = {
    "categorical_crossentropy": LossKind.CLASSES,
    "sparse_categorical_crossentropy": LossKind.CLASSES,
    "categorical_focal_crossentropy": LossKind.CLASSES,
    "binary_crossentropy": LossKind.LABELS,
    "binary_focal_crossentropy": LossKind.LABELS,
    "mean_squared_error": LossKind.NUMBERS,
    "mean_absolute_error": LossKind.NUMBERS,
    "mean_absolute_percentage_error": LossKind.NUMBERS,
    "mean_squared_logarithmic_error": LossKind.NUMBERS,
    "huber": LossKind.NUMBERS,
    "log_cosh": LossKind.NUMBERS,
    "poisson": LossKind.NUMBERS,
}

_SAME_VALUES = PASS_THROUGH | {"StopGradient", "PreventGradient", "CheckNumerics", "EnsureShape"}
_SAME_VALUES |= {"IdentityN"}
_SHAPES = frozenset(("Reshape", "Squeeze", "ExpandDims", "Transpose"))
_PARTS = frozenset(("StridedSlice", "Slice", "GatherV2", "Split", "SplitV", "Unpack", "GatherNd"))
_POOLS = frozenset(("Max", "Min", "MaxPool", "AvgPool"))
_CLIPS = frozenset(("Maximum", "Minimum", "ClipByValue"))
_LINEAR = frozenset(
    ("BiasAdd", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "Conv2D", "Conv1D")
)
_LINEAR |= {"DepthwiseConv2dNative", "FusedBatchNormV3", "Conv2DBackpropInput"}
# Operations that bound their values: the ending, the least and the largest value.
_BOUNDED = {
    "Softmax": (Ending.SOFTMAX, 0.0, 1.0),
    "LogSoftmax": (Ending.LOG_SOFTMAX, -np.inf, 0.0),
    "Sigmoid": (Ending.SIGMOID, 0.0, 1.0),
    "Tanh": (Ending.SIGMOID, -1.0, 1.0),
    "Relu6": (Ending.SIGMOID, 0.0, 6.0),
}
# Whose values belong together, row by row.
_OF_ROWS = frozenset((Ending.SOFTMAX, Ending.LOG_SOFTMAX))
# The distance from 1 to the next number, where it is more than a tolerance.
_PRECISIONS = {"bfloat16": 2.0**-7, "float16": 2.0**-10}
MOST_OPERATIONS = 200  # that are followed before one gives up


@dataclass(frozen=True, slots=True)
class _Values:
    """What is known of a tensor's values.

    Attributes:
        ending: what makes them; for `SIGMOID`, each value is bounded by itself.
        low: the least value that they can have.
        high: the largest value that they can have.
        words: the operations that make them.
        precision: the largest relative rounding error on the way.
    """

    ending: Ending
    words: str
    low: float = -np.inf
    high: float = np.inf
    precision: float = 0.0

    def after(self, words: str, **changes: Any) -> _Values:
        """What is known after one more operation."""
        return replace(self, words=_then((self.words,), words), **changes)


def _then(before: Sequence[str], last: str) -> str:
    """Operations in words, and one more, such as `sigmoid, then sum`; each is named once."""
    steps = [step for words in before for step in words.split(", then ")]
    return ", then ".join(dict.fromkeys((*steps, last)))


def read_outputs(model: keras.Model, trace: Trace) -> tuple[ModelOutput, ...]:
    """Every output of a model, in the order in which the trace has them."""
    names = output_names(model, len(trace.outputs), trace.output_names)
    losses = _losses(model, names)
    outputs = []
    for index, tensor in enumerate(trace.outputs):
        values = _followed(tensor)
        shape: tuple[int, ...] | None = None
        if tensor.shape.rank and None not in tensor.shape[1:]:
            shape = tuple(map(int, tensor.shape[1:]))
        outputs.append(
            ModelOutput(
                names[index],
                index,
                shape,
                ending=values.ending,
                words=values.words,
                tolerance=max(LEAST_TOLERANCE, 4 * values.precision),
                is_float=tensor.dtype.is_floating,
                loss=losses[index],
            )
        )
    return tuple(outputs)


def list_outputs(
    model: keras.Model, *, image_shape: tuple[int, int, int] | None = None
) -> tuple[ModelOutput, ...]:
    """Every output of a model; one may be the answer that a capture stores.

    Args:
        model: any Keras model.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError: if the model takes no images, or cannot be run as a graph.
    """
    inputs = inputs_of(model, image_shape=image_shape)
    outputs: list[ModelOutput] = []

    def choose(trace: Trace) -> list[tf.Tensor]:
        outputs[:] = read_outputs(model, trace)
        return list(trace.outputs)

    trace_model(model, inputs.signature(), inputs.arranged, choose)
    return tuple(outputs)


def as_rows(tensor: tf.Tensor) -> tf.Tensor:
    """The values of an output as <float32>[sample, n]; those of [sample] are one column."""
    return tf.cast(tensor[:, tf.newaxis] if tensor.shape.rank == 1 else tensor, tf.float32)


def output_names(model: keras.Model, n_outputs: int, keys: Sequence[str]) -> list[str]:
    """The name of each output of a model, unique.

    Args:
        model: any Keras model.
        n_outputs: the number of its outputs.
        keys: the keys of the outputs, if the model returns a dict of them.
    """
    candidates = (keys, _own_names(model), [f"output_{index}" for index in range(n_outputs)])
    return _unique(next(names for names in candidates if len(names) == n_outputs))


def _own_names(model: keras.Model) -> list[str]:
    """What Keras calls the outputs: by the layers that make them; nothing for subclassed models."""
    functional = getattr(model, "_functional", model)  # a Sequential model has it
    return [str(name) for name in getattr(functional, "output_names", None) or ()]


def _unique(names: Sequence[str]) -> list[str]:
    """Names of which the second that is equal ends in `#2`."""
    unique: list[str] = []
    for name in names:
        number = sum(other == name for other in names[: len(unique)])
        unique.append(f"{name}#{number + 1}" if number else name)
    return unique


def _followed(output: tf.Tensor) -> _Values:
    """What makes the values of an output, followed through what changes them little."""
    budget = [MOST_OPERATIONS]
    values = _read(output, budget)
    is_unit = np.isclose(values.low, 0, atol=1e-6) and np.isclose(values.high, 1, atol=1e-6)
    if values.ending in (Ending.SIGMOID, Ending.SOFTMAX) and not is_unit:
        words = f"{values.words}, from {values.low:.4g} to {values.high:.4g}"
        return replace(values, ending=Ending.OTHER, words=words)
    return values


def _read(tensor: tf.Tensor, budget: list[int]) -> _Values:
    operation = tensor.op
    kind = operation.type
    budget[0] -= 1
    if budget[0] < 0:
        return _Values(Ending.OTHER, "many operations")
    if kind in _BOUNDED:
        ending, low, high = _BOUNDED[kind]
        words = {"Softmax": "softmax", "LogSoftmax": "log softmax"}.get(kind, kind.lower())
        return _Values(ending, words, low, high, _precision(tensor))
    if kind in _SAME_VALUES:
        values = _read(operation.inputs[tensor.value_index], budget)
        return replace(values, precision=max(values.precision, _precision(tensor)))
    if kind in _SHAPES | _PARTS:
        source = operation.inputs[1 if kind == "Split" else 0]
        values = _read(source, budget)
        is_whole = values.ending not in _OF_ROWS or _keeps_rows(operation, source, tensor)
        return values if is_whole else _part(values, "part" if kind in _PARTS else kind.lower())
    if kind in ("ConcatV2", "Pack"):
        return _joined(operation, budget)
    if kind in ("Mean", "Sum"):
        return _reduced(tensor, budget)
    if kind in _POOLS:
        return _pooled(operation, budget)
    if kind in _CLIPS:
        return _clipped(operation, budget)
    if kind in ("AddV2", "Add", "AddN", "Sub", "Mul", "RealDiv", "Neg"):
        return _computed(operation, budget)
    if kind in _LINEAR:
        return _Values(Ending.LINEAR, "linear", precision=_precision(tensor))
    return _Values(Ending.OTHER, kind.lower(), precision=_precision(tensor))


def _keeps_rows(operation: tf.Operation, source: tf.Tensor, tensor: tf.Tensor) -> bool:
    """Whether the last axis of a tensor is that of its source, whole."""
    if source.shape.rank is None or tensor.shape.rank in (None, 0):
        return False
    if operation.type == "Transpose":
        order = tf.get_static_value(operation.inputs[1])
        return order is not None and int(order[-1]) == source.shape.rank - 1
    size = source.shape[-1]
    return size is not None and size == tensor.shape[-1]


def _precision(tensor: tf.Tensor) -> float:
    return _PRECISIONS.get(tensor.dtype.name, 0.0)


def _part(values: _Values, words: str) -> _Values:
    """What is left where an operation takes rows apart that only whole are a distribution."""
    return _Values(
        Ending.OTHER, _then((values.words,), words), values.low, values.high, values.precision
    )


def _joined(operation: tf.Operation, budget: list[int]) -> _Values:
    tensors = list(operation.inputs)[: -1 if operation.type == "ConcatV2" else None]
    parts = [_read(tensor, budget) for tensor in tensors]
    first = parts[0]
    words = _then([part.words for part in parts], "side by side")
    precision = max(part.precision for part in parts)
    if all(part.ending == first.ending for part in parts) and first.ending not in _OF_ROWS:
        low, high = min(part.low for part in parts), max(part.high for part in parts)
        return _Values(first.ending, words, low, high, precision)
    return _Values(Ending.OTHER, words, precision=precision)


def _reduced(tensor: tf.Tensor, budget: list[int]) -> _Values:
    source = tensor.op.inputs[0]
    values, axes = _read(source, budget), tf.get_static_value(tensor.op.inputs[1])
    if axes is None or source.shape.rank is None:
        return _Values(Ending.OTHER, _then((values.words,), tensor.op.type.lower()))
    reduced = [int(axis) % source.shape.rank for axis in np.atleast_1d(axes)]
    if values.ending in _OF_ROWS and (
        source.shape.rank - 1 in reduced or values.ending == Ending.LOG_SOFTMAX
    ):
        return _part(values, tensor.op.type.lower())
    if tensor.op.type == "Mean":
        return values.after("mean")
    sizes = [source.shape[axis] for axis in reduced]
    if None in sizes:
        return _Values(Ending.OTHER, _then((values.words,), "sum"))
    factor = float(np.prod(sizes))
    return values.after("sum", low=values.low * factor, high=values.high * factor)


def _pooled(operation: tf.Operation, budget: list[int]) -> _Values:
    values = _read(operation.inputs[0], budget)
    return _part(values, "pooled") if values.ending in _OF_ROWS else values.after("pooled")


def _clipped(operation: tf.Operation, budget: list[int]) -> _Values:
    """Values between bounds, such as probabilities that are kept away from 0 and 1."""
    limits = [tf.get_static_value(tensor) for tensor in operation.inputs]
    parts = [
        _read(tensor, budget)
        for tensor, limit in zip(operation.inputs, limits, strict=True)
        if limit is None
    ]
    if len(parts) == 1 and parts[0].ending not in (Ending.LINEAR, Ending.OTHER):
        return parts[0].after("clipped")
    return _Values(Ending.OTHER, _then([part.words for part in parts], "clipped"))


def _computed(operation: tf.Operation, budget: list[int]) -> _Values:
    """Sums and multiples of values."""
    tensors, kind = list(operation.inputs), operation.type
    constants = [_constant(tensor) for tensor in tensors]
    parts = [
        _read(tensor, budget) if constant is None else None
        for tensor, constant in zip(tensors, constants, strict=True)
    ]
    variable = [part for part in parts if part is not None]
    if not variable:
        return _Values(Ending.OTHER, "a constant")
    if len(variable) == 1 and len(parts) <= 2:
        index = parts.index(variable[0])
        constant = 0.0 if len(parts) == 1 else float(constants[1 - index] or 0.0)
        return _moved(variable[0], kind, constant, is_first=index == 0)
    precision = max(part.precision for part in variable)
    precision = max(precision, _precision(operation.outputs[0]))
    words = [part.words for part in variable]
    if kind in ("AddV2", "Add", "AddN"):
        endings = {part.ending for part in variable}
        if endings in ({Ending.SIGMOID}, {Ending.SOFTMAX}) and None not in parts:
            low, high = sum(part.low for part in variable), sum(part.high for part in variable)
            return _Values(endings.pop(), _then(words, "sum"), low, high, precision)
    if kind == "Mul" and all(
        part.ending == Ending.SIGMOID and (part.low, part.high) == (0, 1) for part in variable
    ):
        return _Values(Ending.SIGMOID, _then(words, "product"), 0.0, 1.0, precision)
    if kind != "RealDiv" and any(part.ending == Ending.LINEAR for part in variable):
        return _Values(Ending.LINEAR, "linear", precision=precision)  # a bias, a scale
    return _Values(Ending.OTHER, _then(words, kind.lower()), precision=precision)


def _constant(tensor: tf.Tensor) -> float | None:
    """The number that all elements of a constant tensor are; None if they are not."""
    value = tf.get_static_value(tensor)
    if value is None or not np.size(value):
        return None
    numbers = np.asarray(value, np.float64).ravel()
    return float(numbers[0]) if (numbers == numbers[0]).all() else None


def _moved(values: _Values, kind: str, constant: float, *, is_first: bool) -> _Values:
    """Values after a sum with a constant, or a multiple by one."""
    low, high = values.low, values.high
    if kind == "RealDiv" and (not is_first or not constant):
        return _Values(Ending.OTHER, _then((values.words,), "divisor"), precision=values.precision)
    if kind in ("Mul", "RealDiv"):
        factor = 1 / constant if kind == "RealDiv" else constant
        bounds = sorted((low * factor, high * factor)) if factor else [0.0, 0.0]
    elif kind == "Neg" or (kind == "Sub" and not is_first):
        factor = -1.0
        bounds = [constant - high, constant - low]
    else:
        factor, step = 1.0, -constant if kind == "Sub" else constant
        bounds = [low + step, high + step]
    is_shifted = kind in ("AddV2", "Add", "AddN", "Sub") and constant != 0
    if values.ending in _OF_ROWS and (
        factor <= 0 or is_shifted or values.ending == Ending.LOG_SOFTMAX
    ):
        return _part(values, "changed")
    return replace(values, low=float(bounds[0]), high=float(bounds[1]))


def keep_losses(model: keras.Model, path: Path) -> None:
    """Keeps with a model what its file, which was inspected, says of its losses."""
    object.__setattr__(model, LOSS_ATTRIBUTE, _losses_in(path))  # past Keras' own bookkeeping


def _losses_in(path: Path) -> Any:
    """The losses in a model's file, as Keras writes them; None where it was not compiled."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                compiled = json.loads(archive.read("config.json")).get("compile_config")
        else:
            text = foreign_text(path, "training_config", most_bytes=MOST_CONFIG_BYTES)
            compiled = json.loads(text or "null")
    except (ValueError, OSError, KeyError, AttributeError, InputFileError, zipfile.BadZipFile):
        return None  # the model was loaded all the same; nobody says what it was trained with
    return compiled.get("loss") if isinstance(compiled, Mapping) else None


def _losses(model: keras.Model, names: Sequence[str]) -> list[Loss]:
    """The loss of each output, from the compiled model, or else from its file."""
    loss = getattr(model, "loss", None)
    if loss is None:
        loss = getattr(model, LOSS_ATTRIBUTE, None)
    if isinstance(loss, Mapping) and "class_name" not in loss:
        own = _own_names(model)
        aliases = own if len(own) == len(names) else names
        return [
            _loss(loss.get(name, loss.get(alias)))
            for name, alias in zip(names, aliases, strict=True)
        ]
    if isinstance(loss, list | tuple):
        losses = [_loss(part) for part in loss]
        return losses if len(losses) == len(names) else [Loss()] * len(names)
    return [_loss(loss)] * len(names)


def _loss(value: Any) -> Loss:
    """A loss as Keras writes it, or as a person passed it to `compile`."""
    settings: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        config = value.get("config")
        name = value.get("class_name")
        if isinstance(config, Mapping):
            settings = config
        elif name == "function":
            name = config
    elif isinstance(value, functools.partial):
        name, settings = getattr(value.func, "__name__", ""), value.keywords
    elif isinstance(value, keras.losses.Loss):
        name, settings = type(value).__name__, getattr(value, "_fn_kwargs", {})
        if type(value).__name__ == "LossFunctionWrapper":
            name = getattr(value.fn, "__name__", "")
    else:
        name = value if isinstance(value, str) else getattr(value, "__name__", "")
    # Of "package>Name", as Keras writes registered classes; "<lambda>" stays what it is.
    plain = re.sub(r"^[^<>]*>", "", str(name or ""))
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()
    snake = _SHORT_NAMES.get(snake, snake)
    from_logits = settings.get("from_logits") is True
    return Loss(snake, LOSSES.get(snake, LossKind.UNKNOWN), from_logits)
