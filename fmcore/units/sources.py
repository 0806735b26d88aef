"""What a layer reads of one sample: the image, stored maps, and what plain steps make of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.architecture import IMAGE, Node, consumers_of
from fmcore.dataset import preprocessing_of_words
from fmcore.errors import SelectionError
from fmcore.records import Policy
from fmcore.storage import Layer, Store
from fmcore.units.plain import JOINS, MOST_VALUES, NEUTRAL, NotPlainError, step_of

# Layers between stored ones that are followed before one gives up; and planes that have origins.
MOST_LAYERS, MOST_ORIGINS = 200, 1 << 16
# Layers whose output depends on weights, of which a store keeps none.
_WEIGHTED = ("Normalization", "PReLU", "Embedding", "Attention", "LSTM", "GRU", "RNN")


@dataclass(frozen=True, slots=True)
class Origin:
    """What one plane that a layer reads is.

    Attributes:
        layer: the stored layer whose filter it is, perhaps after steps; empty for the image.
        plane: the filter, or the plane of the image.
        where: which value of that filter's map it is, such as `y 2, x 5`; empty for all.
    """

    layer: str
    plane: int
    where: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What a layer puts out for one sample.

    Attributes:
        values: <float64>[y, x, plane].
        origins: what each plane is; empty where that is not one filter.
        is_rounded: whether they come from maps that are stored as float16.
        names: paths of stored layers and of steps that they come from, in order, with words.
    """

    values: NDArray[np.float64]
    origins: tuple[Origin, ...]
    is_rounded: bool
    names: tuple[tuple[str, str], ...]


class NoSourceError(Exception):
    """What a layer reads cannot be had.

    Attributes:
        names: the layers from the one that is read to the one that is the reason, with classes.
        why: what is wrong with the last of them.
    """

    def __init__(self, names: tuple[str, ...], why: str) -> None:
        super().__init__(why)
        self.names, self.why = names, why


class Sources:
    """What layers of a store's model put out for one sample, made as it is asked for."""

    def __init__(self, store: Store, nodes: Mapping[str, Node], sample: int) -> None:
        self._store, self._nodes, self._sample = store, nodes, sample
        self._stored = stored_ends(store, nodes)
        self._maps: dict[str, Maps] = {}

    def of(self, path: str, depth: int = 0) -> Maps:
        """What the layer of a path puts out, or the image.

        Raises:
            NoSourceError: if that cannot be had.
            SampleNotFoundError, StoreError: as reading maps does.
        """
        if path not in self._maps:
            self._maps[path] = self._make(path, depth)
        return self._maps[path]

    def _make(self, path: str, depth: int) -> Maps:
        if path == IMAGE:
            return self._image()
        if path.startswith("?"):
            raise NoSourceError((f"{path[1:]}, an input",), "is not kept in the store")
        if path in self._stored:
            return self._of_stored(self._store.layers[self._stored[path]])
        if path not in self._nodes:
            raise NoSourceError((path,), "is not in the model's configuration")
        node = self._nodes[path]
        if depth > MOST_LAYERS:
            raise NoSourceError((node.words,), f"comes after more than {MOST_LAYERS} others")
        if node.n_calls != 1:
            raise NoSourceError((node.words,), f"is called {node.n_calls} times")
        try:
            parts = [self.of(name, depth + 1) for name in node.inputs]
        except NoSourceError as error:
            if _is_weighted(node):
                parts = []
            else:
                raise NoSourceError((node.words, *error.names), error.why) from error
        if _is_weighted(node):
            raise NoSourceError((node.words,), _why_weighted(node))
        try:
            values = step_of(node.class_name, node.config, [part.values for part in parts])
        except NotPlainError as error:
            raise NoSourceError((node.words,), str(error)) from error
        names = dict(entry for part in parts for entry in part.names)
        if node.class_name not in NEUTRAL:
            names[path] = f"{node.class_name} {_shape_text(values)}"
        return Maps(
            values,
            _origins_after(node, parts, values),
            any(part.is_rounded for part in parts),
            tuple(names.items()),
        )

    def _image(self) -> Maps:
        try:
            words = str(self._store.about()["dataset"]["preprocessing"])
            preprocessing = preprocessing_of_words(words)
            image = self._store.image(self._sample)
            values = preprocessing(image[np.newaxis])[0]
        except SelectionError as error:
            raise NoSourceError(("the image",), f"cannot be preprocessed again: {error}") from error
        n_planes = values.shape[2]
        order = range(n_planes)[::-1] if preprocessing.reverse else range(n_planes)
        origins = tuple(Origin("", plane) for plane in order)
        name = f"{_shape_text(values)}, {preprocessing.words}"
        return Maps(values.astype(np.float64), origins, False, ((IMAGE, name),))

    def _of_stored(self, layer: Layer) -> Maps:
        if not layer.has_maps:
            raise NoSourceError((layer.path,), "was captured without its maps")
        if math.prod(layer.shape) > MOST_VALUES:
            raise NoSourceError((layer.path,), f"has maps of more than {MOST_VALUES:,} values")
        values = layer.feature_maps(self._sample).astype(np.float64)
        origins = tuple(Origin(layer.path, plane) for plane in range(layer.n_filters))
        name = f"stored maps {_shape_text(values)}"
        return Maps(values, origins, layer.policy == Policy.FLOAT16, ((layer.path, name),))


