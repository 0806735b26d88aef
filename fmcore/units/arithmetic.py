"""How one value of a map comes about: patch, kernel, product, bias, sum, activation.

Of convolutions (Conv1D, Conv2D: strides, padding, dilation, groups) and of dense layers, where the
store holds what they read: the image, or maps of other layers, with steps between that have no
weights. It is computed in float64; a model computes in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.architecture import Node, nodes_of
from fmcore.errors import SelectionError, UnexplainedError
from fmcore.records import Policy
from fmcore.storage import Layer, Store
from fmcore.units.functions import FUNCTIONS, LAYERS
from fmcore.units.plain import MOST_VALUES, NEUTRAL, NotPlainError, pads, pair, step_of
from fmcore.units.sources import NoSourceError, Origin, Sources, chain_of

KINDS = ("Conv2D", "Conv1D", "Dense")
# How far float64 here and float32 in the model may be apart: of the value, and in the sum of the
# sizes of all that is added, since large terms may cancel; and where float16 is stored.
RELATIVE, OF_TERMS, OF_FLOAT16 = 1e-5, 1e-6, 2.0**-11
# What a function of float32 adds, of its argument; and what it cannot tell from zero.
OF_FUNCTION, SMALLEST = 2.0**-23, 2.0**-126

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic:
    """How one value of a map comes about.

    Attributes:
        layer: the layer's path.
        kind: its Keras class.
        sample: the sample's index.
        filter_index: the filter.
        y: the row of the map.
        x: its column.
        steps: what the layer reads and how that is made: names with words, in order; the image has
            an empty name.
        origins: what each plane of the patch is; empty where a plane is no one filter.
        patch: what the kernel lies over, <float64>[kernel_y, kernel_x, plane]; 0 in the padding.
        inside: which of it lies in the maps that are read, not in the padding, <bool>[kernel_y,
            kernel_x].
        top: the row of these maps that the first row of the patch lies on; below 0 in the padding.
        left: the column of the first column.
        spacing: rows and columns from one cell of the kernel to the next.
        weights: the filter's kernel, <float64>[kernel_y, kernel_x, plane].
        bias: its bias; 0 if it has none.
        has_bias: whether it has one.
        function: what is applied to the sum, in words, such as `relu`.
        value: what comes out.
        stored: the value that the store holds.
        tolerance: how far these may be apart by rounding.
        note: what to know of the comparison; empty for nothing.
    """

    layer: str
    kind: str
    sample: int
    filter_index: int
    y: int
    x: int
    steps: tuple[tuple[str, str], ...]
    origins: tuple[Origin, ...]
    patch: Array
    inside: NDArray[np.bool_]
    top: int
    left: int
    spacing: tuple[int, int]
    weights: Array
    bias: float
    has_bias: bool
    function: str
    value: float
    stored: float
    tolerance: float
    note: str = ""

    @property
    def products(self) -> Array:
        """Patch times kernel, <float64>[kernel_y, kernel_x, plane]."""
        return self.patch * self.weights

    @property
    def contributions(self) -> Array:
        """The sum of each plane's products, <float64>[plane]."""
        return np.asarray(self.products.sum(axis=(0, 1)))

    @property
    def sum(self) -> float:
        """The sum of all products, and the bias."""
        return float(self.products.sum() + self.bias)

    @property
    def is_equal(self) -> bool:
        """Whether what comes out is the stored value, but for rounding."""
        both = np.array([self.value, self.stored])
        if not np.isfinite(both).all():
            return bool(np.array_equal(both[:1], both[1:], equal_nan=True))
        return abs(self.value - self.stored) <= self.tolerance


