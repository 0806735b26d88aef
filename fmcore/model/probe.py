"""The Keras probe: runs the layers that a person wants in one traced forward pass."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.errors import ModelError
from fmcore.model.inputs import inputs_of
from fmcore.model.layers import Candidate, candidates, choose_layers, geometry, weights
from fmcore.model.receptive_fields import ReceptiveFields
from fmcore.model.trace import BETWEEN, Trace, first_line, operations_of, trace_model
from fmcore.records import Captured, LayerSpec, ModelInfo

TRIED = 4  # random images that a model is tried with


@dataclass(frozen=True, slots=True)
class _Output:
    """Which output of a model names the classes, and how it becomes probabilities."""

    index: int
    of: int
    name: str
    n_classes: int
    binary: bool
    sigmoid: bool

    @property
    def which(self) -> str:
        return "the model's" if self.of == 1 else f"output {self.name!r}, 1 of {self.of},"


class KerasProbe:
    """Captures layers of an image classifier; see `fmcore.capture.Probe`.

    Attributes:
        layers: the captured layers, in the order in which the model calls them.
        n_classes: classes of the model's output; None where it names none.
        image_shape: (image_y, image_x, image_channel) of its image.
        inputs: its inputs, see `fmcore.model.inputs`.
        info: what a store records of the model.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        layers: str = "*",
        kind: str = "conv",
        tap: str = "output",
        predictions: bool = True,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        """Finds the layers and builds the forward pass once.

        Args:
            model: any Keras model with an image among its inputs. Without an output
                [sample, class] it has no predictions.
            layers: comma-separated globs over paths such as `inner/conv1`; `re:` begins a regular
                expression.
            kind: `conv`, `activation`, `dense` or `all` layers.
            tap: `output` of the layers, or the `activation` that follows them as a layer of its
                own.
            predictions: whether an output [sample, n] is scores of n classes; else features.
            image_shape: (y, x, channel) of the images, for models that take any size.

        Raises:
            ModelError: if the model takes no images, or has no layer of the kind.
            SelectionError: if a glob matches nothing.
        """
        self.inputs = inputs_of(model, image_shape=image_shape)
        self.image_shape = self.inputs.image_shape
        noted: list[tuple[list[Candidate], ReceptiveFields, _Output | None, str]] = []

        def choose(trace: Trace) -> list[tf.Tensor]:
            found = candidates(trace, kind=kind, tap=tap)
            wanted = choose_layers(found, layers, model=model.name, trace=trace, kind=kind)
            fields = ReceptiveFields(
                trace, image=self.inputs.image, size=(self.image_shape[0], self.image_shape[1])
            )
            output = _output(model, trace) if predictions else None
            noted.append((wanted, fields, output, _shapes(trace)))
            last = [] if output is None else [trace.outputs[output.index]]
            return [*(one.maps() for one in wanted), *last]

        self._traced = functools.partial(
            trace_model,
            model,
            self.inputs.signature(),
            self.inputs.arranged,
            compiled=self.inputs.channels_first and not tf.config.list_physical_devices("GPU"),
        )
        self._predict: Callable[..., list[tf.Tensor]] | None = None
        self._run = self._traced(choose)
        wanted, fields, self._output, words = noted[-1]
        words = f"no class distribution: the model puts out {words} for each image"
        self.layers: Sequence[LayerSpec] = tuple(_layer_spec(one, fields) for one in wanted)
        self.n_classes = None if self._output is None else self._output.n_classes
        try:
            tried = self._run(*_random_inputs(self.inputs.signature()))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise ModelError(
                f"TensorFlow cannot run model {model.name!r}: {first_line(error)}"
            ) from error
        for layer, values in zip(self.layers, tried[: len(self.layers)], strict=True):
            if len(values) != TRIED:
                raise ModelError(
                    f"layer {layer.path!r} of {model.name!r} cannot be captured: of {TRIED} images "
                    f"it makes {len(values)} rows; leave it out by naming others with --layers"
                )
        if self._output is not None:
            self._finish, words = _finish(np.asarray(tried[-1], np.float32), self._output)
        self.info = _model_info(model, output=words)

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        """The probabilities alone, <float32>[sample, class]; arguments as of a call.

        Raises:
            ModelError: if the model puts out none.
        """
        output_of = self._output
        if output_of is None:
            raise ModelError(f"model {self.info.name!r} predicts no class: {self.info.output}")
        if self._predict is None:  # few captures need it
            self._predict = self._traced(lambda trace: [trace.outputs[output_of.index]])
        (output,) = self._predict(*self._given(images, others))
        return self._finish(np.asarray(output, dtype=np.float32))

    def __call__(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> Captured:
        """Runs one batch.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: what the model's other inputs get, <float32>[sample, ...], by name.
        """
        made = self._run(*self._given(images, others))
        probability = None
        if self._output is not None:
            probability = self._finish(np.asarray(made[-1], dtype=np.float32))
        activations = tuple(np.asarray(each) for each in made[: len(self.layers)])
        return Captured(activations, probability)

    def _given(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None
    ) -> list[tf.Tensor]:
        rest = [tf.constant((others or {})[name]) for name in self.inputs.others]
        return [tf.constant(images), *rest]


def _layer_spec(one: Candidate, fields: ReceptiveFields) -> LayerSpec:
    seen, words = fields.boxes(one.tensor)
    return LayerSpec(
        path=one.path,
        shape=one.shape,
        kind=one.words,
        activation=one.activation,
        receptive_field=seen,
        field_words=words,
        **geometry(one.operation),
        **weights(one.operation),
    )


def _output(model: keras.Model, trace: Trace) -> _Output | None:
    """The first output [sample, class]; None where there is none: an encoder, a segmentation."""
    outputs = trace.outputs
    names = list(getattr(model, "output_names", ())) or [str(n) for n in range(len(outputs))]
    for index, output in enumerate(outputs):
        if output.shape.rank == 2 and output.shape[1] is not None:
            width = int(output.shape[1])
            own = _ends_in_sigmoid(output)
            return _Output(
                index, len(outputs), names[index], max(width, 2), binary=width == 1, sigmoid=own
            )
    return None


def _shapes(trace: Trace) -> str:
    """What the model puts out for each image, in words."""
    return ", ".join(_in_words(one.shape) for one in trace.outputs) or "nothing"


def _in_words(shape: tf.TensorShape) -> str:
    if not shape.rank:
        return "an unknown shape"
    return "one number" if shape.rank == 1 else str(tuple(shape[1:]))


def _ends_in_sigmoid(output: tf.Tensor) -> bool:
    """Whether the one number of a model is a probability: no few samples of it could tell."""
    while output.op.type in BETWEEN | {"Reshape", "Squeeze", "ExpandDims"}:
        output = output.op.inputs[0]
    return bool(output.op.type == "Sigmoid")


def _random_inputs(signature: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
    chance = np.random.default_rng(0)
    shapes = [[TRIED, *(size or 4 for size in spec.shape[1:])] for spec in signature]
    return [tf.constant(chance.random(shape, dtype=np.float32)) for shape in shapes]


def _finish(
    sample: NDArray[np.float32], output: _Output
) -> tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], str]:
    """How an output becomes probabilities, and in words; a sample of it shows what it is.

    A model may end in a softmax in many ways, and this shows in all.
    """
    if output.binary:
        if output.sigmoid:
            return _two_classes, f"{output.which} own probability of class 1"
        return (
            lambda values: _two_classes(np.asarray(tf.sigmoid(values))),
            f"sigmoid of {output.which} output, the probability of class 1",
        )
    if (sample >= 0).all() and np.allclose(sample.sum(axis=1), 1, atol=1e-3):
        return (lambda values: values), f"{output.which} own probabilities"
    return (
        lambda values: np.asarray(tf.nn.softmax(values)),
        f"softmax of {output.which} output",
    )


def _two_classes(second: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([1 - second, second], axis=1)


def _model_info(model: keras.Model, *, output: str) -> ModelInfo:
    try:
        parts = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):  # a subclass that cannot describe itself
        paths = [path for path, _ in operations_of(model)]
        parts = {"class_name": type(model).__name__, "layers": paths}
    # How the model was compiled says nothing of what it computes, and is lost on loading.
    architecture = json.dumps({key: parts[key] for key in parts if key != "compile_config"})
    digest = hashlib.sha256(architecture.encode())
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    return ModelInfo(
        name=model.name,
        digest=digest.hexdigest(),
        architecture=architecture,
        framework=f"keras {keras.__version__}, tensorflow {tf.__version__}",
        output=output,
    )
