"""What one value of a map is the sum of, as a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmcore.export import Table, Tables
from fmcore.export.contents import TEXT, Column
from fmcore.units import Arithmetic, Origin

KINDS = {
    "plane": "int64",
    "layer": TEXT,
    "filter": "int64",
    "place": TEXT,
    "y": "int64",
    "x": "int64",
    "input": "float64",
    "weight": "float64",
    "product": "float64",
}


def terms_table(arithmetic: Arithmetic) -> Tables:
    """One row for each product of an arithmetic; padding has rows too, whose input is 0."""
    height, width, n_planes = arithmetic.patch.shape
    row, column, plane = (axis.reshape(-1) for axis in np.indices((height, width, n_planes)))
    origins = arithmetic.origins or (Origin("", -1),) * n_planes
    names = [origin.layer or ("image" if origin.plane >= 0 else "") for origin in origins]
    indices = np.array([origin.plane for origin in origins])

    def pieces() -> Iterator[Table]:
        columns: dict[str, Column] = {
            "plane": plane,
            "layer": [names[at] for at in plane.tolist()],
            "filter": indices[plane],
            "place": [origins[at].where for at in plane.tolist()],
            "y": arithmetic.top + row * arithmetic.spacing[0],
            "x": arithmetic.left + column * arithmetic.spacing[1],
            "input": arithmetic.patch.reshape(-1),
            "weight": arithmetic.weights.reshape(-1),
            "product": arithmetic.products.reshape(-1),
        }
        yield Table(columns)

    return Tables(KINDS, pieces, arithmetic.patch.size)
