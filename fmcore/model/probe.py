"""The Keras probe: outputs of chosen layers, from one traced forward pass."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.errors import ModelError
from fmcore.model.graph import graph_of
from fmcore.model.inputs import inputs_of
from fmcore.model.layers import (
    Candidate,
    candidates,
    choose_layers,
    geometry,
    left_out,
    weights,
)
from fmcore.model.outputs import as_rows, read_outputs
from fmcore.model.receptive_fields import ReceptiveFields
from fmcore.model.trace import Trace, first_line, operations_of, trace_model
from fmcore.records import (
    Captured,
    LayerSpec,
    ModelGraph,
    ModelInfo,
    ModelOutput,
    OutputPlan,
    Target,
)

log = logging.getLogger(__name__)

N_TRIAL = 2  # random images that a model is tried with; TensorFlow keeps the memory of these


class KerasProbe:
    """Captures layers of an image classifier; see `fmcore.capture.Probe`.

    Attributes:
        layers: the captured layers, in the order in which the model calls them.
        outputs: what the model puts out, as its graph and its losses describe it.
        output: which of them is captured, and as what; nothing until `use_output` says it.
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
            model: any Keras model with an image among its inputs.
            options: the options of a capture; layers, kind and tap are used here.
            image_shape: (y, x, channel) of the images, for models that take any size.

        Raises:
            ModelError: if the model takes no images, or has no layer of that kind.
            SelectionError: if a glob matches no layer.
        """
        self.inputs = inputs_of(model, image_shape=image_shape)
        self.image_shape = self.inputs.image_shape
        choices: list[tuple[list[Candidate], ReceptiveFields, tuple[ModelOutput, ...]]] = []
        graphs: list[tuple[ModelGraph | None, str]] = []
        reasons: dict[str, str] = {}

        def choose(trace: Trace) -> list[tf.Tensor]:
            available = candidates(trace, kind=options.kind, tap=options.tap)
            selected = choose_layers(available, options, model=model.name, trace=trace)
            reasons.update(left_out(trace, options.kind))
            fields = ReceptiveFields(
                trace,
                image=self.inputs.image,
                size=(self.image_shape[0], self.image_shape[1]),
                channels_first=self.inputs.channels_first,
            )
            outputs = read_outputs(model, trace)
            choices.append((selected, fields, outputs))
            paths = {candidate.path for candidate in selected}
            graphs.append(graph_of(model, trace, paths))
            return [*(candidate.maps() for candidate in selected), *_answers(trace, outputs)]

        self._trace = functools.partial(
            trace_model,
            model,
            self.inputs.signature(),
            self.inputs.arranged,
            compiled=self.inputs.channels_first and not tf.config.list_physical_devices("GPU"),
        )
        self._answer: Callable[..., list[tf.Tensor]] | None = None
        self._run = self._trace(choose)
        selected, fields, self.outputs = choices[-1]
        for path, reason in reasons.items() if options.layers == DEFAULTS.layers else ():
            log.warning("layer %r of %r is not captured: %s", path, model.name, reason)
        self.layers: Sequence[LayerSpec] = tuple(
            _layer_spec(candidate, fields) for candidate in selected
        )
        try:
            outputs = self._run(*_random_inputs(self.inputs.signature()))
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise ModelError(
                f"TensorFlow cannot run model {model.name!r}: {first_line(error)}"
            ) from error
        self._check_rows(outputs, N_TRIAL, model.name)
        # What comes in other rows than the images is no answer to them.
        self._answered = _with_values(self.outputs)
        answers = outputs[len(self.layers) :]
        strange = {
            output.index
            for output, values in zip(self._answered, answers, strict=True)
            if len(values) != N_TRIAL
        }
        self.outputs = tuple(
            dataclasses.replace(output, shape=None) if output.index in strange else output
            for output in self.outputs
        )
        self.output = OutputPlan(Target.NONE, "nobody said what the model puts out")
        graph, words = graphs[-1]
        if graph is None:
            log.warning("the store of %r will hold no graph of its layers, %s", model.name, words)
        self.info = dataclasses.replace(model_info(model), graph=graph, graph_words=words)

    def use_output(self, plan: OutputPlan) -> None:
        """Captures what a plan says of the model's output, and records it in `info`."""
        self.output = plan
        self.info = dataclasses.replace(self.info, output=plan.record)

    def answers(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> dict[int, NDArray[np.float32]]:
        """What the model puts out, unchanged, without its layers.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: values of the model's other inputs, <float32>[sample, ...], by name.

        Returns:
            <float32>[sample, n] for each output of `outputs` that has `n_values`, by its index.
        """
        if self._answer is None:  # few captures need it
            self._answer = self._trace(lambda trace: _answers(trace, self._answered))
        values = self._answer(*self._tensors(images, others))
        return {
            output.index: np.asarray(rows, np.float32)
            for output, rows in zip(self._answered, values, strict=True)
        }

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> NDArray[np.float32]:
        """The probabilities alone, <float32>[sample, class]; the arguments are those of a call.

        Raises:
            ModelError: if the target is not one of several classes.
        """
        if self.output.target != Target.CLASS or self.output.output is None:
            raise ModelError(f"model {self.info.name!r} predicts no class: {self.output.words}")
        return self.output.convert(self.answers(images, others)[self.output.output.index])

    def __call__(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None = None
    ) -> Captured:
        """Runs one batch.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel].
            others: values of the model's other inputs, <float32>[sample, ...], by name.

        Raises:
            ModelError: if a layer makes another number of rows than there are images.
        """
        outputs = self._run(*self._tensors(images, others))
        self._check_rows(outputs, len(images), self.info.name)
        activations = tuple(np.asarray(maps) for maps in outputs[: len(self.layers)])
        if self.output.output is None:
            return Captured(activations, None)
        place = self._answered.index(self.output.output)
        values = np.asarray(outputs[len(self.layers) + place], dtype=np.float32)
        values = self.output.convert(values)
        if self.output.target == Target.CLASS:
            return Captured(activations, values)
        return Captured(activations, None, values)

    def _check_rows(self, outputs: Sequence[tf.Tensor], n_images: int, model_name: str) -> None:
        for layer, values in zip(self.layers, outputs[: len(self.layers)], strict=True):
            if len(values) != n_images:
                raise ModelError(
                    f"layer {layer.path!r} of {model_name!r} cannot be captured: of {n_images} "
                    f"images it makes {len(values)} rows; leave it out by naming the others with "
                    "--layers"
                )

    def _tensors(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]] | None
    ) -> list[tf.Tensor]:
        values = [tf.constant((others or {})[name]) for name in self.inputs.others]
        return [tf.constant(images), *values]


