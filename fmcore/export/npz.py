"""NumPy's archives: one file for each layer, its samples' labels and ids among the arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from typing import BinaryIO

from fmcore.export import npy
from fmcore.export.record import Format, Group, Outgoing, Part

# The same files at any time: a checksum tells whether the arrays differ.
_WHEN = (1980, 1, 1, 0, 0, 0)


def write(arrays: Mapping[str, Outgoing], stream: BinaryIO) -> None:
    """Writes the arrays, not compressed, one after the other."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _WHEN)
            with archive.open(member, "w", force_zip64=True) as out:
                npy.write(array, out)  # type: ignore[arg-type]


def members(group: Group) -> dict[str, Outgoing]:
    """The arrays of a group by a name of their own: `activation`, `pooled_max`, `label`."""
    found = {
        array.path.removeprefix(f"{group.path}/").replace("/", "_"): array for array in group.arrays
    }
    return found | {array.name: array for array in group.beside}


def _parts(groups: Sequence[Group]) -> list[Part]:
    return [
        Part(
            f"{group.path}.npz",
            (arrays := members(group)),
            sum(array.nbytes for array in arrays.values()),
            write=partial(write, arrays),
        )
        for group in groups
        if group.arrays
    ]


FORMAT = Format(
    "npz",
    "one NumPy archive for each layer, not compressed",
    _parts,
    ("maps", "pooled", "statistics"),
)
