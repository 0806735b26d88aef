"""`dashboard.show`: a page of a store in a frame of the notebook, and what is selected in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dashboard.stores.catalog import Catalog
from dashboard.stores.snapshot import Snapshot
from fmcore import Store
from fmcore.errors import FmcoreError, InputFileError, SelectionError
from fmcore.optional import needing
from fmcore.selection import near_matches

if TYPE_CHECKING:
    from dashboard.pages.state import State

# Of `pip install`.
EXTRA = "dashboard"
# Fields of a link whose values only a store can check.
GROUPS = ("group", "a", "b")


class ViewStoppedError(FmcoreError, RuntimeError):
    """The view was stopped; what it showed is not known any more."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a view shows at one time.

    Attributes:
        page: the name of the page, such as `maps`.
        layer: the path of the layer.
        filter: the index of the filter.
        sample: the index of the sample.
        class_: the index of the class; None for all.
        group: the group of samples that is picked from, an expression; empty for all.
        a: the first of two groups, an expression; `b` the second; empty for none.
        state: all that the page's link says.
    """

    page: str
    layer: str
    filter: int
    sample: int
    class_: int | None
    group: str
    a: str
    b: str
    state: State = field(repr=False)


class View:
    """A page in a frame of the notebook; the value of a cell shows it.

    Attributes:
        url: its address, with the secret that lets one in. A path where a Jupyter server leads to
            it: its address is that of the notebook up to there.
        words: how the browser reaches it, and what to do where it does not.
    """

    def __init__(
        self,
        *,
        url: str,
        words: str,
        name: str,
        size: tuple[int | str, int | str],
        read: Callable[[], Selection],
        close: Callable[[], None],
    ) -> None:
        """Wraps what `show` started.

        Args:
            url: the address of the page.
            words: how the browser reaches it.
            name: of the store.
            size: (width, height) of the frame, as HTML has them.
            read: gives what is shown now.
            close: ends it.
        """
        self.url = url
        self.words = words
        self._name = name
        self._size = size
        self._read = read
        self._close: Callable[[], None] | None = close

    @property
    def selection(self) -> Selection:
        """What the page shows now; until a browser has it open, what it was asked to show.

        Raises:
            ViewStoppedError: if the view was stopped.
        """
        if self._close is None:
            raise ViewStoppedError(f"the view of {self._name} was stopped; call show() again")
        return self._read()

    def stop(self) -> None:
        """Ends the view, and the server with the last view of its store; a second call is free."""
        if self._close is not None:
            self._close()
            self._close = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self._close is None:
            return f"<stopped View of {self._name}>"
        return f"<View of {self._name} at {self.url}, {self.words}>"

    def _repr_html_(self) -> str:
        if self._close is None:
            return f"<p>{escape(repr(self))}</p>"
        width, height = (escape(str(side)) for side in self._size)
        url, name, words = escape(self.url), escape(self._name), escape(self.words)
        return (
            f'<iframe src="{url}" width="{width}" height="{height}" title="Dashboard of {name}" '
            'referrerpolicy="no-referrer" allow="clipboard-write; fullscreen" '
            'style="border: 1px solid #8884"></iframe>'
            f'<div><small><a href="{url}" target="_blank" rel="noopener noreferrer">{name} in a '
            f"window of its own</a>. Reached {words}.</small></div>"
        )


def show(
    store: Store | str | Path,
    page: str = "maps",
    *,
    layer: str | None = None,
    filter: int | None = None,
    sample: int | None = None,
    height: int = 700,
    width: int | str = "100%",
    proxy: str | bool | None = None,
    origin: str | None = None,
    **fields: Any,
) -> View:
    """Shows a page of the dashboard in a frame of the notebook, from a server in this process.

    The server listens on 127.0.0.1 and answers only under an address that nobody can guess. Views
    of the same store share it; it ends with the last one that is stopped, or with the process.

    Args:
        store: the path of a store, or an open store.
        page: the name of a page, as its link has it: `overview`, `maps`, `filter` ...
        layer: the path of a layer; None for the first one.
        filter: the index of a filter of it.
        sample: the index of a sample.
        height: of the frame, in pixels.
        width: of the frame, in pixels or as HTML has it.
        proxy: what leads to ports of this machine: a URL or a path with `{port}` for the port;
            False for nothing, where the browser runs on this machine; None to decide by what this
            process says of itself, which `View.words` tells.
        origin: the origin of a notebook that is none of Jupyter's, VS Code's or Colab's.
        **fields: what else a link says, by its name there, as in `class_=3` and `group="wrong"`;
            a name that is a word of Python's has an underscore behind it.

    Returns:
        The view. As the value of a cell it is seen; `selection` is what a person selects in it.

    Raises:
        SelectionError: if there is no such page, layer, filter, sample, field or value of one.
        InputFileError: if there is no such store.
        StoreNotOpenedError: if the file is none.
        ServerError: if the server does not start.
        MissingLibraryError: if the dashboard is not installed.
    """
    path = (store.path if isinstance(store, Store) else Path(store)).absolute()
    if path.is_dir():
        raise InputFileError(f"{path} is a folder; name one of its stores, a .h5 file")
    with needing(EXTRA, purpose="dashboard.show"):
        from dashboard.notebook.servers import SERVERS, Wish
    if isinstance(height, bool) or not isinstance(height, int) or height < 1:
        raise SelectionError(f"height={height!r}: expected pixels, such as 700", field="height")
    source = SERVERS.source(path)
    snapshot = source.snapshot()
    values = {"layer": layer, "filter": filter, "sample": sample, **fields}
    link = _link(page, values, snapshot)
    wish = Wish(path, proxy, origin)
    server, token = SERVERS.open(wish, source, link)

    def read() -> Selection:
        return _selection(server.doors.link(token), server.source.snapshot().catalog)

    return View(
        url=f"{server.access.address}/{token}/{link}",
        words=server.access.words,
        name=path.name,
        size=(width, height),
        read=read,
        close=lambda: SERVERS.close(wish, token),
    )


def _link(page: str, values: Mapping[str, Any], snapshot: Snapshot) -> str:
    """The name of a page and the query of what is asked for.

    Raises:
        SelectionError: if there is none of it.
    """
    from dashboard.pages import PAGES
    from dashboard.pages.state import FIELDS, require

    pages = [page.name for page in PAGES]
    if page not in pages:
        raise SelectionError(
            f"there is no page {page!r}; expected one of {', '.join(pages)}"
            f"{near_matches(str(page), pages)}",
            field="page",
        )
    catalog = snapshot.catalog
    attributes = {link.key: name for name, link in FIELDS.items()}
    named = {}
    for name, value in values.items():
        key = name.removesuffix("_")
        if key not in attributes:
            raise SelectionError(
                f"there is no field {name!r} in a link of the dashboard"
                f"{near_matches(key, list(attributes))}",
                field=name,
            )
        named[attributes[key]] = value
    for name in GROUPS:
        if values.get(name):
            snapshot.store.group(str(values[name]))
    return page + require(named, catalog, snapshot.file_name).query(catalog)


def _selection(link: str, catalog: Catalog) -> Selection:
    """What a link shows; what of it there is not is the nearest there is, as on the page."""
    from dashboard.pages.state import parse_query

    page, _, query = link.partition("?")
    state = parse_query(query, catalog)[0]
    return Selection(
        page=page,
        layer=state.layer,
        filter=state.filter_index,
        sample=state.sample,
        class_=state.class_index,
        group=state.group,
        a=state.group_a,
        b=state.group_b,
        state=state,
    )
