"""The HTTP side that is not a page: stores, layers, samples, statistics and arrays."""

from dashboard.api.limits import DEFAULT_LIMITS, Limits
from dashboard.api.problem import answer_problems
from dashboard.api.reference import mount_reference
from dashboard.api.routes import array_routes, create_router

__all__ = [
    "DEFAULT_LIMITS",
    "Limits",
    "answer_problems",
    "array_routes",
    "create_router",
    "mount_reference",
]
