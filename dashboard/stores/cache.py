"""What was read or made once and may be asked for again, within a bound in bytes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
from cachetools import LRUCache

T = TypeVar("T")

CACHE_BYTES = 96 << 20


class ByteCache:
    """Values by key; where they take more than the bound, those that lay longest unused go.

    Attributes:
        n_hits: how often a value was kept that was asked for; `n_misses` how often not.
    """

    def __init__(self, n_bytes: int = CACHE_BYTES) -> None:
        self._values: LRUCache[Hashable, Any] = LRUCache(n_bytes, getsizeof=size_of)
        self._lock = threading.Lock()
        self.n_hits = self.n_misses = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept now."""
        return int(self._values.currsize)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not kept; two threads may make it at once."""
        with self._lock:
            if key in self._values:
                self.n_hits += 1
                kept: T = self._values[key]
                return kept
            self.n_misses += 1
        value = make()
        with self._lock:
            if size_of(value) <= self._values.maxsize:
                self._values[key] = value
        return value

    def held(self, key: Hashable) -> Any:
        """The value of a key, or None where it is not kept."""
        with self._lock:
            return self._values.get(key)


def size_of(value: object) -> int:
    """About how many bytes a value takes, with all that it holds."""
    own = sys.getsizeof(value)
    if isinstance(value, np.ndarray):
        return max(own, value.nbytes)
    if isinstance(value, Mapping):
        return own + sum(size_of(key) + size_of(one) for key, one in value.items())
    if isinstance(value, tuple | list):
        return own + sum(map(size_of, value))
    if is_dataclass(value):
        return own + sum(size_of(getattr(value, field.name)) for field in fields(value))
    return own
