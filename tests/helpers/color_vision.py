"""How far apart colors are, also for those who see no red, no green or no blue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# On linear sRGB, at full severity: Machado, Oliveira, Fernandes 2009, table 1.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# IEC 61966-2-1; D65.
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(rgb: NDArray, vision: str = "normal") -> NDArray[np.float64]:
    """CIELAB of sRGB from 0 to 255, <float>[..., 3], as somebody sees it."""
    share = np.asarray(rgb, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ VISIONS[vision].T, 0, 1) @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """ΔE2000 between colors of CIELAB, by the steps of Sharma, Wu, Dalal 2005."""
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(np.asarray(lab), -1, 0) for lab in (first, second))
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(chroma**7 / (chroma**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    is_gray = c1 * c2 == 0
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(is_gray, 0, np.where((turn == -180) & (h2 > h1), 180, turn))
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    total = h1 + h2
    far = np.abs(h1 - h2) > 180
    mean = np.where(far, np.where(total < 360, total + 360, total - 360), total) / 2
    mean = np.where(is_gray, total, mean)
    lightness, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(mean - 30))
        + 0.24 * np.cos(np.radians(2 * mean))
        + 0.32 * np.cos(np.radians(3 * mean + 6))
        - 0.20 * np.cos(np.radians(4 * mean - 63))
    )
    off = (lightness - 50) ** 2
    of_l = (l2 - l1) / (1 + 0.015 * off / np.sqrt(20 + off))
    of_c = (c2 - c1) / (1 + 0.045 * chroma)
    of_h = hue / (1 + 0.015 * chroma * t)
    angle = 60 * np.exp(-(((mean - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7)) * np.sin(np.radians(angle))
    return np.sqrt(of_l**2 + of_c**2 + of_h**2 + rotation * of_c * of_h)


def nearest(first: NDArray, second: NDArray, vision: str) -> float:
    """The smallest ΔE2000 between a color of the first and one of the second, <int>[n, 3]."""
    return float(ciede2000(lab(first, vision)[:, None], lab(second, vision)[None]).min())


def contrast(first: NDArray, second: NDArray) -> float:
    """The contrast of two colors of sRGB from 0 to 255 (WCAG 2.2, relative luminance)."""

    def luminance(rgb: NDArray) -> float:
        share = np.asarray(rgb, float) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ _TO_XYZ[1])

    dark, bright = sorted((luminance(first), luminance(second)))
    return (bright + 0.05) / (dark + 0.05)