def arithmetic_of(
    store: Store, path: str, sample: int, filter_index: int, y: int, x: int
) -> Arithmetic:
    """How one stored value comes about.

    Args:
        store: an open one.
        path: the layer's path.
        sample: the sample's index.
        filter_index: the filter.
        y: the row of the map.
        x: its column.

    Raises:
        LayerNotFoundError, SampleNotFoundError: if there is no such layer or sample.
        SelectionError: if the layer has no such filter, row or column.
        MapsNotStoredError: if the store keeps no maps of the layer.
        UnexplainedError: if the value cannot be explained, with the reason.
        StoreError: if what is read is damaged.
    """
    layer = store.layers[path]
    store.check_sample(sample)
    places = {"y": y, "x": x, "filter": filter_index}
    for (name, at), size in zip(places.items(), layer.shape, strict=True):
        if not 0 <= at < size:
            raise SelectionError(
                f"no {name} {at} in layer {path}; it has 0 to {size - 1}", field=name
            )
    stored = float(_stored_value(layer, sample, filter_index, y, x))
    nodes = nodes_of(store.architecture())
    node, after = _nodes_of_layer(nodes, layer)
    try:
        maps = Sources(store, nodes, sample).of(node.inputs[0])
    except NoSourceError as error:
        names = ", which reads ".join(error.names)
        raise UnexplainedError(f"{path} reads {names}, which {error.why}") from error
    geometry = _Geometry.of(node, layer, maps.values.shape)
    planes = geometry.planes(filter_index)
    patch, inside, top, left = geometry.patch(maps.values, y, x)
    weights = layer.weights_of(filter_index).astype(np.float64)
    bias = _bias(node, layer)
    products = patch[..., planes] * weights
    function, words = _function(node, after)
    total = float(products.sum() + bias[filter_index])
    terms = float(np.abs(products).sum()) + abs(float(bias[filter_index]))
    rounding = terms * (OF_TERMS + OF_FLOAT16 * maps.is_rounded)
    if words == "softmax":
        value = _softmax(layer, patch, bias, filter_index)
    else:
        # What rounding can make of the sum is what it can make of the value.
        with np.errstate(over="ignore", invalid="ignore"):
            value, low, high = (
                float(function(np.full((1, 1, 1), at))[0, 0, 0])
                for at in (total, total - rounding, total + rounding)
            )
            rounding = max(abs(low - value), abs(high - value))
            # Beyond float32 a model's value is infinite.
            value = float(np.float32(value))
    is_half = layer.policy == Policy.FLOAT16
    # A function of float32 has an error of its own where it nearly cancels, as GELU's tail does.
    rounding += OF_FUNCTION * abs(total) + SMALLEST
    tolerance = rounding + abs(stored) * (RELATIVE + OF_FLOAT16 * is_half)
    note = ""
    if maps.is_rounded or is_half:
        note = "Maps are stored as float16, so the two agree to about three digits only."
    return Arithmetic(
        layer=path,
        kind=node.class_name,
        sample=sample,
        filter_index=filter_index,
        y=y,
        x=x,
        steps=maps.names,
        origins=maps.origins[planes],
        patch=patch[..., planes],
        inside=inside,
        top=top,
        left=left,
        spacing=geometry.dilation,
        weights=weights,
        bias=float(bias[filter_index]),
        has_bias=bool(node.config.get("use_bias")),
        function=words,
        value=value,
        stored=stored,
        tolerance=tolerance,
        note=note,
    )


def _stored_value(layer: Layer, sample: int, filter_index: int, y: int, x: int) -> Any:
    picks = tuple(range(at, at + 1) for at in (sample, y, x, filter_index))
    return layer.activation.outer(picks)[0, 0, 0, 0]


def _nodes_of_layer(nodes: Mapping[str, Node], layer: Layer) -> tuple[Node, list[Node]]:
    """The layer in the model, and what its stored values passed after it."""
    path, kind = layer.path, str(layer.attributes["kind"])
    node = nodes.get(path)
    if node is None:
        raise UnexplainedError(
            f"the model's configuration does not say what {path} reads: it is called several "
            "times, or stands in a model that is neither Functional nor Sequential"
        )
    if node.class_name not in KINDS:
        raise UnexplainedError(f"{path} is a {node.class_name}: {_why_not(node.class_name)}")
    if node.n_calls != 1 or len(node.inputs) != 1:
        raise UnexplainedError(
            f"{path} is called {node.n_calls} times, with {len(node.inputs)} inputs"
        )
    if node.config.get("data_format") == "channels_first":
        raise UnexplainedError(f"{path} has its planes before its rows; planes last are explained")
    chain = chain_of(nodes, path, kind)
    if chain is None:
        raise UnexplainedError(f"its values are stored after {kind}, which is not in the model")
    if layer.kernel_shape is None:
        raise UnexplainedError(f"the store keeps no kernel of {path}")
    return node, [nodes[name] for name in chain[1:]]


def _why_not(kind: str) -> str:
    if "Transpose" in kind or "Depthwise" in kind or "Separable" in kind:
        return "its sum runs over other axes than a Conv2D's, which alone are explained"
    return f"the arithmetic of {', '.join(KINDS)} is explained"


