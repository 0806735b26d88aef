"""Publishes files whole: a half-written file never has its final name, and nothing is lost.

Every file this project writes is built under a partial name in the same folder, flushed to the
disk, renamed, and the folder flushed too, because a rename alone does not survive a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fmcore.errors import FmcoreError, OutputError

if sys.platform != "win32":
    import fcntl

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


_PARTIAL = ".fmcore-partial"
REMOVALS, REMOVAL_SECONDS = 50, 0.02
# Names that some systems take for a device, whatever their ending.
_RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
_PLAIN = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_-])?")


def safe_names(names: Sequence[str]) -> list[str]:
    """Unique names that are fit for files and groups; a plain name is kept.

    None is `..`, refused by Windows, or differs from another in case only.
    """
    results: list[str] = []
    taken: set[str] = set()
    for name in names:
        plain = name if _PLAIN.fullmatch(name) else re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:80]
        plain = plain or "layer"
        if plain.split(".")[0].casefold() in _RESERVED:
            plain = f"_{plain}"
        safe, suffix = plain, 2
        while safe.casefold() in taken:
            safe, suffix = f"{plain}_{suffix}", suffix + 1
        taken.add(safe.casefold())
        results.append(safe)
    return results


def partial_name(path: Path) -> Path:
    """The name of a file until it is whole; its suffix stays, for writers that look at it."""
    return path.with_name(f".{path.stem}{_PARTIAL}{path.suffix}")


def is_partial(path: Path) -> bool:
    """Whether a file or folder has a partial name: a killed process left it."""
    return path.name.startswith(".") and _PARTIAL in path.name


def size_text(n_bytes: int) -> str:
    """A number of bytes as people read it, such as `7.1 kB`, `12.3 MB`, `169 MB` or `12.3 GB`."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:,.1f} kB"
    if n_bytes < 1e10:
        return f"{n_bytes / 1e6:,.{1 if n_bytes < 1e8 else 0}f} MB"
    return f"{n_bytes / 1e9:,.1f} GB"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuses a path that cannot be written, before any work is done.

    Raises:
        OutputError: if `path` is not a regular file, or exists and `overwrite` is false.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; give a file in it")
    if not path.exists():
        return
    if not path.is_file():
        raise OutputError(f"cannot write {path}: it is not a regular file; give another one")
    if not overwrite:
        raise _exists(path)


@contextlib.contextmanager
def publish(
    path: Path,
    *,
    overwrite: bool = False,
    partial: Path | None = None,
    kept: Callable[[], int] = lambda: 0,
) -> Iterator[Path]:
    """Yields the partial path to write to; on success the whole file appears as `path`.

    On any exception, and on Ctrl-C, the partial file is removed and `path` is left as it was. A
    symbolic link is followed: what it points to is written.

    Args:
        path: the file.
        overwrite: whether to replace a file of that name.
        partial: the partial path, on the same file system; by default beside the file.
        kept: how many bytes of the partial file are worth keeping. Asked at the beginning, where a
            killed process may have left them, and after a failure, which then removes nothing.

    Raises:
        OutputError: if `path` exists and `overwrite` is false, if another process writes it now,
            or if the disk refuses.
    """
    with output_errors(path):
        refuse_existing(path, overwrite=overwrite)
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = partial or partial_name(target)
        if partial.is_file() and partial.lstat().st_nlink > 1:
            partial.unlink()  # the leftover name of a published file, which stays
        busy = f"another process is writing {path} now; wait for it, or give another file"
        try:
            with locked(partial, lambda _: busy) as descriptor:
                os.ftruncate(descriptor, kept())  # a killed process left the rest
                try:
                    yield partial
                    _flush(partial)
                    _give_name(partial, target, overwrite=overwrite)
                    _flush(target.parent)
                except BaseException:
                    if not kept():
                        partial.unlink(missing_ok=True)
                    raise
        except KeyboardInterrupt:
            _remove_empty_file(partial)  # made, but not locked yet
            raise


