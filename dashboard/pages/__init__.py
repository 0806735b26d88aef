"""The pages of the dashboard, in the order of the navigation."""

from dashboard.pages import classes, compare
from dashboard.pages.feature_maps import page as feature_maps_page
from dashboard.pages.filter import page as filter_page
from dashboard.pages.page import Page
from dashboard.pages.record import View

PAGES: tuple[Page | View, ...] = (
    feature_maps_page.PAGE,
    classes.VIEW,
    filter_page.PAGE,
    compare.VIEW,
)

__all__ = ["PAGES"]
