"""Compare: two stores beside each other, with their differences where the samples are the same."""

from dashboard.pages import ids
from dashboard.pages.compare.callbacks import register
from dashboard.pages.compare.layout import layout
from dashboard.pages.record import View

VIEW = View(
    name="compare",
    title="Compare",
    description="Two stores side by side: maps, filters, classes and layers, and what differs.",
    query_id=ids.COMPARE_QUERY,
    layout=layout,
    register=register,
)
