"""Publishes files whole: a half-written file never has its final name, and nothing is lost.

Every file this project writes is built under a partial name in the same folder, flushed to the
disk, renamed, and the folder flushed too, because a rename alone does not survive a power cut.

A link in the place of a file is refused, never followed. What exists is replaced only if it is of
the kind that is written, and what is removed has a name that only this project gives.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of file that `--force` replaces at a path, where it replaces no other.

    Attributes:
        words: what such a file is, such as `a store`.
        is_of: whether a file is of the kind, by its content; it reads little of it.
    """

    words: str
    is_of: Callable[[BinaryIO], bool]


def refuse_existing(path: Path, *, overwrite: bool, kind: Kind | None = None) -> None:
    """Refuses a path that cannot be written, before any work is done.

    Args:
        path: the file.
        overwrite: whether a file of that name is replaced.
        kind: what that file must be, unless it is empty; anything where left out.

    Raises:
        OutputError: if `path` is a link or not a regular file, or exists and `overwrite` is false,
            or is not of the kind.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(
            f"cannot write {path}: it is a link, to {path.readlink()}; give the file that is "
            "meant, or remove the link"
        )
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"cannot write {path}: it is a folder; give a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"cannot write {path}: it is not a regular file; give another one")
    if not overwrite:
        raise _exists(path)
    if kind is not None and status.st_size:
        with output_errors(path), path.open("rb") as stream:
            if not kind.is_of(stream):
                raise OutputError(
                    f"cannot replace {path}: it is not {kind.words}, and --force (overwrite=True "
                    "in Python) replaces nothing else; give another name, or move it away"
                )


@contextlib.contextmanager
def publish(
    path: Path,
    *,
    overwrite: bool = False,
    kind: Kind | None = None,
    partial: Path | None = None,
    kept: Callable[[], int] = lambda: 0,
) -> Iterator[Path]:
    """Yields the partial path to write to; on success the whole file appears as `path`.

    On any exception, and on Ctrl-C, the partial file is removed and `path` is left as it was.

    Args:
        path: the file.
        overwrite: whether to replace a file of that name.
        kind: what that file must be, see `refuse_existing`.
        partial: the partial path, on the same file system; by default beside the file.
        kept: how many bytes of the partial file are worth keeping. Asked at the beginning, where a
            killed process may have left them, and after a failure, which then removes nothing.

    Raises:
        OutputError: if `path` is a link, or exists and `overwrite` is false or it is of another
            kind, if another process writes it now, or if the disk refuses.
    """
    with output_errors(path):
        refuse_existing(path, overwrite=overwrite, kind=kind)
        target = in_real_folder(path)
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
                    _require_same(descriptor, partial)
                    _flush(partial)
                    refuse_existing(target, overwrite=overwrite, kind=kind)
                    _give_name(partial, target, overwrite=overwrite)
                    _flush(target.parent)
                except BaseException:
                    if not kept():
                        partial.unlink(missing_ok=True)
                    raise
        except KeyboardInterrupt:
            _remove_empty_file(partial)  # made, but not locked yet
            raise


def _require_same(descriptor: int, path: Path) -> None:
    """Refuses to go on where another file, folder or link has taken the place of an open one.

    Raises:
        OutputError: if so.
    """
    if not os.path.samestat(os.fstat(descriptor), path.lstat()):
        raise OutputError(
            f"{path} was replaced while it was written; give a path in a folder where nobody else "
            "writes"
        )


def in_real_folder(path: Path) -> Path:
    """The path of a file, its folder without links; the file itself is not followed."""
    return Path(os.path.realpath(path.parent)) / path.name


def _remove_empty_file(path: Path) -> None:
    """Removes a file of no bytes that no process has locked."""
    with contextlib.suppress(FmcoreError, FileNotFoundError):
        if path.is_file() and not path.stat().st_size:
            with locked(path, str):
                path.unlink()


@contextlib.contextmanager
def publish_folder(path: Path, *, replaces: Collection[str] = ()) -> Iterator[Path]:
    """Yields a folder to write to; on success it appears as `path`.

    What was there is replaced if it consists of files of the same names, and of those in
    `replaces`. Anything else is a person's own: then nothing is removed, and nothing written.

    Args:
        path: the folder.
        replaces: further files in a folder of that name that may go, by their paths in it.

    Raises:
        OutputError: if there are other files, or a link or a file, at `path`; or the disk refuses.
    """
    with output_errors(path):
        partial = partial_name(path)
        _require_own(partial)
        _remove_tree(partial)
        partial.mkdir(parents=True)
        try:
            yield partial
            for content in partial.rglob("*"):
                _flush(content)
            _remove_files(path, {*replaces, *tree_files(partial)})
            partial.replace(path)
            _flush(path.parent)
        except BaseException:
            _remove_tree(partial)
            raise


# In a folder of files that were moved there, until what they belong to is complete.
MOVING = ".fmcore-moving"


@contextlib.contextmanager
def moved_files(files: Sequence[Path], folder: Path) -> Iterator[None]:
    """Moves files into a new folder of the same file system; back again if the block fails.

    After a kill in the block they lie there beside a file of the name `MOVING`.

    Args:
        files: the files, of different names.
        folder: the folder, which must not exist.

    Raises:
        OutputError: if the folder exists, or the disk refuses.
    """
    with output_errors(folder):
        folder.mkdir()
        try:
            (folder / MOVING).touch()
            _flush(folder)
            for file in files:
                file.rename(folder / file.name)
            _flush(folder)
            _flush(folder.parent)
            yield
        except BaseException:
            move_back(folder, [file for file in files if not file.exists()])
            raise
        (folder / MOVING).unlink()


def move_back(folder: Path, files: Sequence[Path]) -> None:
    """Moves files out of the folder that they were moved to, and removes it if it is empty then."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            (folder / file.name).rename(file)
    with contextlib.suppress(OSError):
        (folder / MOVING).unlink(missing_ok=True)
        folder.rmdir()


