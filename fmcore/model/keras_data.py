"""The image data sets that Keras fetches by name."""

from __future__ import annotations

import keras

from fmcore.dataset import Dataset, labelled_images
from fmcore.errors import InputFileError
from fmcore.model.trace import first_line

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": (),
    "fashion_mnist": tuple(_FASHION.split(",")),
}


def keras_dataset(name: str) -> Dataset:
    """One of `CLASS_NAMES`, from Keras' own cache or fetched to it.

    Raises:
        InputFileError: if it cannot be had.
    """
    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # of the network, the disk or the archive
        raise InputFileError(
            f"{name} is not in Keras' cache and cannot be fetched: {first_line(error)}"
        ) from error
    parts = [
        labelled_images(images, labels.reshape(-1), where=f"keras.datasets.{name}")
        for images, labels in (test, train)
    ]
    return Dataset(name, f"keras.datasets.{name}", CLASS_NAMES[name], parts[0], parts[1])
