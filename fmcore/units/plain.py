"""What layers without weights make of maps, in numpy: pooling, padding, activations, sums.

Maps are <float64>[y, x, plane]; y is 1 for rows, and both are 1 where a layer puts out one number
for each plane. Every step states what it makes before it makes it: a configuration may be hostile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.units.functions import LAYERS

Array = NDArray[np.float64]
Config = Mapping[str, Any]
# Values of maps that a step may make, of a window that it may slide over them, and of both.
MOST_VALUES, MOST_WINDOW, MOST_STEPS = 1 << 24, 1 << 14, 1 << 28


class NotPlainError(Exception):
    """What a layer does is not known here; the message says why, after the layer's name."""


def pair(value: Any, *, is_row: bool) -> tuple[int, int]:
    """A setting as (y, x); of layers of rows, whose y is 1, it is about x."""
    sizes = [int(part) for part in value] if isinstance(value, list | tuple) else [int(value)]
    if is_row:
        return 1, sizes[0]
    return (sizes[0], sizes[-1])


def pads(size: int, window: int, stride: int, padding: str) -> tuple[int, int]:
    """Cells before and after an axis, as TensorFlow pads: `valid`, `same` or `causal`.

    Args:
        size: of the axis.
        window: of the kernel, with its dilation.
        stride: its steps.
        padding: the kind.
    """
    if padding == "causal":
        return window - 1, 0
    if padding != "same":
        return 0, 0
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2


