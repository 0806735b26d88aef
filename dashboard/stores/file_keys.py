"""What tells a file from the one that replaced it, and the files that lie beside a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fmcore.statistics import Replacement
from fmcore.storage import ablation_path

# Device, inode, size, and times of the last changes in nanoseconds; the second of these cannot be
# set.
Key = tuple[int, int, int, int, int]


def key_of(status: os.stat_result) -> Key:
    """What tells a file from every other, and from itself once it is changed."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def key_at(path: Path) -> Key | None:
    """What tells a file from the one that replaced it; None where there is none."""
    try:
        return key_of(os.lstat(path))
    except (OSError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class Ablations:
    """The ablations that lay beside a store at some time.

    Attributes:
        store: the store's path without links; None where nobody knows it.
        keys: of the file of each replacement; None where there was none.
    """

    store: Path | None
    keys: tuple[Key | None, ...]

    @classmethod
    def beside(cls, store: Path | None) -> Ablations:
        """The ablations that lie beside a store now."""
        if store is None:
            return cls(None, ())
        return cls(store, tuple(key_at(ablation_path(store, by)) for by in Replacement))

    @property
    def are_same(self) -> bool:
        """Whether the same lie there now; a look at each name."""
        return self == Ablations.beside(self.store)

    @property
    def measured(self) -> tuple[Replacement, ...]:
        """How filters were replaced, of each."""
        return tuple(by for by, key in zip(Replacement, self.keys, strict=False) if key)

    def facts(self) -> Iterator[str]:
        """What tells them from others, on any machine that has copies of them."""
        for by, key in zip(Replacement, self.keys, strict=False):
            if key:
                yield f"{by} {key[2]} {key[3]}"
