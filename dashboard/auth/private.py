"""Files with secrets are their owner's: what others may do with them is taken away, and said."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from dashboard.auth.person import PeopleError

log = logging.getLogger(__name__)

# What everybody may do, and all that is left to the owner. A file's group is its owner's choice:
# an administrator and a server that are two users share the file through it.
_OTHERS, _OWNER = 0o007, 0o700


def keep_private(path: Path) -> None:
    """Takes a file from everybody else, if there is one, and says in the log that it did.

    Raises:
        PeopleError: if it is open to everybody, and not ours to change.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(status.st_mode)
    # A log may also go to a device, such as /dev/null, which is everybody's.
    if os.name != "posix" or not stat.S_ISREG(status.st_mode) or not mode & _OTHERS:
        return
    try:
        path.chmod(mode & _OWNER)
    except OSError as error:
        raise PeopleError(
            f"everybody on this machine may open {path} (mode {mode:04o}), which holds what lets "
            f"people in; its owner can mend that with `chmod o= {path}`"
        ) from error
    log.warning(
        "everybody on this machine could open %s (mode %04o); now its owner alone can: if others "
        "use this machine, change the passwords and secrets in it",
        path,
        mode,
    )


def refuse_open_folder(path: Path) -> None:
    """Refuses a file in a folder where everybody may put another in its place, or beside it.

    Raises:
        PeopleError: if everybody may write into its folder.
    """
    folder = path.resolve().parent
    if os.name == "posix" and folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH:
        raise PeopleError(
            f"everybody on this machine may write into {folder}, and so replace {path.name}: put "
            f"it into a folder of its own, or take that away with `chmod o-w {folder}`"
        )
