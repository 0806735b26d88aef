"""The pages of the dashboard, in the order of the navigation."""

from dashboard.pages import classes, compare, feature_maps, filter
from dashboard.pages.page import View

VIEWS: tuple[View, ...] = (feature_maps.VIEW, classes.VIEW, filter.VIEW, compare.VIEW)

__all__ = ["VIEWS", "View"]
