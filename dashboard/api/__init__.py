"""The HTTP side that is not a page: stores, layers, samples, statistics and arrays."""

from dashboard.api.arrays import array_routes
from dashboard.api.errors import answer_problems
from dashboard.api.images import image_route
from dashboard.api.limits import DEFAULT_LIMITS, Limits
from dashboard.api.reference import mount_reference
from dashboard.api.stores import create_router
from dashboard.api.windows import window_route

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "answer_problems",
    "array_routes",
    "create_router",
    "image_route",
    "mount_reference",
    "window_route",
]
