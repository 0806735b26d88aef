"""The contents of a store as a table; writer, validator and FORMAT.md are checked against it.

This file alone spells the paths of a store. Everywhere else an array has a name: `array_path` says
where it lies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fmcore.records import Target
from fmcore.statistics import (
    DUPLICATE,
    DUPLICATE_ARRAYS,
    POOLED,
    POOLINGS,
    SIMILAR_ARRAYS,
    STATISTICS,
    Statistic,
    top,
)
from fmcore.storage.format.columns import COLUMNS
from fmcore.storage.format.lack import Lack

FORMAT = "fmcore-store"
FORMAT_VERSION = "1.1"
# That of a store whose samples stay in shards: readers of 1.1 find arrays missing.
SHARDED_VERSION = "1.2"
# Groups that have attributes, and the group of all layers.
MODEL, DATASET, CAPTURE, SAMPLES, LAYERS = "model", "dataset", "capture", "samples", "layers"
SHARDS = "shards"
# The key of `ATTRIBUTES` for the group of each layer.
LAYER_ATTRIBUTES = f"/{LAYERS}/{{layer}}"
# The key of the group that only a store with shards has.
SHARD_ATTRIBUTES = f"/{SHARDS}"


@dataclass(frozen=True, slots=True)
class Part:
    """Where a table holds an array.

    Attributes:
        table: the name of the table in `TABLES`.
        row: the name of the row.
        is_chance: whether it is the chance level of the row, not the row's value.
    """

    table: str
    row: str
    is_chance: bool = False


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the store.

    Attributes:
        name: what it is called everywhere but in the file; unique.
        path: where it lies; `{layer}` stands for the group of each captured layer.
        dtypes: numpy names of the types it may have; `bytes` is a fixed-length UTF-8 string.
        axes: the names of its axes, each a dimension scale of that name (see `scale_path`).
        meaning: one sentence.
        absent: when a store lacks it; empty if every store has it.
        part: where a table of the file holds it, and its path is only what exports call it; None if
            it lies in the file by itself.
    """

    name: str
    path: str
    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    meaning: str
    absent: str = ""
    part: Part | None = None

    @property
    def optional(self) -> bool:
        """Whether a store may lack it."""
        return bool(self.absent)

    @property
    def of_layer(self) -> bool:
        """Whether each layer has one."""
        return "{layer}" in self.path


@dataclass(frozen=True, slots=True)
class TableSpec:
    """Arrays of a layer that lie in the file as one, because each takes HDF5 a millisecond.

    Attributes:
        name: what the table is called.
        path: where it lies, in the layer's group.
        rows: the axis along which the arrays lie; `/names` has a name for each.
        meaning: one sentence.
        has_chance: whether a second axis, `estimate`, has the value of a score, and the low and the
            high end of its chance level.
    """

    name: str
    path: str
    rows: str
    meaning: str
    has_chance: bool = False

    @property
    def leading(self) -> tuple[str, ...]:
        """The axes before those of its arrays."""
        return (self.rows, ESTIMATE) if self.has_chance else (self.rows,)


ESTIMATE, ESTIMATES = "estimate", ("value", "low", "high")
TABLES: dict[str, TableSpec] = {
    table.name: table
    for table in (
        TableSpec(
            "class_moments", "class/moments", "moment", "what is measured of all activations"
        ),
        TableSpec("class_counts", "class/counts", "count", "what is counted of all activations"),
        TableSpec("class_scores", "class/scores", "class_score", "scores of each class", True),
        TableSpec("filter_scores", "filters/scores", "filter_score", "scores of each filter", True),
        TableSpec(
            "target_scores",
            "target/scores",
            "target_score",
            "scores of each of several labels, or of each number",
            True,
        ),
        TableSpec(
            "undefined",
            "filters/undefined",
            "pooling",
            "why the filter has no scores on a pooled table: 0 it has scores, 1 it is dead, 2 it "
            "is the same for every sample, 3 the map of a sample has no finite value",
        ),
        TableSpec("top_places", "top/places", "place", "where the top samples of a filter are"),
        TableSpec(
            "top_class_places",
            "top/class_places",
            "place",
            "where the top samples of a class and filter are",
        ),
        TableSpec(
            "top_band_places",
            "top/band_places",
            "place",
            "where the samples near some percentiles are",
        ),
    )
}

