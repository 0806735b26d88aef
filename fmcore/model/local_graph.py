"""Runs a small part of a traced graph, to see which values an operation moves where.

Many operations only move values: they reshape, permute, cut, pad, repeat or shift maps. Which value
comes from where is found by numbering the values and reading the numbers behind the operation; two
other numberings confirm it. So no rule is needed for each of these operations, and none can err.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# Numbers from 1 to 128 are exact in every float type, bfloat16 too.
BASE = 128
# Larger tensors are not numbered: each number takes several runs.
MOST_VALUES = 1 << 24
# Operations that may not run again, or run code that is kept elsewhere.
CLOSED = frozenset(
    {
        *("Placeholder", "ReadVariableOp", "ResourceGather", "VarHandleOp", "Iterator"),
        *("PartitionedCall", "StatefulPartitionedCall", "While", "StatelessWhile", "If"),
        *("StatelessIf", "PyFunc", "EagerPyFunc", "XlaLaunch"),
    }
)
# Bytes of values that run at a time.
RUN_BYTES = 64 << 20


class ClosedGraphError(Exception):
    """A part of a graph cannot be run by itself."""


# What running a part of a graph may end in.
FAILURES = (ClosedGraphError, ValueError, TypeError, RuntimeError, tf.errors.OpError)


def moved_from(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> NDArray[np.int64] | None:
    """Where each value of an operation's output comes from, if it only moves values.

    Args:
        inputs: the tensors it takes, of fixed shape but for the number of samples.
        output: the tensor it makes.

    Returns:
        <int64>[*axis of the output], the place of the value among those of one sample of all
        inputs, one input after the other; -1 for a constant. None if it does more than move values,
        or mixes samples, or cannot be run.
    """
    shapes = [tuple(tensor.shape[1:]) for tensor in inputs]
    sizes = [int(np.prod(shape)) for shape in shapes]
    n_values, n_samples = sum(sizes), 2
    if not 0 < n_values <= MOST_VALUES or int(np.prod(output.shape[1:])) > MOST_VALUES:
        return None

    def feeds(tables: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """A table <int64>[sample, value] as the values of each input."""
        parts = np.split(tables, np.cumsum(sizes)[:-1], axis=1)
        return [part.reshape(n_samples, *shape) for part, shape in zip(parts, shapes, strict=True)]

    places = np.arange(n_samples * n_values).reshape(n_samples, n_values)
    n_digits = max(1, int(np.ceil(np.log2(max(2, places.size)) / 7)))
    rng = np.random.default_rng(0)
    signs = np.array([-1, 1])
    proofs = [
        rng.integers(1, BASE + 1, size=places.shape) * rng.choice(signs, size=places.shape)
        for _ in range(2)
    ]
    tables = [(places // BASE**digit) % BASE + 1 for digit in range(n_digits)] + proofs
    try:
        values = list(_run(inputs, output, [feeds(table) for table in tables]))
    except FAILURES:
        return None
    if any(one.shape != (n_samples, *output.shape[1:]) for one in values):
        return None
    numbers = np.stack(values).astype(np.float64)
    is_constant = (numbers == numbers[0]).all(axis=0)
    digits = np.clip(np.nan_to_num(numbers[:n_digits]), 1, BASE).astype(np.int64) - 1
    origins = sum(digit * BASE**index for index, digit in enumerate(digits))
    origins = np.minimum(origins, places.size - 1)
    for proof, number in zip(proofs, numbers[n_digits:], strict=True):
        if not (is_constant | (proof.ravel()[origins] == number)).all():
            return None
    # Of each sample's own values.
    first = n_values * np.arange(n_samples).reshape(-1, *[1] * (origins.ndim - 1))
    own = np.where(is_constant, -1, origins - first)
    is_own = is_constant | ((own >= 0) & (own < n_values))
    return own[0] if is_own.all() and (own[0] == own[1]).all() else None


def always_zero(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> NDArray[np.bool_] | None:
    """Where an operation puts out zero whatever it takes, as where it multiplies by a mask.

    Args:
        inputs: the tensors it takes, of fixed shape but for the number of samples.
        output: the tensor it makes.

    Returns:
        <bool>[*axis of the output]; None if it cannot be run, for one because it has weights.
    """
    if max(int(np.prod(tensor.shape[1:])) for tensor in (*inputs, output)) > MOST_VALUES:
        return None
    feed = [np.ones((1, *tensor.shape[1:])) for tensor in inputs]
    try:
        (values,) = _run(inputs, output, [feed])
    except FAILURES:
        return None
    return np.asarray(values[0] == 0) if values.shape == (1, *output.shape[1:]) else None


def resized_from(tensor: tf.Tensor, output: tf.Tensor, *, axis: int) -> NDArray[np.float64] | None:
    """How much an operation weighs places along an axis, if it is linear and works axis by axis.

    Args:
        tensor: what it takes, of fixed shape but for the number of samples.
        output: the tensor it makes.
        axis: the axis of both, without that of the samples.

    Returns:
        <float64>[place of the output, place of the tensor], about; None if it cannot be run.
    """
    shape = tuple(tensor.shape[1:])
    n_places, n_values = shape[axis], int(np.prod(shape))
    if n_places * n_values > MOST_VALUES * 64:
        return None
    step = max(1, RUN_BYTES // (4 * n_values))
    weights = np.random.default_rng(0).uniform(0.5, 1.5, size=shape)
    along = np.arange(n_places).reshape([-1 if index == axis else 1 for index in range(len(shape))])
    parts = []
    try:
        for start in range(0, n_places, step):
            which = range(start, min(start + step, n_places))
            feed = np.stack([np.where(along == place, weights, 0) for place in which])
            (values,) = _run([tensor], output, [[feed]])
            others = tuple(index + 1 for index in range(len(shape)) if index != axis)
            parts.append(np.abs(values.astype(np.float64)).max(axis=others))
    except FAILURES:
        return None
    return np.concatenate(parts).T


def _run(
    inputs: Sequence[tf.Tensor], output: tf.Tensor, feeds: Sequence[Sequence[NDArray[np.generic]]]
) -> Iterator[NDArray[np.generic]]:
    """The output for some values of the inputs, in a graph of its own.

    Raises:
        ClosedGraphError: if the output depends on anything else but constants.
    """
    names = {tensor.name for tensor in inputs}
    nodes: dict[str, tf.Operation] = {}
    waiting = [] if output.name in names else [output.op]
    while waiting:
        operation = waiting.pop()
        if operation.name in nodes:
            continue
        if operation.type in CLOSED:
            raise ClosedGraphError(operation.type)
        nodes[operation.name] = operation
        waiting += [tensor.op for tensor in operation.inputs if tensor.name not in names]
    definition = tf.compat.v1.GraphDef()
    definition.versions.producer = tf.version.GRAPH_DEF_VERSION
    for operation in nodes.values():
        node = definition.node.add()
        node.CopyFrom(operation.node_def)
        data = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(data)
    with tf.Graph().as_default() as graph:
        fed = [tf.compat.v1.placeholder(tensor.dtype, tensor.shape) for tensor in inputs]
        places = {tensor.name: place for tensor, place in zip(inputs, fed, strict=True)}
        (result,) = tf.import_graph_def(
            definition, input_map=places, return_elements=[output.name], name=""
        )
        with tf.compat.v1.Session(graph=graph) as session:
            for feed in feeds:
                yield np.asarray(session.run(result, dict(zip(fed, feed, strict=True))))
