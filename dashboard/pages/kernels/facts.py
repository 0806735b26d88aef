"""What the browser has to know of a layer's kernels; their weights come from the HTTP API."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from dashboard.stores.kernels import MOST_BYTES, Part
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text
from fmcore.statistics import STATISTICS, Weights

NONE = "This store keeps no kernel of {layer}: {why}."
TOO_LARGE = (
    "The kernel of {layer} has {n_bytes} MB, more than the {most} MB that are drawn; "
    "`fmcore.open_store(…).layers[…].kernel` reads it."
)


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Facts of a layer's kernels, or of one part of them; assets/kernels/kernel_wall.js takes them.

    Attributes:
        digest: what tells the store from every other.
        layer: the layer's path.
        url: the address of its weights in the HTTP API, to which planes or filters are added.
        shape: sizes of the weights, [y, x, plane, filter].
        is_color: whether the planes are the three colors of the images.
        is_depthwise: whether it is the depthwise part of a separable layer: a tile for each plane
            that it makes, which is no filter's own.
        has_parts: whether the layer has two parts.
        names: the names of the input planes in their order, such as R, G and B; empty for numbers.
        source: the path of the captured layer whose filters the planes are; empty for none.
        per_group, filters_per_group, multiplier: see `Planes`.
        reach: the largest absolute weight, at least above zero.
        norms: `l1` and `l2` of each filter; None for one that is not finite.
        message: why there is nothing to show; empty where there is.
    """

    digest: str
    layer: str
    url: str = ""
    shape: tuple[int, int, int, int] = (1, 1, 1, 1)
    is_color: bool = False
    is_depthwise: bool = False
    has_parts: bool = False
    names: tuple[str, ...] = ()
    source: str = ""
    per_group: int = 1
    filters_per_group: int = 1
    multiplier: int = 1
    reach: float = 1.0
    norms: dict[str, list[float | None]] = field(default_factory=lambda: {"l1": [], "l2": []})
    message: str = ""

    def as_json(self) -> dict[str, Any]:
        """The facts by name, as JSON takes them."""
        return asdict(self)


def kernel_facts(snapshot: Snapshot, path: str, part: str) -> KernelFacts:
    """The facts of a layer's kernels; kept, since all weights are looked at.

    Args:
        snapshot: the store.
        path: of the layer.
        part: `depthwise`, or another text for the kernel itself.

    Raises:
        LayerNotFoundError: if there is no such layer.
        StoreError: if the kernel is damaged.
    """
    return snapshot.derived(("kernel facts", path, part), lambda: _read(snapshot, path, part))


def _read(snapshot: Snapshot, path: str, part: str) -> KernelFacts:
    layer, digest = snapshot.layer(path), snapshot.digest
    if layer.kernel_bytes > MOST_BYTES:
        sizes = {"n_bytes": layer.kernel_bytes >> 20, "most": MOST_BYTES >> 20}
        return KernelFacts(digest, path, message=TOO_LARGE.format(layer=path, **sizes))
    kernel, planes = snapshot.kernel(path), snapshot.kernel_planes(path)
    if kernel is None or planes is None:
        return KernelFacts(digest, path, message=NONE.format(layer=path, why=layer.why_no_kernel))
    query = {"layer": path}
    depthwise = snapshot.kernel_part(path, Part.DEPTHWISE)
    if depthwise is not None and part == Part.DEPTHWISE:
        kernel = depthwise
        query["part"] = Part.DEPTHWISE.value
    is_depthwise = kernel is depthwise
    names = () if is_depthwise else snapshot.planes(path)
    return KernelFacts(
        digest,
        path,
        url=f"{snapshot.api}/kernel?{urlencode(query)}",
        shape=kernel.shape,
        is_color=bool(names),
        is_depthwise=is_depthwise,
        has_parts=depthwise is not None,
        names=names,
        source=source_layer(snapshot, path),
        per_group=1 if is_depthwise else planes.per_group,
        filters_per_group=planes.multiplier if is_depthwise else planes.filters_per_group,
        multiplier=1 if is_depthwise else planes.multiplier,
        reach=_reach(kernel),
        norms=_norms(kernel),
    )


def source_layer(snapshot: Snapshot, path: str) -> str:
    """The captured layer whose filters a layer reads as its planes; empty where it is none."""
    source = snapshot.plane_source(path)
    return source.path if source is not None and source.path in snapshot.catalog.n_filters else ""


def plane_filter(snapshot: Snapshot, path: str, filter_index: int, plane: int) -> int | None:
    """The filter of `source_layer` that a plane of a filter's kernel reads; None where unknown."""
    planes, source = snapshot.kernel_planes(path), source_layer(snapshot, path)
    if planes is None or not source:
        return None
    index = planes.read(filter_index, plane)
    return index if index < snapshot.catalog.n_filters[source] else None


def _reach(kernel: NDArray[np.float32]) -> float:
    finite = np.abs(kernel[np.isfinite(kernel)])
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def _norms(kernel: NDArray[np.float32]) -> dict[str, list[float | None]]:
    """The norms of the statistics, of weights that were read already."""
    weights = Weights(kernel.shape[3], lambda: [kernel])
    return {name: _numbers(STATISTICS[f"{name}_norm"].compute(weights)) for name in ("l1", "l2")}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def norm_text(value: float | None) -> str:
    """A norm in words."""
    return "not finite" if value is None else number_text(value, digits=4)
