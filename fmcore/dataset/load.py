"""Which data set a name means, and in which folder data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

from fmcore.dataset.images import Dataset
from fmcore.dataset.mnist import mnist
from fmcore.dataset.npz import from_npz


def data_folder(data_dir: Path | None = None) -> Path:
    """Where data sets lie: the argument, else `FMCORE_DATA`, else `data/` of this project."""
    if data_dir is not None:
        return data_dir
    if named := os.environ.get("FMCORE_DATA"):
        return Path(named)
    project = Path(__file__).parents[2] / "data"
    return project if project.is_dir() else Path("data")


def load_dataset(data: str, *, data_dir: Path | None = None, progress: bool = False) -> Dataset:
    """The data set that `--data` names: `mnist`, or the path of an npz file.

    Raises:
        DatasetError: if its arrays are no labelled images.
        InputFileError: if the file is missing or unreadable.
    """
    if data == "mnist":
        return mnist(data_folder(data_dir), progress=progress)
    return from_npz(Path(data), name=Path(data).stem, source=f"file {Path(data).name}")
