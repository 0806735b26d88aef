"""How much one answer may hold."""

from __future__ import annotations

from dataclasses import dataclass

from fmcore.errors import FmcoreError


class TooLargeError(FmcoreError, ValueError):
    """An answer would be larger than the server gives."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of one answer.

    Attributes:
        array_bytes: of arrays, which are sent as they are read.
        text_bytes: of CSV and JSON, about: making text is a hundred times as much work.
    """

    array_bytes: int = 16 << 30
    text_bytes: int = 64 << 20

    def check(self, n_bytes: int, *, is_text: bool) -> None:
        """Raises `TooLargeError` where an answer would be too large."""
        most = self.text_bytes if is_text else self.array_bytes
        if n_bytes > most:
            raise TooLargeError(
                f"the answer would take about {n_bytes / 1e6:,.1f} MB, this server sends "
                f"{most / 1e6:,.1f} MB{' of text' if is_text else ''} at most; choose fewer "
                f"samples or filters{', format=npy,' if is_text else ''} or use `fmcore export`"
            )


DEFAULT_LIMITS = Limits()
