"""The pages of the dashboard, in the order of the navigation."""

from dashboard.pages import feature_maps
from dashboard.pages.classes import page as classes_page
from dashboard.pages.compare import page as compare_page
from dashboard.pages.filter import page as filter_page
from dashboard.pages.page import Page
from dashboard.pages.record import View

PAGES: tuple[Page | View, ...] = (
    feature_maps.VIEW,
    classes_page.PAGE,
    filter_page.PAGE,
    compare_page.PAGE,
)

__all__ = ["PAGES"]
