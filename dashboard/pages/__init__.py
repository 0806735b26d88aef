"""The pages of the dashboard, in the order of the navigation."""

from dashboard.pages.classes import page as classes_page
from dashboard.pages.compare import page as compare_page
from dashboard.pages.feature_maps import page as feature_maps_page
from dashboard.pages.filter import page as filter_page
from dashboard.pages.page import Page

PAGES: tuple[Page, ...] = (
    feature_maps_page.PAGE,
    classes_page.PAGE,
    filter_page.PAGE,
    compare_page.PAGE,
)

__all__ = ["PAGES"]
