"""The contents of a store as a table; writer, validator and FORMAT.md are checked against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmcore.statistics import POOLED, POOLINGS, STATISTICS

FORMAT = "fmcore-store"
FORMAT_VERSION = "1.0"

# When a store lacks what is optional.
_NO_PREDICTIONS = "no predictions"
_NO_SCORES = "no scores"
_NO_HISTOGRAMS = "no histograms"
_NO_CLASS_MAPS = "no class maps"


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the store.

    Attributes:
        path: where it lies; `{layer}` stands for the group of each captured layer.
        dtypes: numpy names of the types it may have; `bytes` is a fixed-length UTF-8 string.
        axes: the names of its axes, each a dimension scale of that name (see `scale_path`).
        meaning: one sentence.
        absent: when a store lacks it; empty if every store has it.
    """

    path: str
    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    meaning: str
    absent: str = ""

    @property
    def optional(self) -> bool:
        """Whether a store may lack it."""
        return bool(self.absent)


def path_in_store(path: str) -> str:
    """The path in the file of an array whose path is relative to a layer's group.

    Paths under `similarity/` are about all layers and stay as they are.
    """
    return path if path.startswith("similarity/") else f"layers/{{layer}}/{path}"


def _statistics() -> Iterator[ArraySpec]:
    """Every stored statistic, and the chance level of those that have one.

    Scores have only their title here: `docs/statistics.md` defines them.
    """
    for statistic in STATISTICS.values():
        if not statistic.is_stored:
            continue
        is_score = statistic.origin == "pooled"
        meaning = statistic.title if is_score else statistic.definition.removesuffix(".")
        absent = _NO_SCORES if is_score else ""
        path, axes = path_in_store(statistic.path), statistic.axes
        yield ArraySpec(path, (statistic.dtype,), axes, meaning, absent)
        if statistic.chance:
            meaning = f"chance level of `{statistic.name}`, low and high"
            yield ArraySpec(f"{path}_chance", ("float64",), ("bound", *axes), meaning, absent)


def _top() -> Iterator[ArraySpec]:
    """Top samples for each filter, for each class and filter, and near some percentiles."""
    columns = {
        "sample": ("int32", "index of the sample, -1 where there are no more"),
        "value": ("float32", "largest value of the sample's map, NaN where there are no more"),
        "y": ("int32", "row of that value, -1 where there are no more"),
        "x": ("int32", "column of that value, -1 where there are no more"),
    }
    for prefix, axes, subject in (
        ("", ("filter", "k"), "samples with the largest pooled max, ties by index"),
        (
            "class_",
            ("class", "filter", "class_k"),
            "samples of the class with the largest pooled max, ties by index",
        ),
        (
            "band_",
            ("band", "filter", "k"),
            "samples near the 50th, 75th and 90th percentile of the pooled max",
        ),
    ):
        for name, (dtype, column) in columns.items():
            path = f"layers/{{layer}}/top/{prefix}{name}"
            yield ArraySpec(path, (dtype,), axes, f"{subject}: {column}", _NO_SCORES)


