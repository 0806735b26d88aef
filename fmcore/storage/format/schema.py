"""The contents of a store as a table; writer, validator and FORMAT.md are checked against it.

This file alone spells the paths of a store. Everywhere else an array has a name: `array_path` says
where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
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
FORMAT_VERSION = "1.0"
# Groups that have attributes, and the group of all layers.
MODEL, DATASET, CAPTURE, SAMPLES, LAYERS = "model", "dataset", "capture", "samples", "layers"
# The key of `ATTRIBUTES` for the group of each layer.
LAYER_ATTRIBUTES = f"/{LAYERS}/{{layer}}"


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
    """

    name: str
    path: str
    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    meaning: str
    absent: str = ""

    @property
    def optional(self) -> bool:
        """Whether a store may lack it."""
        return bool(self.absent)

    @property
    def of_layer(self) -> bool:
        """Whether each layer has one."""
        return "{layer}" in self.path


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
) -> ArraySpec:
    """An array that each layer has, by its path in the layer's group."""
    dtypes = (dtype,) if isinstance(dtype, str) else dtype
    return ArraySpec(name, f"{LAYERS}/{{layer}}/{path}", dtypes, axes, meaning, absent)


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
        yield ArraySpec(name, path, (statistic.dtype,), axes, meaning, absent)
        if statistic.chance:
            meaning, axes = f"chance level of `{name}`, low and high", ("bound", *axes)
            name, path = statistic.chance_name, f"{path}_chance"
            yield ArraySpec(name, path, ("float64",), axes, meaning, absent)


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
        "value": ("float32", "largest value of the sample's map, NaN where there are no more"),
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


_MAP_AXES = ("class", "map_y", "map_x", "filter")
SCHEMA: tuple[ArraySpec, ...] = (
    ArraySpec(
        "architecture",
        f"{MODEL}/architecture",
        ("uint8",),
        ("byte",),
        "the model's configuration, JSON",
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
        "the layer's weights",
        Lack.KERNEL,
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
        "mean over the samples of the class, pixel by pixel",
        Lack.CLASS_MAPS,
    ),
    _of_layer(
        "std_map",
        "class/std_map",
        "float32",
        _MAP_AXES,
        "population standard deviation over the samples of the class, pixel by pixel",
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
        "the smallest and the largest value that a bin counts; the same for any data",
        Lack.HISTOGRAMS,
    ),
    *_duplicates(),
    _of_layer(
        "receptive_field",
        "receptive_field",
        "int32",
        ("y", "x", "side"),
        "first row, first column, last row and last column of the model's input that a unit sees; "
        "-1 where it sees only padding",
        Lack.RECEPTIVE_FIELD,
    ),
    *(
        _of_layer(
            f"undefined_{pooling}",
            f"filters/undefined_{pooling}",
            "uint8",
            ("filter",),
            f"why the filter has no scores on the pooled {pooling}: 0 it has scores, 1 it is dead, "
            "2 it is the same for every sample, 3 it is not finite for a sample",
            Lack.SCORES,
        )
        for pooling in POOLINGS
    ),
    *_similar(),
    *_top(),
)
ARRAYS: dict[str, ArraySpec] = {spec.name: spec for spec in SCHEMA}
LAYER_SCHEMA = tuple(spec for spec in SCHEMA if spec.of_layer)
_BY_PATH = {spec.path: spec for spec in SCHEMA}


def array_path(name: str, layer: str = "") -> str:
    """The path of an array in the file.

    Args:
        name: its name in `ARRAYS`.
        layer: the name of the layer's group; empty for an array that is not a layer's.
    """
    return ARRAYS[name].path.format(layer=layer)


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
        "format_version": AttributeSpec(f"`{FORMAT_VERSION}`: major and minor version"),
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
        "permutations": AttributeSpec(
            "number of permutations of the labels that chance levels come from",
            "integer",
            absent="statistics `basic`",
        ),
        "permutation_seed": AttributeSpec(
            "seed of numpy's `default_rng` that made the permutations",
            "integer",
            absent="statistics `basic`",
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
        "receptive_field": AttributeSpec("`exact`, or why it is unknown"),
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


def scale_path(axis: str, array_path: str) -> str:
    """The path of the dimension scale of an axis.

    Args:
        axis: name of the axis, such as `filter`.
        array_path: the path of the array that has the axis, with the name of the layer's group.
    """
    if axis in ("sample", "class", "target"):
        return axis  # shared by the whole file
    parts = array_path.split("/")
    # An axis of a layer belongs to the layer's group, also for arrays in groups below it.
    group = parts[:2] if parts[0] == "layers" else parts[:-1]
    return "/".join((*group, axis))
