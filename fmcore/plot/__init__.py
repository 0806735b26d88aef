"""The tutorial's picture and others of a store, as figures of matplotlib.

Each function returns a `matplotlib.figure.Figure`, not one of pyplot: a notebook shows it, and
`figure.savefig("maps.pdf")` keeps it. matplotlib is imported when the first of them is called.
"""

from fmcore.plot.all_layers import layers
from fmcore.plot.heatmap import classes
from fmcore.plot.maps import feature_maps
from fmcore.plot.samples import top_samples
from fmcore.plot.weights import kernels

__all__ = ["classes", "feature_maps", "kernels", "layers", "top_samples"]