_SCORES = {
    Target.CLASS: Lack.SCORES,
    Target.LABELS: Lack.LABEL_SCORES,
    Target.NUMBER: Lack.NUMBER_SCORES,
}


def _of_layer(
    name: str,
    path: str,
    dtype: str | tuple[str, ...],
    axes: tuple[str, ...],
    meaning: str,
    absent: str = "",
    part: Part | None = None,
) -> ArraySpec:
    """An array that each layer has, by its path in the layer's group."""
    dtypes = (dtype,) if isinstance(dtype, str) else dtype
    return ArraySpec(name, f"{LAYERS}/{{layer}}/{path}", dtypes, axes, meaning, absent, part)


def _of_table(table: TableSpec, parts: Sequence[ArraySpec]) -> ArraySpec:
    """The array of the file that holds some arrays as its rows."""
    first = parts[0]
    absent = {part.absent for part in parts}
    return _of_layer(
        table.name,
        table.path,
        first.dtypes,
        (*table.leading, *first.axes),
        f"{table.meaning}: {', '.join(f'`{row}`' for row in _rows(parts))}",
        first.absent if len(absent) == 1 else Lack.TARGET_SCORES,
    )


def _rows(parts: Iterable[ArraySpec]) -> list[str]:
    """The names of the rows that hold some arrays, in order."""
    return list(dict.fromkeys(spec.part.row for spec in parts if spec.part is not None))


def _tables(arrays: Sequence[ArraySpec]) -> Iterator[ArraySpec]:
    """The tables that hold some arrays, and the names of their rows."""
    tables = {
        table: _of_table(
            table, [spec for spec in arrays if spec.part is not None and spec.part.table == name]
        )
        for name, table in TABLES.items()
    }
    yield from tables.values()
    named: dict[str, ArraySpec] = {}
    for table, spec in tables.items():
        named = dict.fromkeys(table.leading, spec) | named
    for axis, spec in named.items():
        yield ArraySpec(
            names_of(axis),
            f"names/{axis}",
            ("bytes",),
            (axis,),
            f"the name of each row along the axis `{axis}`",
            spec.absent,
        )


def names_of(axis: str) -> str:
    """The name of the array that has the names of the rows along an axis of tables."""
    return f"{axis}_names"


def _statistics() -> Iterator[ArraySpec]:
    """Every stored statistic, and the chance level of those that have one.

    Scores have only their title here: `docs/statistics.md` defines them.
    """
    for statistic in STATISTICS.values():
        if not statistic.is_stored:
            continue
        name, axes, path = statistic.name, statistic.axes, statistic_path(statistic)
        is_score = statistic.origin == "pooled"
        meaning = statistic.title if is_score else statistic.definition.removesuffix(".")
        absent = _SCORES[statistic.target] if is_score else ""
        if "other_filter" in axes:
            absent = Lack.MATRIX
        table = _table_of(statistic)
        part = Part(table, name) if table else None
        yield ArraySpec(name, path, (statistic.dtype,), axes, meaning, absent, part)
        if statistic.chance:
            meaning, axes = f"chance level of `{name}`, low and high", ("bound", *axes)
            part = Part(table, name, is_chance=True)
            name, path = statistic.chance_name, f"{path}_chance"
            yield ArraySpec(name, path, ("float64",), axes, meaning, absent, part)


def _table_of(statistic: Statistic) -> str:
    """The table that holds a statistic; empty if it lies by itself."""
    if statistic.chance:
        return f"{statistic.axes[0]}_scores"
    if statistic.axes != ("class", "filter"):
        return ""
    return "class_counts" if statistic.dtype == "int64" else "class_moments"


def statistic_path(statistic: Statistic, layer: str = "{layer}") -> str:
    """The path of a statistic, stored or not, in the group of that name if it is a layer's."""
    if "layer" in statistic.axes:
        return f"similarity/{statistic.name}"
    group = statistic.axes[0] if statistic.axes[0] in ("class", "target") else "filters"
    return f"{LAYERS}/{layer}/{group}/{statistic.name}"


