"""How a file gets its name: nothing half-written ever bears it, and nothing is lost on the way.

Every file this project writes is built under a partial name in the same folder, flushed to the
disk, renamed, and the folder flushed too, because a rename alone does not survive a power cut.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from fmcore.errors import OutputError

if sys.platform != "win32":
    import fcntl


def partial_name(path: Path) -> Path:
    """The name a file bears until it is whole; its suffix stays, for writers that look at it."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Stops before any work is done where it would replace something.

    Raises:
        OutputError: if `path` is a folder, or exists and `overwrite` is false.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; give --force to replace it, or another name")


@contextlib.contextmanager
def publish(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yields the partial name to write to; on success the file appears as `path`, whole.

    On any exception, and on Ctrl-C, the partial file is removed and `path` is left as it was.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, if another process writes it now,
            or if the disk refuses.
    """
    refuse_existing(path, overwrite=overwrite)
    partial = partial_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        _lock(descriptor, path)
        try:
            yield partial
            os.fsync(descriptor)
            partial.replace(path)
            _flush_folder(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise cannot_write(path, error) from error
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """The message for a write that the operating system refused."""
    reason = error.strerror or str(error)
    folder = next((parent for parent in path.absolute().parents if parent.is_dir()), Path("/"))
    free = shutil.disk_usage(folder).free / 1e6
    return OutputError(
        f"cannot write {path}: {reason} ({free:,.0f} MB free in {folder}); nothing was left "
        "behind; free some space, or name a place that can be written"
    )


def _lock(descriptor: int, path: Path) -> None:
    """Keeps a second writer of the same file out; the kernel lets go when a process ends."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"another process is writing {path} now; wait for it, or name another file"
        ) from error


def _flush_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