def tree_files(folder: Path) -> list[str]:
    """The paths in a folder, with `/`, of all that is not a folder; links are not followed."""
    return sorted(
        (Path(place) / name).relative_to(folder).as_posix()
        for place, folders, names in os.walk(folder)
        for name in (*names, *(name for name in folders if (Path(place) / name).is_symlink()))
    )


def _remove_files(folder: Path, names: Collection[str]) -> None:
    """Removes a folder that holds nothing but files of some names.

    Raises:
        OutputError: if it holds anything else, or is none; then nothing is removed.
    """
    if not folder.is_symlink() and not folder.exists():
        return
    if folder.is_symlink() or not folder.is_dir():
        what = "a link" if folder.is_symlink() else "a file"
        raise OutputError(f"cannot replace {folder}: it is {what}; move it away")
    foreign = [name for name in tree_files(folder) if name not in names]
    if foreign:
        raise OutputError(
            f"cannot replace {folder}: it holds {foreign[0]}, which no export wrote; move it away"
        )
    for name in tree_files(folder):
        (folder / name).unlink()
    for place, _, _ in os.walk(folder, topdown=False):
        Path(place).rmdir()  # fails where somebody has put something there meanwhile


def _require_own(path: Path) -> None:
    """Refuses a leftover of an earlier run that is a link, or of another user.

    Raises:
        OutputError: saying whose it is.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        raise OutputError(f"cannot write {path}: it is a link; remove the link")
    if (owner := other_owner(status)) is not None:
        raise OutputError(
            f"cannot write {path}: it belongs to {owner}; have it removed, or give another path"
        )


def other_owner(status: os.stat_result) -> str | None:
    """The user, in words, that a file belongs to, if that is not the user of this process."""
    if sys.platform == "win32" or status.st_uid == os.geteuid():
        return None
    return f"the user {status.st_uid}"


class OwnFolder:
    """A folder of intermediate files into which nobody else can have put something.

    So what lies there may be trusted as far as this user is. It is held by its descriptor, and what
    is removed from it has one of its own names.
    """

    def __init__(self, path: Path, is_own_name: Callable[[str], bool], *, discard: bool) -> None:
        """Creates the folder for its owner alone, or takes one that is there.

        Args:
            path: the folder.
            is_own_name: whether a name in the folder is one that this project gives.
            discard: whether what is in it will not be used: then it may have been open to others.

        Raises:
            OutputError: if it is a link or a file, belongs to another user, or others may write it.
            OSError: if the disk refuses.
        """
        self.path = path
        self._is_own_name = is_own_name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = True
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            is_new = False
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode):
            what = "a link" if stat.S_ISLNK(status.st_mode) else "a file"
            raise OutputError(
                f"cannot write {path}: it is {what}, and a folder for what is not finished yet is "
                "needed there; move it away"
            )
        if not is_new:
            self._refuse_foreign(status, discard=discard)
        self._descriptor = -1
        if sys.platform != "win32":
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self.require_same()
            if not is_new and discard and sys.platform != "win32":
                os.fchmod(self._descriptor, 0o700)
        except BaseException:
            self.close()
            raise

    def _refuse_foreign(self, status: os.stat_result, *, discard: bool) -> None:
        if (owner := other_owner(status)) is not None:
            raise OutputError(
                f"{self.path} belongs to {owner}: nothing in it is used or removed; have it "
                "removed, or give another path"
            )
        if status.st_mode & 0o022 and not discard and _keeps_modes(self.path.parent):
            raise OutputError(
                f"{self.path} could be written by other users, so nothing in it is used; "
                "--restart discards it"
            )

    def require_same(self) -> None:
        """Refuses to go on where another folder, or a link, has taken the place of this one.

        Raises:
            OutputError: if so.
        """
        if self._descriptor >= 0:
            _require_same(self._descriptor, self.path)

    def remove_files(self, *, but: Collection[str] = ()) -> list[str]:
        """Removes what has a name of ours, except `but`; returns the names of what else stays.

        Raises:
            OSError: if the disk refuses, or one of them is a folder.
        """
        with os.scandir(self._descriptor if self._descriptor >= 0 else self.path) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            if name in but or not self._is_own_name(name):
                continue
            with contextlib.suppress(FileNotFoundError):  # a worker that ends now removes its own
                if self._descriptor >= 0:
                    os.unlink(name, dir_fd=self._descriptor)
                else:
                    (self.path / name).unlink()
        return sorted(name for name in names if name not in but and not self._is_own_name(name))

    def remove(self) -> list[str]:
        """Removes the folder, unless files stay that are not ours; returns their names."""
        left = self.remove_files()
        if not left:
            with contextlib.suppress(OSError):  # another process may have begun to use it
                self.path.rmdir()
        return left

    def close(self) -> None:
        """Closes the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _keeps_modes(folder: Path) -> bool:
    """Whether the file system keeps who may write; those of Windows, seen from Linux, do not."""
    trial = tempfile.mkdtemp(prefix=".fmcore-", dir=folder)
    try:
        return not Path(trial).lstat().st_mode & 0o022
    finally:
        Path(trial).rmdir()


def is_plain_file(path: Path) -> bool:
    """Whether a path is a regular file of one name, and no link."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


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
    descriptor = os.open(path, os.O_RDONLY) if is_folder else _open_own(path)
    try:
        if not _take_lock(descriptor, path):
            raise OutputError(message(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _open_own(path: Path) -> int:
    """Opens a file to write, which is created where it is missing.

    Raises:
        OutputError: if the file is not a regular one, or belongs to another user, who could change
            it afterwards.
        OSError: if it is a link, or the disk refuses.
    """
    # O_NONBLOCK: a pipe would wait for its other end.
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        descriptor = os.open(path, flags | os.O_CREAT, 0o644)  # it may have gone meanwhile
    status = os.fstat(descriptor)
    owner = other_owner(status)
    if owner is None and stat.S_ISREG(status.st_mode):
        return descriptor
    os.close(descriptor)
    what = "is not a regular file" if owner is None else f"belongs to {owner}"
    raise OutputError(f"cannot write {path}: it {what}; have it removed, or give another path")


def _take_lock(descriptor: int, path: Path) -> bool:
    """Whether this process has the lock, and the path still is the file that was opened."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have published or removed the file between our open and our lock.
        return os.path.samestat(os.fstat(descriptor), path.lstat())
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
