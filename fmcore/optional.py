"""Optional libraries, imported where they are used; one message says how to install them."""

from __future__ import annotations

import importlib
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
