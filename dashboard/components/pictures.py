"""Input images as thumbnails, with a box around what a unit sees."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

# First row, first column, last row and last column of pixels, both included.
PixelBox = tuple[int, int, int, int]


def picture(
    url: str,
    *,
    words: str,
    shape: tuple[int, int],
    box: PixelBox | None = None,
) -> Component:
    """An image as large as its place, perhaps with a box on it.

    Args:
        url: of the image.
        words: what a screen reader says, and a tool tip.
        shape: pixels of the image, (y, x), which the box is counted in.
        box: what to outline.
    """
    parts: list[Component] = [html.Img(src=url, alt=words, title=words, loading="lazy")]
    if box is not None:
        parts.append(html.Span(className="field-box", style=box_style(box, shape)))
    return html.Span(parts, className="picture", style={"aspectRatio": f"{shape[1]} / {shape[0]}"})


def box_style(box: PixelBox, shape: tuple[int, int]) -> dict[str, Any]:
    """Where a box lies on an image of a shape (y, x), in per cent, so that it holds at any size."""
    top, left, bottom, right = box
    height, width = shape
    return {
        "top": f"{100 * top / height:.3f}%",
        "left": f"{100 * left / width:.3f}%",
        "height": f"{100 * (bottom + 1 - top) / height:.3f}%",
        "width": f"{100 * (right + 1 - left) / width:.3f}%",
    }
