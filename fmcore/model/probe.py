"""The Keras probe: finds convolutional layers and runs them all in one traced forward pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.errors import ModelError
from fmcore.model.graph import calls_of
from fmcore.model.receptive_fields import ReceptiveFields
from fmcore.records import Captured, LayerSpec, ModelInfo
from fmcore.selection import match_names

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)


class KerasProbe:
    """Captures convolutional layers of an image classifier; see `fmcore.capture.Probe`.

    Attributes:
        layers: the captured layers, in the model's order.
        n_classes: length of the model's output.
        image_shape: (image_y, image_x, image_channel) of its input.
    """

    def __init__(self, model: keras.Model, *, layers: str = "*") -> None:
        """Finds the layers and builds the forward pass once.

        Args:
            model: one image input, one output [sample, class].
            layers: comma-separated globs over layer names.

        Raises:
            ModelError: if the model is no such classifier, or has no convolutional layer.
            SelectionError: if a glob matches nothing.
        """
        self.image_shape = _image_shape(model)
        self.n_classes = _n_classes(model)
        found = {layer.name: layer for layer in model.layers if isinstance(layer, CONVOLUTIONS)}
        if not found:
            raise ModelError(
                f"model {model.name!r} has no convolutional layer; its layers are "
                f"{', '.join(f'{layer.name} ({type(layer).__name__})' for layer in model.layers)}"
            )
        names = match_names(list(found), layers, what=f"convolutional layer of {model.name!r}")
        chosen = [found[name] for name in names]
        nodes = {id(node) for node in calls_of(model)}
        maps = [_output_in(layer, nodes, model) for layer in chosen]
        fields = ReceptiveFields(model)
        self.layers: Sequence[LayerSpec] = tuple(
            _layer_spec(layer, output, fields) for layer, output in zip(chosen, maps, strict=True)
        )
        signature = tf.TensorSpec([None, *self.image_shape], tf.float32)
        try:
            forward = keras.Model(model.inputs, [*maps, model.outputs[0]])
            self._run = tf.function(
                lambda images: forward([images], training=False),
                input_signature=[signature],
                autograph=False,
            )
            *_, sample = self._run(_random_images(self.image_shape))  # traced once, here
        except (ValueError, TypeError, tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"TensorFlow cannot run model {model.name!r}: {reason}") from error
        self._softmax = not _are_probabilities(np.asarray(sample))
        self.info = _model_info(model, softmax=self._softmax)

    def __call__(self, images: NDArray[np.float32]) -> Captured:
        """Runs one batch, <float32>[sample, image_y, image_x, image_channel]."""
        *activations, output = self._run(images)
        if self._softmax:
            output = tf.nn.softmax(tf.cast(output, tf.float32))
        return Captured(
            activations=tuple(np.asarray(each, dtype=np.float32) for each in activations),
            probability=np.asarray(output, dtype=np.float32),
        )


def nested_convolutions(model: keras.Model) -> dict[str, int]:
    """Convolutional layers inside models inside the model, which a probe does not reach."""
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    counts = {
        inner.name: sum(
            isinstance(layer, CONVOLUTIONS)
            for layer in inner._flatten_layers(include_self=False)  # no public walk exists
        )
        for inner in nested
    }
    return {name: count for name, count in counts.items() if count}


def _image_shape(model: keras.Model) -> tuple[int, int, int]:
    if not model.built or len(getattr(model, "inputs", None) or ()) != 1:
        raise ModelError(
            f"model {model.name!r} must be built and have one image input; found "
            f"{len(getattr(model, 'inputs', None) or ())} inputs"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or None in shape:
        raise ModelError(
            f"model {model.name!r} takes inputs of shape {shape}; expected images of one size, "
            "(y, x, channel)"
        )
    return shape[0], shape[1], shape[2]


def _n_classes(model: keras.Model) -> int:
    if len(model.outputs) != 1:
        raise ModelError(f"model {model.name!r} has {len(model.outputs)} outputs; expected one")
    shape = tuple(model.outputs[0].shape[1:])
    if len(shape) != 1 or shape[0] is None or shape[0] < 2:
        raise ModelError(
            f"model {model.name!r} puts out {shape} for each image; expected a number for each of "
            "at least 2 classes"
        )
    return int(shape[0])


def _layer_spec(layer: Any, output: Any, fields: ReceptiveFields) -> LayerSpec:
    if layer.data_format != "channels_last":
        raise ModelError(
            f"layer {layer.name!r} is {layer.data_format}; only channels_last is captured"
        )
    shape = tuple(output.shape[1:])
    if None in shape:
        raise ModelError(f"layer {layer.name!r} has no fixed size: {shape}")
    seen, words = fields.boxes(output)
    weights = {one.name: keras.ops.convert_to_numpy(one) for one in layer.weights}
    return LayerSpec(
        path=layer.name,
        shape=(shape[0], shape[1], shape[2]),
        kind=type(layer).__name__,
        activation=_activation_name(layer.activation),
        kernel_size=tuple(layer.kernel_size),
        strides=tuple(layer.strides),
        padding=layer.padding,
        dilation=tuple(layer.dilation_rate),
        # The axes of a transposed or separable kernel are other ones; the store has no place for
        # them under this name.
        kernel=_float32(weights.get("kernel")) if isinstance(layer, keras.layers.Conv2D) else None,
        bias=_float32(weights.get("bias")),
        receptive_field=seen,
        field_words=words,
    )


def _activation_name(activation: Any) -> str:
    """Such as `relu`; the class' name for an activation that is a layer, such as `LeakyReLU`."""
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__))


def _float32(weights: Any) -> NDArray[np.float32] | None:
    return None if weights is None else np.asarray(weights, dtype=np.float32)


def _output_in(layer: Any, nodes: set[int], model: keras.Model) -> Any:
    """What a layer puts out where this model calls it; layers may serve several models."""
    calls = [node for node in layer._inbound_nodes if id(node) in nodes]
    if len(calls) != 1:
        raise ModelError(
            f"layer {layer.name!r} is called {len(calls)} times in model {model.name!r}; only "
            "layers that are called once are captured: name others with --layers"
        )
    return calls[0].output_tensors[0]


def _random_images(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(0).random((4, *shape), dtype=np.float32)


def _are_probabilities(output: NDArray[np.floating]) -> bool:
    """Whether each row is one: a model may end in a softmax in many ways, and this shows in all."""
    return bool((output >= 0).all() and np.allclose(output.sum(axis=1), 1, atol=1e-3))


def _model_info(model: keras.Model, *, softmax: bool) -> ModelInfo:
    # How the model was compiled says nothing of what it computes, and is lost on loading.
    parts = json.loads(model.to_json())
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
        output="softmax of the model's output" if softmax else "the model's own probabilities",
    )
