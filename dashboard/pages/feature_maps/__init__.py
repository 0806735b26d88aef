"""Feature maps: pick a sample, see every filter of a layer, enlarge one beside the input."""

from dashboard.pages import ids
from dashboard.pages.feature_maps.callbacks import register
from dashboard.pages.feature_maps.layout import layout
from dashboard.pages.record import View

VIEW = View(
    name="maps",
    title="Feature maps",
    description="Every filter of a layer for one sample, and one of them beside the input.",
    query_id=ids.MAPS_QUERY,
    layout=layout,
    register=register,
)
