"""Runs a parsed command: what every failure looks like on a terminal, and its exit code."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from fmcore.errors import FmcoreError, one_line

DEBUG = "FMCORE_DEBUG"


def run_command(
    program: str, parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> int:
    """Parses arguments and calls the `run` of the chosen command.

    Args:
        program: the name that messages begin with.
        parser: each of its commands sets the default `run`, a function of the options.
        argv: the arguments; the process' own where left out, which also sets its signal handlers.

    Returns:
        0 where it went well, 1 for an error that is said in one line, 2 for wrong usage, and 128
        and the signal's number where a signal ended it.
    """
    # Not the root logger: other libraries' notes are not ours to print.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    for package in ("fmcore", "dashboard"):
        logging.getLogger(package).handlers = [handler]
    options = parser.parse_args(argv)
    if argv is None:
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            signal.signal(number, _stop)
    try:
        code = int(options.run(options) or 0)
        sys.stdout.flush()
    except FmcoreError as error:
        return _fail(program, str(error))
    except KeyboardInterrupt:
        _fail(program, "interrupted; nothing half-written was left")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, MemoryError) as error:
        return _fail(program, f"{type(error).__name__}: {error}")
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        return _fail(
            program,
            f"unexpected {type(error).__name__}: {error} (a defect: please report it; "
            f"{DEBUG}=1 shows where)",
        )
    return code


def _fail(program: str, message: str) -> int:
    print(f"{program}: error: {one_line(message)}", file=sys.stderr)
    return 1


def _stop(number: int, _frame: object) -> None:
    """Ends as Ctrl-C does, so that partial files are removed."""
    raise SystemExit(128 + number)
