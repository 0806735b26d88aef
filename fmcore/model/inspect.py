"""What is inside a model's file, before Keras sees it: nothing is run, little is read.

Keras' safe mode refuses code too, but it was got around several times, and it says nothing of
files that are too large. What is not known to be Keras' own is refused here, by its name.
"""

from __future__ import annotations

import json
import math
import stat
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from fmcore.errors import InputFileError, ModelError
from fmcore.hdf5_guard import FREE_BYTES, MOST_RATIO, foreign_problems, foreign_text

SUFFIXES = (".keras", ".h5", ".hdf5")
# Layers that run what is inside the file, or what it points to.
RUNNING = frozenset(
    ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
)
# Layers that can be told to read a file, by the setting that does.
READING = dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization"), "vocabulary")
# Settings of which each unit has at least one weight of its own.
UNITS = ("units", "filters", "input_dim", "output_dim", "key_dim", "value_dim", "num_heads")
SHAPES = ("batch_shape", "batch_input_shape", "shape", "input_shape")
# Settings that are sizes of windows and borders.
WINDOWS = ("kernel_size", "pool_size", "strides", "padding", "cropping", "size", "n")
MOST_PIXELS_ACROSS = 100_000
RECURRENT = ("LSTM", "GRU", "SimpleRNN")
CONFIG = "config.json"
MOST_CONFIG_BYTES = 64 << 20
MOST_MEMBERS = 100_000
MOST_PIXELS = 1 << 26


