"""Every address of the dashboard, as text: pages, stores, images and the HTTP API.

An address that begins with a slash is a route of the server. All others are relative to a page, so
that they hold below a store's name and below a proxy's prefix.
"""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import quote, urlencode

API = "/api"
API_STORES = f"{API}/v1/stores"
API_STORE = f"{API_STORES}/{{store}}"
# Below it lie the pages of a store, and what they ask for.
STORES = "/stores/"
# What Dash writes in place of the path that an index is sent for.
HERE = "/@here@/"
_IN_STORE = re.compile(rf"^{STORES}[^/]+(?=/)")


class Named(Protocol):
    """A store that has addresses: its name in links, and the digest of what it holds."""

    name: str
    digest: str


def store_api(store: Named) -> str:
    """The address of a store in the HTTP API."""
    return f"{API_STORES[1:]}/{quote(store.name, safe='')}"


def graph(store: Named) -> str:
    """The address of the graph of a store's model."""
    return f"{store_api(store)}/graph"


def image(store: Named, sample: int, *, size: int | None = None) -> str:
    """The address of a sample's image, of at most `size` pixels each way; see `api.images`."""
    return str(sample).join(image_parts(store, size=size))


def image_parts(store: Named, *, size: int | None = None) -> tuple[str, str]:
    """What stands before and after a sample's index in the address of its image."""
    query = {"v": store.digest} | ({} if size is None else {"size": str(size)})
    return f"{store_api(store)}/images/", f".png?{urlencode(query)}"


def store_page(name: str) -> str:
    """The address of a store's pages, from the catalogue."""
    return f"{STORES[1:]}{quote(name, safe='')}/"


def other_store_page(name: str) -> str:
    """The address of another store's pages, from a page of a store such as `/stores/A/compare`."""
    return f"../{quote(name, safe='')}/"


def below_store(path: str) -> str:
    """A route without the store it is asked below: a store's pages have the whole API there."""
    return _IN_STORE.sub("", path)
