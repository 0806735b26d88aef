"""The Keras probe: outputs of chosen layers, from one traced forward pass."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.errors import ModelError
from fmcore.model.inputs import inputs_of
from fmcore.model.layers import (
    Candidate,
    candidates,
    choose_layers,
    geometry,
    left_out,
    weights,
)
from fmcore.model.receptive_fields import ReceptiveFields
from fmcore.model.trace import PASS_THROUGH, Trace, first_line, operations_of, trace_model
from fmcore.records import Captured, LayerSpec, ModelInfo

log = logging.getLogger(__name__)

N_TRIAL = 4  # random images that a model is tried with


@dataclass(frozen=True, slots=True)
class _Output:
    """The output of a model that scores classes, and how it becomes probabilities."""

    index: int
    n_outputs: int
    name: str
    n_classes: int
    binary: bool
    sigmoid: bool

    @property
    def words(self) -> str:
        one_of = f"output {self.name!r}, 1 of {self.n_outputs},"
        return "the model's" if self.n_outputs == 1 else one_of


class KerasProbe:
    """Captures layers of an image classifier; see `fmcore.capture.Probe`.

    Attributes:
        layers: the captured layers, in the order in which the model calls them.
        n_classes: number of classes that the model scores; None where it scores none.
        image_shape: (image_y, image_x, image_channel) of the model's image.
        inputs: the model's inputs, see `fmcore.model.inputs`.
        info: what a store records of the model.
    """

    def __init__(
        self,
        model: keras.Model,
        options: CaptureOptions = DEFAULTS,
        *,
        image_shape: tuple[int, int, int] | None = None,
    ) -> None:
        """Finds the layers and builds the forward pass once.

        Args:
            model: any Keras model with an image among its inputs. Without an output
                [sample, class] it has no predictions.
            options: the options of a capture; layers, kind, tap and predictions are used here.
                Without predictions, an output [sample, n] is taken as features.
            image_shape: (y, x, channel) of the images, for models that take any size.

        Raises:
            ModelError: if the model takes no images, or has no layer of that kind.
            SelectionError: if a glob matches no layer.
        """
        self.inputs = inputs_of(model, image_shape=image_shape)
        self.image_shape = self.inputs.image_shape
        choices: list[tuple[list[Candidate], ReceptiveFields, _Output | None, str]] = []
        reasons: dict[str, str] = {}

        def choose(trace: Trace) -> list[tf.Tensor]:
            available = candidates(trace, kind=options.kind, tap=options.tap)
            selected = choose_layers(available, options, model=model.name, trace=trace)
            reasons.update(left_out(trace, options.kind))
            fields = ReceptiveFields(
                trace, image=self.inputs.image, size=(self.image_shape[0], self.image_shape[1])
            )
            output = _output(model, trace) if options.predictions else None
            choices.append((selected, fields, output, _output_shapes(trace)))
            last = [] if output is None else [trace.outputs[output.index]]
            return [*(candidate.maps() for candidate in selected), *last]

        self._trace = functools.partial(
            trace_model,
            model,
            self.inputs.signature(),
            self.inputs.arranged,
            compiled=self.inputs.channels_first and not tf.config.list_physical_devices("GPU"),
        )
        self._predict: Callable[..., list[tf.Tensor]] | None = None
        self._run = self._trace(choose)
        selected, fields, self._output, shapes = choices[-1]
        for path, reason in reasons.items() if options.layers == DEFAULTS.layers else ():
            log.warning("layer %r of %r is not captured: %s", path, model.name, reason)
        words = f"no class distribution: the model puts out {shapes} for each image"
        self.layers: Sequence[LayerSpec] = tuple(
            _layer_spec(candidate, fields) for candidate in selected
        )
        self.n_classes = None if self._output is None else self._output.n_classes
        try:
            outputs = self._run(*_random_inputs(self.inputs.signature()))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise ModelError(
                f"TensorFlow cannot run model {model.name!r}: {first_line(error)}"
            ) from error
        for layer, values in zip(self.layers, outputs[: len(self.layers)], strict=True):
            if len(values) != N_TRIAL:
                raise ModelError(
                    f"layer {layer.path!r} of {model.name!r} cannot be captured: of {N_TRIAL} "
                    f"images it makes {len(values)} rows; leave it out by naming the others with "
                    "--layers"
                )
        if self._output is not None:
            self._finish, words = _finish(np.asarray(outputs[-1], np.float32), self._output)
        self.info = _model_info(model, output=words)

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        """The probabilities alone, <float32>[sample, class]; the arguments are those of a call.

        Raises:
            ModelError: if the model scores no classes.
        """
        output_of = self._output
        if output_of is None:
            raise ModelError(f"model {self.info.name!r} predicts no class: {self.info.output}")
        if self._predict is None:  # few captures need it
            self._predict = self._trace(lambda trace: [trace.outputs[output_of.index]])
        (output,) = self._predict(*self._tensors(images, others))
        return self._finish(np.asarray(output, dtype=np.float32))

    def __call__(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> Captured:
        """Runs one batch.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: values of the model's other inputs, <float32>[sample, ...], by name.
        """
        outputs = self._run(*self._tensors(images, others))
        probability = None
        if self._output is not None:
            probability = self._finish(np.asarray(outputs[-1], dtype=np.float32))
        activations = tuple(np.asarray(maps) for maps in outputs[: len(self.layers)])
        return Captured(activations, probability)

    def _tensors(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None
    ) -> list[tf.Tensor]:
        values = [tf.constant((others or {})[name]) for name in self.inputs.others]
        return [tf.constant(images), *values]


def _layer_spec(candidate: Candidate, fields: ReceptiveFields) -> LayerSpec:
    boxes, words = fields.boxes(candidate.tensor)
    return LayerSpec(
        path=candidate.path,
        shape=candidate.shape,
        kind=candidate.words,
        activation=candidate.activation,
        receptive_field=boxes,
        field_words=words,
        **geometry(candidate.operation),
        **weights(candidate.operation, candidate.shape[2]),
    )


def _output(model: keras.Model, trace: Trace) -> _Output | None:
    """The first output [sample, class]; None where there is none, as of a segmentation model."""
    outputs = trace.outputs
    names = list(getattr(model, "output_names", ())) or [str(n) for n in range(len(outputs))]
    for index, output in enumerate(outputs):
        if output.shape.rank == 2 and output.shape[1] is not None:
            width = int(output.shape[1])
            sigmoid = _ends_in_sigmoid(output)
            return _Output(
                index, len(outputs), names[index], max(width, 2), binary=width == 1, sigmoid=sigmoid
            )
    return None


def _output_shapes(trace: Trace) -> str:
    """The shapes of the model's outputs for each image, in words."""
    return ", ".join(_shape_text(output.shape) for output in trace.outputs) or "nothing"


