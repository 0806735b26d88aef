"""A store as objects of pandas and xarray, which are imported only when they are needed."""

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
    """A table with a row for each sample; see `Store.samples`."""
    pd = import_optional("pandas", extra="xarray", purpose="a table of samples")
    names, rows = np.array(store.class_names, dtype=object), np.arange(store.n_samples)
    classes = store.classes_of_samples()
    class_names = {f"{column}_name": names[indices] for column, indices in classes.items()}
    columns = {"id": store.ids, **classes, **class_names}
    if store.has_outcomes:
        columns["correct"] = classes["label"] == classes["prediction"]
    if store.has_predictions:
        columns["probability"] = store.probabilities[rows, classes["prediction"]]
    return pd.DataFrame(columns, index=pd.Index(rows, name="sample"))


def tree_of(store: Store) -> xarray.DataTree:
    """A tree with samples at the root and a node for each layer; see `Store.to_xarray`."""
    xr = import_optional("xarray", extra="xarray", purpose="a store in xarray's form")
    about = store.about()
    classes = store.classes_of_samples()
    arrays: dict[str, Any] = {name: ("sample", indices) for name, indices in classes.items()}
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
            for group, attributes in about.items()
            for name, value in attributes.items()
        },
    )
    coordinates = {name: root.variables[name] for name in classes}
    layers = {
        f"/{layer.group}": _layer_dataset(layer).assign_coords(coordinates)
        for layer in store.layers.values()
    }
    return xr.DataTree.from_dict({"/": root, **layers}, name=store.path.stem)


def _layer_dataset(layer: Layer) -> xarray.Dataset:
    xr = import_optional("xarray", extra="xarray", purpose="a store in xarray's form")
    arrays: dict[str, Any] = {"activation": _lazy(layer.activation)} if layer.has_maps else {}
    for name in layer.pooled_names:
        arrays[f"pooled_{name}"] = _lazy(layer.pooled_array(name))
    for name in layer.statistics:
        arrays[name] = (STATISTICS[name].axes, layer.statistic(name))
    return xr.Dataset(arrays, attrs=dict(layer.attributes))


def _lazy(array: StoredArray) -> Any:
    """A variable of which indexing reads a part."""
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