def _top() -> Iterator[ArraySpec]:
    """Top samples for each filter, for each class and filter, and near some percentiles."""
    columns = {
        "sample": ("int32", "index of the sample, -1 where there are no more"),
        "value": (
            "float32",
            "largest finite value of the sample's map, NaN where there are no more",
        ),
        "y": ("int32", "row of that value, -1 where there are no more"),
        "x": ("int32", "column of that value, -1 where there are no more"),
    }
    subjects = {
        "": "samples with the largest pooled max, ties by index",
        "class_": "samples of the class with the largest pooled max, ties by index",
        "band_": "samples near the 50th, 75th and 90th percentile of the pooled max",
    }
    for prefix, axes in top.AXES.items():
        for column in top.COLUMNS:
            dtype, meaning = columns[column]
            yield _of_layer(
                f"top_{prefix}{column}",
                f"top/{prefix}{column}",
                dtype,
                axes,
                f"{subjects[prefix]}: {meaning}",
                Lack.SCORES,
                None if column == "value" else Part(f"top_{prefix}places", column),
            )


def _similar() -> Iterator[ArraySpec]:
    """For each filter of a layer with many, the others that it correlates most with."""
    meanings = {
        "similar_filter": (
            "int32",
            "indices of the other filters whose pooled means correlate most with it, together or "
            "opposite, ties by index; -1 where no more vary",
        ),
        "similar_r": ("float32", "Pearson correlation with that filter; NaN where no more vary"),
    }
    for name, axes in SIMILAR_ARRAYS.items():
        dtype, meaning = meanings[name]
        yield _of_layer(name, f"filters/{name}", dtype, axes, meaning, Lack.LISTS)


def _duplicates() -> Iterator[ArraySpec]:
    """For each filter the earlier one that it repeats."""
    meanings = {
        "duplicate_of": (
            "int32",
            f"index of the earlier filter with the largest Pearson correlation over all pixels of "
            f"all samples, if that is above {DUPLICATE}, the first of equal ones; -1 for none",
        ),
        "duplicate_r": ("float32", "that correlation; NaN for none"),
    }
    for name, axes in DUPLICATE_ARRAYS.items():
        dtype, meaning = meanings[name]
        yield _of_layer(name, f"filters/{name}", dtype, axes, meaning, Lack.DUPLICATES)


def _shards() -> Iterator[ArraySpec]:
    """Which shards hold the samples, and where the chunks of arrays lie in them."""
    columns = (
        ("name", "bytes", "shard", "the name of the file in the folder of the shards"),
        ("first_sample", "int64", "shard", "index of its first sample"),
        ("n_samples", "int64", "shard", "number of its samples"),
        ("bytes", "int64", "shard", "size of the file"),
        ("digest", "bytes", "shard", "the SHA-256 in the seal of the file, in hex"),
        (
            "arrays",
            "bytes",
            "array",
            "what is stated of each array whose chunks lie in the shards, JSON",
        ),
        ("chunk_offset", "int64", "chunk", "where each chunk of these begins in its shard"),
        ("chunk_size", "int32", "chunk", "bytes of each chunk of these"),
    )
    for name, dtype, axis, meaning in columns:
        yield ArraySpec(
            f"shard_{name}", f"{SHARDS}/{name}", (dtype,), (axis,), meaning, Lack.SHARDS
        )


