"""What lies in a store, as a table; writer, validator and FORMAT.md are checked against it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmcore.statistics import POOLED, POOLINGS, STATISTICS

FORMAT = "fmcore-store"
FORMAT_VERSION = "1.1"


# Statistics that every store has; those that came with format 1.1 may be missing.
_ALWAYS = ("mean", "std", "min", "max", "zero_fraction", "n_values", "n_nonfinite")


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the store.

    Attributes:
        path: where it lies; `{layer}` stands for the group of each captured layer.
        dtypes: numpy names of the types it may have; `bytes` is a fixed-length UTF-8 string.
        axes: the names of its axes, each a dimension scale of that name (see `scale_path`).
        meaning: one sentence.
        optional: whether a store may lack it.
    """

    path: str
    dtypes: tuple[str, ...]
    axes: tuple[str, ...]
    meaning: str
    optional: bool = False


def path_in_store(path: str) -> str:
    """The path of an array that is said to lie in a layer's group, or under `similarity/`."""
    return path if path.startswith("similarity/") else f"layers/{{layer}}/{path}"


def _statistics() -> Iterator[ArraySpec]:
    """Every statistic that is stored, and the chance level of those that have one."""
    for one in STATISTICS.values():
        if not one.is_stored:
            continue
        path = path_in_store(one.path)
        yield ArraySpec(path, (one.dtype,), one.axes, one.definition, one.name not in _ALWAYS)
        if one.chance:
            meaning = f"chance level of `{one.name}`, low and high: {one.chance}"
            yield ArraySpec(f"{path}_chance", ("float64",), ("bound", *one.axes), meaning, True)


def _top() -> Iterator[ArraySpec]:
    """Top samples: of each filter, of each class and filter, and about some percentiles."""
    columns = {
        "sample": ("int32", "index of the sample, -1 where there are no more"),
        "value": ("float32", "largest value of its map"),
        "y": ("int32", "row of that value"),
        "x": ("int32", "column of that value"),
    }
    for prefix, axes, which in (
        ("", ("filter", "k"), "the samples with the largest pooled max, ties by index"),
        ("class_", ("class", "filter", "class_k"), "the same among the samples of a class"),
        (
            "band_",
            ("band", "filter", "k"),
            "samples about the 50th, 75th and 90th percentile of it",
        ),
    ):
        for name, (dtype, what) in columns.items():
            path = f"layers/{{layer}}/top/{prefix}{name}"
            yield ArraySpec(path, (dtype,), axes, f"{which}: {what}", True)


