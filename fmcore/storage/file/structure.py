"""Checks from its metadata alone whether a file has the structure of a store.

What passes can be read without surprises: every array and attribute is there, with the type and
size that the schema states, and no small file declares an array of terabytes. All but the layers is
checked when a file is opened, and a layer when it is first read; `fmcore validate`, and the writer
before it publishes a store, check everything.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from fmcore.errors import StoreError, UnsupportedVersionError
from fmcore.records import LabelSource, Policy
from fmcore.storage.file.layer_facts import LayerFacts, is_kind
from fmcore.storage.file.nodes import (
    DAMAGE,
    address_of,
    codec_of,
    iter_nodes,
    read_text,
    require_few_attributes,
    scale_addresses,
)
from fmcore.storage.file.shard_table import ShardedArray, ShardTable, read_shard_table
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.columns import COLUMNS
from fmcore.storage.format.lack import Lack
from fmcore.storage.format.schema import (
    ATTRIBUTES,
    DATASET,
    ESTIMATE,
    ESTIMATES,
    FORMAT,
    FORMAT_VERSION,
    LAYER_ATTRIBUTES,
    LAYER_SCHEMA,
    LAYERS,
    MODEL,
    SAMPLES,
    SCHEMA,
    SHARD_ATTRIBUTES,
    SHARDS,
    SHARED_AXES,
    ArraySpec,
    AttributeSpec,
    array_path,
    layer_path,
    names_of,
    scale_path,
)

# The axis of samples.
SAMPLE = "sample"
# What lies in a file, by its path.
Nodes = dict[str, h5py.Group | h5py.Dataset]
_KINDS = {
    dtype: h5py.h5t.py_create(np.dtype(dtype))
    for dtype in {dtype for spec in SCHEMA for dtype in spec.dtypes if dtype != "bytes"}
}


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension scale: its address in the file, and its shape."""

    address: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """What is known of a file once all but its layers is checked.

    Attributes:
        layers: what the file states of each layer, by the name of its group, in the model's order.
        axes: the axes outside the layers, by path.
        addresses: of every object outside the layers; each has only one name.
        shards: which shards hold the samples; None if they lie in the file.
    """

    layers: Mapping[str, LayerFacts]
    axes: Mapping[str, Axis]
    addresses: frozenset[int]
    shards: ShardTable | None = None

    @property
    def sharded(self) -> Mapping[str, ShardedArray]:
        """The arrays whose chunks lie in shards, by path."""
        return {} if self.shards is None else self.shards.arrays


def check_format(file: h5py.File, path: Path) -> None:
    """Refuses a file that is not marked as a store, or whose format has another major version.

    Raises:
        StoreError: if the file is not marked as a store.
        UnsupportedVersionError: if its format has another major version.
    """
    require_few_attributes(file, "/", path)
    if read_text(file, "format") != FORMAT:
        raise StoreError(
            f"{path} is an HDF5 file but not a store: its attribute `format` is "
            f"{read_text(file, 'format')!r}, expected {FORMAT!r}; `fmcore capture` writes one"
        )
    version = read_text(file, "format_version")
    major = FORMAT_VERSION.split(".")[0]
    if version.split(".")[0] != major:
        raise UnsupportedVersionError(
            f"{path} has format version {version}, this fmcore reads {major}.x; install a version "
            "of feature-map-dashboard that reads it, or capture again"
        )


def require_structure(file: h5py.File, path: Path) -> Structure:
    """Refuses a file that, but for its layers, does not have the structure of a store.

    Raises:
        StoreError: naming the first problem.
    """
    structure, _, problems = _structure_of_file(file, path)
    for problem in problems:
        raise _damage_error(path, problem)
    return structure


def require_layer(
    file: h5py.File, path: Path, structure: Structure, group: str, *, is_sealed: bool
) -> None:
    """Refuses a layer that leads out of the file, or does not have the structure of a layer.

    Args:
        file: the file.
        path: its path, for the message.
        structure: what is known of the rest of the file.
        group: the name of the layer's group.
        is_sealed: whether the file is, bit by bit, what a writer checked and sealed. Then it is
            taken for granted which scale each axis refers to: looking that up takes most of the
            time, and no reader of ours depends on it.

    Raises:
        StoreError: naming the first problem.
    """
    nodes = _nodes_of_layer(file, path, group, set(structure.addresses))
    for problem in _layer_problems(nodes, structure, group, references=not is_sealed):
        raise _damage_error(path, problem)


