"""What every command line has: values parsed, every failure in one line, and an exit code."""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

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


SMALLEST_SIZE = 1_000_000


def size(text: str) -> int:
    """Bytes, of a text such as `512MB` or `2GiB`; at least 1 MB.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    found = re.fullmatch(r"(\d{1,9})\s*([kmgt]?)(i?)b?", text.strip().lower())
    step = 1024 if found and found[3] else 1000
    n_bytes = int(found[1]) * step ** " kmgt".index(found[2] or " ") if found else 0
    if n_bytes < SMALLEST_SIZE:
        raise argparse.ArgumentTypeError(
            f"expected a size of at least 1 MB, such as 512MB or 2GiB, found {text!r}"
        )
    return n_bytes


def whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers from `lowest` to `highest`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {lowest} to {highest}, found {text!r}"
            )
        return int(text)

    return parse


def image_size(text: str) -> tuple[int, ...]:
    """(y, x) or (y, x, channel) of images, of a text such as `224x224` or `28x28x1`.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(
        one.isascii() and one.isdigit() and 1 <= int(one) <= 100_000 for one in parts
    ):
        raise argparse.ArgumentTypeError(
            f"expected a size such as 224x224 (y, x) or 28x28x1 (y, x, channel), found {text!r}"
        )
    return tuple(int(one) for one in parts)


def numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas between them, such as `0.485,0.456,0.406`.

    Raises:
        argparse.ArgumentTypeError: if they are none.
    """
    return tuple(_finite(one, text) for one in text.split(","))


def number(text: str) -> float:
    """A number that is not 0.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    found = _finite(text, text)
    if found == 0:
        raise argparse.ArgumentTypeError("expected a number that is not 0")
    return found


def divisors(text: str) -> tuple[float, ...]:
    """The same, none of them 0.

    Raises:
        argparse.ArgumentTypeError: if they are none, or one is 0.
    """
    return tuple(number(one) for one in text.split(","))


def _finite(text: str, whole_text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"expected numbers, found {whole_text!r}")
    return found
