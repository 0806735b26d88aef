"""What goes wrong on purpose: every error a person can cause, and nothing else.

Each one also inherits the builtin a caller would expect to catch, and its message says what, where,
expected, found, and what to do.
"""

from __future__ import annotations


class FmcoreError(Exception):
    """The parent of every error this project raises for bad input or a failing disk."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument; a message is a sentence, so print it as one.
        return str(self.args[0]) if self.args else ""


class DatasetError(FmcoreError, ValueError):
    """The images or labels are not what a test set must be."""


class ModelError(FmcoreError, ValueError):
    """The model cannot be loaded, takes no images, or has no layer that can be captured."""


class SelectionError(FmcoreError, ValueError):
    """A pattern or an index names nothing.

    Attributes:
        field: the parameter that does, such as `layer`; empty where it is no parameter.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ArrayIndexError(FmcoreError, IndexError):
    """An index is none of an array's."""


class MissingLibraryError(FmcoreError, ImportError):
    """A library that is needed for this only is not installed; the message says what to install."""


class LayerNotFoundError(FmcoreError, KeyError):
    """The store holds no layer of that name."""


class StatisticNotFoundError(FmcoreError, KeyError):
    """The store holds no statistic of that name."""


class SampleNotFoundError(FmcoreError, IndexError):
    """The store holds no sample of that index."""


class StoreError(FmcoreError, ValueError):
    """The file is no readable store."""


class UnsupportedVersionError(StoreError):
    """The store was written in a format this version does not read."""


class MapsNotStoredError(FmcoreError, ValueError):
    """The layer was captured without its feature maps: tables and statistics only."""


class PredictionsNotStoredError(FmcoreError, ValueError):
    """The store was captured from a model that puts out no distribution over classes."""


class ClosedStoreError(FmcoreError, ValueError):
    """The store was read after it was closed."""


class InputFileError(FmcoreError, OSError):
    """A file to be read is missing or unreadable."""


class OutputError(FmcoreError, OSError):
    """A file cannot be written: it exists, or the disk is full, read-only or out of reach."""


def one_line(text: object) -> str:
    """Text fit for a terminal: what would break the line or steer the terminal is escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )
