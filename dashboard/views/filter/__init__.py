"""Filter: a permanent link for each filter, with all that the store says of it."""

from dashboard import ids
from dashboard.views.filter.callbacks import register
from dashboard.views.filter.layout import layout
from dashboard.views.record import View

VIEW = View(
    name="filter",
    title="Filter",
    description="One filter: its strongest samples, distribution, scores, and raw arrays.",
    query_id=ids.FILTER_QUERY,
    layout=layout,
    register=register,
)
