"""The errors that a person can cause, and no others.

Each also inherits the builtin error that a caller would expect to catch. Its message says what is
wrong, where, what was expected, what was found, and what to do.
"""

from __future__ import annotations


class FmcoreError(Exception):
    """The parent of every error that this project raises for bad input or a failing disk."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument; a message is a sentence, so print it as one.
        return str(self.args[0]) if self.args else ""


class ParameterError(FmcoreError, ValueError):
    """The parent of errors that may be about the value of one parameter.

    Attributes:
        field: the parameter, such as `layer`; empty where the error is about none.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class DatasetError(ParameterError):
    """The images or labels are not what a test set must be."""


class ModelError(ParameterError):
    """The model cannot be loaded, takes no images, or has no layer that can be captured."""


class SelectionError(ParameterError):
    """A pattern, an index or another choice matches nothing."""


class ArrayIndexError(FmcoreError, IndexError):
    """The index does not fit the array."""


class MissingLibraryError(FmcoreError, ImportError):
    """An optional library is not installed; the message says how to install it."""


class LayerNotFoundError(FmcoreError, KeyError):
    """The store holds no layer of that name."""


class StatisticNotFoundError(FmcoreError, KeyError):
    """The store holds no statistic of that name."""


class SampleNotFoundError(FmcoreError, IndexError):
    """The store holds no sample of that index."""


class StoreError(FmcoreError, ValueError):
    """The file is not a readable store."""


class UnsupportedVersionError(StoreError):
    """The store was written in a format this version does not read."""


class GraphNotStoredError(StoreError):
    """The store holds no graph of its model, and the model's configuration tells none."""


class MapsNotStoredError(FmcoreError, ValueError):
    """The layer was captured without its feature maps: tables and statistics only."""


class UnexplainedError(FmcoreError, ValueError):
    """How a value comes about cannot be said from what the store holds; the message says why."""


class PredictionsNotStoredError(FmcoreError, ValueError):
    """The store was captured from a model that puts out no distribution over classes."""


class ClosedStoreError(FmcoreError, ValueError):
    """The store was read after it was closed."""


class ClusterError(FmcoreError, RuntimeError):
    """The cluster cannot be reached, or its workers cannot capture; the message says which."""


class InputFileError(FmcoreError, OSError):
    """A file to be read is missing or unreadable."""


class OutputError(FmcoreError, OSError):
    """A file cannot be written: it exists, or the disk is full, read-only or out of reach."""


def one_line(text: object) -> str:
    """Text for a terminal: characters that break the line or control the terminal are escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(text)
    )
