"""The folders in which the shards of stores lie: a new one, one that is replaced, one left over."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

from fmcore.errors import FmcoreError
from fmcore.files import MOVING, in_real_folder, is_plain_file, move_back
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import verify_seal
from fmcore.storage.file.shard_table import SHARDS_FOLDER, ShardTable, is_shard_name
from fmcore.storage.store import Store

log = logging.getLogger(__name__)


def new_folder(store: Path) -> Path:
    """A folder beside a store, for its shards, of a name that is free."""
    names = (f".{n}{SHARDS_FOLDER}" for n in itertools.count(2))
    for ending in itertools.chain([SHARDS_FOLDER], names):
        folder = store.with_name(store.name + ending)
        if not folder.is_symlink() and not folder.exists():
            return folder
    raise AssertionError  # pragma: no cover (there are enough numbers)


@contextlib.contextmanager
def replaced_shards(store: Path) -> Iterator[None]:
    """Removes the shards of a store that the block replaces, once it has.

    Args:
        store: the path of the store, at which there may be none.
    """
    store = in_real_folder(store)
    before = _table_of(store)
    yield
    if before is None:
        return
    after = _table_of(store)
    if after is None or after.folder != before.folder:
        folder = store.with_name(before.folder)
        try:
            for shard in before.shards:
                if not folder.is_symlink() and is_plain_file(folder / shard.name):
                    (folder / shard.name).unlink()
            folder.rmdir()
        except OSError as error:
            log.warning("%s is of a store that was replaced, and stays: %s", folder, error)


def reclaim_shards(store: Path, folder: Path) -> None:
    """Moves shards back that a killed process had moved beside a store that it did not complete.

    Args:
        store: the path of the store.
        folder: the folder that they are moved to, unless one of that name is there.

    Raises:
        OSError: if the disk refuses.
    """
    store = in_real_folder(store)
    table = _table_of(store)
    for left in sorted(store.parent.glob(f"*{SHARDS_FOLDER}")):
        if not left.name.startswith(f"{store.name}.") or not is_plain_file(left / MOVING):
            continue
        if table is not None and left.name == table.folder:
            (left / MOVING).unlink()
            continue
        names = sorted(file.name for file in left.iterdir() if is_shard_name(file.name))
        move_back(left, [folder / name for name in names if not (folder / name).exists()])


def _table_of(store: Path) -> ShardTable | None:
    """The shards of a store that is there and whole; None if it has none."""
    try:
        # HDF5 may end the process on a file that is damaged.
        if not is_plain_file(store) or not verify_seal(FileBytes(store)):
            return None
        with Store(store) as opened:
            return opened.file.shards
    except (OSError, FmcoreError):
        return None