def inspect_model_file(path: Path, *, custom: Collection[str] = (), trusted: bool = False) -> None:
    """Refuses a file that is no whole model, or that is unsafe to load.

    Args:
        path: a `.keras` file, or a whole model as `.h5` or `.hdf5`.
        custom: names of classes that the person has given.
        trusted: the person made the file: code in it may run. Sizes and links are looked at still.

    Raises:
        InputFileError: if there is no such file.
        ModelError: naming what is wrong, and what to do.
    """
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(f"cannot read model {path}: {found}; `fmcore train` makes one")
    if path.suffix not in SUFFIXES:
        raise ModelError(
            f"{path}: expected a file that ends in {', '.join(SUFFIXES)}, as model.save writes it"
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputFileError(f"cannot read model {path}: {error.strerror}") from error
    config, weights_bytes = _of_archive(path) if path.suffix == ".keras" else _of_hdf5(path)
    for problem in _config_problems(config, custom, weights_bytes, trusted=trusted):
        raise ModelError(f"{path} is refused: {problem}")


def inspect_weights(path: Path) -> None:
    """Refuses a file of weights that is unsafe to read.

    Raises:
        InputFileError: if there is no such file.
        ModelError: naming what is wrong.
    """
    if not path.is_file():
        raise InputFileError(f"cannot read weights {path}: there is no such file")
    for problem in _named(foreign_problems(path), path):
        raise ModelError(f"{path} is refused: {problem}")


def _named(problems: Iterator[str], path: Path) -> Iterator[str]:
    try:
        yield from problems
    except InputFileError as error:
        raise ModelError(f"{path} is {error}; save or copy the model again") from error


def _of_archive(path: Path) -> tuple[Any, int]:
    """The configuration in a `.keras` file, and the bytes of its weights."""
    # Keras says "File not found" for a damaged file.
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise ModelError(
            f"{path} is no readable .keras file: {size:,} bytes that are not a whole zip archive; "
            "save or copy the model again"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            for problem in _member_problems(archive):
                raise ModelError(f"{path} is refused: {problem}")
            names = archive.namelist()
            if CONFIG not in names:
                raise ModelError(
                    f"{path} holds no {CONFIG}, so it is no whole model; save it with model.save"
                )
            config = _parsed(archive.read(CONFIG), path)
            weights_bytes = 0
            for name in names:
                if name.endswith(".h5"):
                    weights_bytes += archive.getinfo(name).file_size
                    with archive.open(name) as member:
                        for problem in _named(foreign_problems(member), path):  # type: ignore[arg-type]
                            raise ModelError(f"{path} is refused: in {name}, {problem}")
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise ModelError(
            f"{path} is a damaged .keras file: {error}; save or copy the model again"
        ) from error
    return config, weights_bytes


def _member_problems(archive: zipfile.ZipFile) -> Iterator[str]:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        yield f"it holds {len(members):,} files"
        return
    names = Counter(one.filename for one in members)
    for one in members:
        parts = one.filename.replace("\\", "/").split("/")
        if one.filename.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            yield f"{one.filename!r} in it would be written outside its folder"
        elif stat.S_ISLNK(one.external_attr >> 16):
            yield f"{one.filename!r} in it is a symbolic link"
        elif names[one.filename] > 1:
            yield f"{one.filename!r} is in it more than once"
        elif one.file_size > FREE_BYTES and one.file_size > MOST_RATIO * one.compress_size:
            yield f"{one.filename!r} inflates {one.compress_size:,} bytes to {one.file_size:,}"
        elif one.filename.endswith(".json") and one.file_size > MOST_CONFIG_BYTES:
            yield f"{one.filename!r} in it is {one.file_size:,} bytes of JSON"


def _of_hdf5(path: Path) -> tuple[Any, int]:
    """The configuration in a legacy file, and the bytes of its weights."""
    for problem in _named(foreign_problems(path), path):
        raise ModelError(f"{path} is refused: {problem}")
    try:
        text = foreign_text(path, "model_config", most_bytes=MOST_CONFIG_BYTES)
    except InputFileError as error:
        raise ModelError(f"{path} is refused: {error}") from error
    if text is None:
        raise ModelError(
            f"{path} holds no model_config: weights alone are no model; save it with model.save"
        )
    return _parsed(text.encode(), path), path.stat().st_size


def _parsed(text: bytes, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be loaded: its configuration is no JSON ({error}); save the model again"
        ) from error


def _config_problems(
    config: Any, custom: Collection[str], weights_bytes: int, *, trusted: bool
) -> Iterator[str]:
    """What in a configuration would run code, read files or take more memory than its weights."""
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
            yield from _class_problems(node, custom)
        yield from _size_problems(node, room)
        least += _least_weights(node)
    if least > room:
        yield (
            f"its layers declare at least {least:,} weights, and the file holds "
            f"{weights_bytes:,} bytes of them"
        )


def _class_problems(node: dict[str, Any], custom: Collection[str]) -> Iterator[str]:
    name, module = node.get("class_name"), node.get("module")
    if not isinstance(name, str):
        return
    inner = node.get("config")
    settings: dict[str, Any] = inner if isinstance(inner, dict) else {}
    called = settings.get("name", name)
    written = str(node.get("registered_name") or name)
    registered = written.split(">")[-1]
    if name in RUNNING:
        yield (
            f"layer {called!r} is a {name}, which runs code that is in the file; rebuild the model "
            "without it, or add --trust for a file that you made yourself"
        )
    elif name in READING and isinstance(settings.get(READING[name]), str):
        yield f"layer {called!r} is a {name} that reads the file {settings[READING[name]]!r}"
    elif {name, registered} & set(custom):
        return
    elif ">" in written if module is None else not _is_kerass(str(module), name):
        where = f"in {module}" if module is not None else f"registered as {written}"
        yield (
            f"{called!r} is of the class {name} {where}, which is not part of Keras; name it "
            f"with --custom MODULE:{registered} where you have its code"
        )


def _is_kerass(module: str, name: str) -> bool:
    if module == "builtins":  # how Keras writes its own functions and slices
        return name in ("function", "slice")
    return module == "keras" or module.startswith("keras.")


def _size_problems(node: dict[str, Any], room: int) -> Iterator[str]:
    for key in UNITS:
        value = node.get(key)
        if isinstance(value, int) and value > room:
            yield f"a layer declares {key} {value:,}, more than the file holds weights"
    heads = [node.get(key) for key in ("num_heads", "key_dim")]
    both = [one for one in heads if isinstance(one, int)]
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
    """Weights that a layer has at least, where its configuration says; else 0."""
    inner, build = node.get("config"), node.get("build_config")
    if not isinstance(inner, dict):
        return 0
    across = [inner.get("input_dim"), inner.get("output_dim")]  # of an embedding
    both = [size for size in across if isinstance(size, int)]
    if len(both) == 2:
        return math.prod(both)
    shape = build.get("input_shape") if isinstance(build, dict) else None
    units = inner.get("units", inner.get("filters"))
    if not (isinstance(shape, list) and shape and isinstance(units, int)):
        return 0
    kernel = inner.get("kernel_size")
    taps = [kernel] * (len(shape) - 2) if isinstance(kernel, int) else _whole_numbers(kernel)
    first = inner.get("data_format") == "channels_first" and len(shape) > 1
    below = shape[1] if first else shape[-1]
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
        return [one for part in value for one in _whole_numbers(part)]
    return [value] if isinstance(value, int) else []
