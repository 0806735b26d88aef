"""Does something as another user, in a process of its own."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Two users that no system has; CI runs as root.
PERSON, OTHER = 61_001, 61_002
SECONDS = 60
need_two_users = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="NOT TESTED: attacks by a second user need root, who can become two others",
)


def as_user(user: int, act: Callable[[], object]) -> str:
    """What a user's act raised, as `Name: message`; empty where it raised nothing.

    What it imports must be imported before: another user may not read the interpreter's folder.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        text = ""
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            os.umask(0o022)
            act()
        except BaseException as error:
            if not type(error).__module__.startswith("fmcore"):
                traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


def shared_folder() -> Iterator[Path]:
    """A folder as `/tmp` is: everybody may write it, and nobody removes what is another's."""
    with tempfile.TemporaryDirectory(prefix="fmcore-shared-") as name:
        Path(name).chmod(0o1777)
        yield Path(name)