def checked_parts(file: h5py.File, path: Path) -> Iterator[tuple[Nodes, list[str]]]:
    """Yields all that lies in a file, layer by layer, and one sentence for each problem of it.

    First comes what lies outside the layers. So a check of everything opens each array only once,
    and holds few of them open.

    Raises:
        StoreError: if a part is not in the file itself.
    """
    structure, nodes, problems = _structure_of_file(file, path)
    yield nodes, problems
    layers = nodes.get(LAYERS)
    if not isinstance(layers, h5py.Group):
        return
    seen, paths = set(structure.addresses), []
    for group in layers:
        nodes, problems = {}, []
        try:
            nodes = _nodes_of_layer(file, path, group, seen)
            problems += _layer_problems(nodes, structure, group, references=True)
            paths.append(read_text(layers[group], "layer_path"))
        except DAMAGE as error:
            problems.append(f"/{layer_path(group)} cannot be read: {error}")
        yield nodes, problems
    if len(set(paths)) < len(paths):
        yield {}, [f"two groups under /{LAYERS} have the same layer_path"]


def _damage_error(path: Path, problem: str) -> StoreError:
    return StoreError(
        f"{path} is a damaged or incomplete store: {problem}; `fmcore validate` lists all "
        "problems; capture again, or restore it from a copy"
    )


def _structure_of_file(file: h5py.File, path: Path) -> tuple[Structure, Nodes, list[str]]:
    """What is known of a file without its layers, and the parts and problems of that."""
    seen: set[int] = set()
    parts = iter_nodes(file, path, seen, closed={f"/{LAYERS}"})
    nodes: Nodes = {where.lstrip("/"): node for where, node in parts}
    own = [spec for spec in SCHEMA if not spec.of_layer]
    paths = {scale_path(axis, spec.path) for spec in own for axis in spec.axes}
    axes = _axes(nodes, paths | SHARED_AXES)
    layers, problems = nodes.get(LAYERS), list[str]()
    if not isinstance(layers, h5py.Group) or not len(layers):
        return Structure({}, axes, frozenset(seen)), nodes, [f"/{LAYERS} is missing or empty"]
    for place, attributes in ATTRIBUTES.items():
        if place != LAYER_ATTRIBUTES and (place != SHARD_ATTRIBUTES or SHARDS in nodes):
            problems += _attribute_problems(file.get(place), place, attributes)
    tables: list[ShardTable] = []
    if SHARDS in nodes:
        problems += _caught(SHARDS, _read_shards(file, nodes, axes, tables))
    shards = tables[0] if tables else None
    sharded = {} if shards is None else shards.arrays
    stated: list[LayerFacts] = []
    for spec in own:
        checks = _array_problems(nodes, spec, spec.path, axes, sharded.get(spec.path))
        of_array = list(_caught(spec.path, checks))
        problems += of_array
        if spec.name == "layer_facts" and not of_array:
            problems += _caught(spec.path, _read_facts(nodes[spec.path], layers, stated))
        if spec.name == names_of(ESTIMATE) and spec.path in nodes and not of_array:
            problems += _caught(spec.path, _estimate_problems(nodes[spec.path]))
    problems += _caught(SAMPLES, _prediction_problems(file, sharded))
    in_order = sorted(stated, key=lambda facts: facts.index)
    by_group = {one.group: one for one in in_order}
    return Structure(by_group, axes, frozenset(seen), shards), nodes, problems


def _read_shards(
    file: h5py.File, nodes: Nodes, axes: Mapping[str, Axis], tables: list[ShardTable]
) -> Iterator[str]:
    """Reads which shards the store has, unless what states it is not as it should be."""
    problems: list[str] = []
    for spec in SCHEMA:
        if spec.absent == Lack.SHARDS:
            if spec.path not in nodes:
                problems.append(f"/{spec.path} is missing")
            problems += _array_problems(nodes, spec, spec.path, axes)
    yield from problems
    if problems or SAMPLE not in axes:
        return
    table = read_shard_table(file, axes[SAMPLE].shape[0])
    n_chunks = sum(math.prod(array.grid) for array in table.arrays.values())
    if file[array_path("shard_chunk_size")].shape != (n_chunks,):
        yield f"/{array_path('shard_chunk_size')} has not the length {n_chunks}"
        return
    tables.append(table)


def _caught(where: str, problems: Iterator[str]) -> Iterator[str]:
    """Yields the problems, and one more if HDF5 raises an error while they are looked for."""
    try:
        yield from problems
    except DAMAGE as error:
        yield f"/{where} cannot be read: {error}"