_MAP_AXES = ("class", "map_y", "map_x", "filter")
_ARRAYS: tuple[ArraySpec, ...] = (
    ArraySpec(
        "architecture",
        f"{MODEL}/architecture",
        ("uint8",),
        ("byte",),
        "the model's configuration, JSON",
    ),
    ArraySpec(
        "graph",
        f"{MODEL}/graph",
        ("uint8",),
        ("graph_byte",),
        "the calls of the model's layers, and what each takes from which, JSON",
        Lack.GRAPH,
    ),
    ArraySpec(
        "layer_facts",
        "contents/facts",
        ("bytes",),
        ("layer",),
        "what the group of each layer holds, JSON; so a reader need not open each to know them",
    ),
    ArraySpec("class_name", "classes/name", ("bytes",), ("class",), "the name of each class"),
    ArraySpec(
        "n_samples",
        "classes/n_samples",
        ("int64",),
        ("class",),
        "number of samples with each label",
    ),
    ArraySpec(
        "target_name",
        "targets/name",
        ("bytes",),
        ("target",),
        "the name of each of several labels, or of each number",
        Lack.TARGETS,
    ),
    ArraySpec(
        "target_accuracy",
        "targets/accuracy",
        ("float64",),
        ("target",),
        "share of samples for which the model is right about the label, with a probability of one "
        "half or more counted as yes",
        Lack.TRUE_LABELS,
    ),
    ArraySpec(
        "target_error",
        "targets/error",
        ("float64",),
        ("target",),
        "mean of |prediction - number| over all samples",
        Lack.TRUE_NUMBERS,
    ),
    ArraySpec("id", f"{SAMPLES}/id", ("bytes",), ("sample",), "a name for each sample"),
    *(
        ArraySpec(
            column.name,
            f"{SAMPLES}/{column.name}",
            column.dtypes,
            column.axes,
            column.meaning,
            column.absent,
        )
        for column in COLUMNS.values()
    ),
    _of_layer(
        "activation",
        "activation",
        ("float32", "float16"),
        ("sample", "y", "x", "filter"),
        "what the layer outputs, channels last",
        Lack.MAPS,
    ),
    _of_layer(
        "kernel",
        "kernel",
        "float32",
        ("kernel_y", "kernel_x", "kernel_input", "kernel_output"),
        "the layer's weights; of a separable layer its pointwise part, and of a depthwise one each "
        "filter's with the one plane that it reads",
        Lack.KERNEL,
    ),
    _of_layer(
        "depthwise_kernel",
        "depthwise_kernel",
        "float32",
        ("depthwise_y", "depthwise_x", "depthwise_input", "multiplier"),
        "the depthwise part of a separable layer's weights: multiplier `m` of input `i` makes the "
        "kernel_input `i` · multipliers + `m` of the pointwise part",
        Lack.DEPTHWISE_KERNEL,
    ),
    _of_layer("bias", "bias", "float32", ("filter",), "the layer's bias", Lack.BIAS),
    *(
        _of_layer(
            f"pooled_{name}", f"pooled/{name}", table.dtype, ("sample", "filter"), table.meaning
        )
        for name, table in POOLED.items()
    ),
    *_statistics(),
    _of_layer(
        "mean_map",
        "class/mean_map",
        "float32",
        _MAP_AXES,
        "mean over the samples of the class, pixel by pixel; not finite where that of a sample is "
        "not",
        Lack.CLASS_MAPS,
    ),
    _of_layer(
        "std_map",
        "class/std_map",
        "float32",
        _MAP_AXES,
        "population standard deviation over the samples of the class, pixel by pixel; NaN where a "
        "sample is not finite",
        Lack.CLASS_MAPS,
    ),
    _of_layer(
        "histogram",
        "class/histogram",
        "int64",
        ("class", "filter", "bin"),
        "number of finite activations in each bin",
        Lack.HISTOGRAMS,
    ),
    _of_layer(
        "bin_bounds",
        "bin_bounds",
        "float32",
        ("bound", "bin"),
        "the smallest and the largest value that a bin counts, by the bits of a float32",
        Lack.HISTOGRAMS,
    ),
    *_duplicates(),
    _of_layer(
        "receptive_field",
        "receptive_field",
        "int32",
        ("y", "x", "side"),
        "first row, first column, last row and last column of the model's input that the units of "
        "all filters at a place see; -1 where they see only padding",
        Lack.RECEPTIVE_FIELD,
    ),
    *(
        _of_layer(
            f"undefined_{pooling}",
            f"filters/undefined_{pooling}",
            "uint8",
            ("filter",),
            f"why the filter has no scores on the pooled {pooling}",
            Lack.SCORES,
            Part("undefined", pooling),
        )
        for pooling in POOLINGS
    ),
    *_similar(),
    *_top(),
    *_shards(),
)
# Every array by its name, also those that are parts of tables, and the tables.
ARRAYS: dict[str, ArraySpec] = {spec.name: spec for spec in (*_ARRAYS, *_tables(_ARRAYS))}
# What lies in a file.
SCHEMA: tuple[ArraySpec, ...] = tuple(spec for spec in ARRAYS.values() if spec.part is None)
LAYER_SCHEMA = tuple(spec for spec in SCHEMA if spec.of_layer)
_BY_PATH = {spec.path: spec for spec in SCHEMA}


