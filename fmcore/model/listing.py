"""Lists what a model is made of, and which of it a capture would take."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import tensorflow as tf

from fmcore.errors import ModelError, SelectionError
from fmcore.model.choice import candidates, chosen
from fmcore.model.inputs import inputs_of
from fmcore.model.trace import Trace, traced


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One call of a layer.

    Attributes:
        path: of the call.
        words: its class, and what a tap adds.
        shape: (y, x, filter) of what would be stored; None where it cannot be.
        taken: whether a capture would take it.
        problem: why it cannot be captured; empty where it can.
    """

    path: str
    words: str
    shape: tuple[int, int, int] | None
    taken: bool
    problem: str


def list_layers(
    model: keras.Model,
    *,
    layers: str = "*",
    kind: str = "conv",
    tap: str = "output",
    image_shape: tuple[int, int, int] | None = None,
) -> list[LayerRow]:
    """All calls of a model's layers, in its order.

    Args:
        model: any Keras model.
        layers: which are taken, as in a capture.
        kind: the same.
        tap: the same.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError, SelectionError: as a capture would.
    """
    inputs = inputs_of(model, image_shape=image_shape)
    rows: list[LayerRow] = []

    def choose(trace: Trace) -> list[tf.Tensor]:
        found = candidates(trace, kind=kind, tap=tap)
        try:
            wanted = chosen(found, layers, model=model.name, trace=trace, kind=kind)
            taken = {one.path for one in wanted}
        except (ModelError, SelectionError):
            if layers != "*":
                raise
            taken = set()
        shown = {one.path: one for one in candidates(trace, kind="all")}
        shown |= {one.path: one for one in found}
        rows[:] = [
            LayerRow(
                path=one.path,
                words=one.words,
                shape=None if one.problem else one.shape,
                taken=one.path in taken,
                problem=one.problem,
            )
            for one in shown.values()
        ]
        return list(trace.outputs)

    traced(model, inputs.signature(), inputs.arranged, choose)
    return rows
