"""A store as objects of pandas and xarray, which are imported only when they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.optional import import_optional
from fmcore.selection import Picks
from fmcore.storage.chunks.stored_array import ArrayInFile

if TYPE_CHECKING:
    import pandas
    import xarray

PURPOSE = "a store in xarray's form"
# An array of a file, read when it is used; or the names of the axes, and the values.
Arrays = ArrayInFile | tuple[tuple[str, ...], NDArray[Any]]


def data_frame(columns: Mapping[str, Any], *, index: str) -> pandas.DataFrame:
    """A table of pandas with numbered rows.

    Args:
        columns: the values of each column.
        index: the name of the row numbers.
    """
    pd = import_optional("pandas", extra="xarray", purpose="a table of samples")
    n_rows = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.Index(np.arange(n_rows), name=index))


def data_tree(
    name: str,
    arrays: Mapping[str, Arrays],
    *,
    coords: Mapping[str, Arrays],
    attrs: Mapping[str, Any],
    nodes: Mapping[str, tuple[Mapping[str, Arrays], Mapping[str, Any]]],
    shared: Sequence[str],
) -> xarray.DataTree:
    """A tree of xarray with a root and a node for each layer.

    Args:
        name: the name of the tree.
        arrays: the arrays of the root.
        coords: the coordinates of the root.
        attrs: the attributes of the root.
        nodes: the arrays and attributes of each node.
        shared: names of arrays of the root that are coordinates of every node.
    """
    xr = import_optional("xarray", extra="xarray", purpose=PURPOSE)
    root = xr.Dataset(_variables(arrays), coords=_variables(coords), attrs=dict(attrs))
    beside = {array: root.variables[array] for array in shared}
    datasets = {
        f"/{node}": xr.Dataset(_variables(members), attrs=dict(about)).assign_coords(beside)
        for node, (members, about) in nodes.items()
    }
    return xr.DataTree.from_dict({"/": root, **datasets}, name=name)


def _variables(arrays: Mapping[str, Arrays]) -> dict[str, Any]:
    return {
        name: array if isinstance(array, tuple) else _lazy(array) for name, array in arrays.items()
    }


def _lazy(array: ArrayInFile) -> Any:
    """A variable of which indexing reads a part."""
    xr = import_optional("xarray", extra="xarray", purpose=PURPOSE)
    indexing = xr.core.indexing

    base: Any = xr.backends.BackendArray

    class Lazy(base):  # type: ignore[misc]
        shape, dtype = array.shape, array.dtype

        def __getitem__(self, key: Any) -> Any:
            return indexing.explicit_indexing_adapter(
                key, array.shape, indexing.IndexingSupport.OUTER, outer
            )

    def outer(key: tuple[Any, ...]) -> Any:
        picks: list[Picks] = []
        in_result: list[Any] = []
        for part, size in zip(key, array.shape, strict=True):
            if isinstance(part, slice):
                picks.append(range(*part.indices(size)))
                in_result.append(slice(None))
            else:
                indices = np.asarray(np.arange(size)[part])  # an IndexError beyond the end
                picks.append(np.atleast_1d(indices))
                in_result.append(slice(None) if indices.ndim else 0)
        return array.outer(tuple(picks))[tuple(in_result)]

    return xr.Variable(array.axes, indexing.LazilyIndexedArray(Lazy()))
