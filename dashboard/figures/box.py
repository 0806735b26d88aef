"""The box a picture is drawn in, of such a size that every cell is square where that can be seen.

Plotly could keep cells square itself (`scaleanchor`), but then a change of size leaves the axes
with ranges made for the old one; a box of the right proportions needs no such constraint.
"""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.figures.theme import COLOR_BAR

# How many times longer than the other a side of a picture is at most: of longer ones the cells are
# no squares, or one would see a line.
LONGEST_BY_SHORTEST = 4
# CSS pixels of the shorter side at least: beside less, the ticks of a color bar lie on each other.
SHORTEST = 60
# CSS pixels that pictures in a row are wide at least and at most.
NARROWEST, WIDEST = 110, 260
# How wide an enlarged picture is at most, of a window's width and height.
WINDOW_SHARE = "22vw, 60vh"


@dataclass(frozen=True, slots=True)
class Box:
    """Room around a picture, in CSS pixels, for ticks and the color bar."""

    left: int
    right: int
    top: int
    bottom: int

    @property
    def margin(self) -> dict[str, int | bool]:
        """As Plotly's layout takes it; fixed, so that the picture fills the rest exactly."""
        sides = {"l": self.left, "r": self.right, "t": self.top, "b": self.bottom}
        return sides | {"autoexpand": False}

    def fixed(self, cells: tuple[int, int], *, longest: int = 300) -> dict[str, str]:
        """The style of a box whose picture of (y, x) cells is `longest` pixels on one side."""
        rows, columns = _proportions(cells)
        pixels = longest / max(rows, columns)
        width = max(SHORTEST, round(columns * pixels)) + self.left + self.right
        height = max(SHORTEST, round(rows * pixels)) + self.top + self.bottom
        return {"width": f"{width}px", "height": f"{height}px"}

    def shrinking(self, cells: tuple[int, int], *, longest: int = 300) -> dict[str, str]:
        """As `fixed`; larger in a large window, with cells as square, and no wider than its place.

        One that is much wider than high is twice as wide.
        """
        rows, columns = _proportions(cells)
        longest *= 2 if columns > 2 * rows else 1
        width = self.fixed(cells, longest=longest)["width"]
        width = f"min(max({width}, min({WINDOW_SHARE})), 100cqi)"
        picture = f"({width} - {self.left + self.right}px) * {rows} / {columns}"
        height = f"max({SHORTEST}px, {picture}) + {self.top + self.bottom}px"
        return {"width": width, "height": f"calc({height})"}

    def shared(self, cells: tuple[int, int], *, n: int, free: int) -> dict[str, str]:
        """The style of one of `n` boxes in a row, whose pictures of (y, x) cells are as wide.

        Args:
            cells: how many, (y, x).
            n: boxes in the row.
            free: CSS pixels of the row's width that no picture takes.
        """
        rows, columns = _proportions(cells)
        # In a narrow place each has a row of its own.
        width = f"clamp({NARROWEST}px, (100cqi - {free}px) / {n}, {WIDEST}px)"
        height = f"max({SHORTEST}px, {width} * {rows} / {columns})"
        return {
            "width": f"calc({width} + {self.left + self.right}px)",
            "height": f"calc({height} + {self.top + self.bottom}px)",
        }


def _proportions(cells: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a picture of (y, x) cells, in any unit."""
    rows, columns = cells
    return min(rows, LONGEST_BY_SHORTEST * columns), min(columns, LONGEST_BY_SHORTEST * rows)


def axes(cells: tuple[int, int], **style: object) -> dict[str, dict[str, object]]:
    """Axes that show exactly the (y, x) cells, the first row on top; as parts of a layout.

    Through autorange, so that a double click always goes back to what is drawn now: a range that is
    given would be remembered from the figure before.

    Args:
        cells: how many, (y, x).
        style: further properties of both axes.
    """
    rows, columns = cells
    return {
        "xaxis": style | {"autorange": True, "minallowed": -0.5, "maxallowed": columns - 0.5},
        "yaxis": style | {"autorange": "reversed", "minallowed": -0.5, "maxallowed": rows - 0.5},
    }


TOOL_BAR = 28  # what Plotly's tool bar would otherwise cover
MAP = Box(left=34, right=COLOR_BAR, top=TOOL_BAR, bottom=26)
# Of a curve: numbers of any length and a title to the left, a title below.
CURVE = Box(left=76, right=12, top=TOOL_BAR, bottom=42)
# Of a map beside others, without a tool bar, with and without a color bar that has no title.
NARROW = Box(left=26, right=62, top=6, bottom=22)
BARE = Box(left=26, right=6, top=6, bottom=22)
