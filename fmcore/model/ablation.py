"""A model without some of its filters, run from the layer on: what lies before is computed once.

What the layer puts out is mixed, filter by filter, with what takes its place, and only what follows
is run for each filter. Operations that keep planes apart, such as pooling, run before the mixing.
Where filters of several layers go together, each layer is mixed on the way to the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fmcore.errors import ModelError
from fmcore.model.inputs import ModelInputs
from fmcore.model.layers import Candidate, candidates
from fmcore.model.outputs import read_outputs
from fmcore.model.reference import Stored, no_such_layer
from fmcore.model.subgraph import TracedGraph, spec_of
from fmcore.model.trace import Trace, first_line, trace_model
from fmcore.records import Conversion, Kind, ModelOutput, OutputPlan, Tap, Target

# Values of an image that are in memory at once: of the largest operation, its input, its output and
# what the libraries lay out anew for it.
COPIES = 4
# Multiplications that a core makes while a byte of maps is inflated: 30 and 0.4 thousand million a
# second were measured.
MULTIPLICATIONS_PER_BYTE = 75


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What all variants of a batch have in common.

    Attributes:
        planes: what the layer puts out, behind the operations that keep planes apart.
        substitutes: what takes its place there.
        sides: other tensors that the rest of the model takes.
    """

    planes: tf.Tensor
    substitutes: tf.Tensor
    sides: tuple[tf.Tensor, ...]


