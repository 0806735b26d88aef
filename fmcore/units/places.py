"""What reacts to a place in the input image: units whose receptive fields cover it.

Units of deep layers may see the whole image wherever a person looks; they say so, and rank apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError
from fmcore.storage import Layer
from fmcore.units.shares import Shares

_PLACE = re.compile(r"\d{1,5},\d{1,5}(,\d{1,5},\d{1,5})?", re.ASCII)
# Values of maps that are in memory at the same time.
BLOCK_VALUES = 4 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A pixel of the input image, or a box of pixels; its last row and column belong to it.

    Attributes:
        first_y: its first row.
        first_x: its first column.
        last_y: its last row.
        last_x: its last column.
    """

    first_y: int
    first_x: int
    last_y: int
    last_x: int

    @property
    def words(self) -> str:
        """Where it is, such as `y 3, x 7` or `y 3 to 5, x 7 to 9`."""
        if (self.first_y, self.first_x) == (self.last_y, self.last_x):
            return f"y {self.first_y}, x {self.first_x}"
        return f"y {self.first_y} to {self.last_y}, x {self.first_x} to {self.last_x}"

    def seen_by(self, fields: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which units see a pixel of it, because their receptive fields overlap it, <bool>[y, x].

        Args:
            fields: <int64>[y, x, (first y, first x, last y, last x)]; all -1 for a unit that sees
                only padding.
        """
        return np.asarray(
            (fields[..., 0] <= self.last_y)
            & (fields[..., 2] >= self.first_y)
            & (fields[..., 1] <= self.last_x)
            & (fields[..., 3] >= self.first_x)
            & (fields[..., 0] >= 0)
        )


def parse_place(text: str, image_shape: tuple[int, int], *, field: str = "at") -> Place:
    """The place of `y,x`, or of a box `first y,first x,last y,last x`, in an image.

    Raises:
        SelectionError: if the text is neither, or lies outside of the image.
    """
    if not _PLACE.fullmatch(text):
        raise SelectionError(
            f"{field} must be a pixel y,x or a box first_y,first_x,last_y,last_x of the image; "
            f"found {text!r}",
            field=field,
        )
    numbers = [int(part) for part in text.split(",")]
    place = Place(*numbers) if len(numbers) == 4 else Place(*numbers, *numbers)
    height, width = image_shape
    is_inside = place.last_y < height and place.last_x < width
    if not (is_inside and place.first_y <= place.last_y and place.first_x <= place.last_x):
        raise SelectionError(
            f"{field} {text} lies outside of the image, whose rows are 0 to {height - 1} and "
            f"columns 0 to {width - 1}, or ends before it begins",
            field=field,
        )
    return place


@dataclass(frozen=True, slots=True, eq=False)
class LayerReactions:
    """How each filter of a layer reacts to a place in the image of one sample.

    Attributes:
        layer: the layer's path.
        values: the largest finite value of the units that see the place, <float32>[filter]; -inf
            where none is finite.
        y: where the unit with that value is, the first of several, <int64>[filter].
        x: its column.
        shares: at least which share of the filter's values over the test set is smaller, <float64>
            [filter]; NaN for filters that are dead or constant, which are not ranked.
        sees_all: whether that unit sees the whole image, <bool>[filter].
        units: the first row, first column, last row and last column of the units that see it.
    """

    layer: str
    values: NDArray[np.float32]
    y: NDArray[np.int64]
    x: NDArray[np.int64]
    shares: NDArray[np.float64]
    sees_all: NDArray[np.bool_]
    units: tuple[int, int, int, int]


def layer_reactions(
    layer: Layer,
    sample: int,
    place: Place,
    *,
    fields: NDArray[np.int64],
    shares: Shares,
    image_shape: tuple[int, int],
) -> LayerReactions | None:
    """How the filters of a layer react to a place; None if no unit sees it.

    Only the rows and columns of maps that hold such units are kept, some filters at a time.

    Args:
        layer: the layer.
        sample: the sample's index.
        place: in the input image.
        fields: the layer's receptive fields, see `Layer.receptive_fields`.
        shares: the distribution of its filters' values.
        image_shape: pixels of the image, (y, x).

    Raises:
        SampleNotFoundError, MapsNotStoredError, StoreError: as reading maps does.
    """
    sees = place.seen_by(fields)
    if not sees.any():
        return None
    rows, columns = (np.flatnonzero(sees.any(axis=axis)) for axis in (1, 0))
    top, left, bottom, right = (int(at) for at in (rows[0], columns[0], rows[-1], columns[-1]))
    down, across = range(top, bottom + 1), range(left, right + 1)
    unseen = ~sees[top : bottom + 1, left : right + 1].reshape(-1)
    values = np.empty(layer.n_filters, np.float32)
    places = np.empty(layer.n_filters, np.int64)
    step = max(1, BLOCK_VALUES // (len(down) * len(across)))
    for first in range(0, layer.n_filters, step):
        block = range(first, min(first + step, layer.n_filters))
        maps = layer.activation.outer((range(sample, sample + 1), down, across, block))
        cells = maps.reshape(-1, len(block)).astype(np.float32)
        cells[unseen] = -np.inf
        cells[~np.isfinite(cells)] = -np.inf
        best = cells.argmax(axis=0)
        places[first : block.stop] = best
        values[first : block.stop] = cells[best, np.arange(len(block))]
    y, x = top + places // len(across), left + places % len(across)
    whole = (0, 0, image_shape[0] - 1, image_shape[1] - 1)
    return LayerReactions(
        layer=layer.path,
        values=values,
        y=y,
        x=x,
        shares=shares.below(values),
        sees_all=np.asarray((fields[y, x] == whole).all(axis=-1)),
        units=(top, left, bottom, right),
    )


def ranking(reactions: Sequence[LayerReactions], most: int) -> list[tuple[int, int]]:
    """The filters that react most, at most so many: an index into `reactions`, and the filter.

    Those whose unit does not see the whole image come first; then by share, then by value. Filters
    without a share are left out.
    """
    if not reactions:
        return []
    which = np.concatenate([np.full(len(part.values), at) for at, part in enumerate(reactions)])
    filters = np.concatenate([np.arange(len(part.values)) for part in reactions])
    shares = np.concatenate([part.shares for part in reactions])
    values = np.concatenate([part.values for part in reactions])
    sees_all = np.concatenate([part.sees_all for part in reactions])
    order = np.lexsort((filters, which, -values, -shares, sees_all))
    order = order[~np.isnan(shares[order])][:most]
    return [(int(which[at]), int(filters[at])) for at in order]
