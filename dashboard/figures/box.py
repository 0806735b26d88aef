"""The box a picture is drawn in, of such a size that every cell is square.

Plotly could keep cells square itself (`scaleanchor`), but then a change of size leaves the axes
with ranges made for the old one; a box of the right proportions needs no such constraint.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        pixels = longest / max(cells)
        width = round(cells[1] * pixels) + self.left + self.right
        height = round(cells[0] * pixels) + self.top + self.bottom
        return {"width": f"{width}px", "height": f"{height}px"}

    def shrinking(self, cells: tuple[int, int], *, longest: int = 300) -> dict[str, str]:
        """As `fixed`; narrower, with cells as square, where the CSS container has less room."""
        width = f"min({self.fixed(cells, longest=longest)['width']}, 100cqi)"
        picture = f"({width} - {self.left + self.right}px) * {cells[0]} / {cells[1]}"
        return {"width": width, "height": f"calc({picture} + {self.top + self.bottom}px)"}


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
MAP = Box(left=34, right=88, top=TOOL_BAR, bottom=26)
