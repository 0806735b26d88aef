"""Figures as files: a picture appears whole under its name, and replaces pictures only."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fmcore.files import Kind, publish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
_HEAD_BYTES = 4096


class Form(StrEnum):
    """A format of pictures."""

    PNG = "png"
    SVG = "svg"
    PDF = "pdf"


# How matplotlib signs its pictures in the first bytes.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", b"Software\0Matplotlib"),
    (b"<?xml", b"<dc:title>Matplotlib v"),
    (b"%PDF-1.4\n%\xac\xdc \xab\xba\n", b""),
)


def _is_figure(stream: BinaryIO) -> bool:
    head = stream.read(_HEAD_BYTES)
    return any(head.startswith(start) and sign in head for start, sign in _SIGNATURES)


# What `--force` replaces.
FIGURE_KIND = Kind("a figure that matplotlib has drawn", _is_figure)


def save_figure(figure: Figure, path: Path, *, overwrite: bool = False) -> Path:
    """Writes a figure in the format that its name ends in, and returns the path.

    Raises:
        OutputError: if the file exists and `overwrite` is false, or it is no figure of matplotlib,
            or the disk refuses.
    """
    form = Form(path.suffix.removeprefix("."))
    with publish(path, overwrite=overwrite, kind=FIGURE_KIND) as partial:
        figure.savefig(partial, format=form)
    return path
