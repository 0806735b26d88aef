"""What a store from elsewhere must not do: reach outside its own file."""

from __future__ import annotations

from pathlib import Path

import h5py

from fmcore.errors import StoreError


def refuse_foreign_parts(file: h5py.File, path: Path) -> None:
    """Refuses links, virtual sources and external storage before anything is read.

    Each of them lets an HDF5 file show bytes of another file, such as `/etc/passwd`.

    Raises:
        StoreError: naming the first such part.
    """

    def check(name: str, link: object) -> None:
        if not isinstance(link, h5py.HardLink):
            raise StoreError(f"{path}: /{name} is a link to another place; a store has none")
        node = file.get(name)
        if isinstance(node, h5py.Dataset) and (node.is_virtual or node.external):
            raise StoreError(f"{path}: /{name} keeps its data in another file; a store has none")

    file.visititems_links(check)
