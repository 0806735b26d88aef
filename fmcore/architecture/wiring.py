"""Which layer reads which, from a model's configuration as Keras writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fmcore.architecture.keras_json import OTHER_FORM, is_model, tensors_of_call, tensors_of_ends

# Stands for the image among what a layer reads.
IMAGE = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One layer of a model.

    Attributes:
        path: its Keras path, such as `inner/conv1`.
        class_name: its Keras class; with its module where that is not Keras' own layers.
        config: its configuration.
        inputs: the paths of the layers that it reads in its first call, in their order; `IMAGE` for
            the image, and `?name` for another input of the model.
        n_calls: how often the model that it lies in calls it.
        model_calls: how often that model is called, and those that it lies in.
        input_shape: the sizes of the first thing that it reads, with that of the batch; None where
            the configuration does not say.
    """

    path: str
    class_name: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    n_calls: int
    model_calls: int = 1
    input_shape: Sequence[int | None] | None = None

    @property
    def words(self) -> str:
        """Its path and class."""
        return f"{self.path} ({self.class_name})"


def nodes_of(architecture: Mapping[str, Any]) -> dict[str, Node]:
    """The layers of a model by path; empty where its configuration does not say what reads what."""
    try:
        reading = _Reading()
        reading.enter(architecture, "", list(model_inputs(architecture)), 1)
        return {path: reading.resolved(node) for path, node in reading.nodes.items()}
    except OTHER_FORM:
        return {}


def consumers_of(nodes: Mapping[str, Node], path: str) -> list[Node]:
    """The layers that read what a layer puts out."""
    return [node for node in nodes.values() if path in node.inputs]


def model_inputs(architecture: Mapping[str, Any]) -> dict[str, str]:
    """The names of the model's inputs by what stands for them among what layers read.

    The image is the only one, or the first with the axes of one.
    """
    names = _ends(architecture, "input_layers")
    if len(names) < 2:
        return {IMAGE: names[0] if names else ""}
    ranks = {
        layer["config"]["name"]: len(layer["config"].get("batch_shape") or ())
        for layer in architecture["config"]["layers"]
        if layer["class_name"] == "InputLayer"
    }
    image = next((name for rank in (4, 3) for name in names if ranks.get(name) == rank), "")
    return {IMAGE if name == image else f"?{name}": name for name in names}


class _Reading:
    """The layers that were read so far.

    Attributes:
        nodes: the layers by path.
        aliases: what stands for an input of a model in a model, and for what that puts out.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.aliases: dict[str, str] = {}

    def enter(
        self, model: Mapping[str, Any], prefix: str, feeds: list[str], model_calls: int
    ) -> None:
        """Adds the layers of a model, and what stands for its inputs and its output.

        Args:
            model: its configuration.
            prefix: of the paths of its layers.
            feeds: what each of its inputs is.
            model_calls: how often it is called.
        """
        layers = model["config"]["layers"]
        is_sequence = not any("inbound_nodes" in layer for layer in layers)
        names = _ends(model, "input_layers")
        before = feeds[0]
        for index, layer in enumerate(layers):
            config = layer["config"]
            path = f"{prefix}{config['name']}"
            if layer["class_name"] == "InputLayer":
                if is_sequence and index:
                    raise ValueError(f"a sequence has the input {path} within it")
                self.aliases[path] = feeds[0 if is_sequence else names.index(config["name"])]
                continue
            calls = [] if is_sequence else layer["inbound_nodes"]
            inputs = [before] if is_sequence else _read(calls[0], prefix) if calls else []
            n_calls = 1 if is_sequence else len(calls)
            if is_model(layer):
                outputs = _outputs(layer)
                if len(outputs) == 1:  # of several it is not said here which one is read
                    self.aliases[path] = f"{path}/{outputs[0]}"
                self.enter(layer, f"{path}/", inputs, model_calls * n_calls)
            else:
                self.nodes[path] = Node(
                    path,
                    _class_name(layer),
                    config,
                    tuple(inputs),
                    n_calls,
                    model_calls,
                    _input_shape(layer, calls),
                )
            before = path

    def resolved(self, node: Node) -> Node:
        """A layer with what it reads in place of what stands for that."""
        return replace(node, inputs=tuple(map(self._resolved, node.inputs)))

    def _resolved(self, name: str) -> str:
        for _ in range(len(self.aliases) + 1):
            if name not in self.aliases:
                return name
            name = self.aliases[name]
        raise ValueError(f"{name} stands for itself")


def _class_name(layer: Mapping[str, Any]) -> str:
    kind, module = str(layer["class_name"]), str(layer.get("module"))
    is_own = module.startswith("keras.layers") and not layer.get("registered_name")
    return kind if is_own else f"{module}.{kind}"


def _read(call: Any, prefix: str) -> list[str]:
    """The paths of the layers whose output a call reads; with its place, if it is not the first."""
    return [
        f"{prefix}{name}" if not place else f"{prefix}{name}:{place}"
        for name, _, place in tensors_of_call(call)
    ]


def _input_shape(layer: Mapping[str, Any], calls: Sequence[Any]) -> Sequence[int | None] | None:
    if not calls:
        shape = (layer.get("build_config") or {}).get("input_shape")
    else:
        first = (calls[0]["args"] or [None])[0]
        shape = first["config"].get("shape") if isinstance(first, Mapping) else None
    return shape if isinstance(shape, list) else None


def _outputs(model: Mapping[str, Any]) -> list[str]:
    """The layers whose outputs are the model's."""
    names = _ends(model, "output_layers")
    return names or [str(model["config"]["layers"][-1]["config"]["name"])]


def _ends(model: Mapping[str, Any], key: str) -> list[str]:
    """The names of the layers of a functional model's inputs or outputs; none of a sequence."""
    return [name for name, _, _ in tensors_of_ends(model["config"].get(key) or [])]
