"""Opens a `.keras` file, in Keras' safe mode, with errors a person can act on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from fmcore.errors import InputFileError, ModelError


def load_model(path: Path) -> keras.Model:
    """The model in a file. Code inside it (Lambda layers, custom classes) is never run.

    Raises:
        InputFileError: if there is no such file.
        ModelError: if it is no whole `.keras` file, or would run code.
    """
    if not path.is_file():
        found = "it is a folder" if path.is_dir() else "there is no such file"
        raise InputFileError(f"cannot read model {path}: {found}; `fmcore train` makes one")
    if path.suffix != ".keras":
        raise ModelError(f"{path}: expected a file that ends in .keras, as model.save writes it")
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputFileError(f"cannot read model {path}: {error.strerror}") from error
    # Keras says "File not found" for a damaged file, so the archive is looked at first.
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise ModelError(
            f"{path} is no readable .keras file: {size:,} bytes that are not a whole zip archive; "
            "save or copy the model again"
        )
    with zipfile.ZipFile(path) as archive:
        if "config.json" not in archive.namelist():
            raise ModelError(
                f"{path} holds no config.json, so it is no whole model; save it with model.save"
            )
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many types here; each means the file is unusable
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise ModelError(f"{path} cannot be loaded in safe mode: {reason}") from error
