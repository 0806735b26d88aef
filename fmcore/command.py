"""What every command line shares: parsing values, one line per failure, and an exit code."""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from fmcore.errors import FmcoreError, one_line

DEBUG = "FMCORE_DEBUG"


def run_command(
    program: str, parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> int:
    """Parses arguments and calls the `run` of the chosen command.

    Args:
        program: the program's name, with which messages begin.
        parser: a parser whose commands set the default `run`, a function of the options, which have
            all that was typed in `words`.
        argv: the arguments; where left out, those of the process, and signal handlers are set.

    Returns:
        0 on success or what the command returns, 1 for an error, which is printed in one line, 2
        for wrong usage, and 128 plus the signal's number where a signal ended the command.
    """
    # Not the root logger: other libraries' notes are not ours to print.
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{program}: %(message)s"))
    for package in ("fmcore", "dashboard"):
        logging.getLogger(package).handlers = [handler]
    options = parser.parse_args(argv)
    options.words = [program, *(sys.argv[1:] if argv is None else argv)]
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


def command_text(words: Sequence[str], *, without: str) -> str:
    """A command as it was typed, without the folders of files, which are nobody else's business.

    Args:
        words: all that was typed.
        without: an option with a value that is left out, such as `--out`: a file that has another
            name is the same.
    """
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if without not in (before, word) and not word.startswith(f"{without}=")
    ]
    return shlex.join(map(_without_folder, kept))


def _without_folder(word: str) -> str:
    option, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
    # Of a part of a file too, as `FILE.npz::IMAGES`; a glob of layers is no file.
    file = value.partition("::")[0]
    path = Path(file)
    if not (path.is_absolute() or file.startswith((".", "~")) or (file and path.exists())):
        return word
    return f"{option}{sign}{path.name}{value[len(file) :]}"


def _fail(program: str, message: str) -> int:
    print(f"{program}: error: {one_line(message)}", file=sys.stderr)
    return 1


def _stop(number: int, _frame: object) -> None:
    """Ends the process as Ctrl-C does, so that partial files are removed."""
    raise SystemExit(128 + number)


SMALLEST_SIZE = 1_000_000


def size(text: str) -> int:
    """The bytes in a text such as `512MB` or `2GiB`, at least 1 MB.

    Raises:
        argparse.ArgumentTypeError: if the text is no such size.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([kmgt]?)(i?)b?", text.strip().lower())
    step = 1024 if match and match[3] else 1000
    n_bytes = int(match[1]) * step ** " kmgt".index(match[2] or " ") if match else 0
    if n_bytes < SMALLEST_SIZE:
        raise argparse.ArgumentTypeError(
            f"expected a size of at least 1 MB, such as 512MB or 2GiB, found {text!r}"
        )
    return n_bytes


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A parser of whole numbers from `lowest` to `highest`, for argparse."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {lowest} to {highest}, found {text!r}"
            )
        return int(text)

    return parse


def image_size(text: str) -> tuple[int, ...]:
    """The size (y, x) or (y, x, channel) in a text such as `224x224` or `28x28x1`.

    Raises:
        argparse.ArgumentTypeError: if the text is no such size.
    """
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(
        part.isascii() and part.isdigit() and 1 <= int(part) <= 100_000 for part in parts
    ):
        raise argparse.ArgumentTypeError(
            f"expected a size such as 224x224 (y, x) or 28x28x1 (y, x, channel), found {text!r}"
        )
    return tuple(map(int, parts))


def numbers(text: str) -> tuple[float, ...]:
    """Comma-separated numbers, such as `0.485,0.456,0.406`.

    Raises:
        argparse.ArgumentTypeError: if a part of the text is no finite number.
    """
    return tuple(_finite(part, text) for part in text.split(","))


def number(text: str) -> float:
    """A finite number that is not 0.

    Raises:
        argparse.ArgumentTypeError: if the text is no such number.
    """
    value = _finite(text, text)
    if value == 0:
        raise argparse.ArgumentTypeError("expected a number that is not 0")
    return value


def decimal_share(text: str) -> Decimal:
    """A share from 0 to 1 with as many digits as it was written with, such as `0.91`.

    Raises:
        argparse.ArgumentTypeError: if the text is no such number, or has no digit after the point,
            which says how exact it is.
    """
    if not re.fullmatch(r"(0?\.\d{1,15}|1\.0{1,15})", text):
        raise argparse.ArgumentTypeError(
            f"expected a share from 0 to 1 with its decimals, such as 0.91, found {text!r}"
        )
    return Decimal(text)


def divisors(text: str) -> tuple[float, ...]:
    """Comma-separated numbers, none of them 0.

    Raises:
        argparse.ArgumentTypeError: if a part of the text is no finite number, or is 0.
    """
    return tuple(number(part) for part in text.split(","))


def _finite(text: str, whole_text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected numbers, found {whole_text!r}")
    return value