def array_path(name: str, layer: str = "") -> str:
    """The path of an array in the file.

    Args:
        name: its name in `ARRAYS`.
        layer: the name of the layer's group; empty for an array that is not a layer's.
    """
    return ARRAYS[name].path.format(layer=layer)


def rows_of(axis: str, lacks: Collection[str]) -> list[str]:
    """The names of the rows along an axis of tables, in a store that goes without some parts.

    Args:
        axis: the axis, such as `class_score`.
        lacks: what the store goes without, see `Lack`.
    """
    if axis == ESTIMATE:
        return list(ESTIMATES)
    return _rows(
        spec
        for spec in ARRAYS.values()
        if spec.part is not None
        and TABLES[spec.part.table].rows == axis
        and spec.absent not in lacks
    )


def layer_of(path: str) -> str:
    """The name of the layer's group in the path of an array; empty if it is not a layer's."""
    parts = path.split("/", 2)
    return parts[1] if parts[0] == LAYERS and len(parts) == 3 else ""


def has_samples(path: str) -> bool:
    """Whether the first axis of the array at a path is the samples."""
    parts = path.split("/", 2)
    if parts[0] == LAYERS:
        parts[1] = "{layer}"
    spec = _BY_PATH.get("/".join(parts))
    return spec is not None and spec.axes[0] == "sample"


def layer_path(layer: str) -> str:
    """The path of a layer's group, by the group's name."""
    return f"{LAYERS}/{layer}"


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """One attribute of a group.

    Attributes:
        meaning: what it holds.
        kind: `text`, `integer`, `number`, or `pair` for two integers (y, x).
        absent: when a store lacks it; empty if every store has it.
    """

    meaning: str
    kind: str = "text"
    absent: str = ""

    @property
    def optional(self) -> bool:
        """Whether a store may lack it."""
        return bool(self.absent)


