"""Writes snapshots: says first how large they will be, and never leaves half of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import BinaryIO

from dashboard.snapshot.choice import Choice, choose
from dashboard.snapshot.contents import PAGES, Blocks, contents
from dashboard.snapshot.page import block_text, page_ends
from dashboard.stores.cache import ByteCache
from dashboard.stores.snapshot import Snapshot
from fmcore.errors import OutputError
from fmcore.files import (
    Kind,
    publish,
    publish_folder,
    refuse_existing,
    size_text,
    tree_files,
)
from fmcore.selection import Query, parse_query
from fmcore.storage import Store

MAX_SIZE = 25_000_000
# Blocks of a kind that are made to tell how large all of them are.
TRIED = 5
INDEX = "index.html"
# What the head of a snapshot has within its first bytes.
_MARK, _MARK_WITHIN = b'<meta name="generator" content="Feature Map Dashboard ', 8192


def _is_snapshot(stream: BinaryIO) -> bool:
    return _MARK in stream.read(_MARK_WITHIN)


SNAPSHOT = Kind("a snapshot of `fmdash snapshot`", _is_snapshot)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How large a page will be, about.

    Attributes:
        name: of the page.
        choice: what of the store is in it.
        parts: bytes of each part, by what it is.
    """

    name: str
    choice: Choice
    parts: Mapping[str, int]

    @property
    def n_bytes(self) -> int:
        """The bytes of the whole page."""
        return sum(self.parts.values())

    @property
    def words(self) -> str:
        """The size of the page and of its largest parts, a sentence."""
        largest = sorted(self.parts, key=lambda name: -self.parts[name])[:4]
        of = ", ".join(f"{name} {size_text(self.parts[name])}" for name in largest)
        return f"{self.name}: about {size_text(self.n_bytes)} ({of})"


def write_snapshot(
    store: Store,
    out: str | Path,
    query: Query | None = None,
    *,
    pages: Sequence[str] = tuple(PAGES),
    max_size: int = MAX_SIZE,
    overwrite: bool = False,
    on_estimate: Callable[[Estimate], object] = lambda _: None,
    **selection: object,
) -> Path:
    """Writes pages of a store as one file, which opens from a disk without a server.

    Args:
        store: the store.
        out: the file, such as `page.html`.
        query: layers, filters and samples; made of `selection` where it is left out.
        pages: which of `PAGES`.
        max_size: bytes of the file at most.
        overwrite: replace another snapshot.
        on_estimate: called with the size before anything is written.
        selection: what is in it, by the names of a query: `layer="conv*"`, `filter="0:8"`,
            `sample="label=7"`; all layers and filters, and samples of each class, where left out.

    Returns:
        The file.

    Raises:
        OutputError: if it would be larger, another file is there, or the disk refuses.
        SelectionError: if a part of the query matches nothing.
    """
    out = Path(out)
    refuse_existing(out, overwrite=overwrite, kind=SNAPSHOT)
    snapshot = Snapshot(store, store.path.stem, ByteCache())
    query = parse_query(selection) if query is None else query
    page = _Page(snapshot, choose(snapshot, query), out.name, [*pages], {}, max_size)
    estimate = page.estimate()
    on_estimate(estimate)
    page.require_small(estimate)
    with publish(out, overwrite=overwrite, kind=SNAPSHOT) as path:
        page.write(path)
    return out


