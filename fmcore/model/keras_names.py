"""What Keras knows by name: its image data sets, and the preprocessing of its architectures."""

from __future__ import annotations

import inspect

import keras
from keras import layers

from fmcore.dataset import Dataset, Preprocessing, labelled_images, preprocessing_named
from fmcore.errors import InputFileError
from fmcore.model.trace import first_line, operations_of

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": (),
    "fashion_mnist": tuple(_FASHION.split(",")),
}


SCALING = (layers.Rescaling, layers.Normalization)
# How far into a model its scaling is looked for: before it come at most inputs and augmentation.
FIRST = 4
# Where Keras' file of an architecture is not called as its public module.
_FAMILIES = {"resnet50": "resnet"}


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


def application_preprocessing(name: str) -> Preprocessing | None:
    """That of an architecture of `keras.applications`; None for any other name.

    The module that an architecture lives in is named as its preprocessing is.
    """
    for key, make in vars(keras.applications).items():
        if key.lower() == name.lower() and inspect.isfunction(make):
            module = make.__module__.rpartition(".")[2]
            return preprocessing_named(_FAMILIES.get(module, module))
    return None


def scales_itself(model: keras.Model) -> bool:
    """Whether one of the first layers of a model scales pixels."""
    first = [one for _, one in operations_of(model) if not isinstance(one, layers.InputLayer)]
    return any(isinstance(one, SCALING) for one in first[:FIRST])
