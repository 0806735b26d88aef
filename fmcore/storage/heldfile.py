"""A file whose write errors are held until they can be raised safely.

HDF5 cannot recover from a failed write: h5py then raises `RuntimeError` and the interpreter ends in
a segmentation fault (8 of 8 runs on a full disk, also when the error comes out of a Python file
object). So HDF5 never sees the error: it writes through this file, which keeps the first error,
swallows what follows, and raises when asked.
"""

from __future__ import annotations

import io
from typing import Any


class HeldFile(io.FileIO):
    """An unbuffered file that never fails to write; `check` raises what it held back.

    Attributes:
        error: the first error, or None; also a Ctrl-C that arrived while HDF5 was writing.
    """

    error: BaseException | None = None

    def write(self, data: Any, /) -> int:
        """Writes all of the data, or holds the error; says that all was written either way."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[super().write(rest) :]
            except BaseException as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """Sets the size, or holds the error."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def check(self) -> None:
        """Raises the first error there was, as it came: mostly an `OSError`."""
        if self.error is not None:
            raise self.error
