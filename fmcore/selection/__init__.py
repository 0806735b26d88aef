"""Parses the layers, filters, classes and samples that people select; suggests near matches."""

from fmcore.selection.classes import parse_classes
from fmcore.selection.groups import (
    EXAMPLES,
    LONGEST,
    OUTCOMES,
    All,
    ClassColumn,
    Group,
    Indices,
    Mask,
    SampleFacts,
    SampleSelection,
    parse_group,
    parse_samples,
    quoted,
    set_text,
)
from fmcore.selection.indices import Picks, is_index, parse_numbers
from fmcore.selection.lists import SampleName
from fmcore.selection.names import (
    match_names,
    near_matches,
    only_name,
    parse_policies,
    policies_for,
    refuse_regular,
)
from fmcore.selection.query import DTYPES, PARAMETERS, WHAT, Parameter, Query, parse_query

__all__ = [
    "DTYPES",
    "EXAMPLES",
    "LONGEST",
    "OUTCOMES",
    "PARAMETERS",
    "WHAT",
    "All",
    "ClassColumn",
    "Group",
    "Indices",
    "Mask",
    "Parameter",
    "Picks",
    "Query",
    "SampleFacts",
    "SampleName",
    "SampleSelection",
    "is_index",
    "match_names",
    "near_matches",
    "only_name",
    "parse_classes",
    "parse_group",
    "parse_numbers",
    "parse_policies",
    "parse_query",
    "parse_samples",
    "policies_for",
    "quoted",
    "refuse_regular",
    "set_text",
]
