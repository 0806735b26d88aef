"""Which files are stores: those that were named, and all that lie in the folders that were.

A store's name is its path in the folder without the ending, with `:` for each `/`, so that it is
one part of an address. Nothing outside the folders is reached. Each entry is judged by itself:

- left out: what does not end in `.h5`; hidden names; links that lead out of the folder, and links
  to folders; captures under way; folders of shards; what lies deeper than `DEEPEST` folders, or in
  a folder that may not be read; and what comes after the first `MOST` stores or `MOST_ENTRIES`
  entries;
- listed with the reason why it cannot be opened: all else that is no file that may be read.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fmcore.errors import one_line
from fmcore.storage import SHARDS_FOLDER, UNFINISHED, real_path

log = logging.getLogger(__name__)

ENDING = ".h5"
# Folders of captures under way, and of shards, which are parts of a store beside their folder.
NO_STORES = (UNFINISHED, SHARDS_FOLDER)
MOST = 2000
# Folders in folders: people sort by project, model and run. Every scan opens all of them.
DEEPEST = 16
# Of one folder that was named, whatever they are; a scan of so many takes 0.3 s.
MOST_ENTRIES = 100_000
# Of a name in an address, in bytes; percent-encoded it is up to three times as long, and an address
# with all else must stay below what servers take.
LONGEST_NAME = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is listed as a store.

    Attributes:
        path: where it lies.
        label: its path in the folder that was named, for people who need not know the rest.
        root: the folder that it must lie in, without links; None for a file that was named itself.
        problem: why it cannot be opened, as far as its name and kind say; empty where it may be.
    """

    path: Path
    label: str
    root: Path | None = None
    problem: str = ""


def find_stores(paths: Sequence[Path], logged: dict[Path, str] | None = None) -> dict[str, Entry]:
    """The files by the names they bear in addresses; at most `MOST` of each folder.

    Args:
        paths: the files and folders that were named.
        logged: takes links that are not followed, each with the reason, which is logged; those
            that it holds are not logged again.
    """
    entries: dict[str, Entry] = {}
    logged = {} if logged is None else logged
    for path in paths:
        for name, entry in _named(path, logged):
            free, n = name, 2
            while free in entries:  # two folders may each hold one of that name
                free, n = f"{name}~{n}", n + 1
            entries[free] = entry
    return entries


def _named(path: Path, logged: dict[Path, str]) -> Iterator[tuple[str, Entry]]:
    try:
        root = real_path(path) if path.is_dir() else None
    except OSError:  # it goes away just now
        root = None
    if root is None:
        yield path.stem, Entry(path, path.name)  # whether it is there, its opening says
        return
    for n, entry in enumerate(_walk(path, root, logged)):
        if n == MOST:
            log.warning("%s has more than %d stores; the first of them are listed", path, MOST)
            return
        yield _as_address(entry)


def _as_address(entry: Entry) -> tuple[str, Entry]:
    """The name of an entry in addresses; one that cannot be one is escaped and cut."""
    name = entry.label.removesuffix(ENDING).replace("/", ":")
    label, problem = one_line(entry.label), entry.problem
    if label != entry.label:
        problem = "its name holds characters that no address can hold; rename it"
    elif len(name.encode()) > LONGEST_NAME:
        problem = f"its name is longer than {LONGEST_NAME} bytes with its folders; rename it"
    if problem == entry.problem:
        return name, entry
    return one_line(name)[:LONGEST_NAME], Entry(entry.path, label, entry.root, problem)


def _walk(folder: Path, root: Path, logged: dict[Path, str]) -> Iterator[Entry]:
    """What may be a store below a folder, in the order of names, folder by folder."""
    # Without recursion: each folder on the way down keeps only what of it is still to come.
    rest, n_left = [iter(_entries_of(folder, MOST_ENTRIES))], MOST_ENTRIES
    while rest:
        entry = next(rest[-1], None)
        if entry is None:
            rest.pop()
            continue
        n_left -= 1
        if n_left == 0:
            log.warning("%s has more than %d entries; the rest is left out", folder, MOST_ENTRIES)
            return
        if entry.name.startswith("."):
            continue
        path = Path(entry.path)
        label = str(path.relative_to(folder))
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.endswith(NO_STORES) and len(rest) < DEEPEST:
                    rest.append(iter(_entries_of(path, n_left)))
                continue
        except OSError:  # it goes away just now
            continue
        if entry.is_symlink():
            _log_link(path, root, logged)
        if entry.name.endswith(ENDING):
            try:
                problem = _problem(path, root)
            except OSError as error:  # a loop of links, a link to a name that no file can have …
                problem = error.strerror or type(error).__name__
            if problem is not None:
                yield Entry(path, label, root, f"cannot be opened: {problem}" if problem else "")


def _log_link(path: Path, root: Path, logged: dict[Path, str]) -> None:
    """Logs once that a link is not followed: one out of the folder of stores, or to a folder."""
    try:
        where = real_path(path)
        is_outside, is_folder = not where.is_relative_to(root), where.is_dir()
    except OSError:  # it leads nowhere
        return
    if not (is_folder or (is_outside and path.suffix == ENDING)):
        return
    reason = "out of the folder of stores" if is_outside else "to a folder"
    words = f"leads {reason}, to {where}"
    if logged.get(path) != words:
        logged[path] = words
        log.warning("%s is a link that %s; it is left out", path, one_line(words))


def _problem(path: Path, root: Path) -> str | None:
    """Why an entry cannot be opened, empty if it can; None for what is left out.

    Raises:
        OSError: if that cannot be found out.
    """
    if not real_path(path).is_relative_to(root):
        return None
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):  # a link to a folder
        return None
    return "" if stat.S_ISREG(mode) else "it is no file but a pipe, a socket or a device"


def _entries_of(folder: Path, most: int) -> list[os.DirEntry[str]]:
    """At most so many entries of a folder, by name; none of one that cannot be read."""
    entries = []
    try:
        with os.scandir(folder) as scan:
            for entry in scan:
                entries.append(entry)
                if len(entries) > most:
                    break
    except OSError as error:  # a folder that went away, or is another's
        log.info("the folder %s is left out: %s", folder, error.strerror)
    return sorted(entries, key=lambda entry: entry.name)
