"""Every feature map of a whole test set, in one HDF5 file.

>>> from fmcore import capture_activations, open_store          # doctest: +SKIP
>>> capture_activations(model, x_test, y_test, "store.h5")      # doctest: +SKIP
>>> with open_store("store.h5") as store:                       # doctest: +SKIP
...     maps = store.layers["conv1"].feature_maps(0)            # <float32>[y, x, filter]

Importing this package imports neither Keras nor Dash.
"""

from importlib.metadata import version

from fmcore import plot
from fmcore.api import ablate_store, capture_activations, capture_callback, verify_store
from fmcore.errors import FmcoreError
from fmcore.export import export_store
from fmcore.storage import (
    Layer,
    Store,
    nearest_samples,
    open_store,
    outlying_samples,
    project_samples,
)

__version__ = version("feature-map-dashboard")

__all__ = [
    "FmcoreError",
    "Layer",
    "Store",
    "ablate_store",
    "capture_activations",
    "capture_callback",
    "export_store",
    "nearest_samples",
    "open_store",
    "outlying_samples",
    "plot",
    "project_samples",
    "verify_store",
]
