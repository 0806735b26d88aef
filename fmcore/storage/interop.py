"""A store in the words of pandas and xarray, which are imported only where they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fmcore.optional import import_optional
from fmcore.statistics import STATISTICS

if TYPE_CHECKING:
    import pandas
    import xarray

    from fmcore.selection import Picks
    from fmcore.storage.layer import Layer
    from fmcore.storage.store import Store
    from fmcore.storage.stored_array import StoredArray


def samples_frame(store: Store) -> pandas.DataFrame:
    """One row a sample; see `Store.samples`."""
    pd = import_optional("pandas", extra="xarray", purpose="a table of samples")
    names, rows = np.array(store.class_names, dtype=object), np.arange(store.n_samples)
    who = store.classes_of_samples()
    columns = {"id": store.ids, **who, **{f"{name}_name": names[one] for name, one in who.items()}}
    if store.has_outcomes:
        columns["correct"] = who["label"] == who["prediction"]
    if store.has_predictions:
        columns["probability"] = store.probabilities[rows, who["prediction"]]
    return pd.DataFrame(columns, index=pd.Index(rows, name="sample"))


def tree_of(store: Store) -> xarray.DataTree:
    """A node for each layer, samples at the root; see `Store.to_xarray`."""
    xr = import_optional("xarray", extra="xarray", purpose="a store in xarray's form")
    about = store.about()
    who = store.classes_of_samples()
    arrays: dict[str, Any] = {name: ("sample", one) for name, one in who.items()}
    if store.has_predictions:
        arrays["probability"] = (("sample", "class"), store.probabilities)
    root = xr.Dataset(
        arrays | {"image": _lazy(store.images)},
        coords={
            "sample": np.arange(store.n_samples),
            "id": ("sample", np.array(store.ids, dtype=object)),
            "class": np.array(store.class_names, dtype=object),
        },
        attrs={
            f"{group}_{name}": value
            for group, each in about.items()
            for name, value in each.items()
        },
    )
    beside = {name: root.variables[name] for name in who}
    layers = {
        f"/{each.group}": _layer(each).assign_coords(beside) for each in store.layers.values()
    }
    return xr.DataTree.from_dict({"/": root, **layers}, name=store.path.stem)


def _layer(layer: Layer) -> xarray.Dataset:
    xr = import_optional("xarray", extra="xarray", purpose="a store in xarray's form")
    arrays: dict[str, Any] = {"activation": _lazy(layer.activation)} if layer.has_maps else {}
    for name in layer.pooled_names:
        arrays[f"pooled_{name}"] = _lazy(layer.pooled_array(name))
    for name in layer.statistics:
        arrays[name] = (STATISTICS[name].axes, layer.statistic(name))
    return xr.Dataset(arrays, attrs=dict(layer.attributes))


def _lazy(array: StoredArray) -> Any:
    """A variable that reads what is asked of it."""
    xr = import_optional("xarray", extra="xarray", purpose="a store in xarray's form")
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
        rest: list[Any] = []
        for one, size in zip(key, array.shape, strict=True):
            if isinstance(one, slice):
                picks.append(range(*one.indices(size)))
                rest.append(slice(None))
            else:
                numbers = np.asarray(np.arange(size)[one])  # an IndexError beyond the end
                picks.append(np.atleast_1d(numbers))
                rest.append(slice(None) if numbers.ndim else 0)
        return array.outer(tuple(picks))[tuple(rest)]

    return xr.Variable(array.axes, indexing.LazilyIndexedArray(Lazy()))