def bounded(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape, if maps of it may be made.

    Raises:
        NotPlainError: if they would be too large, or have no value.
    """
    if min(shape) < 1 or math.prod(shape) > MOST_VALUES:
        raise NotPlainError(f"would put out {'x'.join(map(str, shape))} values")
    return tuple(shape)


def _pooled(maps: Array, config: Config, reduce: Callable[..., Array], is_row: bool) -> Array:
    window = pair(config["pool_size"], is_row=is_row)
    strides = pair(config.get("strides") or config["pool_size"], is_row=is_row)
    if math.prod(window) > MOST_WINDOW or min(*window, *strides) < 1:
        raise NotPlainError(f"has a window of {window[0]}x{window[1]}")
    around = [
        pads(size, length, stride, config["padding"])
        for size, length, stride in zip(maps.shape, window, strides, strict=False)
    ]
    bounded(_sizes(maps, around))
    # What is padded counts for nothing: not for a maximum, and not for a mean.
    padded = np.pad(maps, [*around, (0, 0)], constant_values=np.nan)
    sizes = [
        (size - length) // stride + 1
        for size, length, stride in zip(padded.shape, window, strides, strict=False)
    ]
    if math.prod(bounded([*sizes, maps.shape[2]])) * math.prod(window) > MOST_STEPS:
        raise NotPlainError(f"has a window of {window[0]}x{window[1]}")
    parts = (
        padded[
            y : y + (sizes[0] - 1) * strides[0] + 1 : strides[0],
            x : x + (sizes[1] - 1) * strides[1] + 1 : strides[1],
        ]
        for y in range(window[0])
        for x in range(window[1])
    )
    return reduce(parts)


def _largest(parts: Any) -> Array:
    largest = next(parts).copy()
    for part in parts:
        np.fmax(largest, part, out=largest)
    return largest


def _mean(parts: Any) -> Array:
    total: Any = 0.0
    count: Any = 0
    for part in parts:
        total = total + np.nan_to_num(part, nan=0.0, posinf=np.inf, neginf=-np.inf)
        count = count + ~np.isnan(part)
    return np.asarray(total / count)


def _padded(maps: Array, config: Config, is_row: bool) -> Array:
    padding = config["padding"]
    if is_row:
        before, after = (padding, padding) if isinstance(padding, int) else padding
        ways = [(0, 0), (int(before), int(after))]
    else:
        ways = _ways(padding)
    if min(map(min, ways)) < 0:
        raise NotPlainError(f"pads by {padding}")
    bounded(_sizes(maps, ways))
    return np.pad(maps, [*ways, (0, 0)])


def _cropped(maps: Array, config: Config, is_row: bool) -> Array:
    cropping = config["cropping"]
    ways = [(0, 0), tuple(cropping)] if is_row else _ways(cropping)
    (top, bottom), (left, right) = ways
    cropped = maps[top : maps.shape[0] - bottom, left : maps.shape[1] - right]
    bounded(cropped.shape)
    return cropped


def _sizes(maps: Array, ways: Sequence[tuple[int, int]]) -> list[int]:
    """The shape of maps with cells around their rows and columns."""
    (top, bottom), (left, right) = ways
    return [maps.shape[0] + top + bottom, maps.shape[1] + left + right, maps.shape[2]]


def _ways(value: Any) -> list[tuple[int, int]]:
    """Cells before and after each axis, from one number, two, or two pairs."""
    both = [value, value] if isinstance(value, int) else list(value)
    return [(way, way) if isinstance(way, int) else (int(way[0]), int(way[1])) for way in both]


def _enlarged(maps: Array, config: Config, is_row: bool) -> Array:
    if config.get("interpolation", "nearest") != "nearest":
        raise NotPlainError(f"interpolates ({config['interpolation']})")
    down, across = pair(config["size"], is_row=is_row)
    bounded([maps.shape[0] * down, maps.shape[1] * across, maps.shape[2]])
    return maps.repeat(down, axis=0).repeat(across, axis=1)


def _scaled(maps: Array, config: Config, _: bool) -> Array:
    scale, offset = (np.asarray(config[name], np.float64) for name in ("scale", "offset"))
    return np.asarray(maps * scale + offset)


def _reshaped(maps: Array, config: Config, _: bool) -> Array:
    shape = [int(size) for size in config["target_shape"]]
    if len(shape) > 3 or shape.count(-1) > 1:
        raise NotPlainError(f"puts out the shape {tuple(shape)}")
    return maps.reshape([1] * (3 - len(shape)) + shape)


def _flat(maps: Array, *_: Any) -> Array:
    return maps.reshape(1, 1, -1)


def _same(maps: Array, *_: Any) -> Array:
    return maps


# Of one tensor, by the class of the layer: the maps after it, from (maps, config, is_row).
STEPS: Mapping[str, Callable[[Array, Config, bool], Array]] = {
    **{f"MaxPooling{d}D": lambda m, c, r: _pooled(m, c, _largest, r) for d in (1, 2)},
    **{f"AveragePooling{d}D": lambda m, c, r: _pooled(m, c, _mean, r) for d in (1, 2)},
    **{f"GlobalMaxPooling{d}D": lambda m, *_: m.max((0, 1), keepdims=True) for d in (1, 2)},
    **{f"GlobalAveragePooling{d}D": lambda m, *_: m.mean((0, 1), keepdims=True) for d in (1, 2)},
    **{f"ZeroPadding{d}D": _padded for d in (1, 2)},
    **{f"Cropping{d}D": _cropped for d in (1, 2)},
    **{f"UpSampling{d}D": _enlarged for d in (1, 2)},
    "Rescaling": _scaled,
    "Reshape": _reshaped,
    "Flatten": _flat,
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout"),
            *("GaussianNoise", "ActivityRegularization", "Identity", "RandomFlip"),
            *("RandomRotation", "RandomTranslation", "RandomZoom", "RandomBrightness"),
            "RandomContrast",
        ),
        _same,
    ),
}
# Which steps change nothing when a model predicts.
NEUTRAL = frozenset(name for name, step in STEPS.items() if step is _same)
# Of several tensors.
JOINS: Mapping[str, Callable[[Sequence[Array]], Array]] = {
    "Add": lambda parts: sum(parts[1:], parts[0]),
    "Subtract": lambda parts: parts[0] - parts[1],
    "Multiply": lambda parts: math.prod(parts[1:], start=parts[0]),
    "Average": lambda parts: sum(parts[1:], parts[0]) / len(parts),
    "Maximum": lambda parts: np.maximum.reduce(list(parts)),
    "Minimum": lambda parts: np.minimum.reduce(list(parts)),
    "Concatenate": lambda parts: np.concatenate(list(parts), axis=2),
}


def step_of(class_name: str, config: Config, parts: Sequence[Array]) -> Array:
    """What a layer without weights makes of maps, <float64>[y, x, plane].

    Args:
        class_name: the layer's Keras class.
        config: its configuration.
        parts: what it reads, <float64>[y, x, plane] each.

    Raises:
        NotPlainError: if it has weights, or what it does is not known.
    """
    try:
        if config.get("data_format") == "channels_first":
            raise NotPlainError("has its planes before its rows")
        if class_name in JOINS:
            return _joined(class_name, config, parts)
        (maps,) = parts
        if class_name in LAYERS:
            return LAYERS[class_name](config)(maps)
        if class_name in STEPS:
            return STEPS[class_name](maps, config, class_name.endswith("1D"))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise NotPlainError("has settings that are not known here") from error
    raise NotPlainError("has weights that are not in the store, or does what is not known here")


def _joined(class_name: str, config: Config, parts: Sequence[Array]) -> Array:
    if class_name == "Concatenate":
        if config.get("axis", -1) not in (-1, 3):
            raise NotPlainError(f"joins maps along axis {config['axis']}")
        planes = sum(part.shape[2] for part in parts)
        bounded([*parts[0].shape[:2], planes])
    else:
        bounded(np.broadcast_shapes(*(part.shape for part in parts)))
    return np.asarray(JOINS[class_name](parts))
