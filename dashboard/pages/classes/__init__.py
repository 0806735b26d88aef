"""Classes: a statistic for each class and filter, two classes beside each other, every filter."""

from dashboard.pages import ids
from dashboard.pages.classes.callbacks import register
from dashboard.pages.classes.layout import layout
from dashboard.pages.record import View

VIEW = View(
    name="classes",
    title="Classes",
    description="Which filters matter for which class: every statistic, two classes compared, and "
    "a table of all filters.",
    query_id=ids.CLASSES_QUERY,
    layout=layout,
    register=register,
)
