"""Filter: a permanent link for each filter, with all that the store says of it."""

from dashboard.pages import ids
from dashboard.pages.filter.callbacks import register
from dashboard.pages.filter.layout import layout
from dashboard.pages.page import View

VIEW = View(
    name="filter",
    title="Filter",
    description="One filter: its strongest samples, distribution, scores, and raw arrays.",
    query_id=ids.FILTER_QUERY,
    layout=layout,
    register=register,
)
