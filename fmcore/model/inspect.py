"""Inspects a model's file before Keras sees it: nothing is run, little is read.

Keras' safe mode refuses code too, but it was bypassed several times, and it does not notice files
that are too large. What Keras would look up is refused here unless it is among `CLASSES` and
`FUNCTIONS`, by the name that it would look up: module and class together.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from fmcore.errors import InputFileError, ModelError
from fmcore.hdf5_guard import FREE_BYTES, foreign_problems, foreign_text
from fmcore.model.saved_names import CLASSES, CODE_LAYERS, FUNCTIONS, VALUES
from fmcore.zip_guard import open_zip

SUFFIXES = (".keras", ".h5", ".hdf5")
# What people have in place of a Keras model, by the ending of the file.
OTHER_MODELS = {
    ".pb": "a graph of TensorFlow, which has no layers of Keras",
    ".tflite": "a model of TensorFlow Lite, which has no layers of Keras",
    ".onnx": "an ONNX model, which has no layers of Keras",
    ".pt": "a file of PyTorch",
    ".pth": "a file of PyTorch",
    ".safetensors": "a file of weights alone",
    ".ckpt": "a checkpoint: weights alone",
    ".index": "a checkpoint: weights alone",
    ".npz": "a file of arrays",
    ".npy": "a file of one array",
    ".json": "a configuration without weights",
    ".pkl": "a pickle, which can run any code",
}
SAVED_MODEL = "saved_model.pb"
# The setting that makes a layer read another file, by the layer's class.
FILE_SETTINGS = dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization"), "vocabulary")
# Settings that count units, each of which has at least one weight of its own.
UNITS = ("units", "filters", "input_dim", "output_dim", "key_dim", "value_dim", "num_heads")
SHAPES = ("batch_shape", "batch_input_shape", "shape", "input_shape")
# Settings that are sizes of windows or borders.
WINDOWS = ("kernel_size", "pool_size", "strides", "padding", "cropping", "size", "n")
MOST_PIXELS_ACROSS = 100_000
RECURRENT = ("LSTM", "GRU", "SimpleRNN")
CONFIG, METADATA, ASSETS = "config.json", "metadata.json", "assets/"
MOST_VERSION_BYTES = 100
MOST_CONFIG_BYTES = 16 << 20  # 358 MB as Python's lists; a large model has 2 MB
# Of what is in a `.keras` file. Keras deflates nothing; weights of which nine in ten are 0 deflate
# to a tenth.
MOST_MEMBER_RATIO = 20
_KERAS_MODULE = re.compile(r"keras(\.\w+)*")
MOST_PIXELS = 1 << 26


def inspect_model_file(path: Path, *, custom: Collection[str] = (), trusted: bool = False) -> None:
    """Refuses a model's file that is incomplete or unsafe to load.

    Args:
        path: a `.keras` file, or a whole model as `.h5` or `.hdf5`.
        custom: names of classes that are not Keras' own and that the caller supplies.
        trusted: the file may run code. Sizes and links are checked all the same.

    Raises:
        InputFileError: if there is no such file.
        ModelError: saying what is wrong, and what to do.
    """
    if (path / SAVED_MODEL).is_file():
        raise ModelError(
            f"{path} is a SavedModel, a graph of TensorFlow that has no layers of Keras; save the "
            "Keras model itself where it was made, with model.save('model.keras')"
        )
    if not path.is_file():
        reason = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(f"cannot read model {path}: {reason}; `fmcore train` makes one")
    if path.suffix not in SUFFIXES:
        other = OTHER_MODELS.get(path.suffix.lower())
        raise ModelError(
            f"{path}{f' is {other}' if other else ''}; expected a file that ends in "
            f"{', '.join(SUFFIXES)}, as model.save('model.keras') writes it"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputFileError(f"cannot read model {path}: {error.strerror}") from error
    config, weights_bytes = _read_archive(path) if path.suffix == ".keras" else _read_hdf5(path)
    remedy = keras_2_remedy(path)
    for problem in _config_problems(config, custom, weights_bytes, trusted=trusted, old=remedy):
        raise ModelError(f"{path} is refused: {problem}")


def keras_2_remedy(path: Path) -> str:
    """What to do with a file that Keras 2 has saved; empty for all others.

    Args:
        path: a file that was checked, so that its parts can be read.
    """
    version = ""
    # A file that does not say who saved it is none of Keras 2.
    with contextlib.suppress(InputFileError, OSError, ValueError, KeyError, zipfile.BadZipFile):
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                version = str(json.loads(archive.read(METADATA))["keras_version"])
        else:
            version = foreign_text(path, "keras_version", most_bytes=MOST_VERSION_BYTES) or ""
    if not version.startswith(("1.", "2.")):
        return ""
    return (
        f"it was saved by Keras {version} (tf.keras), and Keras 3 does not read all of that; build "
        f"the same model with Keras 3, give it the weights with model.load_weights({str(path)!r}), "
        "and save it anew with model.save('model.keras')"
    )


def inspect_weights(path: Path) -> None:
    """Refuses a weights file that is unsafe to read.

    Raises:
        InputFileError: if there is no such file.
        ModelError: saying what is unsafe.
    """
    if not path.is_file():
        raise InputFileError(f"cannot read weights {path}: there is no such file")
    for problem in _naming_file(foreign_problems(path), path):
        raise ModelError(f"{path} is refused: {problem}")


def _naming_file(problems: Iterator[str], path: Path) -> Iterator[str]:
    try:
        yield from problems
    except InputFileError as error:
        raise ModelError(f"{path} is {error}; save or copy the model again") from error


def _read_archive(path: Path) -> tuple[Any, int]:
    """The configuration in a `.keras` file, and the bytes of its weights."""
    # Keras says "File not found" for a damaged file.
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise ModelError(
            f"{path} is not a readable .keras file: its {size:,} bytes are not a whole zip "
            "archive; save or copy the model again"
        )
    try:
        with open_zip(path) as archive:
            for problem in _member_problems(archive):
                raise ModelError(f"{path} is refused: {problem}")
            names = archive.namelist()
            if CONFIG not in names:
                raise ModelError(
                    f"{path} holds no {CONFIG}, so it is not a whole model; save it with model.save"
                )
            config = _parse(archive.read(CONFIG), path)
            if isinstance(config, dict):
                # How it was compiled is not loaded, see `compile=False` in `opening`: a loss or a
                # metric of the person's own needs no code. That of a model inside it would be.
                config.pop("compile_config", None)
            weights_bytes = 0
            for name in names:
                if name.endswith(".h5"):
                    weights_bytes += archive.getinfo(name).file_size
                    with archive.open(name) as member:
                        for problem in _naming_file(foreign_problems(member), path):
                            raise ModelError(f"{path} is refused: in {name}, {problem}")
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise ModelError(
            f"{path} is a damaged .keras file: {error}; save or copy the model again"
        ) from error
    return config, weights_bytes


def _member_problems(archive: zipfile.ZipFile) -> Iterator[str]:
    members = archive.infolist()
    counts = Counter(member.filename for member in members)
    for member in members:
        name, size = member.filename, member.file_size
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            yield f"{name!r} in it would be written outside its folder"
        elif stat.S_ISLNK(member.external_attr >> 16):
            yield f"{name!r} in it is a symbolic link"
        elif counts[name] > 1:
            yield f"{name!r} is in it more than once"
        elif name.endswith(".npz") and not name.startswith(ASSETS):
            yield (
                f"{name!r} in it holds weights as NumPy's objects, which may run code; save the "
                "model with model.save"
            )
        elif size > FREE_BYTES and size > MOST_MEMBER_RATIO * member.compress_size:
            yield f"{name!r} inflates {member.compress_size:,} bytes to {size:,}"
        elif name.endswith(".json") and size > MOST_CONFIG_BYTES:
            yield f"{name!r} in it is {size:,} bytes of JSON"


def _read_hdf5(path: Path) -> tuple[Any, int]:
    """The configuration in a legacy file, and the bytes of its weights."""
    for problem in _naming_file(foreign_problems(path), path):
        raise ModelError(f"{path} is refused: {problem}")
    try:
        text = foreign_text(path, "model_config", most_bytes=MOST_CONFIG_BYTES)
    except InputFileError as error:
        raise ModelError(f"{path} is refused: {error}") from error
    if text is None:
        raise ModelError(
            f"{path} holds no model_config: weights alone are not a model; save it with "
            "model.save('model.keras'), or, for an architecture of keras.applications, give its "
            "name and --weights FILE"
        )
    return _parse(text.encode(), path), path.stat().st_size


def _parse(text: bytes, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be loaded: its configuration is not JSON ({error}); save it again"
        ) from error


def _config_problems(
    config: Any, custom: Collection[str], weights_bytes: int, *, trusted: bool, old: str
) -> Iterator[str]:
    """Parts of a configuration that would run code, read files or outgrow the file's weights.

    Args:
        config: the configuration.
        custom: names of classes that are not Keras' own and that the caller supplies.
        weights_bytes: the bytes of the weights in the file.
        trusted: whether the file may run code.
        old: what to do with a file of Keras 2; empty for others.
    """
    room = weights_bytes + FREE_BYTES
    least = 0
    waiting = [config]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        if not isinstance(node, dict):
            continue
        waiting.extend(node.values())
        if not trusted:
            yield from _class_problems(node, custom, old)
        yield from _size_problems(node, room)
        least += _least_weights(node)
    if least > room:
        yield (
            f"its layers declare at least {least:,} weights, and the file holds "
            f"{weights_bytes:,} bytes of them"
        )


def _class_problems(node: dict[str, Any], custom: Collection[str], old: str) -> Iterator[str]:
    name, module = node.get("class_name"), node.get("module")
    if not isinstance(name, str):
        return
    inner = node.get("config")
    settings: dict[str, Any] = inner if isinstance(inner, dict) else {}
    called = settings.get("name", name)
    written = str(node.get("registered_name") or name)
    registered = written.split(">")[-1]
    # Keras looks up `module.class_name`: `keras` and `layers.Lambda` are `keras.layers` and
    # `Lambda`.
    last = name.rpartition(".")[2]
    if last in CODE_LAYERS:
        yield (
            f"layer {called!r} is a {last}, which runs code that is in the file; rebuild the model "
            "without it, or give --trust for a file that you made yourself"
        )
    elif last in FILE_SETTINGS and isinstance(settings.get(FILE_SETTINGS[last]), str):
        yield f"layer {called!r} is a {last} that reads the file {settings[FILE_SETTINGS[last]]!r}"
    elif {name, registered} & set(custom):
        return
    elif name == "function" and isinstance(inner, str):
        yield from _function_problems(inner, written, module, custom)
    elif not _is_keras_own(module, name, written):
        where = f"in {module}" if module is not None else f"registered as {written}"
        remedy = old or f"give it with --custom MODULE:{registered} if you have its code"
        yield f"{called!r} is of the class {name} {where}, which is not part of Keras; {remedy}"


def _function_problems(
    name: str, written: str, module: object, custom: Collection[str]
) -> Iterator[str]:
    """What is wrong with a function that a configuration names, such as an activation.

    Args:
        name: the function's name, which is its `config`.
        written: its `registered_name`, by which Keras looks up some functions.
        module: its module.
        custom: names that the caller supplies.
    """
    is_keras = module in (None, "builtins") or _KERAS_MODULE.fullmatch(str(module))
    for word in dict.fromkeys((name, written)):
        if word.split(">")[-1] in custom or word == "function":
            continue
        if not is_keras or word not in FUNCTIONS:
            yield (
                f"it names the function {word} in {module}, which is no activation, loss, metric "
                f"or operation of Keras; give it with --custom MODULE:{word.split('>')[-1]} if you "
                "have its code"
            )
            return


def _is_keras_own(module: object, name: str, written: str) -> bool:
    if name in VALUES:
        return True
    if module is None:
        return name in CLASSES and ">" not in written
    if module == "builtins":  # how Keras writes slices
        return name == "slice"
    return _KERAS_MODULE.fullmatch(str(module)) is not None and name in CLASSES


def _size_problems(node: dict[str, Any], room: int) -> Iterator[str]:
    for key in UNITS:
        value = node.get(key)
        if isinstance(value, int) and value > room:
            yield f"a layer declares {key} {value:,}, more than the file holds weights"
    heads = [node.get(key) for key in ("num_heads", "key_dim")]
    both = [size for size in heads if isinstance(size, int)]
    if len(both) == 2 and math.prod(both) > room:
        yield f"a layer declares {both[0]:,} heads of {both[1]:,}, more than the file holds weights"
    for key in WINDOWS:
        if any(size > MOST_PIXELS_ACROSS for size in _whole_numbers(node.get(key))):
            yield f"a layer declares {key} {node[key]}"
    for key in SHAPES:
        shape = node.get(key)
        if isinstance(shape, list):
            sizes = [size for size in shape if isinstance(size, int)]
            if math.prod(sizes) > MOST_PIXELS:
                yield f"it takes inputs of {'x'.join(map(str, sizes))} values"


def _least_weights(node: dict[str, Any]) -> int:
    """The least number of weights of a layer by its configuration; 0 where that does not say."""
    inner, build = node.get("config"), node.get("build_config")
    if not isinstance(inner, dict):
        return 0
    embedding = [inner.get("input_dim"), inner.get("output_dim")]
    both = [size for size in embedding if isinstance(size, int)]
    if len(both) == 2:
        return math.prod(both)
    shape = build.get("input_shape") if isinstance(build, dict) else None
    units = inner.get("units", inner.get("filters"))
    if not (isinstance(shape, list) and shape and isinstance(units, int)):
        return 0
    kernel = inner.get("kernel_size")
    taps = [kernel] * (len(shape) - 2) if isinstance(kernel, int) else _whole_numbers(kernel)
    channels_first = inner.get("data_format") == "channels_first" and len(shape) > 1
    below = shape[1] if channels_first else shape[-1]
    groups = inner.get("groups")
    name = str(node.get("class_name"))
    if not isinstance(below, int) or "Separable" in name:
        return 0
    if name in RECURRENT:
        return units * (units + below)
    return units * below * math.prod(taps) // (groups if isinstance(groups, int) and groups else 1)


def _whole_numbers(value: Any) -> list[int]:
    """The whole numbers in a number, a list, or lists in a list."""
    if isinstance(value, list):
        return [number for part in value for number in _whole_numbers(part)]
    return [value] if isinstance(value, int) else []