def _read_facts(array: h5py.Dataset, layers: h5py.Group, stated: list[LayerFacts]) -> Iterator[str]:
    """Reads what the file states of its layers, and checks that it holds these and no others."""
    facts = [LayerFacts.parse(text.decode("utf-8", "replace")) for text in array[...].tolist()]
    if sorted(one.group for one in facts) != sorted(layers):
        yield f"{array.name} states other layers than /{LAYERS} holds"
    elif len({one.path for one in facts}) < len(facts):
        yield f"{array.name} states two layers with the same layer_path"
    else:
        stated += facts


def _estimate_problems(names: h5py.Dataset) -> Iterator[str]:
    """Checks that the places of a score and of its chance level are those that readers take."""
    if [name.decode("utf-8", "replace") for name in names[...].tolist()] != list(ESTIMATES):
        yield f"{names.name} is not {', '.join(ESTIMATES)}"


def _nodes_of_layer(file: h5py.File, path: Path, group: str, seen: set[int]) -> Nodes:
    """The group of a layer and all that lies in it, by path; refuses what leads out of the file."""
    parts = iter_nodes(file[LAYERS], path, seen, only=(group,))
    return {where.lstrip("/"): node for where, node in parts}


def _layer_problems(
    nodes: Nodes, structure: Structure, group: str, *, references: bool
) -> Iterator[str]:
    where, maps = layer_path(group), array_path("activation", group)
    layer = nodes[where]
    if not isinstance(layer, h5py.Group):
        yield f"/{where} is not a group"
        return
    yield from _attribute_problems(layer, f"/{where}", ATTRIBUTES[LAYER_ATTRIBUTES])
    paths = [(spec, array_path(spec.name, group)) for spec in LAYER_SCHEMA]
    own = (scale_path(axis, path) for spec, path in paths for axis in spec.axes)
    axes = _axes(nodes, own) | dict(structure.axes)
    for axis in ("y", "x", "filter"):
        scale = axes.get(scale_path(axis, maps))
        if scale is None or len(scale.shape) != 1 or scale.shape[0] < 1:
            yield f"/{scale_path(axis, maps)} is missing or is not an axis"
            return
    for spec, of_array in paths:
        problems = _array_problems(
            nodes, spec, of_array, axes, structure.sharded.get(of_array), references=references
        )
        yield from _caught(of_array, problems)
    stored = nodes.get(maps, structure.sharded.get(maps))
    yield from _policy_problems(f"/{where}", read_text(layer, "policy"), maps, stored)
    facts = structure.layers.get(group)
    if facts is not None and facts != LayerFacts.of_group(layer, structure.sharded):
        yield f"/{where} is not as /{array_path('layer_facts')} states"


def _attribute_problems(
    node: h5py.Group | None, where: str, attributes: dict[str, AttributeSpec]
) -> Iterator[str]:
    if not isinstance(node, h5py.Group):
        yield f"{where} is missing"
        return
    for name, spec in attributes.items():
        try:
            if name not in node.attrs and spec.optional:
                continue
            if name not in node.attrs:
                yield f"{where} lacks the attribute {name}"
            elif not is_kind(node.attrs[name], spec):
                yield f"{where}: the attribute {name} has the wrong type, expected {spec.kind}"
        except DAMAGE as error:
            yield f"{where}: the attribute {name} cannot be read: {error}"


def _policy_problems(
    where: str, policy: str, path: str, maps: h5py.Group | h5py.Dataset | ShardedArray | None
) -> Iterator[str]:
    """Checks that maps are stored as the layer's policy states."""
    if policy not in list(Policy):
        yield f"{where}: the attribute policy is {policy!r}, expected {', '.join(Policy)}"
    elif policy == Policy.POOLED and maps is not None:
        yield f"/{path} is there, but the policy is pooled"
    elif policy != Policy.POOLED and maps is None:
        yield f"/{path} is missing, but the policy is {policy}"
    elif isinstance(maps, h5py.Dataset | ShardedArray) and maps.dtype != policy:
        yield f"/{path} has dtype {maps.dtype}, but the policy is {policy}"


def _prediction_problems(file: h5py.File, sharded: Collection[str]) -> Iterator[str]:
    """Checks that predictions and what belongs to them are all there or all absent."""
    names = [name for name, column in COLUMNS.items() if column.absent == Lack.PREDICTIONS]
    paths = [f"/{array_path(name)}" for name in names]
    absent = [path for path in paths if path not in file and path[1:] not in sharded]
    if absent and len(absent) < len(paths):
        others = [path for path in paths if path not in absent]
        yield f"{absent[0]} is missing, but {others[0]} is there"
        return
    labels = read_text(file[DATASET], "labels")
    has_accuracy = "test_accuracy" in file[MODEL].attrs
    if absent and has_accuracy:
        yield f"/{MODEL} has the attribute test_accuracy, but {absent[0]} is missing"
    elif has_accuracy and labels != LabelSource.GIVEN:
        yield f"/{MODEL} has the attribute test_accuracy, but labels of /{DATASET} is {labels!r}"
    elif not absent and not has_accuracy and labels == LabelSource.GIVEN:
        yield f"/{MODEL} lacks the attribute test_accuracy"
    if absent and labels == LabelSource.PREDICTED:
        yield f"/{DATASET}: the attribute labels is {labels!r}, but {absent[0]} is missing"
    elif not absent and labels == LabelSource.NONE:
        yield f"/{DATASET}: the attribute labels is {labels!r}, but {paths[0]} is there"


