"""NumPy's archives: one file for each layer, its samples' labels and ids among the arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fmcore.export.contents import ArraySource, Format, Group, Part
from fmcore.export.formats import npy

# The same files at any time: a checksum tells whether the arrays differ.
_WHEN = (1980, 1, 1, 0, 0, 0)


def write(arrays: Mapping[str, ArraySource], stream: BinaryIO) -> None:
    """Writes the arrays, not compressed, one after the other."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _WHEN)
            with archive.open(member, "w", force_zip64=True) as out:
                npy.write(array, out)  # type: ignore[arg-type]


def members(group: Group) -> dict[str, ArraySource]:
    """The arrays of a group by a name of their own: `activation`, `pooled_max`, `label`."""
    found = {
        array.path.removeprefix(f"{group.path}/").replace("/", "_"): array for array in group.arrays
    }
    return found | {array.name: array for array in group.beside}


def by_group(
    suffix: str,
    groups: Sequence[Group],
    *,
    write: Callable[[Mapping[str, ArraySource], BinaryIO], None] | None = None,
    fill: Callable[[Mapping[str, ArraySource], Path], None] | None = None,
) -> list[Part]:
    """One file, or one folder, for each group that has arrays."""
    found = []
    for group in groups:
        if group.arrays:
            arrays = members(group)
            nbytes = sum(array.nbytes for array in arrays.values())
            how = partial(write, arrays) if write else None
            into = partial(fill, arrays) if fill else None
            found.append(Part(f"{group.path}{suffix}", arrays, nbytes, write=how, fill=into))
    return found


FORMAT = Format(
    "npz",
    "one NumPy archive for each layer, not compressed",
    partial(by_group, ".npz", write=write),
    ("maps", "pooled", "statistics"),
    exact_bytes=True,
)