def _shape_text(shape: tf.TensorShape) -> str:
    if not shape.rank:
        return "an unknown shape"
    return "one number" if shape.rank == 1 else str(tuple(shape[1:]))


def _ends_in_sigmoid(output: tf.Tensor) -> bool:
    """Whether an output is a sigmoid's probability, by the graph: a few samples could not tell."""
    while output.op.type in PASS_THROUGH | {"Reshape", "Squeeze", "ExpandDims"}:
        output = output.op.inputs[0]
    return bool(output.op.type == "Sigmoid")


def _random_inputs(signature: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
    rng = np.random.default_rng(0)
    shapes = [[N_TRIAL, *(size or 4 for size in spec.shape[1:])] for spec in signature]
    return [tf.constant(rng.random(shape, dtype=np.float32)) for shape in shapes]


def _finish(
    sample: NDArray[np.float32], output: _Output
) -> tuple[Callable[[NDArray[np.float32]], NDArray[np.float32]], str]:
    """The function that makes probabilities of an output, and what it does, in words.

    Whether a model ends in a softmax is seen from a sample of its output: there are many ways to
    write one.
    """
    if output.binary:
        if output.sigmoid:
            return _two_classes, f"{output.words} own probability of class 1"
        return (
            lambda values: _two_classes(np.asarray(tf.sigmoid(values))),
            f"sigmoid of {output.words} output, the probability of class 1",
        )
    if (sample >= 0).all() and np.allclose(sample.sum(axis=1), 1, atol=1e-3):
        return (lambda values: values), f"{output.words} own probabilities"
    return (
        lambda values: np.asarray(tf.nn.softmax(values)),
        f"softmax of {output.words} output",
    )


def _two_classes(second: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([1 - second, second], axis=1)


def _model_info(model: keras.Model, *, output: str) -> ModelInfo:
    try:
        parts = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):  # a subclass without a configuration
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
