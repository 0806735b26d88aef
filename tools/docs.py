"""Writes what docs repeat of the code: docs/statistics.md, lists of FORMAT.md, bounds, tutorials.

`python -m tools.docs` writes them; tests compare them with what is there.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboard.server.bounds import KIB, MIB, Bounds
from fmcore.statistics.compute import WHY_UNDEFINED
from fmcore.statistics.health import HEALTH_RULES
from fmcore.statistics.health_changes import HEALTH_CHANGES
from fmcore.statistics.registry import STATISTICS, Statistic
from fmcore.statistics.scores.top import BANDS, TOP
from fmcore.statistics.streaming.histogram import FINEST, PLANNED_OCTAVES, Bins
from fmcore.storage.format.schema import ARRAYS, ATTRIBUTES, SCHEMA
from tools import tutorial

ROOT = Path(__file__).parents[1]
STATISTICS_PAGE = ROOT / "docs" / "statistics.md"
FORMAT_PAGE = ROOT / "fmcore" / "storage" / "FORMAT.md"
DEPLOY_PAGE = ROOT / "deploy" / "README.md"

_UNDEFINED = ";\n".join(f"- {reason}" for reason in WHY_UNDEFINED.values()) + "."
_LARGE = dict.fromkeys(one.caption for one in STATISTICS.values() if not one.two_sided)
_ONE_SIDED = f"{', '.join(list(_LARGE)[:-1])} and {list(_LARGE)[-1]}"
_INTRODUCTION = f"""# Statistics

Every statistic that a store holds about its filters, its definition and its chance level. This page
is generated from `fmcore/statistics/registry.py`, as are the captions of the dashboard.

**Compare every score with its chance level.** The score of a filter that knows nothing about a
class lies outside its 95% band one time in twenty, so about 50 of 1,000 scores do; fewer where a
score can take few values, as those of a filter that is nearly always zero. That holds for any
distribution of values and any sizes of classes, since bands come from permuted labels. Each band is
for one score: bands are not corrected for multiple comparisons. A class with few samples has a wide
band, so every value comes with its n: the number of samples of the class, or of all samples.

**Below the band.** A small ROC-AUC, AP or d′ is a finding: the filter responds less to the class
than to others; so is a negative correlation with a number. Of {_ONE_SIDED} only a large value says
anything: their bands begin at the smallest possible value, so nothing lies below them.

**Pooled** means one number for each sample and filter: the mean or the maximum of the feature map,
over its finite pixels; there is none only where all pixels are NaN or infinite. So a filter with
some such pixels keeps its scores, `n_nonfinite` counts them, and `fmcore health` names it.
The name of a score ends with the pooled table that it is computed on: `auc_mean`, `auc_max`. The
two often differ, since a filter may respond to a small part of the image. Statistics marked
*pooled* in the column *from* depend on these tables and the labels only, and can be recomputed from
any store with `fmcore stats STORE --recompute`. Those marked *kernel* say nothing of what a filter
responds to: they are computed from its stored weights when they are read, and a layer without a
stored kernel has none.

**Undefined scores** are NaN, never 1, and the store records the reason for each filter:

{_UNDEFINED}

**No single index is enough** (Gale et al. 2020): a unit that fires for a tenth of one class can
have 85% of its 100 strongest samples in that class, but an AUC of 0.55 for it. Look at several
scores and at the top samples.

**Histograms** count all finite activations of each class and filter in bins that follow the bits of
a float32, for values of any size and sign:
{Bins(FINEST).words}.
Exact zeros have a bin of their own. If `--memory` is short, or the values of a large layer lie in
more than {PLANNED_OCTAVES} octaves, bins are wider, or histograms are left out; the attribute
`histogram` of the layer says so (`fmcore info --json` and the API show it).

**Top samples** are the {TOP} samples with the largest pooled max, for each filter and for each
class and filter; ties are ordered by the index of the sample. The store also has {TOP} samples
around each of the percentiles {", ".join(map(str, BANDS))}, because the strongest samples are not
typical.
"""

_DUPLICATES = """
Duplicates are found while the samples stream, whether maps are stored or not. Where filters first
vary, a sketch of the batch says which pairs are alike; these are followed from then on, exactly,
over all pixels of all samples. So what is called a duplicate is one. A filter could be missed that
is unlike its original in the first batch and nearly alike over all; a copy, also a larger one,
cannot, but where its first batches are each of one value, and not of the same. Where maps have one
pixel, the pooled mean is the map.

