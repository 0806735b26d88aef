"""What a model's configuration, as Keras writes it, says of the planes that a layer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fmcore.architecture.wiring import Node, model_inputs, nodes_of

# Layers that put out as many planes as they read, each made of its own.
_KEEPS_PLANES = frozenset(
    {
        *("InputLayer", "Rescaling", "Normalization", "ZeroPadding1D", "ZeroPadding2D"),
        *("Cropping1D", "Cropping2D", "CenterCrop", "Resizing", "RandomCrop", "RandomFlip"),
        *("RandomRotation", "RandomTranslation", "RandomZoom", "RandomBrightness"),
        *("GaussianNoise", "GaussianDropout", "AlphaDropout", "Dropout", "SpatialDropout1D"),
        *("SpatialDropout2D", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Identity"),
        *("BatchNormalization", "ActivityRegularization", "MaxPooling1D", "MaxPooling2D"),
        *("AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling1D", "UpSampling1D"),
        *("GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "UpSampling2D"),
    }
)


@dataclass(frozen=True, slots=True)
class PlaneSource:
    """Where the planes that a layer reads come from.

    Attributes:
        path: the Keras path of the layer whose filters they are, in their order.
        kind: the class of that layer, `InputLayer` for an input of the model.
        is_only_input: whether they are the planes of the only input of the model.
        maps: the maps (y, x, filter) that a Flatten layer on the way made a row of; None for none.
    """

    path: str
    kind: str
    is_only_input: bool = False
    maps: tuple[int, int, int] | None = None


def plane_source(architecture: Mapping[str, Any], path: str) -> PlaneSource | None:
    """Where the planes that a layer reads come from.

    Only layers that make each plane of its own lie between the two, such as pooling. None where
    several layers come together, where a layer is called more than once, and where the
    configuration does not say.

    Args:
        architecture: the model's configuration.
        path: the Keras path of the layer, such as `inner/conv1`.
    """
    nodes = nodes_of(architecture)
    maps: tuple[int, int, int] | None = None
    for _ in nodes:  # no way is longer
        node = nodes.get(path)
        if node is None or node.n_calls != 1 or len(node.inputs) != 1:
            return None
        (path,) = node.inputs
        model = node.path.rpartition("/")[0]
        if node.model_calls != 1 and not path.startswith(f"{model}/"):
            return None  # what is fed to the model, which differs from call to call
        inputs = {} if path in nodes else model_inputs(architecture)
        if path in inputs:
            return PlaneSource(inputs[path], "InputLayer", len(inputs) == 1, maps)
        source = nodes.get(path)
        if source is None:
            return None
        if source.class_name == "Flatten":
            if maps is not None or (maps := _flattened(source)) is None:
                return None
        elif source.class_name not in _KEEPS_PLANES:
            return PlaneSource(path, source.class_name, maps=maps)
    return None


def layer_settings(architecture: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The settings of a layer by name, such as `groups`; empty where the configuration has none.

    Args:
        architecture: the model's configuration.
        path: the Keras path of the layer.
    """
    node = nodes_of(architecture).get(path)
    return node.config if node is not None and isinstance(node.config, Mapping) else {}


def _flattened(node: Node) -> tuple[int, int, int] | None:
    """The maps (y, x, filter) that a Flatten layer makes a row of; None where they are none."""
    sizes = (node.input_shape or ())[1:]
    if len(sizes) != 3:
        return None
    if node.config.get("data_format") == "channels_first":
        sizes = (*sizes[1:], sizes[0])  # Flatten has them last all the same
    height, width, n_filters = sizes
    if height is None or width is None or n_filters is None:
        return None
    return height, width, n_filters