@dataclass(frozen=True, slots=True)
class _Geometry:
    """Where a kernel lies on what it reads.

    Attributes:
        kernel: its rows and columns.
        strides: its steps.
        dilation: the spacing of its cells.
        before: rows and columns of padding above and to the left.
        n_planes: planes that one filter reads.
        per_group: filters of a group.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    n_planes: int
    per_group: int

    @classmethod
    def of(cls, node: Node, layer: Layer, read: tuple[int, ...]) -> _Geometry:
        """The geometry of a layer that reads maps of a shape.

        Raises:
            UnexplainedError: if kernel, settings and maps do not fit each other.
        """
        shape = layer.kernel_shape
        assert shape is not None  # noqa: S101 (refused before)
        height, width, n_planes, n_filters = shape
        config, is_row = node.config, node.class_name == "Conv1D"
        try:
            strides = pair(config.get("strides", 1), is_row=is_row)
            dilation = pair(config.get("dilation_rate", 1), is_row=is_row)
            groups, padding = int(config.get("groups", 1)), str(config.get("padding", "valid"))
            is_sound = min(*strides, *dilation, groups) >= 1 and n_filters % groups == 0
        except (TypeError, ValueError, IndexError):
            is_sound = False
        if not is_sound:
            raise UnexplainedError(f"{node.path} has settings that are not known here")
        windows = [
            (size - 1) * apart + 1 for size, apart in zip((height, width), dilation, strict=True)
        ]
        around = [
            pads(size, window, stride, padding if stride and not (is_row and at == 0) else "valid")
            for at, (size, window, stride) in enumerate(zip(read, windows, strides, strict=False))
        ]
        sizes = tuple(
            (size + sum(more) - window) // stride + 1
            for size, more, window, stride in zip(read, around, windows, strides, strict=False)
        )
        if (*sizes, n_filters) != layer.shape or n_planes * groups != read[2]:
            raise UnexplainedError(
                f"{node.path} would make {sizes[0]}×{sizes[1]}×{n_filters} of "
                f"{'×'.join(map(str, read))}, but its maps are "
                f"{'×'.join(map(str, layer.shape))}: kernel, settings and maps do not fit"
            )
        before = (around[0][0], around[1][0])
        return cls((height, width), strides, dilation, before, n_planes, n_filters // groups)

    def planes(self, filter_index: int) -> slice:
        """The planes that a filter reads: those of its group."""
        first = filter_index // self.per_group * self.n_planes
        return slice(first, first + self.n_planes)

    def patch(self, maps: Array, y: int, x: int) -> tuple[Array, NDArray[np.bool_], int, int]:
        """What the kernel lies over at (y, x), what of it is inside, first row and first column."""
        top, left = (at * stride - more for at, stride, more in
                     zip((y, x), self.strides, self.before, strict=True))  # fmt: skip
        rows = top + self.dilation[0] * np.arange(self.kernel[0])
        columns = left + self.dilation[1] * np.arange(self.kernel[1])
        down = (rows >= 0) & (rows < maps.shape[0])
        across = (columns >= 0) & (columns < maps.shape[1])
        inside = down[:, np.newaxis] & across
        patch = np.zeros((*self.kernel, maps.shape[2]))
        patch[inside] = maps[np.ix_(rows[down], columns[across])].reshape(-1, maps.shape[2])
        return patch, inside, top, left


def _bias(node: Node, layer: Layer) -> Array:
    bias = layer.bias
    if bias is not None:
        return bias.astype(np.float64)
    if node.config.get("use_bias"):
        raise UnexplainedError(f"the store keeps no bias of {node.path}")
    return np.zeros(layer.n_filters)


def _function(node: Node, after: list[Node]) -> tuple[Callable[[Array], Array], str]:
    """What is applied to the sum, and its name."""
    activation = node.config.get("activation") or "linear"
    config: Mapping[str, Any] = {}
    if isinstance(activation, Mapping):
        config = activation.get("config") or {}
        activation = str(activation.get("class_name"))
    try:
        own = FUNCTIONS[activation] if activation in FUNCTIONS else LAYERS[activation](config)
    except (KeyError, TypeError, ValueError) as error:
        raise UnexplainedError(
            f"{node.path} applies {activation}, a function that is not known here"
        ) from error
    names = [] if activation == "linear" else [activation]
    for step in after:
        if step.class_name == "Softmax" or step.class_name not in (*LAYERS, *NEUTRAL):
            raise UnexplainedError(
                f"the values of {node.path} are stored after {step.words}, which has weights that "
                "are not in the store, or does what is not known here"
            )
        names.append(str(step.config.get("activation", step.class_name)))

    def function(values: Array) -> Array:
        values = own(values)
        for step in after:
            values = step_of(step.class_name, step.config, [values])
        return values

    try:
        function(np.zeros((1, 1, 1)))
    except NotPlainError as error:
        raise UnexplainedError(f"{after[-1].words} {error}") from error
    return function, ", then ".join(names) or "linear"


def _softmax(layer: Layer, patch: Array, bias: Array, filter_index: int) -> float:
    """The softmax over the sums of all filters, which of one filter alone would be 1."""
    kernel = layer.kernel
    if kernel is None or kernel.size > MOST_VALUES or kernel.shape[2] != patch.shape[2]:
        raise UnexplainedError(f"{layer.path} applies softmax to more filters than are read here")
    sums = np.tensordot(patch, kernel.astype(np.float64), axes=3) + bias
    return float(FUNCTIONS["softmax"](sums)[filter_index])
