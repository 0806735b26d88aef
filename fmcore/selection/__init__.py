"""Parses the layers, filters, classes and samples that people select; suggests near matches."""

from fmcore.selection.names import (
    match_names,
    near_matches,
    parse_policies,
    policies_for,
    refuse_regular,
)
from fmcore.selection.query import (
    DTYPES,
    PARAMETERS,
    WHAT,
    Parameter,
    Picks,
    Query,
    SampleTerms,
    is_index,
    parse_classes,
    parse_numbers,
    parse_query,
    parse_samples,
)

__all__ = [
    "DTYPES",
    "PARAMETERS",
    "WHAT",
    "Parameter",
    "Picks",
    "Query",
    "SampleTerms",
    "is_index",
    "match_names",
    "near_matches",
    "parse_classes",
    "parse_numbers",
    "parse_policies",
    "parse_query",
    "parse_samples",
    "policies_for",
    "refuse_regular",
]
