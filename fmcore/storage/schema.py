"""What lies in a store, as a table; writer, validator and FORMAT.md are checked against it."""

from __future__ import annotations

from dataclasses import dataclass

from fmcore.statistics import POOLED, STATISTICS

FORMAT = "fmcore-store"
FORMAT_VERSION = "1.0"


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
    ArraySpec("samples/label", ("int64",), ("sample",), "true class index"),
    ArraySpec("samples/prediction", ("int64",), ("sample",), "the model's class index"),
    ArraySpec("samples/probability", ("float32",), ("sample", "class"), "the model's belief"),
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
    *(
        ArraySpec(
            f"layers/{{layer}}/class/{statistic.name}",
            (statistic.dtype,),
            ("class", "filter"),
            statistic.definition,
        )
        for statistic in STATISTICS.values()
    ),
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
)


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """One attribute of a group.

    Attributes:
        meaning: what it holds.
        kind: `text`, `integer`, `number`, or `pair` for two integers (y, x).
    """

    meaning: str
    kind: str = "text"


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
        "output": AttributeSpec("how the probabilities were made from the model's output"),
        "test_accuracy": AttributeSpec(
            "share of samples whose prediction equals their label", "number"
        ),
    },
    "/dataset": {
        "name": AttributeSpec("name of the test set"),
        "source": AttributeSpec("where its images came from"),
        "fingerprint": AttributeSpec("SHA-256 of images and labels in order"),
        "preprocessing": AttributeSpec("what was done to an image before the model saw it"),
    },
    "/capture": {
        "batch_size": AttributeSpec("samples that went through the model together", "integer"),
        "first_sample": AttributeSpec(
            "index of the first sample in the whole test set; 0 unless the file is a shard",
            "integer",
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
