"""What the installed Keras may write into a model's file, by the name it writes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

# The parts of Keras that a model consists of.
CLASS_MODULES = (
    *("keras", "keras.constraints", "keras.dtype_policies", "keras.initializers", "keras.layers"),
    *("keras._legacy.layers", "keras.losses", "keras.metrics", "keras.optimizers", "keras.random"),
    *("keras.optimizers.schedules", "keras.quantizers", "keras.regularizers"),
)
FUNCTION_MODULES = ("keras.activations", "keras.losses", "keras.metrics", "keras.ops")
# Functions that every module has to read and write configurations.
HELPERS = {"deserialize", "get", "serialize"}


def saved_classes() -> set[str]:
    """The names of all classes that Keras can make again from a configuration."""
    from keras.src import api_export, layers, ops
    from keras.src.saving.keras_saveable import KerasSaveable

    for package in (layers, ops):  # each defines its classes when it is imported
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("_test"):
                importlib.import_module(module.name)
    names = {
        path.rpartition(".")[2]
        for path, symbol in api_export.REGISTERED_NAMES_TO_OBJS.items()
        if path.rpartition(".")[0] in CLASS_MODULES
        and inspect.isclass(symbol)
        and hasattr(symbol, "from_config")
    }
    waiting = [KerasSaveable]
    while waiting:
        for child in waiting.pop().__subclasses__():
            waiting.append(child)
            if (
                child.__module__.startswith(("keras.src.layers", "keras.src.ops", "keras.src.mod"))
                and api_export.get_name_from_symbol(child) is None
            ):
                names.add(child.__name__)
    return names


def saved_functions() -> set[str]:
    """The names of all functions that stand for an activation, a loss, a metric or an operation."""
    from keras.src import api_export

    return {
        path.rpartition(".")[2]
        for path, symbol in api_export.REGISTERED_NAMES_TO_OBJS.items()
        if path.rpartition(".")[0] in FUNCTION_MODULES and inspect.isfunction(symbol)
    } - HELPERS
