"""Reads lists of samples from files: an index or an id a line, or a table with columns of them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from fmcore.errors import InputFileError
from fmcore.selection.indices import is_index

LARGEST_LIST_CHARACTERS = 64 << 20
# The header of a column of indices, the first of them that is there, and that of a column of ids.
INDEX_COLUMNS = ("sample", "index")
ID_COLUMN = "id"


@dataclass(frozen=True, slots=True)
class SampleName:
    """How a row of a list names a sample: by its index, its id, or both, which then must agree."""

    index: int | None
    id: str | None


def read_list(path: Path) -> tuple[SampleName, ...]:
    """The samples that a file lists, in its order.

    A line is one index, if it is a whole number, or else one id. Where a cell of the first line is
    `sample`, `index` or `id`, the file is a CSV table, such as `Store.samples.to_csv` writes, and
    its columns of these names say which samples it lists.

    Raises:
        InputFileError: if it cannot be read, is too large, or a row of a table lacks its sample.
    """
    text = _read(path)
    first = text.lstrip().partition("\n")[0]
    header = [cell.strip() for cell in first.split(",")]
    columns = [name.strip('"') for name in header]
    if {*INDEX_COLUMNS, ID_COLUMN}.isdisjoint(columns):
        lines = filter(None, map(str.strip, text.splitlines()))
        return tuple(
            SampleName(int(line), None) if is_index(line) else SampleName(None, line)
            for line in lines
        )
    return tuple(_rows(path, text.lstrip()))


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            text = stream.read(LARGEST_LIST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputFileError(
            f"cannot read the list of samples {path}: {reason}; expected a text file with one "
            "index or id per line, or a CSV table with a column sample, index or id"
        ) from error
    if len(text) > LARGEST_LIST_CHARACTERS:
        raise InputFileError(
            f"{path} is not a list of samples: it has more than {LARGEST_LIST_CHARACTERS:,} "
            "characters"
        )
    return text


def _rows(path: Path, text: str) -> list[SampleName]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[SampleName] = []
    try:
        header = [cell.strip() for cell in next(reader)]
        index_at = next((header.index(name) for name in INDEX_COLUMNS if name in header), None)
        id_at = header.index(ID_COLUMN) if ID_COLUMN in header else None
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise InputFileError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells; expected {len(header)}, "
                    f"as its header has: {', '.join(header)}"
                )
            index = None if index_at is None else cells[index_at].strip()
            if index is not None and not is_index(index):
                raise InputFileError(
                    f"{path}, line {reader.line_num}: {header[index_at or 0]} is {index!r}; "
                    "expected the index of a sample, a whole number"
                )
            name = None if id_at is None else cells[id_at]
            names.append(SampleName(None if index is None else int(index), name))
    except csv.Error as error:
        raise InputFileError(
            f"{path}, line {reader.line_num}: {error}; expected a CSV table with commas"
        ) from error
    return names
