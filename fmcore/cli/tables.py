"""Tables that a verb prints, or writes to a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fmcore.cli.options import say
from fmcore.errors import OutputError
from fmcore.export import FORMATS, Format, Tables
from fmcore.files import Kind, publish, refuse_existing

# What people read, where no format is named; the others are for programs.
TEXT = "text"
TABLE_FORMATS = {
    name: form for name, form in FORMATS.items() if form.holds_tables and "statistics" in form.takes
}


def format_name(name: str | None, out: Path | None, default: str) -> str:
    """The name of the format of a table: what was typed, else the ending of the file."""
    ending = out.suffix.lstrip(".") if out is not None else ""
    return name or (ending if ending in TABLE_FORMATS else default)


def add_table_choice(parser: argparse.ArgumentParser) -> None:
    """Adds `--format` and `--out` of a verb that prints text for people, or gives a table."""
    parser.add_argument(
        "--format",
        choices=(TEXT, *TABLE_FORMATS),
        help=f"format of the table (default: the ending of FILE, else {TEXT})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the file to write (default: print the table)"
    )


def table_form(options: argparse.Namespace, kind: Kind) -> Format | None:
    """The format of a table, by `--format`, `--out` and `--force`; None for text for people.

    Args:
        options: those of the verb.
        kind: what `--out` must be to be replaced.

    Raises:
        OutputError: if the format cannot be printed, or text cannot be written, or `--out` is there
            and must not be replaced.
        MissingLibraryError: if the format needs a library that is not installed.
    """
    out: Path | None = options.out
    form = TABLE_FORMATS.get(format_name(options.format, out, TEXT))
    if form is None and out is not None:
        raise OutputError(
            f"{out.name}: a table for people is printed, not written; name one of "
            f"{', '.join(TABLE_FORMATS)} with --format"
        )
    if form is not None:
        require_printable(form, out)
    if out is not None:
        refuse_existing(out, overwrite=options.force, kind=kind)
    return form


def aligned(*rows: Sequence[str]) -> list[str]:
    """Rows of cells as lines of columns: the first of names, the others of numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def require_printable(form: Format, out: Path | None) -> None:
    """Refuses a format that cannot be used, before anything is read.

    Raises:
        OutputError: if it is no text, and there is no file.
        MissingLibraryError: if it needs a library that is not installed.
    """
    if form.table_text is None and out is None:
        raise OutputError(
            f"{form.name} cannot be printed; name a file with --out FILE{form.ending}"
        )
    form.needs()


def give_table(
    tables: Tables, form: Format, out: Path | None, kind: Kind, *, overwrite: bool
) -> None:
    """Prints a table, or writes it to a file, which appears when it is whole.

    Args:
        tables: the table.
        form: a format that `require_printable` let pass.
        out: the file; None to print.
        kind: what a file of that name must be to be replaced.
        overwrite: whether it may be replaced.

    Raises:
        OutputError: if the file cannot be written.
    """
    if out is None:
        assert form.table_text is not None  # noqa: S101 (it was refused)
        sys.stdout.writelines(form.table_text(tables))
        return
    with publish(out, overwrite=overwrite, kind=kind) as partial, partial.open("wb") as file:
        form.write_table(tables, file)
    say(f"Wrote {out}")
