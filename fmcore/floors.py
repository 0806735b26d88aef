"""The oldest versions that lack no fix that matters here; older ones work, and are warned of."""

from __future__ import annotations

import sys

# The patch of each minor version of Python from which on `http.cookies` takes no seconds for one
# cookie (CVE-2024-7592; 3.13.0 has the fix). The dashboard reads cookies itself, but libraries do
# not, and a Python as old lacks much else.
_PYTHON = {(3, 11): 10, (3, 12): 6}


def warnings(version: tuple[int, int, int] = sys.version_info[:3]) -> tuple[str, ...]:
    """A sentence for each thing in use that is older than its floor.

    Args:
        version: of Python.
    """
    minor, patch = version[:2], version[2]
    least = _PYTHON.get(minor, 0)
    if patch >= least:
        return ()
    text = ".".join(map(str, version))
    newer = ".".join(map(str, (*minor, least)))
    return (
        f"Python {text} lacks fixes of its security, such as CVE-2024-7592, with which one cookie "
        f"occupies a server for seconds; install Python {newer} or newer",
    )
