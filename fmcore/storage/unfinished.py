"""The folder of an unfinished store, `STORE.partial/`: its names, its lock and its manifest.

Only what the manifest records counts, and only in a folder that no other user may write: checksums
in it say what is damaged, not who wrote it.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmcore.errors import OutputError
from fmcore.files import OwnFolder, is_plain_file, locked, partial_name, publish

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LOCK = "lock"
STORE = "store.h5"
# The name of a shard, before the name of the attempt; and the suffix of the file of its sums.
SHARD, SUMS = "shard-{:06d}", ".sums"
# The suffix of the folder that holds a store until it is complete, after the name of the store.
UNFINISHED = ".partial"
_FIXED_NAMES = (MANIFEST, partial_name(Path(MANIFEST)).name, LOCK, STORE)
# Checkpoints of one machine; shards, their sums and attempts, and what workers read, of a cluster.
_OWN_NAME = re.compile(
    r"checkpoint-\d{9,}\.npz|shard-\d{6,}-[0-9a-f]{8}\.(h5|sums|attempt)|sums-\d{6,}\.sums"
    r"|(images|labels|truth|input-\d+)\.npy|model\.keras"
)
_PARTIAL_NAME = re.compile(r"\.(?P<stem>[a-z0-9-]+)\.fmcore-partial(?P<suffix>\.[a-z0-9]+)")


def is_own_name(name: str) -> bool:
    """Whether a capture gives this name to a file in the folder."""
    partial = _PARTIAL_NAME.fullmatch(name)
    name = f"{partial['stem']}{partial['suffix']}" if partial else name
    return name in _FIXED_NAMES or _OWN_NAME.fullmatch(name) is not None


def partial_folder(store: Path) -> Path:
    """The folder that holds a store until it is complete."""
    return store.with_name(f"{store.name}{UNFINISHED}")


def read_manifest(
    folder: Path, identity: Mapping[str, str], content: str, *, of: str = "capture"
) -> Any:
    """What an earlier run recorded; None if it recorded nothing.

    Args:
        folder: the folder of what is unfinished.
        identity: what a run must have in common with the run that it goes on with, in words.
        content: the key of what is read.
        of: what runs there, for the message.

    Raises:
        OutputError: if the run had another identity, naming the field, or the manifest cannot be
            read.
    """
    manifest = folder / MANIFEST
    if not is_plain_file(manifest):
        return None
    with readable(manifest):
        recorded = json.loads(manifest.read_text())
        earlier = recorded["identity"]
        fields = sorted(set(earlier) | set(identity))
    for field in fields:
        old, new = earlier.get(field, "nothing"), identity.get(field, "nothing")
        if old != new:
            raise OutputError(
                f"{folder} holds a part of another {of}: {field} was {old}, now it is "
                f"{new}; give the old value to resume, or --restart to discard that part"
            )
    with readable(manifest):
        return recorded[content]


@contextlib.contextmanager
def readable(manifest: Path) -> Iterator[None]:
    """Says what to do where the manifest is not one.

    Raises:
        OutputError: in place of the error.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputError(
            f"{manifest} cannot be read ({error}); --restart discards what is beside it"
        ) from error


def write_manifest(folder: Path, identity: Mapping[str, str], **content: object) -> None:
    """Records what is in the folder.

    Raises:
        OutputError: if the disk refuses.
    """
    with publish(folder / MANIFEST, overwrite=True) as partial:
        partial.write_text(json.dumps({"identity": identity, **content}, indent=1))


@contextlib.contextmanager
def lock_unfinished(store: Path, *, discard: bool) -> Iterator[OwnFolder]:
    """Locks the folder of an unfinished store, so that no other capture writes there.

    The kernel releases the lock when the process ends; the file says which process holds it.

    Args:
        store: the path of the store.
        discard: whether what is in the folder will not be used.

    Raises:
        OutputError: if another run holds the lock, another user owns the folder or could write in
            it, or the disk refuses.
    """
    path = partial_folder(store) / LOCK
    busy = f"another capture is writing {store} now"
    advice = "wait for it, or write to another store"
    with contextlib.ExitStack() as lock:
        own = OwnFolder(path.parent, is_own_name, discard=discard)
        lock.callback(own.close)
        try:
            descriptor = lock.enter_context(
                locked(path, lambda held: f"{busy}{_holder(held)}; {advice}")
            )
        except FileNotFoundError as error:
            raise OutputError(f"{busy}, and is about to end; try again") from error
        holder = _read(descriptor)
        if holder and holder.get("host") != socket.gethostname():
            raise OutputError(
                f"{path} is held by pid {holder.get('pid')} on host {holder.get('host')} since "
                f"{holder.get('since')}; whether that run still exists cannot be tested from this "
                "host: if it does not, delete the file and run again"
            )
        if holder:
            log.warning(
                "an earlier capture (pid %s, begun %s) ended without finishing; its lock is stale",
                holder.get("pid"),
                holder.get("since"),
            )
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": now}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        try:
            yield own
        finally:
            os.ftruncate(descriptor, 0)


def _holder(descriptor: int) -> str:
    """The process that holds a lock, in words; it writes this just after it gets the lock."""
    for _ in range(20):
        if holder := _read(descriptor):
            return f" (pid {holder.get('pid')} on host {holder.get('host')}, {holder.get('since')})"
        time.sleep(0.05)
    return ""


def _read(descriptor: int) -> dict[str, object]:
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
