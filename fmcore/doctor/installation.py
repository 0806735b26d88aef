"""Versions and machine: the part of a bug report that needs no trial."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from fmcore.files import size_text
from fmcore.floors import warnings
from fmcore.optional import install_command
from fmcore.storage import hdf5_version

# A library, its name in the package index, and the extra of this project that brings it.
_LIBRARIES = (
    ("NumPy", "numpy", ""),
    ("SciPy", "scipy", ""),
    ("h5py", "h5py", ""),
    ("isal", "isal", ""),
    ("numcodecs", "numcodecs", ""),
    ("Keras", "keras", "train"),
    ("TensorFlow", "tensorflow", "train"),
    ("Dash", "dash", "dashboard"),
    ("Plotly", "plotly", "dashboard"),
)
# Files with a container's memory limit, in versions 2 and 1 of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Library:
    """A library, or another piece of software.

    Attributes:
        name: its name as people write it.
        version: its version; None where it is not installed.
        remedy: how to install it; empty where it is installed.
    """

    name: str
    version: str | None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a capture would run on.

    Attributes:
        platform: system, release, processor and C library.
        cores: CPU cores that this process may use.
        all_cores: CPU cores of the machine.
        memory_bytes: memory of the machine, or the limit of its container; None where unknown.
        temporary_folder: folder of temporary files; None where none can be written.
        temporary_free_bytes: free bytes in that folder; None where there is none.
    """

    platform: str
    cores: int
    all_cores: int
    memory_bytes: int | None
    temporary_folder: str | None
    temporary_free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Versions and machine, which are known without a trial.

    Attributes:
        libraries: this project, Python, and the libraries in use.
        machine: the machine they run on.
        warnings: a sentence for each thing that is older than it should be.
    """

    libraries: tuple[Library, ...]
    machine: Machine
    warnings: tuple[str, ...] = ()

    def lines(self) -> list[tuple[str, str]]:
        """The facts for people, each as a name and a value."""
        machine = self.machine
        cores, memory = machine.cores, machine.memory_bytes
        folder, free = machine.temporary_folder, machine.temporary_free_bytes
        return [
            *(
                (library.name, library.version or f"not installed; {library.remedy}")
                for library in self.libraries
            ),
            ("platform", machine.platform),
            ("CPU cores", f"{cores} of {machine.all_cores}"),
            ("memory", "unknown" if memory is None else size_text(memory)),
            (
                "temp folder",
                "none can be written; set one with TMPDIR"
                if folder is None
                else f"{folder}, {size_text(free or 0)} free",
            ),
            *(("warning", words) for words in self.warnings),
        ]


def facts() -> Facts:
    """Versions and machine; takes milliseconds, and imports none of the libraries."""
    libraries = [
        Library("fmcore", _version("feature-map-dashboard")),
        Library("Python", f"{platform.python_version()} ({platform.python_implementation()})"),
    ]
    for name, distribution, extra in _LIBRARIES:
        version = _version(distribution)
        remedy = "" if version else install_command(extra)
        libraries.append(Library(name, version, remedy))
        if name == "h5py":
            libraries.append(Library("HDF5", hdf5_version()))
    folder, free = None, None
    with contextlib.suppress(OSError):
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    all_cores = os.cpu_count() or 1
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    machine = Machine(
        platform=platform.platform(),
        cores=len(affinity(0)) if affinity else all_cores,
        all_cores=all_cores,
        memory_bytes=_memory(),
        temporary_folder=folder,
        temporary_free_bytes=free,
    )
    return Facts(tuple(libraries), machine, warnings())


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    for limit in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container; or `max`, for none
            sizes.append(int(Path(limit).read_text()))
    return min(sizes)