def _layer_spec(candidate: Candidate, fields: ReceptiveFields) -> LayerSpec:
    boxes, words = fields.boxes(candidate.tensor, channels_first=candidate.channels_first)
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


def _with_values(outputs: Sequence[ModelOutput]) -> list[ModelOutput]:
    return [output for output in outputs if output.n_values]


def _answers(trace: Trace, outputs: Sequence[ModelOutput]) -> list[tf.Tensor]:
    """The outputs that are numbers for each sample, <float32>[sample, n]."""
    return [as_rows(trace.outputs[output.index]) for output in _with_values(outputs)]


def _random_inputs(signature: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
    rng = np.random.default_rng(0)
    shapes = [[N_TRIAL, *(size or 4 for size in spec.shape[1:])] for spec in signature]
    return [tf.constant(rng.random(shape, dtype=np.float32)) for shape in shapes]


def model_info(model: keras.Model, *, output: str = "") -> ModelInfo:
    """What a store records of a model, with the digest that tells it from others.

    Args:
        model: a built model.
        output: what is stored of its output, or why there is nothing.
    """
    try:
        parts = json.loads(model.to_json())
    except (NotImplementedError, TypeError, ValueError):  # a subclass without a configuration
        paths = [path for path, _ in operations_of(model)]
        parts = {"class_name": type(model).__name__, "layers": paths}
    # How the model was compiled says nothing of what it computes, and is lost on loading.
    architecture = json.dumps({key: parts[key] for key in parts if key != "compile_config"})
    digest = hashlib.sha256(architecture.encode())
    for weight in model.weights:
        value = np.asarray(tf.convert_to_tensor(weight.value))
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        # Not copied: a dense layer of VGG16 has 411 MB.
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    return ModelInfo(
        name=model.name,
        digest=digest.hexdigest(),
        architecture=architecture,
        framework=f"keras {keras.__version__}, tensorflow {tf.__version__}",
        output=output,
    )
