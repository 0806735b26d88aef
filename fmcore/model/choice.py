"""Which of a model's calls can be captured, as what, and which a person wants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fmcore.errors import ModelError
from fmcore.model.kinds import (
    NORMALIZING,
    VOLUMES,
    activation_name,
    is_activation,
    kind_of,
)
from fmcore.model.trace import Call, Trace
from fmcore.records import KINDS, TAPS
from fmcore.selection import match_names, near_matches


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What can be captured of one call.

    Attributes:
        path: of the call, which names the layer in the store.
        operation: the Keras layer or operation.
        tensor: what is stored, in the model's own order of axes.
        channels_first: whether filters are its second axis.
        words: the classes that made it, such as `Conv2D + BatchNormalization + ReLU`.
        activation: name of the activation function it has passed.
        kind: one of `conv`, `activation`, `dense`, or empty.
    """

    path: str
    operation: Any
    tensor: tf.Tensor
    channels_first: bool
    words: str
    activation: str
    kind: str

    @property
    def problem(self) -> str:
        """Why it cannot be captured; empty where it can."""
        sizes = tuple(self.tensor.shape[1:])
        if isinstance(self.operation, VOLUMES) or len(sizes) > 3:
            return f"{self.words} puts out volumes, {sizes}; only maps (y, x) and rows are captured"
        if self.tensor.shape[0] is not None:
            return f"it puts out {tuple(self.tensor.shape)} whatever the number of images"
        if not sizes or None in sizes:
            return f"it has no fixed size, {sizes}; name the size of the images with --size"
        return ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, filter) of what is stored; y is 1 for rows, and a dense layer is 1x1."""
        sizes = [int(size) for size in self.tensor.shape[1:]]
        if self.channels_first and len(sizes) > 1:
            sizes = [*sizes[1:], sizes[0]]
        height, width, filters = [1] * (3 - len(sizes)) + sizes
        return height, width, filters

    def maps(self) -> tf.Tensor:
        """What is stored, <float32>[sample, y, x, filter], as part of the graph."""
        values = tf.cast(self.tensor, tf.float32)
        rank = len(self.tensor.shape)
        if self.channels_first and rank > 2:
            values = tf.transpose(values, [0, *range(2, rank), 1])
        return tf.reshape(values, [-1, *self.shape])


def candidates(trace: Trace, *, kind: str = "conv", tap: str = "output") -> list[Candidate]:
    """All calls of a kind, in the model's order.

    Args:
        trace: of the model.
        kind: one of `KINDS`.
        tap: one of `TAPS`.
    """
    for name, value, known in (("kind", kind, KINDS), ("tap", tap, TAPS)):
        if value not in known:
            raise ModelError(
                f"{name} {value!r}; expected {', '.join(known)}{near_matches(value, known)}"
            )
    following = _following(trace)
    return [
        _candidate(trace, call, following if tap == "activation" else {})
        for call in trace.calls
        if kind == "all" or kind_of(call.operation) == kind
    ]


def chosen(
    found: Sequence[Candidate], pattern: str, *, model: str, trace: Trace, kind: str = "conv"
) -> list[Candidate]:
    """The candidates that a pattern takes, all of which can be captured.

    Args:
        found: what there is to choose from.
        pattern: comma-separated globs over paths; those that begin with `re:` are regular
            expressions.
        model: its name, for messages.
        trace: of the model, for messages.
        kind: of the candidates, for messages.

    Raises:
        ModelError: if there is none, or one of them cannot be captured.
        SelectionError: if a part of the pattern matches nothing.
    """
    if not found:
        noun = {"conv": "convolutional ", "all": ""}.get(kind, f"{kind} ")
        made = ", ".join(
            f"{call.path} ({type(call.operation).__name__})" for call in trace.calls[:40]
        )
        hidden = (
            f"; {', '.join(trace.hidden[:5])} run inside a tf.function, a loop or a wrapper, where "
            "their values cannot be had"
            if trace.hidden
            else ""
        )
        raise ModelError(
            f"model {model!r} has no {noun}layer; its layers are {made or 'none'}{hidden}"
        )
    noun = {"conv": "convolutional layer", "all": "layer"}.get(kind, f"{kind} layer")
    names = match_names([one.path for one in found], pattern, what=f"{noun} of {model!r}")
    wanted = [one for one in found if one.path in set(names)]
    for one in wanted:
        if one.problem:
            raise ModelError(
                f"layer {one.path!r} of {model!r} cannot be captured: {one.problem}; leave it out "
                "by naming others with --layers"
            )
    return wanted


def _candidate(trace: Trace, call: Call, following: dict[str, list[Call]]) -> Candidate:
    taken = [call]
    while len(next_ones := following.get(taken[-1].output.name, [])) == 1:
        after = next_ones[0]
        if not (is_activation(after.operation) or isinstance(after.operation, NORMALIZING)):
            break
        taken.append(after)
        if is_activation(after.operation):
            break
    end = taken[-1]
    return Candidate(
        path=call.path,
        operation=call.operation,
        tensor=end.output,
        channels_first=trace.channels_first(call),
        words=" + ".join(type(one.operation).__name__ for one in taken),
        activation=activation_name((end if is_activation(end.operation) else call).operation),
        kind=kind_of(call.operation),
    )


def _following(trace: Trace) -> dict[str, list[Call]]:
    """The calls that take each tensor, by its name."""
    found = defaultdict(list)
    for call in trace.calls:
        for name in {trace.source(one).name for one in call.inputs}:
            if name != call.output.name:
                found[name].append(call)
    return found