`fmcore health STORE --against BASELINE` compares with an earlier store of the same layers, filters
and classes, such as the one of the training before:

- **newly** dead, duplicate and so on (`new_dead`, `new_duplicate`, … for each finding): the filter
  has it, and does not have it in the baseline."""

_ACROSS = """
## Across two stores

*Compare* computes these from the pooled means of two stores of the same samples; they are not
stored.

- **Match**: for each filter, the filter of the other store with the largest Pearson correlation r
  over all samples. Negative correlations do not count as similar. Semi-matching in Li et al. 2015,
  Convergent Learning.
- **One to one**: an assignment that uses each filter at most once and has the largest sum of r
  (SciPy's `linear_sum_assignment`). Bipartite matching in Li et al. 2015.
- **Linear CKA** of each layer of one store with each layer of the other: |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|)
  in Frobenius norms, of centered columns. Kornblith et al. 2019.

A filter whose pooled mean is constant, or not finite for at least one sample, has no match and is
left out of CKA. In a first layer, many filters follow the total amount of ink, so one filter may be
the match of many, with an r near 1: look at the feature maps too. Few samples make CKA large.

## Two groups of samples

*Contrast*, `fmcore contrast` and `Store.contrast` compare a pooled value of every filter between
two groups of samples; nothing of it is stored.

- **AUC**: the probability that a sample of A has a larger value than one of B, ties one half. Its
  band holds 95% if samples are exchanged between the groups; it is for one filter alone.
- **Effect**: Cliff's delta, the rank-biserial correlation: 2 AUC - 1. Cliff 1993.
- **p**: Mann-Whitney's, two-sided, given all ties, for one filter alone. **q**: p after Benjamini
  and Hochberg 1995 over all filters of all layers that have a p; a filter that is constant in both
  groups, or has a value there that is NaN or infinite, has none and does not count.

**What q says.** Of the filters with a q below 0.05, about one in twenty is expected to be there by
chance; where nothing tells the groups apart, one contrast in twenty names any filter at all. That
holds for small and unequal groups, sparse filters and heavy tails, and was counted on noise with
filters that depend on each other. **What it does not say**: that a filter causes what the model
answers; that the difference is large (AUC and effect say that: with many samples a small one has a
tiny q); or that ten filters are ten findings: many filters of a layer follow one cause. Groups that
were chosen by a filter's own activations differ in that filter by choice, and nothing else counts
how many contrasts somebody looked at. Samples that are near copies of each other count as if each
told something new.