def _remove_empty_file(path: Path) -> None:
    """Removes a file of no bytes that no process has locked."""
    with contextlib.suppress(FmcoreError, FileNotFoundError):
        if path.is_file() and not path.stat().st_size:
            with locked(path, str):
                path.unlink()


@contextlib.contextmanager
def publish_folder(path: Path) -> Iterator[Path]:
    """Yields a folder to write to; on success it appears as `path`, and replaces what was there.

    Raises:
        OutputError: if the disk refuses.
    """
    with output_errors(path):
        partial = partial_name(path)
        _remove_tree(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            for content in partial.rglob("*"):
                _flush(content)
            _remove_tree(path)
            partial.replace(path)
            _flush(path.parent)
        except BaseException:
            _remove_tree(partial)
            raise


def _remove_tree(folder: Path) -> None:
    """Removes a folder, even while threads of an interrupted library still write to it."""
    for _ in range(REMOVALS):
        if not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(REMOVAL_SECONDS)


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keeps a second writer out of a folder, which is created where it is missing.

    A folder that was created here, and is empty at the end, is removed.

    Raises:
        OutputError: if another process writes there now, the path is a file, or the disk refuses.
    """
    with output_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"cannot write to {folder}: it is a file; give a folder")
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            busy = f"another process is writing to {folder} now"
            advice = "wait for it, or give another folder"
            with locked(folder, lambda _: f"{busy}; {advice}", is_folder=True):
                yield
        finally:
            if is_new:
                _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    """Removes a folder and the folders in it, those that hold no files."""
    for path in (*sorted(folder.rglob("*"), reverse=True), folder):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns errors of the operating system into an `OutputError` that says what to do."""
    try:
        yield
    except FmcoreError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "give a path that can be written"
        if error.errno in _NO_ROOM:
            folder = next(
                (parent for parent in path.absolute().parents if parent.is_dir()), Path("/")
            )
            free = size_text(shutil.disk_usage(folder).free)
            advice = f"{free} are free in {folder}: free some space, or give another path"
        raise OutputError(
            f"cannot write {path}: {reason}; no half-written file was left there; {advice}"
        ) from error


@contextlib.contextmanager
def locked(path: Path, message: Callable[[int], str], *, is_folder: bool = False) -> Iterator[int]:
    """Locks a file or folder against other processes, and yields its descriptor.

    A file is created where it is missing, and a link at its name is not followed. The kernel
    releases the lock when the process ends, however it ends. On Windows nothing is locked, and a
    folder has no descriptor: it yields -1.

    Args:
        path: the file or folder.
        message: what to say where another process holds the lock, given the descriptor.
        is_folder: whether the path is a folder, which must exist.

    Raises:
        OutputError: if another process holds the lock, with the message.
        FileNotFoundError: if the path, or its folder, is missing.
    """
    if is_folder and sys.platform == "win32":
        yield -1
        return
    created = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, os.O_RDONLY if is_folder else created, 0o644)
    try:
        if not _take_lock(descriptor, path):
            raise OutputError(message(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _take_lock(descriptor: int, path: Path) -> bool:
    """Whether this process has the lock, and the path still is the file that was opened."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have published or removed the file between our open and our lock.
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _give_name(partial: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        partial.replace(target)
        return
    try:
        os.link(partial, target)  # unlike a rename, fails where the name was taken meanwhile
    except FileExistsError as error:
        raise _exists(target) from error
    except OSError as error:
        if target.exists():
            raise _exists(target) from error
        partial.replace(target)  # a file system without hard links
        return
    partial.unlink()


def _exists(path: Path) -> OutputError:
    return OutputError(
        f"{path} exists; give --force (overwrite=True in Python) to replace it, or another name"
    )


def _flush(path: Path) -> None:
    """Writes a file, or the names in a folder, through to the disk."""
    if sys.platform == "win32" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
