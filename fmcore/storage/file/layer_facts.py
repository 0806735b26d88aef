"""What a store says of each layer without opening its group: a row of one small array.

HDF5 takes a millisecond for the attributes and axes of a layer, and 24 ms for a look at all of its
arrays. So a reader of a store of 200 layers knows all of them by this array, and looks at the group
of a layer, and checks it, when the layer is first read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import h5py
import numpy as np

from fmcore.storage.file.nodes import read_attributes
from fmcore.storage.file.shard_table import ShardedArray
from fmcore.storage.format.schema import (
    ATTRIBUTES,
    LAYER_ATTRIBUTES,
    LAYER_SCHEMA,
    AttributeSpec,
    array_path,
)


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What a store says of a layer; see `Layer`.

    Attributes:
        group: the name of the layer's group.
        shape: the shape of the maps of one sample, (y, x, filter).
        stored_bytes: bytes that the maps take in the file; 0 if they are not stored.
        arrays: the arrays of the layer that the store holds, by their names in the schema.
        attributes: every attribute of the layer's group.
    """

    group: str
    shape: tuple[int, int, int]
    stored_bytes: int
    arrays: frozenset[str]
    attributes: Mapping[str, Any]

    @property
    def path(self) -> str:
        """The Keras path of the layer."""
        return str(self.attributes["layer_path"])

    @property
    def index(self) -> int:
        """The place of the layer among the captured layers, from 0."""
        return int(self.attributes["layer_index"])

    @property
    def policy(self) -> str:
        """How the maps are stored."""
        return str(self.attributes["policy"])

    @classmethod
    def of_group(cls, group: h5py.Group, sharded: Mapping[str, ShardedArray]) -> Self:
        """Reads the facts from the group of a layer, in which nothing leads out of the file.

        Args:
            group: the group.
            sharded: the arrays whose chunks lie in shards, by path.
        """
        name = group.name.rsplit("/", 1)[-1]
        paths = set(sharded)
        group.id.links.visit(lambda path: paths.add(f"{group.name[1:]}/{path.decode()}"))
        height, width, filters = (int(group[axis].shape[0]) for axis in ("y", "x", "filter"))
        maps_path = array_path("activation", name)
        maps = group.get(maps_path.rsplit("/", 1)[-1])
        n_bytes = 0 if maps is None else int(maps.id.get_storage_size())
        if maps_path in sharded:
            n_bytes = sharded[maps_path].stored_bytes
        return cls(
            name,
            (height, width, filters),
            n_bytes,
            frozenset(spec.name for spec in LAYER_SCHEMA if array_path(spec.name, name) in paths),
            read_attributes(group),
        )

    def text(self) -> str:
        """The facts as JSON, as `parse` reads them."""
        return json.dumps(asdict(self) | {"arrays": sorted(self.arrays)}, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The facts from their JSON.

        Raises:
            ValueError: if it is not that of a layer, with the reason.
        """
        try:
            stated = json.loads(text)
            facts = cls(
                stated["group"],
                tuple(stated["shape"]),
                stated["stored_bytes"],
                frozenset(stated["arrays"]),
                dict(stated["attributes"]),
            )
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"it is no JSON of a layer: {error}") from error
        sizes = (*facts.shape, facts.stored_bytes)
        if not all(isinstance(name, str) for name in (facts.group, *facts.arrays)):
            raise ValueError("the name of its group or of an array is no text")
        if len(facts.shape) != 3:
            raise ValueError(f"{facts.group}: it states the shape {facts.shape}")
        if not all(type(size) is int for size in sizes) or min(facts.shape) < 1 or sizes[-1] < 0:
            raise ValueError(f"{facts.group}: it states the shape {facts.shape}")
        for name, spec in ATTRIBUTES[LAYER_ATTRIBUTES].items():
            if name not in facts.attributes:
                if not spec.optional:
                    raise ValueError(f"{facts.group}: it lacks the attribute {name}")
            elif not is_kind(facts.attributes[name], spec):
                raise ValueError(f"{facts.group}: the attribute {name} is not {spec.kind}")
        return facts


def is_kind(value: object, spec: AttributeSpec) -> bool:
    """Whether the value of an attribute has the type that the schema states."""
    if spec.kind == "text":
        return isinstance(value, bytes | str)
    array = np.asarray(value)
    shape = (2,) if spec.kind == "pair" else ()
    return array.shape == shape and array.dtype.kind in ("iuf" if spec.kind == "number" else "iu")