SCHEMA: tuple[ArraySpec, ...] = (
    ArraySpec("model/architecture", ("uint8",), ("byte",), "the model's configuration, JSON"),
    ArraySpec("classes/name", ("bytes",), ("class",), "the name of each class"),
    ArraySpec("classes/n_samples", ("int64",), ("class",), "number of samples with each label"),
    ArraySpec("samples/id", ("bytes",), ("sample",), "a name for each sample"),
    ArraySpec(
        "samples/image",
        ("uint8", "float32"),
        ("sample", "image_y", "image_x", "image_channel"),
        "the image as a person recognizes it, before preprocessing",
    ),
    ArraySpec(
        "samples/label",
        ("int64",),
        ("sample",),
        "class index; the attribute `labels` of `/dataset` says who set it",
    ),
    ArraySpec(
        "samples/prediction",
        ("int64",),
        ("sample",),
        "class index that the model predicts",
        absent=_NO_PREDICTIONS,
    ),
    ArraySpec(
        "samples/probability",
        ("float32",),
        ("sample", "class"),
        "probability that the model gives to each class",
        absent=_NO_PREDICTIONS,
    ),
    ArraySpec(
        "layers/{layer}/activation",
        ("float32", "float16"),
        ("sample", "y", "x", "filter"),
        "what the layer outputs, channels last",
        absent="policy `pooled`",
    ),
    ArraySpec(
        "layers/{layer}/kernel",
        ("float32",),
        ("kernel_y", "kernel_x", "kernel_input", "kernel_output"),
        "the layer's weights",
        absent="the layer has no kernel with these axes",
    ),
    ArraySpec(
        "layers/{layer}/bias",
        ("float32",),
        ("filter",),
        "the layer's bias",
        absent="the layer has no bias of one number for each filter",
    ),
    *(
        ArraySpec(
            f"layers/{{layer}}/pooled/{name}",
            ("int32",) if name in ("max_y", "max_x") else ("float32",),
            ("sample", "filter"),
            meaning,
        )
        for name, meaning in POOLED.items()
    ),
    *_statistics(),
    ArraySpec(
        "layers/{layer}/class/mean_map",
        ("float32",),
        ("class", "map_y", "map_x", "filter"),
        "mean over the samples of the class, pixel by pixel",
        absent=_NO_CLASS_MAPS,
    ),
    ArraySpec(
        "layers/{layer}/class/std_map",
        ("float32",),
        ("class", "map_y", "map_x", "filter"),
        "population standard deviation over the samples of the class, pixel by pixel",
        absent=_NO_CLASS_MAPS,
    ),
    ArraySpec(
        "layers/{layer}/class/histogram",
        ("int64",),
        ("class", "filter", "bin"),
        "number of finite activations in each bin",
        absent=_NO_HISTOGRAMS,
    ),
    ArraySpec(
        "layers/{layer}/bin_bounds",
        ("float32",),
        ("bound", "bin"),
        "the smallest and the largest value that a bin counts; the same for any data",
        absent=_NO_HISTOGRAMS,
    ),
    ArraySpec(
        "layers/{layer}/receptive_field",
        ("int32",),
        ("y", "x", "side"),
        "first row, first column, last row and last column of the model's input that a unit sees; "
        "-1 where it sees only padding",
        absent="no receptive field",
    ),
    *(
        ArraySpec(
            f"layers/{{layer}}/filters/undefined_{pooling}",
            ("uint8",),
            ("filter",),
            f"why the filter has no scores on the pooled {pooling}: 0 it has scores, 1 it is dead, "
            "2 it is the same for every sample, 3 it is not finite for a sample",
            absent=_NO_SCORES,
        )
        for pooling in POOLINGS
    ),
    *_top(),
)


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


# By the group that has them.
ATTRIBUTES: dict[str, dict[str, AttributeSpec]] = {
    "/": {
        "format": AttributeSpec(f"`{FORMAT}`"),
        "format_version": AttributeSpec(f"`{FORMAT_VERSION}`: major and minor version"),
        "writer": AttributeSpec("program and version that wrote the file"),
        "libraries": AttributeSpec("versions of numpy, h5py and HDF5 that wrote it"),
        "created": AttributeSpec("UTC, ISO 8601"),
        "attributes_sha256": AttributeSpec(
            "SHA-256 over all other attributes and the references to axes, in hex"
        ),
    },
    "/model": {
        "name": AttributeSpec("the model's own name"),
        "digest": AttributeSpec("SHA-256 of architecture and weights"),
        "framework": AttributeSpec("libraries that ran the model, with versions"),
        "output": AttributeSpec(
            "how the probabilities were made from the model's output, or why there are none"
        ),
        "test_accuracy": AttributeSpec(
            "share of samples whose prediction equals their label",
            "number",
            absent=f"{_NO_PREDICTIONS}, or `labels` of `/dataset` is not `given`",
        ),
    },
    "/dataset": {
        "name": AttributeSpec("name of the test set"),
        "source": AttributeSpec("where the images came from"),
        "fingerprint": AttributeSpec("SHA-256 of images and labels in order"),
        "preprocessing": AttributeSpec("what was done to an image before the model saw it"),
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
            "index of the first sample in the whole test set; 0 unless the file is a shard",
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
    "/layers/{layer}": {
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
    },
}


def scale_path(axis: str, array_path: str) -> str:
    """The path of the dimension scale of an axis.

    Args:
        axis: name of the axis, such as `filter`.
        array_path: the path of the array that has the axis, with the name of the layer's group.
    """
    if axis in ("sample", "class"):
        return axis  # shared by the whole file
    parts = array_path.split("/")
    # An axis of a layer belongs to the layer's group, also for arrays in groups below it.
    group = parts[:2] if parts[0] == "layers" else parts[:-1]
    return "/".join((*group, axis))


@dataclass(frozen=True, slots=True)
class Codec:
    """The HDF5 filters of an array's chunks, before the checksum that all chunks have.

    Attributes:
        shuffle: whether the first bytes of all values come first, then the second ones, and so on.
        deflate: whether a chunk is a zlib stream.
    """

    shuffle: bool = False
    deflate: bool = True

    @property
    def name(self) -> str:
        """`none`, `deflate` or `shuffle+deflate`."""
        return "+".join([*["shuffle"] * self.shuffle, *["deflate"] * self.deflate]) or "none"


DEFLATE_LEVEL = 1
DEFLATE = Codec()
NONE = Codec(deflate=False)
SHUFFLE_DEFLATE = Codec(shuffle=True)