_NOT_ROUNDED = "policy `float32` or `pooled`"
# By the group that has them.
ATTRIBUTES: dict[str, dict[str, AttributeSpec]] = {
    "/": {
        "format": AttributeSpec(f"`{FORMAT}`"),
        "format_version": AttributeSpec(
            f"`{FORMAT_VERSION}`, or `{SHARDED_VERSION}` with shards: major and minor version"
        ),
        "writer": AttributeSpec("program and version that wrote the file"),
        "libraries": AttributeSpec("versions of numpy, h5py and HDF5 that wrote it"),
        "created": AttributeSpec("UTC, ISO 8601"),
        "attributes_sha256": AttributeSpec(
            "SHA-256 over all attributes but itself and those of dimension scales, in hex"
        ),
    },
    "/model": {
        "name": AttributeSpec("the model's own name"),
        "digest": AttributeSpec("SHA-256 of architecture and weights"),
        "framework": AttributeSpec("libraries that ran the model, with versions"),
        "output": AttributeSpec(
            "what the store holds of the model's output, how it was made and how that was decided; "
            "or why there is nothing"
        ),
        "target": AttributeSpec(
            "the kind of answer that the model gives: `class`, one of several; `labels`, each by "
            "itself; `number`; or `none`"
        ),
        "output_name": AttributeSpec("the model's output that gives it; empty for none"),
        "graph": AttributeSpec(
            "where the array `graph` is from, or why there is none",
            absent="the store is older than this attribute",
        ),
        "conversion": AttributeSpec(
            "how the values of that output became what is stored: `identity`, `softmax`, "
            "`sigmoid`, `two columns` of the probability of class 1, or `two columns of a sigmoid`"
        ),
        "test_accuracy": AttributeSpec(
            "share of samples whose prediction equals their label",
            "number",
            absent=f"{Lack.PREDICTIONS}, or `labels` of `/dataset` is not `given`",
        ),
        "exact_match": AttributeSpec(
            "share of samples for which the model is right about all labels",
            "number",
            absent=Lack.TRUE_LABELS,
        ),
    },
    "/dataset": {
        "name": AttributeSpec("name of the test set"),
        "source": AttributeSpec("where the images came from"),
        "fingerprint": AttributeSpec("SHA-256 of images and labels in order"),
        "preprocessing": AttributeSpec(
            "what was done to an image before the model saw it, and in parentheses why"
        ),
        "labels": AttributeSpec(
            "`given`: the labels came with the images; `predicted`: they did not, and `label` is "
            "what the model predicts; `none`: the model predicts nothing either, and `label` is 0"
        ),
    },
    "/capture": {
        "batch_size": AttributeSpec(
            "number of samples that went through the model together", "integer"
        ),
        "first_sample": AttributeSpec(
            "index of the first sample in the whole test set; 0 unless the file holds a part of it",
            "integer",
        ),
        "statistics": AttributeSpec(
            "`all`, or `basic`: no histograms, scores, top samples or similarities"
        ),
        "command": AttributeSpec(
            "the command that made it, without `--out` and the folders of files",
            absent="it was made in Python, or the store is older than this attribute",
        ),
        "permutations": AttributeSpec(
            "number of permutations of the labels that chance levels come from",
            "integer",
            absent="statistics `basic`",
        ),
        "permutation_seed": AttributeSpec(
            "seed of numpy's `default_rng` that made the permutations, and of the order that each "
            "filter's samples begin from",
            "integer",
            absent="statistics `basic`",
        ),
    },
    SHARD_ATTRIBUTES: {
        "folder": AttributeSpec("the name of the folder of the shards, beside the store"),
        "digest": AttributeSpec(
            "SHA-256 of the JSON, without spaces, of [`folder`, [[`name`, `first_sample`, "
            "`n_samples`, `bytes`, `digest`] of each shard], [`arrays`]], in hex"
        ),
    },
    LAYER_ATTRIBUTES: {
        "layer_path": AttributeSpec("the layer's Keras path"),
        "layer_index": AttributeSpec("its place among the captured layers, from 0", "integer"),
        "kind": AttributeSpec("the layer's Keras class, such as `Conv2D`"),
        "activation_function": AttributeSpec("the activation function, such as `relu`"),
        "kernel_size": AttributeSpec("height and width of the kernel, int32 (y, x)", "pair"),
        "strides": AttributeSpec("steps of the kernel, int32 (y, x)", "pair"),
        "padding": AttributeSpec(
            "`valid`, `same` or `causal`; empty if the layer is not a convolution"
        ),
        "dilation": AttributeSpec("spacing of the kernel's pixels, int32 (y, x)", "pair"),
        "class_maps": AttributeSpec(
            "`full`, or how the class maps were reduced, or why there are none"
        ),
        "histogram": AttributeSpec("how wide the bins of histograms are, or why there are none"),
        "receptive_field": AttributeSpec(
            "`exact`; `at most: ` and why units may see less than their boxes; or `unknown: ` and "
            "why there are none"
        ),
        "policy": AttributeSpec(
            "how activations are kept: `float32` (exactly), `float16`, or `pooled` (not at all)"
        ),
        "compression": AttributeSpec(
            "the filters of `activation` before Fletcher32: `none`, `deflate` or "
            "`shuffle+deflate`; and why",
            absent=f"{Lack.MAPS}, or the store is older than this attribute",
        ),
        "largest_error": AttributeSpec(
            "the largest |float16 - float32| of the layer's finite values",
            "number",
            absent=_NOT_ROUNDED,
        ),
        "n_overflow": AttributeSpec(
            "number of values beyond float16's range, which are stored as infinite",
            "integer",
            absent=_NOT_ROUNDED,
        ),
    },
}


# Axes that the whole file shares; every other belongs to a layer, or to an array.
SHARED_AXES = frozenset(
    {
        *("sample", "class", "target", "bound", "side", "k", "band", "similar"),
        *(axis for table in TABLES.values() for axis in table.leading),
    }
)


def scale_path(axis: str, array_path: str) -> str:
    """The path of the dimension scale of an axis.

    Args:
        axis: name of the axis, such as `filter`.
        array_path: the path of the array that has the axis, with the name of the layer's group.
    """
    if axis in SHARED_AXES:
        return axis
    parts = array_path.split("/")
    # An axis of a layer belongs to the layer's group, also for arrays in groups below it.
    group = parts[:2] if parts[0] == "layers" else parts[:-1]
    return "/".join((*group, axis))
