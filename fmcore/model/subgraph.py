"""Parts of a traced graph as functions of their own, from any tensors to any others.

So what lies before a layer is not computed again. Variables stay those of the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import tensorflow as tf

# Operations that make each plane of their output of the same plane of their first input, where all
# other inputs are the same for every image.
_BY_VALUE = frozenset(
    {
        *("Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus", "Softsign"),
        *("Identity", "Cast", "BiasAdd", "AddV2", "Add", "Sub", "Mul", "RealDiv"),
        *("Maximum", "Minimum"),
    }
)
_MULTIPLYING = frozenset(("Conv2D", "DepthwiseConv2dNative", "MatMul"))
_POOLS = frozenset(("MaxPool", "AvgPool"))
_COLOCATION = "_class"  # with operations that are not part of the part

Function = Callable[..., list[tf.Tensor]]
# A tensor of the graph, and what makes of its values those that take their place.
Replacing = tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]


class TracedGraph:
    """A graph of a traced model, and which of its tensors follow from which.

    Attributes:
        arguments: the tensors that the graph takes.
    """

    def __init__(self, function: Any, *, compiled: bool) -> None:
        """Takes a traced graph apart.

        Args:
            function: what `trace_model` returns.
            compiled: compile parts with XLA.
        """
        self._graph = function.get_concrete_function().graph
        self._compiled = compiled
        whole = self._graph.as_graph_def()
        self._no_nodes = tf.compat.v1.GraphDef(versions=whole.versions, library=whole.library)
        # Operations are made after those whose outputs they take.
        self._places = {
            operation.name: place for place, operation in enumerate(self._graph.get_operations())
        }
        captures = [(inner, outer) for outer, inner in self._graph.captures]
        self._captures = {inner.name: outer for inner, outer in captures}
        self.arguments = tuple(
            tensor for tensor in self._graph.inputs if tensor.name not in self._captures
        )
        self._varying = self.after(self.arguments)

    def after(self, tensors: Sequence[tf.Tensor]) -> set[str]:
        """The names of tensors, and of all that are computed of them."""
        names = {tensor.name for tensor in tensors}
        waiting = list(tensors)
        while waiting:
            for operation in waiting.pop().consumers():
                for output in operation.outputs:
                    if output.name not in names:
                        names.add(output.name)
                        waiting.append(output)
        return names

    def first(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The tensors, of some, that are not computed of others of them."""
        first: list[tf.Tensor] = []
        following: set[str] = set()
        for tensor in sorted(tensors, key=self._place):
            if tensor.name not in following:
                first.append(tensor)
                following |= self.after([tensor])
        return first

    def _place(self, tensor: tf.Tensor) -> int:
        return self._places[tensor.op.name]

    def sides(self, tensors: Sequence[tf.Tensor], fetches: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """What else is needed to compute tensors of some: tensors with a row for each sample.

        Args:
            tensors: what is there already.
            fetches: what is computed of it.
        """
        following, visited = self.after(tensors), {tensor.name for tensor in tensors}
        sides, waiting = [], list(fetches)
        while waiting:
            below = waiting.pop()
            if below.name in visited or below.name not in self._varying:
                continue
            visited.add(below.name)
            if below.name not in following and (_has_rows(below) or not below.op.inputs):
                sides.append(below)
            else:  # the sizes of maps are computed again: there will be more rows
                waiting += list(below.op.inputs)
        return sorted(sides, key=lambda side: str(side.name))

    def past_planes(
        self, tensor: tf.Tensor, fetches: Sequence[tf.Tensor], *, axis: int
    ) -> tuple[tf.Tensor, int]:
        """The last tensor behind one whose planes are each made of the same plane of that one.

        Args:
            tensor: the output of a layer.
            fetches: what is computed of it, and of nothing that lies before the last tensor.
            axis: the axis of its filters.

        Returns:
            The tensor, and the axis of its filters.
        """
        ends = {fetch.name for fetch in fetches}
        needed = {operation.name for operation in _operations(fetches, {tensor.name})}
        while tensor.name not in ends:
            operations = {operation.name: operation for operation in tensor.consumers()}
            followers = [operations[name] for name in operations.keys() & needed]
            after = self._plane_axis(followers[0], tensor, axis) if len(followers) == 1 else None
            if after is None:
                break
            tensor, axis = followers[0].outputs[0], after
        return tensor, axis

    def _plane_axis(self, operation: tf.Operation, tensor: tf.Tensor, axis: int) -> int | None:
        """The axis of the filters behind an operation; None where it mixes them."""
        inputs, output, kind = list(operation.inputs), operation.outputs[0], operation.type
        varying = [place for place, below in enumerate(inputs) if below.name in self._varying]
        if len(varying) != 1 or output.shape.rank is None or not _has_rows(output):
            return None
        if any(extra.consumers() for extra in operation.outputs[1:]):
            return None
        if kind in _BY_VALUE:
            return axis if tensor.shape.as_list() == output.shape.as_list() else None
        if kind == "FusedBatchNormV3":
            last = operation.get_attr("data_format") == b"NHWC"
            is_own = axis == (tensor.shape.rank - 1 if last else 1)
            return axis if is_own and not operation.get_attr("is_training") else None
        if kind in _POOLS:
            return axis if operation.get_attr("ksize")[axis] == 1 else None
        constant = tf.get_static_value(inputs[1]) if len(inputs) == 2 and varying == [0] else None
        if constant is None:
            return None
        if kind == "Mean" and axis == tensor.shape.rank - 1:
            axes = {int(place) % tensor.shape.rank for place in constant.reshape(-1)}
            return None if axes & {0, axis} else output.shape.rank - 1
        if kind == "Pad":
            return None if constant[axis].any() or constant[0].any() else axis
        return None

    def row_bytes(self, feeds: Sequence[tf.Tensor], fetches: Sequence[tf.Tensor]) -> int:
        """Bytes of a sample that the largest operation between tensors takes and makes."""
        operations = _operations(fetches, {feed.name for feed in feeds} | self._captures.keys())
        sizes = [
            sum(_row_bytes(tensor) for tensor in (*operation.inputs, *operation.outputs))
            for operation in operations
        ]
        return max([sum(map(_row_bytes, feeds)), *sizes])

    def multiplications(self, feeds: Sequence[tf.Tensor], fetches: Sequence[tf.Tensor]) -> int:
        """Multiplications that convolutions and dense layers make for a sample, about."""
        total = 0
        ends = {feed.name for feed in feeds} | self._captures.keys()
        for operation in _operations(fetches, ends):
            if operation.type not in _MULTIPLYING or len(operation.inputs) < 2:
                continue
            kernel, output = operation.inputs[1].shape, operation.outputs[0].shape
            if kernel.rank is None or output.rank is None or None in kernel.as_list():
                continue
            n_values = math.prod(size or 1 for size in output[1:])
            depthwise = operation.type == "DepthwiseConv2dNative"
            filters = kernel[-2] * kernel[-1] if depthwise else kernel[-1]
            total += n_values * math.prod(kernel) // max(1, filters)
        return total

    def import_part(
        self,
        feeds: Mapping[str, tf.Tensor],
        fetches: Sequence[tf.Tensor],
        replacing: Sequence[Replacing] = (),
    ) -> list[tf.Tensor]:
        """Computes tensors of others, within the graph that is being traced.

        No operation is computed twice, whatever is replaced: what follows a tensor takes what took
        its place.

        Args:
            feeds: what takes the place of tensors of this graph, by their names.
            fetches: the tensors of this graph to compute.
            replacing: tensors whose values are replaced on the way.
        """
        values = dict(feeds)
        for tensor, replace in sorted(replacing, key=lambda pair: self._place(pair[0])):
            self._import_missing(values, [tensor])
            values[tensor.name] = replace(values[tensor.name])
        self._import_missing(values, fetches)
        return [values[fetch.name] for fetch in fetches]

    def _import_missing(self, values: dict[str, tf.Tensor], fetches: Sequence[tf.Tensor]) -> None:
        """Adds all that is computed on the way from values to some tensors, by their names."""
        operations = _operations(fetches, values.keys() | self._captures.keys())
        if not operations:
            return
        definition = tf.compat.v1.GraphDef()
        definition.CopyFrom(self._no_nodes)
        for operation in operations:
            node = definition.node.add()
            node.CopyFrom(operation.node_def)
            data = [name for name in node.input if not name.startswith("^")]
            del node.input[:]
            node.input.extend(data)
            node.attr.pop(_COLOCATION, None)
        used = {tensor.name for operation in operations for tensor in operation.inputs}
        current = tf.compat.v1.get_default_graph()
        places = {name: tensor for name, tensor in values.items() if name in used}
        places |= {
            name: current.capture(outer) for name, outer in self._captures.items() if name in used
        }
        names = [tensor.name for operation in operations for tensor in operation.outputs]
        results = tf.graph_util.import_graph_def(
            definition, input_map=places, return_elements=names, name="part"
        )
        for name, result in zip(names, results, strict=True):
            values.setdefault(name, result)

    def of_arguments(self, fetches: Sequence[tf.Tensor]) -> Function:
        """A function that computes tensors of the arguments."""

        def run(*values: tf.Tensor) -> list[tf.Tensor]:
            names = (argument.name for argument in self.arguments)
            return self.import_part(dict(zip(names, values, strict=True)), fetches)

        return self.function([spec_of(argument) for argument in self.arguments], run)

    def function(
        self, signature: Sequence[tf.TensorSpec], run: Callable[..., list[tf.Tensor]]
    ) -> Function:
        """A function of its own, which may call `import_part`."""
        function: Function = tf.function(
            run, input_signature=signature, autograph=False, jit_compile=self._compiled or None
        )
        return function


def spec_of(tensor: tf.Tensor) -> tf.TensorSpec:
    """What a function takes in the place of a tensor, with any number of rows."""
    return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)


def _operations(fetches: Sequence[tf.Tensor], ends: Collection[str]) -> list[tf.Operation]:
    """The operations that make tensors of others, which are `ends`."""
    operations: dict[str, tf.Operation] = {}
    waiting = [fetch for fetch in fetches if fetch.name not in ends]
    while waiting:
        operation = waiting.pop().op
        if operation.name not in operations:
            operations[operation.name] = operation
            waiting += [tensor for tensor in operation.inputs if tensor.name not in ends]
    return list(operations.values())


def _has_rows(tensor: tf.Tensor) -> bool:
    """Whether the first axis of a tensor is that of the samples."""
    return bool(tensor.shape.rank) and tensor.shape[0] is None


def _row_bytes(tensor: tf.Tensor) -> int:
    """Bytes of one sample of a tensor; 0 where that is not known, or it holds no samples."""
    if not _has_rows(tensor):
        return 0
    return math.prod(size or 1 for size in tensor.shape[1:]) * int(tensor.dtype.size)
