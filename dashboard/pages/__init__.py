"""The pages of the dashboard, in the order of the navigation."""

from dashboard.pages.classes import page as classes_page
from dashboard.pages.compare import page as compare_page
from dashboard.pages.contrast import page as contrast_page
from dashboard.pages.errors import page as errors_page
from dashboard.pages.feature_maps import page as feature_maps_page
from dashboard.pages.filter import page as filter_page
from dashboard.pages.kernels import page as kernels_page
from dashboard.pages.layers import page as layers_page
from dashboard.pages.overview import page as overview_page
from dashboard.pages.page import Page
from dashboard.pages.samples import page as samples_page

PAGES: tuple[Page, ...] = (
    overview_page.PAGE,
    feature_maps_page.PAGE,
    layers_page.PAGE,
    kernels_page.PAGE,
    classes_page.PAGE,
    filter_page.PAGE,
    errors_page.PAGE,
    contrast_page.PAGE,
    samples_page.PAGE,
    compare_page.PAGE,
)
# Where a link leads that names no page, but what it shows: it is of when this page was the first.
UNNAMED = feature_maps_page.PAGE

__all__ = ["PAGES", "UNNAMED"]
