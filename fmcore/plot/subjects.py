"""What is drawn: the maps or the kernels of one layer, of a store or of a Keras model."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ModelError, SampleNotFoundError, SelectionError, StatisticNotFoundError
from fmcore.model.opening import need_keras
from fmcore.selection import near_matches, only_name
from fmcore.storage import Layer, Store

if TYPE_CHECKING:
    import keras


def maps_of(
    subject: Store | keras.Model, image: Any, layer: str | None
) -> tuple[str, NDArray[np.float32]]:
    """A layer's path, and its maps of one image, <float32>[y, x, filter].

    Args:
        subject: an open store, or a model.
        image: the sample's index in a store; one image for a model.
        layer: the layer's path; None for the only one.

    Raises:
        SampleNotFoundError, DatasetError: if there is no such sample, or the model takes no such
            image.
        SelectionError, LayerNotFoundError: if there is no such layer.
        MapsNotStoredError: if the store keeps no maps of the layer.
        ModelError: if it is no model whose layers can be captured.
    """
    if not isinstance(subject, Store):
        _check_model(subject)
        from fmcore.model.one_image import image_maps

        return image_maps(subject, image, layer)
    place = layer_of(subject, layer)
    return place.path, place.feature_maps(check_sample(subject, image))


def kernel_of(subject: Store | keras.Model, layer: str | None) -> tuple[str, NDArray[np.float32]]:
    """A layer's path, and its kernel, <float32>[kernel_y, kernel_x, kernel_input, filter].

    Raises:
        SelectionError, LayerNotFoundError: if there is no such layer.
        StatisticNotFoundError: if the store keeps no kernel of the layer.
        ModelError: if the model's layer has none.
    """
    if not isinstance(subject, Store):
        _check_model(subject)
        from fmcore.model.one_image import layer_kernel

        return layer_kernel(subject, layer)
    place = layer_of(subject, layer)
    kernel = place.kernel
    if kernel is None:
        raise StatisticNotFoundError(
            f"{subject.path.name} keeps no kernel of layer {place.path}: {place.why_no_kernel}"
        )
    return place.path, kernel


def layer_of(store: Store, layer: str | None) -> Layer:
    """A layer of a store.

    Args:
        store: an open one.
        layer: its path; None for the only one.

    Raises:
        LayerNotFoundError: if there is no such layer.
        SelectionError: if none is named, and there are several.
    """
    path = only_name(list(store.layers), where=store.path.name) if layer is None else layer
    return store.layers[path]


def check_sample(store: Store, sample: object) -> int:
    """The index of a sample of a store.

    Raises:
        SampleNotFoundError: if it is none.
    """
    try:
        index = operator.index(sample)  # type: ignore[arg-type]
    except TypeError as error:
        raise SampleNotFoundError(
            f"a {type(sample).__name__} is no sample of {store.path.name}; expected an index from "
            f"0 to {store.n_samples - 1} (a Keras model in place of the store takes an image)"
        ) from error
    return store.check_sample(index)


def parse_choice(value: object, words: Sequence[str], field: str) -> str:
    """A value that is one of some words.

    Raises:
        SelectionError: if it is not.
    """
    if not isinstance(value, str) or value not in words:
        near = near_matches(value, words) if isinstance(value, str) else ""
        raise SelectionError(
            f"{field} {value!r}; expected one of {', '.join(words)}{near}", field=field
        )
    return value


def _check_model(subject: object) -> None:
    """Refuses what is neither a store nor may be a model, and imports Keras."""
    if isinstance(subject, str | Path):
        raise ModelError(
            f"expected an open store or a Keras model, found the path {str(subject)!r}; open it "
            "with fmcore.open_store or keras.models.load_model"
        )
    need_keras()
