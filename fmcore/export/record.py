"""What an export format is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write an array.

    Attributes:
        name: on the command line.
        suffix: of the file, such as `.npy`.
        description: one sentence for people.
        write: streams an array, given as its shape, its dtype and blocks along the first axis.
    """

    name: str
    suffix: str
    description: str
    write: Callable[
        [BinaryIO, tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]]],
        None,
    ]