SCHEMA: tuple[ArraySpec, ...] = (
    ArraySpec("model/architecture", ("uint8",), ("byte",), "the model's configuration, JSON"),
    ArraySpec("classes/name", ("bytes",), ("class",), "the name of each class"),
    ArraySpec("classes/n_samples", ("int64",), ("class",), "samples that bear each label"),
    ArraySpec("samples/id", ("bytes",), ("sample",), "a name that stays with the sample"),
    ArraySpec(
        "samples/image",
        ("uint8", "float32"),
        ("sample", "image_y", "image_x", "image_channel"),
        "the image as a person recognises it, before preprocessing",
    ),
    ArraySpec("samples/label", ("int64",), ("sample",), "class index, see `labels` of `/dataset`"),
    ArraySpec(
        "samples/prediction",
        ("int64",),
        ("sample",),
        "the model's class index; absent where it puts out no distribution over classes",
        optional=True,
    ),
    ArraySpec(
        "samples/probability",
        ("float32",),
        ("sample", "class"),
        "the model's belief; there where `prediction` is",
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/activation",
        ("float32", "float16"),
        ("sample", "y", "x", "filter"),
        "what the layer outputs, channels last; absent under the policy `pooled`",
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/kernel",
        ("float32",),
        ("kernel_y", "kernel_x", "kernel_input", "kernel_output"),
        "the layer's weights",
        optional=True,
    ),
    ArraySpec("layers/{layer}/bias", ("float32",), ("filter",), "the layer's bias", optional=True),
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
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/class/std_map",
        ("float32",),
        ("class", "map_y", "map_x", "filter"),
        "population standard deviation over the samples of the class, pixel by pixel",
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/class/histogram",
        ("int64",),
        ("class", "filter", "bin"),
        "finite activations in each bin",
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/bin_bounds",
        ("float32",),
        ("bound", "bin"),
        "the smallest and the largest value that a bin counts; the same for any data",
        optional=True,
    ),
    ArraySpec(
        "layers/{layer}/receptive_field",
        ("int32",),
        ("y", "x", "side"),
        "first row, first column, last row and last column of the model's input that a unit sees; "
        "-1 where it sees only padding",
        optional=True,
    ),
    *(
        ArraySpec(
            f"layers/{{layer}}/filters/undefined_{pooling}",
            ("uint8",),
            ("filter",),
            f"why the filter has no scores on the pooled {pooling}: 0 it has, 1 it is dead, 2 it "
            "is the same for every sample, 3 it is not finite for a sample",
            optional=True,
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
        optional: whether a store may lack it.
    """

    meaning: str
    kind: str = "text"
    optional: bool = False


# By the group that bears them.
ATTRIBUTES: dict[str, dict[str, AttributeSpec]] = {
    "/": {
        "format": AttributeSpec(f"`{FORMAT}`"),
        "format_version": AttributeSpec(
            "`major.minor`; a reader refuses another major, and ignores what it does not know of "
            "a newer minor"
        ),
        "writer": AttributeSpec("program and version that wrote the file"),
        "libraries": AttributeSpec("versions of numpy, h5py and HDF5 that wrote it"),
        "created": AttributeSpec("UTC, ISO 8601"),
        "attributes_sha256": AttributeSpec("digest over all other attributes and axis references"),
    },
    "/model": {
        "name": AttributeSpec("the model's own name"),
        "digest": AttributeSpec("SHA-256 of architecture and weights"),
        "framework": AttributeSpec("who ran the model, with versions"),
        "output": AttributeSpec(
            "how the probabilities were made from the model's output, or why there are none"
        ),
        "test_accuracy": AttributeSpec(
            "share of samples whose prediction equals their label; there where both are known",
            "number",
            optional=True,
        ),
    },
    "/dataset": {
        "name": AttributeSpec("name of the test set"),
        "source": AttributeSpec("where its images came from"),
        "fingerprint": AttributeSpec("SHA-256 of images and labels in order"),
        "preprocessing": AttributeSpec("what was done to an image before the model saw it"),
        "labels": AttributeSpec(
            "`given`; `predicted`: the images have none, and labels are what the model predicts; "
            "`none`: nor does it predict any, and all labels are 0; absent is `given`",
            optional=True,
        ),
    },
    "/capture": {
        "batch_size": AttributeSpec("samples that went through the model together", "integer"),
        "first_sample": AttributeSpec(
            "index of the first sample in the whole test set; 0 unless the file is a shard",
            "integer",
        ),
        "statistics": AttributeSpec(
            "`all`, or `basic`: no histograms, scores, top samples and similarities; absent before "
            "format 1.1, which is as `basic`",
            optional=True,
        ),
        "permutations": AttributeSpec(
            "how many permutations of the labels chance levels are from", "integer", optional=True
        ),
        "permutation_seed": AttributeSpec(
            "seed of numpy's default_rng that dealt them", "integer", optional=True
        ),
    },
    "/layers/{layer}": {
        "layer_path": AttributeSpec("the layer's Keras path: the truth about its name"),
        "layer_index": AttributeSpec("its place among the captured layers, from 0", "integer"),
        "kind": AttributeSpec("Keras class, such as `Conv2D`"),
        "activation_function": AttributeSpec("such as `relu`"),
        "kernel_size": AttributeSpec("int32 (y, x)", "pair"),
        "strides": AttributeSpec("int32 (y, x)", "pair"),
        "padding": AttributeSpec("`valid` or `same`"),
        "dilation": AttributeSpec("int32 (y, x)", "pair"),
        "class_maps": AttributeSpec("`full`, or how they were shrunk, or why there are none"),
        "histogram": AttributeSpec(
            "how wide the bins of histograms are, or why there are none", optional=True
        ),
        "receptive_field": AttributeSpec("`exact`, or why it is unknown", optional=True),
        "policy": AttributeSpec(
            "how activations are kept: `float32` exactly, `float16`, or `pooled`: not at all"
        ),
    },
}


def scale_path(axis: str, array_path: str) -> str:
    """Where the dimension scale of an axis lies: beside the arrays that share it.

    Args:
        axis: such as `filter`.
        array_path: the array's path with the layer's group filled in.
    """
    if axis in ("sample", "class"):
        return axis  # shared by the whole file
    parts = array_path.split("/")
    # An axis of a layer belongs to the layer's group, also for arrays in groups below it.
    home = parts[:2] if parts[0] == "layers" else parts[:-1]
    return "/".join((*home, axis))


@dataclass(frozen=True, slots=True)
class Codec:
    """Which filters the chunks of an array pass, before the checksum that all of them bear.

    Attributes:
        shuffle: the bytes of all values are sorted by their place in the value.
        deflate: a zlib stream.
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
