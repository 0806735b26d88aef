"""Groups of samples, written as one expression: what every link, page, command and call takes.

    label=7 prediction=1
    wrong and confidence>0.9
    filter(conv2,5)>0.8 quantile or not (label=3|5)
    0:100,205
    @wanted.csv
    set:AHjaE1IEAABHADQ

`parse_group` makes a `Group` of a text; it knows no store. `Group.mask` asks the samples of one.
"""

from fmcore.selection.groups.facts import ClassColumn, Mask, SampleFacts
from fmcore.selection.groups.index_sets import LONGEST, set_text
from fmcore.selection.groups.parser import EXAMPLES, SampleSelection, parse_group, parse_samples
from fmcore.selection.groups.tree import OUTCOMES, All, Group, Indices, quoted

__all__ = [
    "EXAMPLES",
    "LONGEST",
    "OUTCOMES",
    "All",
    "ClassColumn",
    "Group",
    "Indices",
    "Mask",
    "SampleFacts",
    "SampleSelection",
    "parse_group",
    "parse_samples",
    "quoted",
    "set_text",
]
