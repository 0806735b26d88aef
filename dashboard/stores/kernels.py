"""The kernels of a layer as they are seen: laid out as maps, and with what their planes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.architecture import PlaneSource

# Kernels with more bytes are not read for a picture: one that large takes seconds.
MOST_BYTES = 256 << 20


class Part(StrEnum):
    """A part of a layer's weights: `depthwise` is that of a separable layer."""

    KERNEL = "kernel"
    DEPTHWISE = "depthwise"


@dataclass(frozen=True, slots=True)
class Planes:
    """What the input planes of a layer's kernels are.

    Attributes:
        source: where they come from; None where the model does not say.
        per_group: planes that one filter reads.
        filters_per_group: filters that read the same planes.
        multiplier: how many planes a depthwise part makes of each that comes in, before these
            are read; 1 without one.
    """

    source: PlaneSource | None
    per_group: int
    filters_per_group: int
    multiplier: int = 1

    def read(self, filter_index: int, plane: int) -> int:
        """The index, among all planes that come in, of a plane of a filter's kernel."""
        group = filter_index // self.filters_per_group
        return (group * self.per_group + plane) // self.multiplier


def planes_of(
    source: PlaneSource | None, settings: Mapping[str, Any], kernel: NDArray[np.float32]
) -> Planes:
    """What the planes of a kernel are, by the model's configuration.

    Args:
        source: where they come from.
        settings: of the layer, by name; of a store from elsewhere.
        kernel: <float32>[y, x, plane, filter].
    """
    n_planes, n_filters = kernel.shape[2:]
    groups = _whole(settings, "groups", n_filters)
    multiplier = _whole(settings, "depth_multiplier", n_planes * n_filters)
    if n_planes == 1 and "depth_multiplier" in settings and "pointwise_initializer" not in settings:
        return Planes(source, 1, multiplier)  # depthwise: each plane makes some filters
    return Planes(source, n_planes, n_filters // groups, multiplier)


def _whole(settings: Mapping[str, Any], name: str, most: int) -> int:
    """A setting that divides a number; 1 where it does not."""
    value = settings.get(name, 1)
    is_one = isinstance(value, int) and 0 < value <= most and most % value == 0
    return value if is_one else 1


def as_maps(kernel: NDArray[np.float32], source: PlaneSource | None) -> NDArray[np.float32]:
    """Weights that read a row which was made of maps, laid out as these maps; others as they are.

    Args:
        kernel: <float32>[y, x, plane, filter].
        source: where its planes come from.
    """
    maps = None if source is None else source.maps
    if maps is None or kernel.shape[:2] != (1, 1) or int(np.prod(maps)) != kernel.shape[2]:
        return kernel
    return kernel.reshape(*maps, kernel.shape[3])


def as_tiles(depthwise: NDArray[np.float32]) -> NDArray[np.float32]:
    """The depthwise part of a separable layer with a tile for each plane that it makes.

    Args:
        depthwise: <float32>[y, x, input, multiplier].

    Returns:
        <float32>[y, x, plane, tile], with one plane.
    """
    return depthwise.reshape(*depthwise.shape[:2], 1, -1)


def norms(kernel: NDArray[np.float32], order: int) -> NDArray[np.float32]:
    """The L1 or L2 norm over the planes of each weight's place, <float32>[y, x, filter].

    Args:
        kernel: <float32>[y, x, plane, filter].
        order: 1 or 2.
    """
    if order == 1:
        return np.abs(kernel).sum(axis=2, dtype=np.float64).astype(np.float32)
    squares = np.einsum("yxpf,yxpf->yxf", kernel, kernel, dtype=np.float64)
    return np.sqrt(squares).astype(np.float32)
