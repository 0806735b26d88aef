"""The HTTP side that is not a page: stores, layers, samples, statistics and arrays."""

from dashboard.api.errors import DEFAULT_LIMITS, HANDLERS, Limits
from dashboard.api.openapi import reference_routes
from dashboard.api.operations import OPERATIONS, operation_routes

__all__ = [
    "DEFAULT_LIMITS",
    "HANDLERS",
    "OPERATIONS",
    "Limits",
    "operation_routes",
    "reference_routes",
]
