"""NumPy's archives: one file for each layer, with labels and ids of the samples."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from fmcore.export.contents import ArraySource, Format, Group, Part
from fmcore.export.formats import npy

# A fixed time, so that equal arrays make equal files, and a checksum tells whether they differ.
_TIME = (1980, 1, 1, 0, 0, 0)


def write(arrays: Mapping[str, ArraySource], stream: BinaryIO) -> None:
    """Writes an archive of arrays, not compressed, one array after the other."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _TIME)
            with archive.open(member, "w", force_zip64=True) as out:
                npy.write(array, out)  # type: ignore[arg-type]


def members(group: Group) -> dict[str, ArraySource]:
    """The arrays of a group by member name, such as `activation`, `pooled_max` or `label`."""
    arrays = {
        array.path.removeprefix(f"{group.path}/").replace("/", "_"): array for array in group.arrays
    }
    return arrays | {array.name: array for array in group.samples}


def by_group(
    suffix: str,
    groups: Sequence[Group],
    *,
    write: Callable[[Mapping[str, ArraySource], BinaryIO], None] | None = None,
    fill: Callable[[Mapping[str, ArraySource], Path], None] | None = None,
) -> list[Part]:
    """One file, or one folder, for each group that has arrays; `write` or `fill` is given."""
    parts = []
    for group in groups:
        if group.arrays:
            arrays = members(group)
            nbytes = sum(array.nbytes for array in arrays.values())
            write_part = partial(write, arrays) if write else None
            fill_part = partial(fill, arrays) if fill else None
            path = f"{group.path}{suffix}"
            parts.append(Part(path, arrays, nbytes, write=write_part, fill=fill_part))
    return parts


FORMAT = Format(
    "npz",
    "one NumPy archive for each layer, not compressed",
    ("maps", "pooled", "statistics"),
    exact_bytes=True,
    array_parts=partial(by_group, ".npz", write=write),
)
