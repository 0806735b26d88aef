"""Input images as thumbnails, with a box around what a unit sees."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.components.nodes import Node, html

# How many times longer than the other a side of a picture may be: of a signal, an image of one row,
# nothing would be seen. Longer ones are stretched to it.
LONGEST = 3
# First row, first column, last row and last column of pixels, both included.
PixelBox = tuple[int, int, int, int]


def picture(
    url: str,
    *,
    words: str,
    shape: tuple[int, int],
    box: PixelBox | None = None,
) -> Node:
    """An image as large as its place, perhaps with a box on it.

    With a box its style has a variable `--crop` too: what brings the box to fill the picture, for
    style sheets that want it.

    Args:
        url: of the image.
        words: what a screen reader says, and a tool tip.
        shape: pixels of the image, (y, x), which the box is counted in.
        box: what to outline.
    """
    parts: list[Node] = [html.Img(src=url, alt=words, title=words)]
    style = {"aspectRatio": proportions(shape)}
    if box is not None:
        parts.append(html.Span(className="field-box", style=box_style(box, shape)))
        style["--crop"] = crop(box, shape)
    return html.Span(parts, className="picture", style=style)


def proportions(shape: tuple[int, int]) -> str:
    """Width by height of the picture of an image (y, x), as CSS takes them."""
    height, width = shape
    return f"{min(width, LONGEST * height)} / {min(height, LONGEST * width)}"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a sample.

    Attributes:
        sample: its index.
        lines: what stands below, two lines; one that is too long is cut.
        words: all there is to say, for a screen reader and as a tool tip.
        box: as for `picture`.
    """

    sample: int
    lines: tuple[str, str]
    words: str
    box: PixelBox | None = None


def thumbnails(
    samples: Sequence[Thumbnail],
    *,
    url: tuple[str, str],
    href: tuple[str, str],
    shape: tuple[int, int],
    class_name: str,
) -> Node:
    """Small pictures that lead somewhere, made in the browser by `assets/thumbnails.js`.

    As Dash components, five for each picture, a page of them took eight seconds to open.

    Args:
        samples: what to show.
        url: what stands before and after a sample's index in the address of its image.
        href: what stands before and after it in the address that a click leads to.
        shape: as for `picture`.
        class_name: of the element around them.
    """
    items = [
        [
            sample.sample,
            *sample.lines,
            sample.words,
            *((box_style(sample.box, shape), crop(sample.box, shape)) if sample.box else ()),
        ]
        for sample in samples
    ]
    about = {"url": url, "href": href, "ratio": proportions(shape), "items": items}
    attribute: Any = {
        "data-thumbnails": json.dumps(about, ensure_ascii=False, separators=(",", ":"))
    }
    return html.Div(className=class_name, **attribute)


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


def crop(box: PixelBox, shape: tuple[int, int]) -> str:
    """The CSS transform, about the upper left corner, after which a box fills an image (y, x).

    The longer side of the box does; of the other as much more is seen as is needed.
    """
    top, left, bottom, right = box
    height, width = shape
    share = max((bottom + 1 - top) / height, (right + 1 - left) / width)

    def start(first: int, last: int, size: int) -> float:
        middle = (first + last + 1) / 2 / size
        return min(max(middle - share / 2, 0.0), 1.0 - share)

    y, x = start(top, bottom, height), start(left, right, width)
    return f"scale({1 / share:.4f}) translate({-100 * x:.3f}%, {-100 * y:.3f}%)"
