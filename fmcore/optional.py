"""Optional libraries, imported where they are used; one message says how to install them."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from fmcore.errors import MissingLibraryError


def import_optional(name: str, *, extra: str, purpose: str) -> Any:
    """Imports a library that not every installation has.

    Args:
        name: the module to import, such as `pyarrow.parquet`.
        extra: the extra of this project that brings the library.
        purpose: what needs the library, for the message.

    Raises:
        MissingLibraryError: if the library is not installed, saying how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise missing_library(
            name.split(".")[0], extra=extra, purpose=purpose, cause=error
        ) from error


@contextlib.contextmanager
def needing(extra: str, *, purpose: str) -> Iterator[None]:
    """Names the extra of this project for an import in the block that fails.

    Args:
        extra: the extra that brings what is imported.
        purpose: what needs it, for the message.

    Raises:
        MissingLibraryError: if a library is not installed, saying how to install it.
    """
    try:
        yield
    except MissingLibraryError:
        raise
    except ImportError as error:
        library = (error.name or "a library").split(".")[0]
        raise missing_library(library, extra=extra, purpose=purpose, cause=error) from error


def missing_library(
    library: str, *, extra: str, purpose: str, cause: ImportError
) -> MissingLibraryError:
    """The error for a library that cannot be imported, for imports that need their own code.

    Args:
        library: the library's name, as people write it.
        extra: the extra of this project that brings the library.
        purpose: what needs the library.
        cause: the error of the import.
    """
    return MissingLibraryError(f"{purpose} needs {library} ({cause}); {install_command(extra)}")


def install_command(extra: str = "") -> str:
    """The command that installs this project with one of its extras."""
    extras = f"[{extra}]" if extra else ""
    return f"pip install 'feature-map-dashboard{extras}'"