def stored_ends(store: Store, nodes: Mapping[str, Node]) -> dict[str, str]:
    """Stored layers by the path of the layer whose output is stored of them.

    With the tap `activation` that is not the layer itself, but the activation that follows it.
    """
    ends = {}
    for path, layer in store.layers.items():
        chain = chain_of(nodes, path, str(layer.attributes["kind"]))
        if chain is not None:
            ends[chain[-1]] = path
    return ends


def chain_of(nodes: Mapping[str, Node], path: str, words: str) -> list[str] | None:
    """The paths of a stored layer and of those after it that its values passed; None if unknown.

    Args:
        nodes: the layers of the model.
        path: the layer's path.
        words: its classes as the store has them, such as `Conv2D + ReLU`.
    """
    chain = [path]
    kinds = words.split(" + ")[1:]
    while kinds and len(following := consumers_of(nodes, chain[-1])) == 1:
        kind = following[0].class_name.rpartition(".")[2]
        if kind == kinds[0]:
            kinds.pop(0)
        elif kind not in NEUTRAL:  # which leave no trace where a model predicts
            return None
        chain.append(following[0].path)
    return None if kinds else chain


def _is_weighted(node: Node) -> bool:
    name = node.class_name
    if name == "UnitNormalization":
        return False
    return name.endswith(_WEIGHTED) or name.startswith(("Dense", "Einsum")) or "Conv" in name


def _why_weighted(node: Node) -> str:
    if "Conv" in node.class_name or node.class_name == "Dense":
        return "is not in the store"
    return "has weights that are not in the store"


def _origins_after(
    node: Node, parts: list[Maps], values: NDArray[np.float64]
) -> tuple[Origin, ...]:
    """What each plane is after a step; empty where it is no longer one filter."""
    n_planes = values.shape[2]
    if node.class_name == "Concatenate":
        if all(part.origins for part in parts):
            return tuple(origin for part in parts for origin in part.origins)
        return ()
    if node.class_name in JOINS:
        return ()
    (part,) = parts
    height, width, before = part.values.shape
    if node.class_name in ("Flatten", "Reshape") and (height, width) != values.shape[:2]:
        if values.shape[:2] != (1, 1) or not part.origins or n_planes > MOST_ORIGINS:
            return ()
        return tuple(
            Origin(origin.layer, origin.plane, f"y {y}, x {x}")
            for y in range(height)
            for x in range(width)
            for origin in part.origins
        )
    return part.origins if n_planes == before else ()


def _shape_text(values: NDArray[np.generic]) -> str:
    height, width, planes = values.shape
    return f"{height}×{width}×{planes}"
