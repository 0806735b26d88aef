"""Opens a model by what a person calls it; a file is looked at before Keras is imported."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore.errors import FmcoreError, ModelError, SelectionError
from fmcore.model.file import inspect_model_file, inspect_weights
from fmcore.selection import near_matches
from fmcore.startup import without_startup_notes

if TYPE_CHECKING:
    import keras

    from fmcore.model.listing import LayerRow

log = logging.getLogger(__name__)


def need_keras() -> None:
    """Imports Keras, which takes seconds.

    Raises:
        FmcoreError: if it is not installed, with the remedy.
    """
    try:
        with without_startup_notes():
            importlib.import_module("fmcore.model.load")
    except ImportError as error:
        raise FmcoreError(
            f"this needs Keras and TensorFlow ({error}); pip install 'feature-map-dashboard[train]'"
        ) from error


def open_model(
    model: str | Path,
    *,
    custom: Sequence[str] = (),
    trusted: bool = False,
    weights: Path | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """A model by what a person calls it; a file is looked at before Keras is.

    Args:
        model: a `.keras` file, a whole model as `.h5` or `.hdf5`, or the name of an architecture of
            `keras.applications`, such as `ResNet50V2`.
        custom: classes that are not Keras' own, as `MODULE:NAME`; these modules are imported.
        trusted: the person made the file: code in it may run.
        weights: a file of weights for an architecture, which else has random ones.
        image_shape: (y, x, channel) of the images, for an architecture.

    Raises:
        InputFileError: if there is no such file.
        ModelError: if it is unsafe, no whole model, or cannot be loaded.
        SelectionError: if `custom` names nothing.
    """
    path = Path(model)
    is_name = not path.exists() and not path.suffix and len(path.parts) == 1
    if not is_name:
        if weights is not None:
            raise ModelError(
                f"--weights is for architectures of keras.applications, not for {path}"
            )
        own = custom_objects(custom)
        names = list(own)
        if "keras" in sys.modules:  # what the caller has registered
            registry = sys.modules["keras"].saving.get_custom_objects()
            names += [name.split(">")[-1] for name in registry]
        inspect_model_file(path, custom=names, trusted=trusted)
    elif weights is not None:
        inspect_weights(weights)
    need_keras()
    from fmcore.model.load import application, load_model

    if not is_name:
        return load_model(path, custom=own, trusted=trusted)
    made = application(str(model), weights=weights, image_shape=image_shape)
    if weights is None:
        log.warning("%s has random weights; name trained ones with --weights FILE", model)
    return made


def model_image(
    model: keras.Model, *, size: tuple[int, int, int] | None = None
) -> tuple[int, int, int]:
    """(image_y, image_x, image_channel) that a model takes.

    Args:
        model: any Keras model.
        size: of the images, for models that take any.

    Raises:
        ModelError: if neither says.
    """
    from fmcore.model.inputs import inputs_of

    return inputs_of(model, image_shape=size).image_shape


def custom_objects(names: Sequence[str]) -> dict[str, Any]:
    """Classes and functions of the person's own, from `MODULE:NAME`; the module is imported.

    Raises:
        SelectionError: if there is no such module, or nothing of the name in it.
    """
    found = {}
    for text in names:
        module_name, separator, name = text.partition(":")
        if not separator or not name:
            raise SelectionError(f"--custom {text!r}; expected MODULE:NAME, such as layers:MyBlock")
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` does: the code lies where the person stands
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise SelectionError(f"--custom {text!r}: {error}") from error
        try:
            found[name] = getattr(module, name)
        except AttributeError as error:
            known = [one for one in vars(module) if not one.startswith("_")]
            raise SelectionError(
                f"--custom {text!r}: {module_name} has no {name}{near_matches(name, known)}"
            ) from error
    return found


def list_layers(model: keras.Model, **options: Any) -> list[LayerRow]:
    """All calls of a model's layers, see `fmcore.model.listing`."""
    from fmcore.model.listing import list_layers

    return list_layers(model, **options)
