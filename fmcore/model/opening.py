"""Opens a model by path or name; a file is inspected before Keras is imported.

Importing this module does not import Keras: that takes seconds, and a viewer does not have it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import logging
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore.errors import MissingLibraryError, ModelError, SelectionError
from fmcore.model.inspect import inspect_model_file, inspect_weights, keras_2_remedy
from fmcore.optional import missing_library
from fmcore.selection import near_matches

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
BACKEND, BACKEND_VARIABLE = "tensorflow", "KERAS_BACKEND"
MOST_REASON = 200  # Keras prints a layer's whole configuration
OTHER_BACKENDS = ("jax", "torch", "openvino", "numpy", "mlx")
# absl's prefix: severity, then month and day. Before it is set up, absl heeds no level.
_NOTE = re.compile(rb"(WARNING: All log messages before absl|[IW]\d{4} )")


def require_keras() -> None:
    """Refuses at once where Keras or TensorFlow is not installed; imports neither.

    Raises:
        MissingLibraryError: saying how to install them.
    """
    for name in ("keras", BACKEND):
        try:
            is_there = importlib.util.find_spec(name) is not None
        except ValueError:  # somebody has blocked it
            is_there = False
        if not is_there:
            raise _missing_keras(ModuleNotFoundError(f"No module named {name!r}"))


def _missing_keras(cause: ImportError) -> MissingLibraryError:
    return missing_library(
        "Keras and TensorFlow", extra="train", purpose="opening or running a model", cause=cause
    )


def need_keras() -> None:
    """Imports Keras, which takes seconds.

    Raises:
        MissingLibraryError: if it is not installed, saying how to install it.
        ModelError: if Keras runs on another backend than TensorFlow.
    """
    try:
        with without_startup_notes():
            backend = importlib.import_module("keras").config.backend()
            if backend == BACKEND:
                importlib.import_module("fmcore.model.trace")
    except ImportError as error:
        backend = os.environ.get(BACKEND_VARIABLE, "") or (error.name or "").split(".")[0]
        if backend not in OTHER_BACKENDS:
            raise _missing_keras(error) from error
    except ValueError:  # what Keras raises for a backend that does not exist
        backend = repr(os.environ.get(BACKEND_VARIABLE, "another backend"))
    if backend != BACKEND:
        raise ModelError(
            f"Keras runs on {backend}, and fmcore reads the layers of a model with TensorFlow; set "
            f"the environment variable {BACKEND_VARIABLE}={BACKEND} before Python starts (else "
            "Keras takes what is in ~/.keras/keras.json); a .keras file is the same for all of them"
        )


@contextlib.contextmanager
def without_startup_notes() -> Iterator[None]:
    """Drops informational lines that libraries write past Python while they are imported.

    Where `TF_CPP_MIN_LOG_LEVEL` is set, nothing is dropped.
    """
    if LEVEL in os.environ:
        yield
        return
    os.environ[LEVEL] = "3"  # a machine without a GPU is no error
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as spool:
        os.dup2(spool.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            spool.seek(0)
            lines = [line for line in spool if not _NOTE.match(line)]
            os.write(terminal, b"".join(lines))
            os.close(terminal)


def open_model(
    model: str | Path,
    *,
    custom: Sequence[str] = (),
    trusted: bool = False,
    weights: Path | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Opens a model by path or name; a file is inspected before Keras reads it.

    Args:
        model: a `.keras` file, a whole model as `.h5` or `.hdf5`, or the name of an architecture of
            `keras.applications`, such as `ResNet50V2`.
        custom: classes that are not Keras' own, as `MODULE:NAME`; these modules are imported.
        trusted: run code that is in the file: only for a file you made yourself.
        weights: a file of weights for an architecture; random weights where left out.
        image_shape: (y, x, channel) of the images, for an architecture.

    Raises:
        InputFileError: if there is no such file.
        ModelError: if the file is unsafe, holds no whole model, or cannot be loaded.
        SelectionError: if `custom` names nothing.
    """
    path = Path(model)
    is_name = not path.exists() and not path.suffix and len(path.parts) == 1
    if not is_name:
        if weights is not None:
            raise ModelError(
                f"--weights is for architectures of keras.applications, not for the file {path}"
            )
        objects = custom_objects(custom)
        names = list(objects)
        if (imported := sys.modules.get("keras")) is not None:  # what the caller has registered
            registry = imported.saving.get_custom_objects()
            names += [name.split(">")[-1] for name in registry]
        inspect_model_file(path, custom=names, trusted=trusted)
    elif weights is not None:
        inspect_weights(weights)
    need_keras()
    if not is_name:
        return _load_file(path, custom=objects, trusted=trusted)
    application = _application(str(model), weights=weights, image_shape=image_shape)
    if weights is None:
        log.warning("%s has random weights; give trained ones with --weights FILE", model)
    return application


