"""The calls of layers that make up a Keras model."""

from __future__ import annotations

from typing import Any

import keras


def calls_of(model: keras.Model) -> list[Any]:
    """Each call of a layer in this model, and not in another one that shares the layer."""
    graph = getattr(model, "_functional", model)  # of a Sequential
    by_depth = getattr(graph, "_nodes_by_depth", {})
    return [node for nodes in by_depth.values() for node in nodes]
