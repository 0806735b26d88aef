"""The preprocessing that a model was trained with, in the model's own file.

It is a member of the `.keras` archive that Keras neither reads nor keeps: a model that Keras saves
again has none. Importing this module does not import Keras.
"""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from fmcore.dataset import Preprocessing
from fmcore.errors import ModelError
from fmcore.files import Kind
from fmcore.zip_guard import open_zip

MEMBER = "fmcore.json"
MOST_BYTES = 1 << 16
# What Keras puts into each `.keras` file, and what `fmcore train` says of a training.
_MODEL_MEMBERS = {"config.json", "metadata.json"}
_HISTORY_KEYS = {"data", "epochs", "seed", "history"}
_MOST_HISTORY_BYTES = 16 << 20  # of 10,000 epochs, 1.2 MB


def _is_model(stream: BinaryIO) -> bool:
    try:
        with open_zip(stream) as archive:
            return set(archive.namelist()) >= _MODEL_MEMBERS
    except zipfile.BadZipFile:
        return False


def _is_history(stream: BinaryIO) -> bool:
    try:
        content = json.loads(stream.read(_MOST_HISTORY_BYTES))
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() == _HISTORY_KEYS


# What `fmcore train --force` replaces.
MODEL_KIND = Kind("a model that Keras has saved", _is_model)
HISTORY_KIND = Kind("the history of a training", _is_history)


def write_record(path: Path, preprocessing: Preprocessing) -> None:
    """Adds a record to a `.keras` file.

    Args:
        path: the file, as `model.save` wrote it.
        preprocessing: what was done to the images that the model was trained on.
    """
    text = json.dumps({"preprocessing": dataclasses.asdict(preprocessing)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(MEMBER, text)


def read_record(path: Path) -> Preprocessing | None:
    """The preprocessing that a `.keras` file records; None for files without a record.

    Raises:
        ModelError: if the record says nothing that could be done to pixels.
    """
    if path.suffix != ".keras" or not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return None
            with archive.open(MEMBER) as member:
                text = member.read(MOST_BYTES)
        return _parse(json.loads(text))
    except (zipfile.BadZipFile, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ModelError(
            f"{path}: its record of the training, {MEMBER}, cannot be read ({error}); train the "
            "model again, or save it with model.save, which leaves the record out"
        ) from error


def _parse(record: Any) -> Preprocessing:
    fields = record["preprocessing"]
    preprocessing = Preprocessing(
        scale=float(fields["scale"]),
        mean=tuple(map(float, fields["mean"])),
        std=tuple(map(float, fields["std"])),
        reverse=fields["reverse"] is True,
    )
    numbers = (preprocessing.scale, *preprocessing.mean, *preprocessing.std)
    if not all(map(math.isfinite, numbers)) or not all((preprocessing.scale, *preprocessing.std)):
        raise ValueError(f"{preprocessing.words} cannot be done")
    return preprocessing
