"""How Keras writes models as JSON: tensors in calls, inputs and outputs, and models in models.

A configuration is read as from a stranger: it may come with a store from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What a configuration of another form, or one that somebody has damaged, may end in.
OTHER_FORM = (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError)
# The name of the layer that made a tensor, the number of its call, and the place of the tensor in
# what the call returned.
Tensor = tuple[str, int, int]


def is_model(layer: Mapping[str, Any]) -> bool:
    """Whether the layers inside a layer are called in its place."""
    return "input_layers" in layer["config"] or layer["class_name"] == "Sequential"


def tensors_of_call(value: Any) -> Iterator[Tensor]:
    """The tensors in the arguments of a call, in the order in which Keras flattens them.

    Raises:
        ValueError: if something stands there that is none.
    """
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            yield _tensor(value["config"]["keras_history"])
            return
        value = [value[name] for name in sorted(value)]
    for part in value if isinstance(value, list) else ():
        yield from tensors_of_call(part)


def tensors_of_ends(value: Any) -> Iterator[Tensor]:
    """The tensors in the inputs or outputs that a model states, in that order.

    Raises:
        ValueError: if something stands there that is none.
    """
    if isinstance(value, Mapping):
        value = [value[name] for name in sorted(value)]
    if value and isinstance(value[0], str):
        yield _tensor(value)
        return
    for part in value:
        yield from tensors_of_ends(part)


def _tensor(history: Any) -> Tensor:
    name, number, place = history
    if type(name) is not str or type(number) is not int or type(place) is not int or place < 0:
        raise ValueError(f"{history!r} is no tensor")
    return name, number, place
