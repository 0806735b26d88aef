"""An input image as pixels that a person would recognise, and as a PNG file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def as_pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """The image in colors where it has three channels, else its first channel in gray.

    uint8 stays as it is; floats from 0 to 1 are multiplied by 255; others are stretched from their
    smallest to their largest value, since nobody knows what they mean.

    Args:
        image: <uint8 or float32>[image_y, image_x, image_channel].

    Returns:
        <uint8>[image_y, image_x, 3] in colors, or <uint8>[image_y, image_x] in gray.
    """
    channels = image if image.shape[2] == 3 else image[:, :, 0]
    if channels.dtype == np.uint8:
        return channels
    values = np.nan_to_num(channels.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        values = (values - low) / ((high - low) or 1.0)
    pixels: NDArray[np.uint8] = np.round(values * 255).astype(np.uint8)
    return pixels


def png_of(image: NDArray[Any], *, longest: int | None = None) -> bytes:
    """The image as a PNG file, made smaller where its longer side has over `longest` pixels.

    Args:
        image: as for `as_pixels`.
        longest: None for its own size.
    """
    picture, file = Image.fromarray(as_pixels(image)), io.BytesIO()
    if longest is not None:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