Groups of few samples cannot reach a small p, whatever the values: the result then says so.
"""


def statistics_page() -> str:
    """The whole of docs/statistics.md."""
    return "\n".join([_INTRODUCTION, *_tables(), *_health(), _ACROSS]) + "\n"


def _tables() -> Iterator[str]:
    for axes, title in (
        (("class", "filter"), "For each class and filter"),
        (("filter",), "For each filter"),
        (("target", "filter"), "For each of several labels, or number, and filter"),
        (("filter", "other_filter"), "For each pair of filters"),
        (("layer",), "For each layer"),
        (("layer", "other_layer"), "For each pair of layers"),
    ):
        yield f"## {title}\n"
        yield "| name | symbol | definition | range | larger is more | chance | from | source |"
        yield "|---|---|---|---|---|---|---|---|"
        families: dict[str, list[Statistic]] = {}
        for statistic in STATISTICS.values():
            if statistic.axes == axes:
                key = "quantile" if statistic.level is not None else statistic.family
                families.setdefault(key, []).append(statistic)
        yield from map(_row, families.values())
        yield ""


def _row(family: list[Statistic]) -> str:
    """One line for a statistic on each pooled table, or for all quantiles."""
    first = family[0]
    more = {True: "yes", False: "less", None: "–"}[first.larger_is_more]
    title, symbol, definition = first.title, first.symbol, first.definition
    if first.pooling:
        title = title.removesuffix(f" of pooled {first.pooling}")
        definition = definition.replace(f"pooled {first.pooling}", "pooled mean or max")
    if first.level is not None:
        title, symbol = "Quantile at p percent", "Q(p/100)"
        definition = definition.replace(f"{first.level:.0%}", "p%")
    cells = (
        ", ".join(f"`{statistic.name}`" for statistic in family),
        symbol,
        f"**{title}.** {definition}",
        _range(first),
        more,
        first.chance or "–",
        first.origin,
        first.source,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _range(statistic: Statistic) -> str:
    low, high = (
        f"{bound:g}" if math.isfinite(bound) else sign + "∞"
        for bound, sign in ((statistic.low, "−"), (statistic.high, ""))
    )
    return f"{low} … {high}"


def _health() -> Iterator[str]:
    yield "## Health\n"
    yield "`fmcore health STORE` checks every filter over the whole test set for these findings:\n"
    for name, rule in HEALTH_RULES.items():
        yield f"- **{rule.words}** (`{name}`): {rule.definition}."
    yield _DUPLICATES
    for name, change in HEALTH_CHANGES.items():
        if name.removeprefix("new_") not in HEALTH_RULES:
            yield f"- **{change.words}** (`{name}`): {change.definition}."


def format_page(text: str) -> str:
    """FORMAT.md with its lists of arrays, rows and attributes as the schema has them.

    Args:
        text: the page, of which everything else stays.
    """
    text = _replaced(text, r"\| path \| dtype \|.*?(?=\n\n)", "\n".join(_arrays()))
    text = _replaced(text, r"\| table \| row \|.*?(?=\n\n)", "\n".join(_rows()))
    for place, attributes in ATTRIBUTES.items():
        heading = f"### `{place}`\n\n"
        lines = [
            f"- `{name}`{f' (MAY: {attribute.absent})' if attribute.optional else ''}: "
            f"{attribute.meaning}\n"
            for name, attribute in attributes.items()
        ]
        text = _replaced(text, re.escape(heading) + r"(?:- [^\n]*\n)*", heading + "".join(lines))
    return text


def _replaced(text: str, pattern: str, new: str) -> str:
    """A text in which what a pattern takes, once and across lines, is another."""
    return re.sub(pattern, lambda _: new, text, count=1, flags=re.DOTALL)


def _arrays() -> Iterator[str]:
    yield "| path | dtype | axes | present | what |"
    yield "|---|---|---|---|---|"
    for spec in SCHEMA:
        types, axes = " or ".join(spec.dtypes), ", ".join(spec.axes)
        presence = f"MAY: {spec.absent}" if spec.optional else "MUST"
        yield f"| `/{spec.path}` | {types} | [{axes}] | {presence} | {spec.meaning} |"


def _rows() -> Iterator[str]:
    yield "| table | row | what |"
    yield "|---|---|---|"
    for spec in ARRAYS.values():
        if spec.part is not None and not spec.part.is_chance:
            table = ARRAYS[spec.part.table].path.format(layer="{layer}")
            yield f"| `/{table}` | `{spec.part.row}` | {spec.meaning} |"


def deploy_page(text: str) -> str:
    """deploy/README.md with the bounds as the server has them.

    Args:
        text: the page, of which everything else stays.
    """
    return _replaced(text, r"\| at most \| of \|.*?(?=\n\n|\n?\Z)", "\n".join(_bounds()))


def _bounds() -> Iterator[str]:
    yield "| at most | of | beyond it | because |"
    yield "|---|---|---|---|"
    for bound in dataclasses.fields(Bounds):
        about, amount = bound.metadata, _amount(bound.name, bound.default)
        yield f"| {amount} | {about['what']} | {about['then']} | {about['why']} |"


def _amount(name: str, value: Any) -> str:
    """A bound with its unit, which is the last word of its name."""
    match name.rsplit("_", 1)[-1]:
        case "bytes":
            return f"{value // MIB} MiB" if value >= MIB else f"{value // KIB} KiB"
        case "seconds":
            return f"{value:g} s"
        case "characters":
            return f"{value:,} characters"
    return f"{value:,}"


def main() -> None:
    """Writes all pages."""
    DEPLOY_PAGE.write_text(deploy_page(DEPLOY_PAGE.read_text("utf-8")), "utf-8")
    STATISTICS_PAGE.write_text(statistics_page(), "utf-8")
    FORMAT_PAGE.write_text(format_page(FORMAT_PAGE.read_text("utf-8")), "utf-8")
    tutorial.main()


if __name__ == "__main__":
    main()
