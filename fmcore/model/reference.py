"""What Keras itself makes of images: its own `predict` and `evaluate`, without our traced graph.

A capture is checked against this, so nothing here uses `trace_model`. Where Keras knows the graph
of a model, layers are the outputs of a plain `keras.Model(model.inputs, …)`. Layers inside other
layers and subclassed models have no such graph: there the model runs eagerly, one operation after
the other, and what layers return is listened to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.errors import ModelError
from fmcore.model.inputs import ModelInputs
from fmcore.model.outputs import output_names
from fmcore.model.trace import first_line, keys_of, operations_of, pack_inputs, recording
from fmcore.records import Target

# How far Keras' own results may lie apart, relative to the largest: sums in another order.
RESOLUTION = 1e-5
# The step from 1 to the next number of types that models compute in.
HALF_PRECISION = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
BATCH_SIZE = 32  # Keras' default


@dataclass(frozen=True, slots=True)
class Stored:
    """How a store names a layer, and what it stores of it.

    Attributes:
        path: the layer's path, such as `outer/inner/conv1`; a second call ends in `#2`.
        words: classes of the layers whose output is stored, as `Conv2D + ReLU`, joined by ` + `.
        shape: (y, x, filter) of one sample in the store.
    """

    path: str
    words: str
    shape: tuple[int, int, int]

    @property
    def followers(self) -> tuple[str, ...]:
        """Classes of the layers after the layer of that path, through which its output went."""
        return tuple(self.words.split(" + ")[1:])


class KerasReference:
    """A model whose layers are read by Keras' own means.

    Attributes:
        inputs: the model's inputs.
        resolution: how far results may lie from each other, relative to the largest.
        is_eager: whether the model runs eagerly, because Keras knows no graph of a layer.
    """

    def __init__(self, model: keras.Model, inputs: ModelInputs, layers: Sequence[Stored]) -> None:
        """Finds the layers.

        Args:
            model: a Keras model; it is not changed.
            inputs: the model's inputs.
            layers: the layers to read.

        Raises:
            ModelError: if the model has no such layer.
        """
        self.inputs = inputs
        self.resolution = _resolution(model)
        self._model, self._layers = model, tuple(layers)
        self._heads: dict[str, keras.Model] = {}
        self._names: list[str] = []
        tensors = _layer_outputs(model, layers)
        self.is_eager = tensors is None
        if tensors is None:
            self._all: keras.Model = _Eager(model, layers)
            self._all.compile(run_eagerly=True)
        else:
            self._all = keras.Model(model.inputs, [*model.outputs, *tensors])

    def predict(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> tuple[dict[str, NDArray[np.float32]], list[NDArray[np.float32]]]:
        """The model's outputs by name, and the activations of each layer as a store has them.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel], preprocessed.
            others: values of the model's other inputs, <float32>[sample, ...], by name.

        Returns:
            <float32>[sample, …] for each output of the model, and <float32>[sample, y, x, filter]
            for each layer.

        Raises:
            ModelError: if Keras cannot run the model, or a layer is not called.
        """
        try:
            values = self._all.predict(
                self._arranged(images, others), batch_size=BATCH_SIZE, verbose=0
            )
        except ModelError:
            raise
        except Exception as error:  # a model's own code may raise anything
            raise ModelError(
                f"Keras cannot predict with model {self._model.name!r}: {first_line(error)}"
            ) from error
        arrays = [np.asarray(array, np.float32) for array in keras.tree.flatten(values)]
        n_outputs = len(arrays) - len(self._layers)
        maps = [
            self._as_stored(layer, array)
            for layer, array in zip(self._layers, arrays[n_outputs:], strict=True)
        ]
        return dict(zip(self._output_names(n_outputs), arrays[:n_outputs], strict=True)), maps

    def evaluate(
        self,
        images: NDArray[np.float32],
        others: Mapping[str, NDArray[np.float32]],
        truth: NDArray[np.generic],
        *,
        target: Target,
        output: str,
        threshold: float | None,
    ) -> float:
        """What Keras' `evaluate` measures: accuracy, or the mean absolute error of numbers.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel], preprocessed.
            others: values of the model's other inputs, <float32>[sample, ...], by name.
            truth: <int64>[sample], true class index; <bool>[sample, n] for several labels,
                <float32>[sample, n] for numbers.
            target: the kind of answer; the same in each call.
            output: the name of the output that gives it; call `predict` before.
            threshold: above which a value of the output means class 1, or a label; None where there
                is one value for each class, and for numbers.
        """
        if output not in self._heads:
            self._heads[output] = self._head(self._names.index(output), target, threshold)
        if target != Target.CLASS or threshold is not None:
            truth = truth.reshape(len(truth), -1).astype(np.float32)
        results = self._heads[output].evaluate(
            self._arranged(images, others),
            truth,
            batch_size=BATCH_SIZE,
            verbose=0,
            return_dict=True,
        )
        return float(results["measure"])

    def _head(self, output: int, target: Target, threshold: float | None) -> keras.Model:
        """A compiled model of one output; compiling the caller's own would change it."""
        if self.is_eager:
            head: keras.Model = _Eager(self._model, (), output=output)
        else:
            head = keras.Model(self._model.inputs, self._model.outputs[output])
        loss = "mse"  # it is measured too, and says nothing
        if target == Target.NUMBER:
            metric = keras.metrics.MeanAbsoluteError(name="measure")
        elif threshold is not None:
            metric = keras.metrics.BinaryAccuracy(name="measure", threshold=threshold)
        else:
            metric = keras.metrics.SparseCategoricalAccuracy(name="measure")
            loss = "sparse_categorical_crossentropy"
        head.compile(loss=loss, metrics=[metric], run_eagerly=self.is_eager)
        return head

    def _output_names(self, n_outputs: int) -> list[str]:
        """The names of the outputs; an eager model knows their keys when it was called."""
        if not self._names:
            graph = getattr(self._model, "_functional", self._model)
            keys = self._all.keys if self.is_eager else keys_of(graph._outputs_struct)
            self._names = output_names(self._model, n_outputs, keys)
        return self._names

    def _arranged(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        values = [tf.constant(others[name]) for name in self.inputs.others]
        tensors = self.inputs.arranged((tf.constant(images), *values))
        return [np.asarray(tensor) for tensor in tensors]

    def _as_stored(self, layer: Stored, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of a layer with the axes of the store: channels last, rows and units as maps."""
        orders = [values] if values.ndim < 3 else [values, np.moveaxis(values, 1, -1)]
        if self.inputs.channels_first:
            orders.reverse()
        for ordered in orders:
            sizes = ordered.shape[1:]
            if (1,) * (3 - len(sizes)) + sizes == layer.shape:
                return ordered.reshape(-1, *layer.shape)
        raise ModelError(
            f"layer {layer.path!r} of {self._model.name!r} puts out {values.shape[1:]} for each "
            f"image; the store holds {layer.shape}"
        )


class _Eager(keras.Model):  # type: ignore[misc]
    """Puts out a model's outputs, then what its layers return, each as it is called.

    Attributes:
        inner: the model.
        keys: the keys of its outputs, once it was called; empty if it returns no dict.
    """

    def __init__(
        self, model: keras.Model, layers: Sequence[Stored], *, output: int | None = None
    ) -> None:
        super().__init__(name=f"eager_{model.name}")
        self.inner = model
        self.keys: tuple[str, ...] = ()
        self._taps = tuple(layers)
        self._output_index = output

    def call(self, inputs: Any) -> Any:
        tensors = [tf.cast(tensor, tf.float32) for tensor in keras.tree.flatten(inputs)]
        calls: list[_Node] = []
        n_calls: Counter[str] = Counter()

        def record(path: str, operation: Any, arguments: Any, output: Any) -> Any:
            below = [value for value in keras.tree.flatten(arguments) if tf.is_tensor(value)]
            above = [value for value in keras.tree.flatten(output) if tf.is_tensor(value)]
            if above:
                calls.append(_Node(_numbered(path, n_calls), operation, below, above[0]))
            return output

        with recording(self.inner, record):
            returned = self.inner(pack_inputs(self.inner, tensors), training=False)
        self.keys, outputs = keys_of(returned), keras.tree.flatten(returned)
        if self._output_index is not None:
            return outputs[self._output_index]
        tapped = [_tapped(calls, layer) for layer in self._taps]
        absent = [
            layer.path for layer, tensor in zip(self._taps, tapped, strict=True) if tensor is None
        ]
        if absent:
            raise no_such_layer(self.inner, absent[0])
        return [*outputs, *tapped]


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """A call of a layer, in Keras' graph or in an eager run."""

    path: str
    operation: Any
    inputs: Sequence[Any]
    output: Any


def _layer_outputs(model: keras.Model, layers: Sequence[Stored]) -> list[Any] | None:
    """The output of each layer in Keras' own graph; None where the graph does not hold them all."""
    if not _has_graph(model):
        return None
    nodes = _nodes(model)
    counts: Counter[str] = Counter()
    numbered = [
        _Node(_numbered(node.path, counts), node.operation, node.inputs, node.output)
        for node in nodes
    ]
    tensors = [_tapped(numbered, layer) for layer in layers]
    return None if any(tensor is None for tensor in tensors) else tensors


def _nodes(model: keras.Model) -> list[_Node]:
    """Every call in a model's graph, in its order; calls inside of nested models in their place.

    A nested model is called anew as a whole, which leaves its layers as they are.
    """
    graph = getattr(model, "_functional", model)  # a Sequential model has it
    nodes: list[_Node] = []
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            operation = node.operation
            if isinstance(operation, keras.layers.InputLayer):
                continue
            if _has_graph(operation):
                inner = _nodes(operation)
                submodel = keras.Model(operation.inputs, [call.output for call in inner])
                outputs = submodel(keras.tree.flatten(node.arguments.keras_tensors))
                nodes.extend(
                    # What is called with what is not known past the call of the whole.
                    _Node(f"{operation.name}/{call.path}", call.operation, (), tensor)
                    for call, tensor in zip(inner, keras.tree.flatten(outputs), strict=True)
                )
            else:
                nodes.append(
                    _Node(operation.name, operation, node.arguments.keras_tensors, node.outputs[0])
                )
    return nodes


def _has_graph(operation: Any) -> bool:
    return isinstance(operation, keras.Model) and bool(
        getattr(getattr(operation, "_functional", operation), "_nodes_by_depth", None)
    )


def _numbered(path: str, counts: Counter[str]) -> str:
    counts[path] += 1
    return path if counts[path] == 1 else f"{path}#{counts[path]}"


def _tapped(nodes: Sequence[_Node], layer: Stored) -> Any | None:
    """The tensor that a store holds of a layer; None where the calls do not lead there."""
    node = next((node for node in nodes if node.path == layer.path), None)
    for name in layer.followers:
        if node is None:
            return None
        tensor = node.output
        node = next(
            (
                following
                for following in nodes
                if type(following.operation).__name__ == name
                and any(below is tensor for below in following.inputs)
            ),
            None,
        )
    return None if node is None else node.output


def no_such_layer(model: keras.Model, path: str) -> ModelError:
    """The error that a model lacks a layer that a store holds."""
    paths = [path for path, _ in operations_of(model)]
    return ModelError(
        f"model {model.name!r} has no layer {path!r}, which the store holds; it has "
        f"{', '.join(paths[:40])}"
    )


def _resolution(model: keras.Model) -> float:
    """How far results may lie from each other; in half precision, the type's own step."""
    types = {getattr(operation, "compute_dtype", None) for _, operation in operations_of(model)}
    return max(RESOLUTION, *(step for dtype, step in HALF_PRECISION.items() if dtype in types), 0)