class LayerRest:
    """What follows a layer, up to the model's answer; see `fmcore.ablation.Rest`.

    Attributes:
        path: the layer's path.
        shape: (y, x, filter) of the maps of one sample, as stored.
        reads_maps: whether stored maps are all that it needs, and quicker than the images.
        row_bytes: bytes that one sample of a variant takes, about.
    """

    def __init__(
        self,
        graph: TracedGraph,
        inputs: ModelInputs,
        candidate: Candidate,
        answers: Sequence[tf.Tensor],
        plan: OutputPlan,
    ) -> None:
        self.path, self.shape = candidate.path, candidate.shape
        self._graph, self._inputs, self._plan = graph, inputs, plan
        self._candidate, self._answers = candidate, tuple(answers)
        layer = candidate.tensor
        axis = _filter_axis(candidate)
        self._mixed, self._axis = graph.past_planes(layer, answers, axis=axis)
        self._sides = tuple(graph.sides([self._mixed], answers))
        # Where little is computed to get there, that is quicker than inflating stored maps.
        work = graph.multiplications(graph.arguments, [layer])
        map_bytes = 4 * math.prod(self.shape)
        self.reads_maps = not self._sides and work > MULTIPLICATIONS_PER_BYTE * map_bytes
        self.row_bytes = graph.row_bytes([self._mixed, *self._sides], answers) * COPIES
        self._head = graph.of_arguments([layer, *self._sides])
        self._planes = graph.function(
            [spec_of(layer)],
            lambda values: graph.import_part({layer.name: values}, [self._mixed]),
        )
        self._rest = graph.function(
            [
                tf.TensorSpec([None, self.shape[2]], tf.bool),
                *(spec_of(tensor) for tensor in (self._mixed, self._mixed, *self._sides)),
            ],
            self._run_rest,
        )

    def share(
        self,
        maps: NDArray[np.float32] | None,
        substitutes: NDArray[np.float32] | None,
        images: NDArray[np.float32] | None,
        others: Mapping[str, NDArray[np.float32]],
    ) -> Shared:
        """Computes what all variants of a batch have in common.

        Args:
            maps: <float32>[sample, y, x, filter], what the layer puts out; None to compute it.
            substitutes: <float32>[sample or 1, y, x, filter], what takes its place; None for zero.
            images: <float32>[sample, image_y, image_x, image_channel], preprocessed; None
                where `reads_maps` and there are maps.
            others: values of the model's other inputs, <float32>[sample, ...], by name.
        """
        sides: Sequence[tf.Tensor] = ()
        if images is not None:
            layer, *sides = self._head(*_arguments(self._inputs, images, others))
        if maps is not None:
            layer = _as_in_model(self._candidate, maps)
        zeros = np.zeros((1, *self.shape), np.float32)
        other = _as_in_model(self._candidate, zeros if substitutes is None else substitutes)
        other = tf.broadcast_to(other, tf.shape(layer)) if other.shape[0] == 1 else other
        (planes,), (substituted,) = self._planes(layer), self._planes(other)
        return Shared(planes, substituted, tuple(sides))

    def maps(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """What the layer puts out, <float32>[sample, y, x, filter], computed of images."""
        layer, *_ = self._head(*_arguments(self._inputs, images, others))
        return _as_stored(self._candidate, layer)

    def answers(self, shared: Shared, variants: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The model's answers without some of the filters.

        Args:
            shared: what the batch has in common.
            variants: <bool>[variant, filter], which filters are replaced.

        Returns:
            <float32>[variant, sample, n], as the store has them.
        """
        rows = self._rest(tf.constant(variants), shared.planes, shared.substitutes, *shared.sides)
        values = np.concatenate([np.asarray(part, np.float32) for part in rows], axis=1)
        return self._plan.convert(values).reshape(len(variants), len(shared.planes), -1)

    def _run_rest(
        self, variants: tf.Tensor, planes: tf.Tensor, substitutes: tf.Tensor, *sides: tf.Tensor
    ) -> list[tf.Tensor]:
        n_variants = tf.shape(variants)[0]
        after = math.prod(planes.shape[self._axis + 1 :])
        # As few axes as there are: twice as fast as with all.
        shape = [self.shape[2], after] if after > 1 else [self.shape[2]]
        flags = tf.reshape(variants, [-1, 1, self.shape[2], *[1] * (len(shape) - 1)])
        substituted, whole = (
            tf.reshape(values, [1, -1, *shape]) for values in (substitutes, planes)
        )
        mixed = tf.reshape(tf.where(flags, substituted, whole), [-1, *planes.shape[1:]])
        feeds = {self._mixed.name: mixed}
        for tensor, values in zip(self._sides, sides, strict=True):
            repeats = [n_variants, *[1] * (tensor.shape.rank - 1)]
            feeds[tensor.name] = tf.tile(values, repeats)
        return [as_flat(part) for part in self._graph.import_part(feeds, self._answers)]


@dataclass(frozen=True, slots=True, eq=False)
class JointlyShared:
    """What all variants of a batch have in common where filters of several layers go together.

    Attributes:
        heads: what the first layers put out, and other tensors that are not computed of it.
        substitutes: what takes the place of what each layer puts out, of each sample or of all.
    """

    heads: tuple[tf.Tensor, ...]
    substitutes: tuple[tf.Tensor, ...]


class JointRest:
    """What a model answers while filters of several layers go; see `fmcore.ablation.Joint`.

    What lies before the first of the layers is computed once for a batch. A layer behind others
    takes what those put out without their filters.

    Attributes:
        row_bytes: bytes that one sample of a variant takes, about.
        head_bytes: bytes of what all variants of a sample have in common.
    """

    def __init__(
        self,
        graph: TracedGraph,
        inputs: ModelInputs,
        candidates: Sequence[Candidate],
        answers: Sequence[tf.Tensor],
        plan: OutputPlan,
    ) -> None:
        self._graph, self._inputs, self._plan = graph, inputs, plan
        self._candidates, self._answers = tuple(candidates), tuple(answers)
        layers = [candidate.tensor for candidate in candidates]
        self._first = tuple(graph.first(layers))
        self._sides = tuple(graph.sides(self._first, [*layers, *answers]))
        heads = [*self._first, *self._sides]
        self.head_bytes = graph.row_bytes(heads, heads)
        self.row_bytes = graph.row_bytes(heads, [*layers, *answers]) * COPIES
        self._head, self._maps = graph.of_arguments(heads), graph.of_arguments(layers)
        n_filters = sum(candidate.shape[2] for candidate in candidates)
        self._rest = graph.function(
            [
                tf.TensorSpec([None, n_filters], tf.bool),
                *(spec_of(tensor) for tensor in (*heads, *layers)),
            ],
            self._run_rest,
        )

    def share(
        self,
        images: NDArray[np.float32],
        others: Mapping[str, NDArray[np.float32]],
        substitutes: Sequence[NDArray[np.float32]] | None,
    ) -> JointlyShared:
        """Computes what all variants of a batch have in common.

        Args:
            images: <float32>[sample, image_y, image_x, image_channel], preprocessed.
            others: values of the model's other inputs, <float32>[sample, ...], by name.
            substitutes: <float32>[sample or 1, y, x, filter], what takes the place of what each
                layer puts out; None for zero.
        """
        if substitutes is None:
            shapes = [(1, *candidate.shape) for candidate in self._candidates]
            substitutes = [np.zeros(shape, np.float32) for shape in shapes]
        pairs = zip(self._candidates, substitutes, strict=True)
        return JointlyShared(
            tuple(self._head(*_arguments(self._inputs, images, others))),
            tuple(_as_in_model(candidate, maps) for candidate, maps in pairs),
        )

    def maps(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """What each layer puts out, <float32>[sample, y, x, filter], where no filter is gone."""
        layers = self._maps(*_arguments(self._inputs, images, others))
        return [_as_stored(*pair) for pair in zip(self._candidates, layers, strict=True)]

    def answers(self, shared: JointlyShared, variants: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The model's answers without some of the filters.

        Args:
            shared: what the batch has in common.
            variants: <bool>[variant, filter], which filters are replaced; filters are those of all
                layers, one layer after the other.

        Returns:
            <float32>[variant, sample, n], as the store has them.
        """
        rows = self._rest(tf.constant(variants), *shared.heads, *shared.substitutes)
        values = np.concatenate([np.asarray(part, np.float32) for part in rows], axis=1)
        return self._plan.convert(values).reshape(len(variants), len(shared.heads[0]), -1)

    def _run_rest(self, variants: tf.Tensor, *values: tf.Tensor) -> list[tf.Tensor]:
        n_first, n_heads = len(self._first), len(self._first) + len(self._sides)
        n_variants, n_samples = tf.shape(variants)[0], tf.shape(values[0])[0]
        feeds = {
            tensor.name: part for tensor, part in zip(self._first, values[:n_first], strict=True)
        }
        for tensor, part in zip(self._sides, values[n_first:n_heads], strict=True):
            feeds[tensor.name] = tf.tile(part, [n_variants, *[1] * (tensor.shape.rank - 1)])
        flags = tf.split(variants, [it.shape[2] for it in self._candidates], axis=1)
        layers = zip(self._candidates, flags, values[n_heads:], strict=True)
        replacing = [
            (candidate.tensor, partial(_mixed, candidate, gone, other, n_samples))
            for candidate, gone, other in layers
        ]
        answers = self._graph.import_part(feeds, self._answers, replacing)
        return [as_flat(part) for part in answers]


def _mixed(
    candidate: Candidate,
    variants: tf.Tensor,
    substitutes: tf.Tensor,
    n_samples: tf.Tensor,
    whole: tf.Tensor,
) -> tf.Tensor:
    """What a layer puts out without some of its filters, with a row for each variant and sample.

    Args:
        candidate: the layer.
        variants: <bool>[variant, filter], which are replaced.
        substitutes: what takes their place, with a row for each sample or for all.
        n_samples: the number of samples.
        whole: what the layer puts out, with a row for each sample, of each variant or of all.
    """
    sizes, axis = candidate.tensor.shape.as_list(), _filter_axis(candidate)
    before, after = math.prod(sizes[1:axis]), math.prod(sizes[axis + 1 :])
    # As few axes as there are.
    front, back = [before] * (before > 1), [after] * (after > 1)
    shape = [*front, sizes[axis], *back]
    flags = tf.reshape(variants, [-1, 1, *[1] * len(front), sizes[axis], *[1] * len(back)])
    other = tf.reshape(substitutes, [1, tf.shape(substitutes)[0], *shape])
    mixed = tf.where(flags, other, tf.reshape(whole, [-1, n_samples, *shape]))
    return tf.reshape(mixed, [-1, *sizes[1:]])


def _filter_axis(candidate: Candidate) -> int:
    """The axis of the filters in what a layer puts out."""
    rank = candidate.tensor.shape.rank
    return 1 if candidate.channels_first and rank > 2 else rank - 1


def _arguments(
    inputs: ModelInputs,
    images: NDArray[np.float32],
    others: Mapping[str, NDArray[np.float32]],
) -> list[tf.Tensor]:
    """What a graph takes, in its order."""
    return [tf.constant(images), *(tf.constant(others[name]) for name in inputs.others)]


def _as_stored(candidate: Candidate, values: tf.Tensor) -> NDArray[np.float32]:
    """What a layer puts out, as a store has it: <float32>[sample, y, x, filter]."""
    if candidate.channels_first and values.shape.rank > 2:
        values = tf.transpose(values, [0, *range(2, values.shape.rank), 1])
    return np.asarray(tf.reshape(tf.cast(values, tf.float32), [-1, *candidate.shape]))


def _as_in_model(candidate: Candidate, maps: NDArray[np.float32]) -> tf.Tensor:
    """Maps of a store in the order of axes and the type that the model has."""
    sizes = list(candidate.tensor.shape[1:])
    values = tf.constant(maps)
    if candidate.channels_first and len(sizes) > 1:
        values = tf.reshape(values, [-1, *sizes[1:], sizes[0]])
        values = tf.transpose(values, [0, len(sizes), *range(1, len(sizes))])
    return tf.cast(tf.reshape(values, [-1, *sizes]), candidate.tensor.dtype)


def as_flat(tensor: tf.Tensor) -> tf.Tensor:
    """The values of an output as <float32>[sample, n]."""
    sizes = [int(size) for size in tensor.shape[1:]]
    return tf.cast(tf.reshape(tensor, [-1, math.prod(sizes)]), tf.float32)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a store holds of a model's answers.

    Attributes:
        target: the kind of answer.
        output: the name of the output; empty where the store holds none.
        conversion: how its values became what is stored.
    """

    target: Target
    output: str = ""
    conversion: Conversion = Conversion.IDENTITY


def layer_rests(
    model: keras.Model, inputs: ModelInputs, layers: Sequence[Stored], answer: StoredAnswer
) -> list[LayerRest]:
    """What follows each of some layers of a model.

    Args:
        model: a Keras model; it is not changed.
        inputs: its inputs.
        layers: the layers, as a store has them.
        answer: what the store holds of its answers.

    Raises:
        ModelError: if the model has no such layer or output, or cannot be run as a graph.
    """
    graph, captured, answers, plan = _parts_of(model, inputs, layers, answer)
    with _in_parts(model):
        return [LayerRest(graph, inputs, candidate, answers, plan) for candidate in captured]


def joint_rest(
    model: keras.Model, inputs: ModelInputs, layers: Sequence[Stored], answer: StoredAnswer
) -> JointRest:
    """What a model answers while filters of some layers go together.

    Arguments and errors are those of `layer_rests`.
    """
    graph, captured, answers, plan = _parts_of(model, inputs, layers, answer)
    with _in_parts(model):
        return JointRest(graph, inputs, captured, answers, plan)


@contextmanager
def _in_parts(model: keras.Model) -> Iterator[None]:
    """Raises what TensorFlow raises as `ModelError`."""
    try:
        yield
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ModelError(
            f"the layers of {model.name!r} cannot be run one by one: {first_line(error)}"
        ) from error


def _parts_of(
    model: keras.Model, inputs: ModelInputs, layers: Sequence[Stored], answer: StoredAnswer
) -> tuple[TracedGraph, list[Candidate], list[tf.Tensor], OutputPlan]:
    """The graph of a model, some layers in it, its answers, and how a store has them."""
    captured: list[Candidate] = []
    answers: list[tf.Tensor] = []

    def choose(trace: Trace) -> list[tf.Tensor]:
        captured[:] = [_candidate_of(model, trace, layer) for layer in layers]
        outputs = _answering(model, read_outputs(model, trace), answer)
        answers[:] = [trace.outputs[output.index] for output in outputs]
        return list(trace.outputs)

    compiled = inputs.channels_first and not tf.config.list_physical_devices("GPU")
    function = trace_model(model, inputs.signature(), inputs.arranged, choose, compiled=compiled)
    plan = OutputPlan(answer.target, "", conversion=answer.conversion)
    return TracedGraph(function, compiled=compiled), captured, answers, plan


def _candidate_of(model: keras.Model, trace: Trace, layer: Stored) -> Candidate:
    """The call and the tensor that a store holds of a layer."""
    for tap in Tap:
        for candidate in candidates(trace, kind=Kind.ALL, tap=tap):
            if (candidate.path, candidate.words) == (layer.path, layer.words):
                return candidate
    raise no_such_layer(model, layer.path)


def _answering(
    model: keras.Model, outputs: Sequence[ModelOutput], answer: StoredAnswer
) -> list[ModelOutput]:
    """The output that a store holds; where it holds none, all outputs of floats."""
    names = [output.name for output in outputs]
    if answer.output:
        if answer.output not in names:
            raise ModelError(
                f"the outputs of {model.name!r} are {', '.join(names)}; the store holds "
                f"{answer.output!r}"
            )
        return [outputs[names.index(answer.output)]]
    answering = [output for output in outputs if output.is_float and output.shape is not None]
    if not answering:
        raise ModelError(f"model {model.name!r} puts out no floats of a fixed shape to compare")
    return answering