def model_image(
    model: keras.Model, *, size: tuple[int, int, int] | None = None
) -> tuple[int, int, int]:
    """(image_y, image_x, image_channel) that a model takes.

    Args:
        model: any Keras model.
        size: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError: if the model takes any size, and `size` is left out.
    """
    from fmcore.model.inputs import inputs_of

    return inputs_of(model, image_shape=size).image_shape


def custom_objects(names: Sequence[str]) -> dict[str, Any]:
    """Classes and functions that are not Keras' own, from `MODULE:NAME`; imports the modules.

    Raises:
        SelectionError: if there is no such module, or it holds nothing of that name.
    """
    objects = {}
    for text in names:
        module_name, separator, name = text.partition(":")
        if not separator or not name:
            raise SelectionError(f"--custom {text!r}; expected MODULE:NAME, such as layers:MyBlock")
        if "" not in sys.path:
            sys.path.insert(0, "")  # as `python -m` does: the code lies in the working directory
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise SelectionError(f"--custom {text!r}: {error}") from error
        try:
            objects[name] = getattr(module, name)
        except AttributeError as error:
            public = [key for key in vars(module) if not key.startswith("_")]
            raise SelectionError(
                f"--custom {text!r}: {module_name} has no {name}{near_matches(name, public)}"
            ) from error
    return objects


def _load_file(path: Path, *, custom: Mapping[str, Any], trusted: bool) -> keras.Model:
    """Loads a file that `inspect_model_file` accepted, in Keras' safe mode unless trusted.

    Args:
        path: the model's file.
        custom: classes and functions that are not Keras' own, by name.
        trusted: run code that is in the file.

    Raises:
        ModelError: if Keras cannot load it.
    """
    import keras

    from fmcore.model.outputs import keep_losses
    from fmcore.model.trace import first_line

    try:
        model = keras.saving.load_model(
            path, custom_objects=dict(custom), compile=False, safe_mode=not trusted
        )
    except Exception as error:  # Keras raises many types here; each means the file is unusable
        mode = "cannot be loaded" if trusted else "cannot be loaded in safe mode"
        remedy = keras_2_remedy(path)
        reason = first_line(error)
        if remedy:
            reason = f"{textwrap.shorten(reason, MOST_REASON, placeholder=' …')}; {remedy}"
        elif path.suffix != ".keras":
            reason += (
                "; the older format .h5 holds less than a model may have: save it anew where it "
                "was made, with model.save('model.keras')"
            )
        raise ModelError(f"{path} {mode}: {reason}") from error
    keep_losses(model, path)
    return model


def _application(
    name: str, *, weights: Path | None, image_shape: tuple[int, int, int] | None
) -> keras.Model:
    """Builds an architecture of `keras.applications`, such as `resnet50v2`; case is ignored.

    Args:
        name: the architecture's name.
        weights: a file of weights; random weights where left out.
        image_shape: (y, x, channel) of the images; the architecture's default where left out.

    Raises:
        ModelError: if there is no such architecture, or the weights do not fit.
    """
    import keras

    from fmcore.model.trace import first_line

    architectures = {
        key.lower(): make
        for key, make in vars(keras.applications).items()
        if inspect.isfunction(make)
    }
    names = [make.__name__ for make in architectures.values()]
    if name.lower() not in architectures:
        raise ModelError(
            f"{name!r} is neither a file nor an architecture of keras.applications"
            f"{near_matches(name, names)}"
        )
    options: dict[str, Any] = {} if image_shape is None else {"input_shape": image_shape}
    try:
        model = architectures[name.lower()](weights=None, **options)
        if weights is not None:
            model.load_weights(weights)
    except Exception as error:  # Keras raises many types here too
        raise ModelError(f"{name} cannot be built: {first_line(error)}") from error
    return model


def gpus() -> tuple[str, ...]:
    """The name of each GPU that TensorFlow sees, such as `NVIDIA A100-SXM4-40GB`.

    It sees GPUs only where its own libraries for them are installed.
    """
    import tensorflow as tf

    return tuple(
        str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
        for gpu in tf.config.list_physical_devices("GPU")
    )