def write_folder(
    store: Store,
    out: str | Path,
    query: Query | None = None,
    *,
    max_size: int = MAX_SIZE,
    overwrite: bool = False,
    on_estimate: Callable[[Estimate], object] = lambda _: None,
    **selection: object,
) -> Path:
    """Writes a folder of pages that any static host serves: each page, and one that leads to them.

    Args:
        store: the store.
        out: the folder; it appears whole.
        query: layers, filters and samples; made of `selection` where it is left out.
        max_size: bytes of each file at most.
        overwrite: replace a folder that holds such pages and nothing else.
        on_estimate: called with the size of each page before anything is written.
        selection: as of `write_snapshot`.

    Returns:
        The folder.

    Raises:
        OutputError: if a page would be larger, something else is there, or the disk refuses.
        SelectionError: if a part of the query matches nothing.
    """
    out = Path(out)
    places = {name: f"{name}.html" for name in PAGES}
    files = {INDEX, *places.values()}
    _refuse_folder(out, files, overwrite=overwrite)
    snapshot = Snapshot(store, store.path.stem, ByteCache())
    choice = choose(snapshot, parse_query(selection) if query is None else query)
    make = partial(_Page, snapshot, choice, places=places, max_size=max_size)
    pages = [make(INDEX, []), *(make(file, [name]) for name, file in places.items())]
    estimates = [page.estimate() for page in pages]
    for page, estimate in zip(pages, estimates, strict=True):
        on_estimate(estimate)
        page.require_small(estimate)
    with publish_folder(out, replaces=files if overwrite else ()) as folder:
        for page in pages:
            page.write(folder / page.name)
    return out


def _refuse_folder(out: Path, files: set[str], *, overwrite: bool) -> None:
    """Refuses a folder that holds anything but snapshots, or any where none may be replaced.

    Raises:
        OutputError: naming what is there.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(f"cannot write {out}: it is no folder; give another name")
    for name in tree_files(out) if out.exists() else ():
        if not overwrite:
            raise OutputError(
                f"{out} is not empty; give --force (overwrite=True in Python) to replace the "
                "snapshots in it, or another folder"
            )
        if name not in files:
            raise OutputError(
                f"cannot replace {out}: it holds {name}, which is not of a snapshot; move it away"
            )
        refuse_existing(out / name, overwrite=True, kind=SNAPSHOT)


@dataclass(frozen=True)
class _Page:
    """One file of a snapshot: what is in it, and how it is written."""

    snapshot: Snapshot
    choice: Choice
    name: str
    pages: list[str]
    places: dict[str, str]
    max_size: int

    @cached_property
    def _ends(self) -> tuple[bytes, bytes]:
        title = f"{self.snapshot.file_name} · feature maps (snapshot)"
        return page_ends(title, self.pages)

    @cached_property
    def _blocks(self) -> list[Blocks]:
        return contents(self.snapshot, self.choice, self.pages, self.places)

    def estimate(self) -> Estimate:
        """How large the page will be, by some blocks of each kind."""
        parts = {"scripts": sum(map(len, self._ends))}
        for kind in self._blocks:
            n = len(kind.blocks)
            tried = [kind.blocks[at * n // min(n, TRIED)] for at in range(min(n, TRIED))]
            sizes = [len(block_text(block.name, block.make())) for block in tried]
            parts[kind.words] = sum(sizes) * n // max(len(sizes), 1)
        return Estimate(self.name, self.choice, parts)

    def require_small(self, estimate: Estimate) -> None:
        """Refuses a page that would be too large.

        Raises:
            OutputError: saying how large it would be, and what makes it smaller.
        """
        if estimate.n_bytes > self.max_size:
            raise OutputError(self._too_large(estimate.words))

    def _too_large(self, words: str) -> str:
        n_samples = len(self.choice.samples)
        return (
            f"{words}, more than {size_text(self.max_size)}; nothing was written. Choose fewer "
            f"samples than {n_samples:,} (--sample 0:{max(1, n_samples // 4)}), layers (--layer) "
            "or filters (--filter), leave pages out (--page), or allow more with --max-size"
        )

    def write(self, path: Path) -> None:
        """Writes the page.

        Raises:
            OutputError: if it is larger than it may be, after all.
        """
        head, tail = self._ends
        n_bytes = len(head) + len(tail)
        with path.open("wb") as file:
            file.write(head)
            for kind in self._blocks:
                for block in kind.blocks:
                    text = block_text(block.name, block.make())
                    n_bytes += len(text)
                    if n_bytes > self.max_size:
                        raise OutputError(self._too_large(f"{self.name} is larger than expected"))
                    file.write(text)
            file.write(tail)
