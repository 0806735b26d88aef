"""Which preprocessing a model expects, as far as it can be told from the model."""

from __future__ import annotations

import inspect

import keras
from keras import layers

from fmcore.dataset import Preprocessing, named
from fmcore.model.trace import operations_of

SCALING = (layers.Rescaling, layers.Normalization)
# How far into a model its scaling is looked for: before it come at most inputs and augmentation.
FIRST = 4
# Where Keras' file of an architecture is not called as its public module.
_FAMILIES = {"resnet50": "resnet"}


def habit_of(name: str) -> Preprocessing | None:
    """That of an architecture of `keras.applications`; None for any other name.

    The module that an architecture lives in is named as its preprocessing is.
    """
    for key, make in vars(keras.applications).items():
        if key.lower() == name.lower() and inspect.isfunction(make):
            module = make.__module__.rpartition(".")[2]
            return named(_FAMILIES.get(module, module))
    return None


def scales_itself(model: keras.Model) -> bool:
    """Whether one of the first layers of a model scales pixels."""
    first = [one for _, one in operations_of(model) if not isinstance(one, layers.InputLayer)]
    return any(isinstance(one, SCALING) for one in first[:FIRST])
