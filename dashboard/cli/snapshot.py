"""`fmdash snapshot`: pages of a store as files that need no server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore.cli.options import add_force, add_query, query_of, say
from fmcore.command import size
from fmcore.errors import OutputError
from fmcore.files import size_text
from fmcore.optional import needing
from fmcore.storage import opened_apart

if TYPE_CHECKING:
    from dashboard.snapshot import Estimate

# As in dashboard.snapshot, which takes a second to import; a test holds both together.
PAGES = ("maps", "filter", "classes")
MAX_SIZE = 25_000_000


def add_to(verbs: Any) -> None:
    """Adds the command to those of `fmdash`."""
    text = "write pages of a store as one file that opens without a server"
    parser: argparse.ArgumentParser = verbs.add_parser("snapshot", help=text, description=text)
    parser.set_defaults(run=_snapshot)
    parser.add_argument("store", type=Path, metavar="STORE", help="the store to read")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the file, such as page.html"
    )
    parser.add_argument(
        "--page",
        action="append",
        choices=PAGES,
        help="a page that is in it; may be repeated (default: all)",
    )
    add_query(parser, "layer", "filter")
    parser.add_argument(
        "--sample",
        dest="query_sample",
        metavar="EXPR",
        help="a group of samples whose maps are in it, as of `fmcore export`, or @FILE "
        "(default: 200, of each class about as many)",
    )
    parser.add_argument(
        "--max-size",
        type=size,
        default=MAX_SIZE,
        metavar="SIZE",
        help=f"refuse to write a larger file (default: {size_text(MAX_SIZE)})",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="write a folder with a file for each page and an index.html, for a static host",
    )
    add_force(parser)


def _snapshot(options: argparse.Namespace) -> int:
    with needing("dashboard", purpose="fmdash snapshot"):
        from dashboard.snapshot import write_folder, write_snapshot

    if options.all and options.page:
        raise OutputError("--all writes every page: leave --page out, or --all")

    def on_estimate(estimate: Estimate) -> None:
        if estimate.name in (options.out.name, "index.html"):
            say(estimate.choice.words)
        say(estimate.words)

    settings: dict[str, Any] = {
        "max_size": options.max_size,
        "overwrite": options.force,
        "on_estimate": on_estimate,
    }
    with opened_apart(options.store) as store:
        query = query_of(options)
        if options.all:
            folder = write_folder(store, options.out, query, **settings)
            sizes = [file.stat().st_size for file in sorted(folder.iterdir())]
            n_bytes, what = sum(sizes), f"{len(sizes)} files, {folder / 'index.html'} leads to all"
        else:
            pages = [name for name in PAGES if name in (options.page or PAGES)]
            file = write_snapshot(store, options.out, query, pages=pages, **settings)
            n_bytes, what = file.stat().st_size, str(file)
    say(f"Wrote {what}: {size_text(n_bytes)}")
    return 0
