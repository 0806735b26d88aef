"""Opens a model: a file that was looked at, or an architecture of `keras.applications`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from fmcore.errors import ModelError
from fmcore.model.trace import first_line
from fmcore.selection import near_matches


def load_model(
    path: Path, *, custom: Mapping[str, Any] | None = None, trusted: bool = False
) -> keras.Model:
    """The model in a file that `inspect_model_file` has passed, in Keras' safe mode.

    Args:
        path: the file.
        custom: classes and functions that are not Keras' own, by name.
        trusted: run code that is in the file.

    Raises:
        ModelError: if Keras cannot load it.
    """
    try:
        return keras.saving.load_model(
            path, custom_objects=dict(custom or {}), compile=False, safe_mode=not trusted
        )
    except Exception as error:  # Keras raises many types here; each means the file is unusable
        mode = "cannot be loaded" if trusted else "cannot be loaded in safe mode"
        raise ModelError(f"{path} {mode}: {first_line(error)}") from error


def application(
    name: str, *, weights: Path | None, image_shape: tuple[int, int, int] | None
) -> keras.Model:
    """An architecture of `keras.applications`, such as `ResNet50V2`, whatever its capitals.

    Args:
        name: the architecture's.
        weights: a file of weights for it; random ones where left out.
        image_shape: (y, x, channel) of the images; the architecture's own where left out.

    Raises:
        ModelError: if there is none of the name, or the weights do not fit.
    """
    known = {
        key.lower(): make
        for key, make in vars(keras.applications).items()
        if inspect.isfunction(make)
    }
    names = [make.__name__ for make in known.values()]
    if name.lower() not in known:
        raise ModelError(
            f"{name!r} is neither a file nor an architecture of keras.applications"
            f"{near_matches(name, names)}"
        )
    options: dict[str, Any] = {} if image_shape is None else {"input_shape": image_shape}
    try:
        model = known[name.lower()](weights=None, **options)
        if weights is not None:
            model.load_weights(weights)
    except Exception as error:  # as above
        raise ModelError(f"{name} cannot be made: {first_line(error)}") from error
    return model