def _axes(nodes: Nodes, paths: Iterable[str]) -> dict[str, Axis]:
    """The axes that are there, by path."""
    present = ((path, nodes[path]) for path in sorted(set(paths)) if path in nodes)
    return {
        path: Axis(address_of(node), getattr(node, "shape", None) or ()) for path, node in present
    }


def _array_problems(
    nodes: Nodes,
    spec: ArraySpec,
    path: str,
    axes: Mapping[str, Axis],
    sharded: ShardedArray | None = None,
    *,
    references: bool = True,
) -> Iterator[str]:
    array = nodes.get(path)
    if sharded is not None:
        yield from _sharded_problems(array, spec, sharded, axes)
        return
    if array is None:
        if not spec.optional:
            yield f"/{path} is missing"
        return
    if not isinstance(array, h5py.Dataset):
        yield f"/{path} is not an array"
        return
    if not any(
        _KINDS[dtype].equal(array.id.get_type()) for dtype in spec.dtypes if dtype in _KINDS
    ):
        dtype = "bytes" if array.dtype.kind == "S" else array.dtype.name
        if dtype not in spec.dtypes:
            yield f"/{path} has dtype {dtype}, expected {' or '.join(spec.dtypes)}"
    shape = array.shape
    if shape is None or len(shape) != len(spec.axes):
        yield f"/{path} has shape {shape}, expected the axes {', '.join(spec.axes)}"
        return
    addresses = scale_addresses(array) if references else None
    for index, (axis, size) in enumerate(zip(spec.axes, shape, strict=True)):
        expected = scale_path(axis, path)
        scale = axes.get(expected)
        if scale is None or (addresses is not None and addresses[index] != [scale.address]):
            names = [(other.name or "?").lstrip("/") for other in array.dims[index].values()]
            yield f"/{path}: axis {axis} refers to {names or 'no scale'}, expected /{expected}"
        elif scale.shape != (size,) or size < 1:
            yield f"/{path}: length {size}, but /{expected} has the shape {scale.shape}"
    yield from _storage_problems(array, path, shape)


def _sharded_problems(
    array: h5py.Group | h5py.Dataset | None,
    spec: ArraySpec,
    sharded: ShardedArray,
    axes: Mapping[str, Axis],
) -> Iterator[str]:
    """Checks what is stated of an array whose chunks lie in shards."""
    path = sharded.path
    if array is not None:
        yield f"/{path} is there, but its chunks are said to lie in shards"
    if sharded.dtype not in spec.dtypes:
        yield f"/{path} has dtype {sharded.dtype}, expected {' or '.join(spec.dtypes)}"
    scales = [axes.get(scale_path(axis, path)) for axis in spec.axes]
    expected = [None if scale is None else scale.shape for scale in scales]
    if spec.axes[0] != SAMPLE or expected != [(size,) for size in sharded.shape]:
        yield f"/{path} has shape {sharded.shape}, its axes are {', '.join(spec.axes)}"


def _storage_problems(array: h5py.Dataset, path: str, shape: tuple[int, ...]) -> Iterator[str]:
    properties = array.id.get_create_plist()
    is_chunked = properties.get_layout() == h5py.h5d.CHUNKED
    filters = [properties.get_filter(index)[0] for index in range(properties.get_nfilters())]
    if not is_chunked or h5py.h5z.FILTER_FLETCHER32 not in filters:
        yield f"/{path} has no chunks with Fletcher32, so damage would go unseen"
        return
    if codec_of(properties) is None:
        yield f"/{path} has other filters than the codecs of this format"
    chunk = properties.get_chunk()
    if math.prod(chunk) * array.id.get_type().get_size() > LARGEST_CHUNK_BYTES:
        yield f"/{path} has chunks of shape {chunk}, larger than fmcore writes"
    needed = math.prod(-(-size // step) for size, step in zip(shape, chunk, strict=True))
    stored = array.id.get_num_chunks()
    if stored != needed:
        yield f"/{path} has {stored:,} chunks of the {needed:,} that its shape needs"
