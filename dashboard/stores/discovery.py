"""Which files are stores: those that were named, and all that lie in the folders that were.

A store's name is its path in the folder without the ending, with `:` for each `/`, so that it is
one part of an address. Nothing outside the folders is reached: links that lead out are left alone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fmcore.storage import UNFINISHED

ENDING = ".h5"
MOST = 2000


def find_stores(paths: Sequence[Path]) -> dict[str, Path]:
    """The files by the names they bear in addresses; at most `MOST` of each folder."""
    files: dict[str, Path] = {}
    for path in paths:
        for name, file in _named(path):
            free, n = name, 2
            while free in files:  # two folders may each hold one of that name
                free, n = f"{name}~{n}", n + 1
            files[free] = file
    return files


def _named(path: Path) -> Iterator[tuple[str, Path]]:
    if not path.is_dir():
        yield path.stem, path  # whether it is there, its opening says
        return
    for file in itertools.islice(_walk(path, path.resolve()), MOST):
        yield ":".join(file.relative_to(path).with_suffix("").parts), file


def _walk(folder: Path, root: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:  # a folder that went away, or is another's
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.endswith(UNFINISHED):
                yield from _walk(path, root)
        elif entry.name.endswith(ENDING) and entry.is_file() and _inside(path, root):
            yield path


def _inside(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)
