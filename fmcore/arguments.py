"""Parses the values of command-line options; what is wrong is a usage error."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

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
