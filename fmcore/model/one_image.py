"""One layer of a model: its maps of one image, and its kernel, without a store."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from fmcore.capture.options import DEFAULTS, CaptureOptions
from fmcore.dataset import LabelledImages
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.model.inputs import fit_to_model, inputs_of
from fmcore.model.layers import CONVOLUTIONS, kernels
from fmcore.model.probe import KerasProbe
from fmcore.model.trace import operations_of
from fmcore.selection import near_matches, only_name


def image_maps(
    model: keras.Model, image: Any, layer: str | None
) -> tuple[str, NDArray[np.float32]]:
    """The path of a convolutional layer, and what it makes of an image, <float32>[y, x, filter].

    Args:
        model: a Keras model with one input.
        image: <uint8 or float>, of the shape that the model takes, without the samples' axis or
            with one sample; the model sees it unchanged.
        layer: the layer's path; None for the only one.

    Raises:
        DatasetError: if it is no image that the model takes.
        SelectionError: if there is no such layer, or none is named and there are several.
        ModelError: if the model takes no images, or has no convolutional layer.
    """
    pixels = _one_image(model, image)
    options = DEFAULTS if layer is None else CaptureOptions(layers=layer)
    probe = KerasProbe(model, options, image_shape=pixels.shape)
    paths = [spec.path for spec in probe.layers]
    path = only_name(paths, where=f"model {model.name!r}")
    captured = probe(pixels[np.newaxis])
    return path, np.asarray(captured.activations[0][0], np.float32)


def layer_kernel(model: keras.Model, layer: str | None) -> tuple[str, NDArray[np.float32]]:
    """A layer's path and kernel, <float32>[kernel_y, kernel_x, kernel_input, filter].

    Args:
        model: a built Keras model.
        layer: the layer's path; None for the only convolutional one.

    Raises:
        SelectionError: if there is no such layer, or none is named and there are several.
        ModelError: if the layer has no kernel, or the model is not built.
    """
    if not isinstance(model, keras.Model):
        inputs_of(model)  # which says what it is
    operations = dict(reversed(operations_of(model)))  # the first of equal paths
    paths = list(reversed(operations))
    if layer is None:
        of_maps = [path for path in paths if isinstance(operations[path], CONVOLUTIONS)]
        layer = only_name(of_maps, where=f"model {model.name!r}")
    if layer not in operations:
        raise SelectionError(
            f"no layer {layer!r} in model {model.name!r}; it has {', '.join(paths)}"
            f"{near_matches(layer, paths)}",
            field="layer",
        )
    kernel, _ = kernels(operations[layer])
    if kernel is None:
        kind = type(operations[layer]).__name__
        raise ModelError(
            f"layer {layer!r} of model {model.name!r} has no kernel: a {kind} that is built has "
            "none with weights of one filter each"
        )
    return layer, kernel


def _one_image(model: keras.Model, image: Any) -> NDArray[np.float32]:
    """An image as the model takes it, <float32>[image_y, image_x, image_channel]."""
    try:
        pixels = np.asarray(image)
    except (TypeError, ValueError) as error:
        raise DatasetError(f"the image is no array: {error}", field="image") from error
    if pixels.dtype.kind not in "biuf" or pixels.ndim not in (2, 3, 4):
        raise DatasetError(
            f"expected one image, an array of numbers (y, x, channel); found {pixels.dtype} of "
            f"shape {pixels.shape}",
            field="image",
        )
    if pixels.ndim == 4:
        if len(pixels) != 1:
            raise DatasetError(
                f"expected one image, found {len(pixels)} of shape {pixels.shape[1:]}; give one "
                "of them, such as images[0]",
                field="image",
            )
        pixels = pixels[0]
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    inputs = inputs_of(model, image_shape=pixels.shape)
    if pixels.shape != inputs.image_shape == (*pixels.shape[1:], 1) and len(pixels) == 1:
        pixels = pixels[0, :, :, np.newaxis]  # one sample of images without an axis of channels
    if inputs.others:
        raise DatasetError(
            f"model {model.name!r} takes {', '.join(inputs.others)} besides the image; capture a "
            "store with all inputs, and plot that",
            field="image",
        )
    sample = LabelledImages(pixels[np.newaxis], None)
    fitting = fit_to_model(inputs, sample, where="the image").images
    return np.asarray(fitting[:1], np.float32)[0]
