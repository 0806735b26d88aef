"""What Keras has under a name: image data sets, and the preprocessing of its architectures."""

from __future__ import annotations

import inspect

import keras

from fmcore.dataset import Dataset, Preprocessing, labelled_images, preprocessing_named
from fmcore.errors import InputFileError
from fmcore.model.trace import first_line

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "cifar10": tuple(_CIFAR10.split()),
    "cifar100": (),
    "fashion_mnist": tuple(_FASHION.split(",")),
}
# Where Keras names the file of an architecture differently from its public module.
_FAMILIES = {"resnet50": "resnet"}


def keras_dataset(name: str) -> Dataset:
    """A data set of `CLASS_NAMES`, from Keras' own cache, or downloaded into it.

    Raises:
        InputFileError: if it is not in the cache and cannot be downloaded.
    """
    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # of the network, the disk or the archive
        raise InputFileError(
            f"{name} is not in Keras' cache and cannot be downloaded: {first_line(error)}"
        ) from error
    parts = [
        labelled_images(images, labels.reshape(-1), where=f"keras.datasets.{name}")
        for images, labels in (test, train)
    ]
    return Dataset(name, f"keras.datasets.{name}", CLASS_NAMES[name], parts[0], parts[1])


def application_preprocessing(name: str) -> Preprocessing | None:
    """The preprocessing of an architecture of `keras.applications`; None for any other name.

    An architecture's module has the name of its preprocessing.
    """
    for key, make in vars(keras.applications).items():
        if key.lower() == name.lower() and inspect.isfunction(make):
            module = make.__module__.rpartition(".")[2]
            return preprocessing_named(_FAMILIES.get(module, module))
    return None


def application_inside(model: keras.Model) -> tuple[str, Preprocessing] | None:
    """The name of an architecture that a model is or contains, by its name, and its preprocessing.

    Keras names a model `mobilenetv2_1.00_224` or `vgg16`; None where no name is such.
    """
    names = [model.name, *(layer.name for layer in model.layers if hasattr(layer, "layers"))]
    architectures = [
        make.__name__ for make in vars(keras.applications).values() if inspect.isfunction(make)
    ]
    for name in names:
        plain = name.lower().replace("_", "")
        for architecture in sorted(architectures, key=len, reverse=True):
            if plain.startswith(architecture.lower()):
                preprocessing = application_preprocessing(architecture)
                if preprocessing is not None:
                    return architecture, preprocessing
    return None
