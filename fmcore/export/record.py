"""What an export format is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class ArrayInBlocks:
    """An array that comes piece by piece.

    Attributes:
        shape: of the whole.
        dtype: of the whole.
        blocks: its parts along the first axis, in order.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an array.

    Attributes:
        name: on the command line.
        suffix: of the file, such as `.npy`.
        description: one sentence for people.
        write: streams an array.
    """

    name: str
    suffix: str
    description: str
    write: Callable[[BinaryIO, ArrayInBlocks], None]
