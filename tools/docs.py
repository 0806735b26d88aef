"""The page of statistics for people: `python -m tools.docs > docs/statistics.md`."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fmcore.statistics.health import FINDINGS
from fmcore.statistics.registry import STATISTICS, Statistic
from fmcore.statistics.scores.compute import WHY_UNDEFINED
from fmcore.statistics.scores.top import BANDS, TOP
from fmcore.statistics.streaming.histogram import FINEST, Bins

_INTRODUCTION = f"""# Statistics

Every number that a store holds of a filter, what it means, and how large it is by chance. This page
is made from `fmcore/statistics/registry.py`, as are the captions of the dashboard.

**Read a score beside its chance level.** A filter that knows nothing of a class lies outside its
95% band once in twenty times, so of 1,000 cells about 50 do. Bands are for one score at a time:
they are not corrected for how many are looked at. Few samples of a class make a wide band; every
value comes with its n: the samples of the class, or all.

**Pooled** means one number for each sample and filter: the mean of its feature map, or the largest
value in it. A score has the pooled table in its name, `auc_mean` or `auc_max`; they often differ,
since a filter may answer to a small part of the image. What is *from pooled* follows from these
tables and the labels, and can be computed from any store with `fmcore stats STORE --recompute`.

**A filter without scores** has NaN, never 1, and the reason:
{", or ".join(WHY_UNDEFINED.values())}.

No single index tells the truth alone (Gale et al. 2020): a unit that fires for a tenth of one class
can have 85% of its 100 strongest samples in that class, and an AUC of 0.55 for it. Look at several
numbers, and at the top samples.

**Histograms** count all finite activations of each class and filter in bins that are the same for
any data: {Bins(FINEST).words}.
Where `--memory` is short bins are wider, or there are none, and the store says so. Exact zeros have
a bin of their own, and so have values below and above the others, for each sign.

**Top samples** are the {TOP} with the largest pooled max, of each filter and of each class and
filter, ties by the index of the sample; and {TOP} about each of the percentiles
{", ".join(map(str, BANDS))}, because the strongest samples are not the usual ones.
"""

_ACROSS = """
## Across two stores

*Compare* computes these of two stores of the same samples, from their pooled means; no store holds
them.

- **Match**: for each filter the filter of the other store with the largest Pearson correlation r
  over all samples. The sign counts. Li et al. 2015, Convergent Learning: their semi-matching.
- **One to one**: each filter at most once, so that the sum of all r is the largest (scipy's
  `linear_sum_assignment`); their bipartite matching.
- **Linear CKA** of each layer of one and each of the other: |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|) in Frobenius
  norms, of centred columns. Kornblith et al. 2019.

A filter that is the same for every sample, or not finite for one, matches nothing and takes no part
in CKA. In a first layer many filters follow how much ink there is, so that one filter may be the
match of many, with an r near 1: look at the maps, too. Few samples make CKA large.
"""


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([_INTRODUCTION, *_tables(), *_health(), _ACROSS]) + "\n"


def _tables() -> Iterator[str]:
    for axes, title in (
        (("class", "filter"), "Of each class and filter"),
        (("filter",), "Of each filter"),
        (("filter", "other_filter"), "Of two filters"),
        (("layer",), "Of each layer"),
        (("layer", "other_layer"), "Of two layers"),
    ):
        yield f"## {title}\n"
        yield "| name | symbol | what | range | larger is more | chance | from | source |"
        yield "|---|---|---|---|---|---|---|---|"
        families: dict[str, list[Statistic]] = {}
        for one in STATISTICS.values():
            if one.axes == axes:
                key = "quantile" if one.level is not None else one.family
                families.setdefault(key, []).append(one)
        yield from map(_row, families.values())
        yield ""


def _row(alike: list[Statistic]) -> str:
    """One line for a statistic on each pooled table, or for all quantiles."""
    one = alike[0]
    more = {True: "yes", False: "less", None: "–"}[one.larger_is_more]
    title, definition = one.title, one.definition
    if one.pooling:
        title = title.removesuffix(f" of pooled {one.pooling}")
        definition = definition.replace(f"pooled {one.pooling}", "pooled mean or max")
    if one.level is not None:
        title = "Quantile"
        definition = definition.replace(f"{one.level:.0%}", "the percentage in the name")
    cells = (
        ", ".join(f"`{each.name}`" for each in alike),
        one.symbol,
        f"**{title}.** {definition}",
        _range(one),
        more,
        one.chance or "–",
        one.origin,
        one.source,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _range(one: Statistic) -> str:
    low, high = (
        f"{bound:g}" if math.isfinite(bound) else sign + "∞"
        for bound, sign in ((one.low, "−"), (one.high, ""))
    )
    return f"{low} … {high}"


def _health() -> Iterator[str]:
    yield "## Health\n"
    yield "`fmcore health STORE` looks at every filter over the whole test set:\n"
    yield from (f"- **{name.replace('_', ' ')}**: {words}." for name, words in FINDINGS.items())


if __name__ == "__main__":
    print(page(), end="")
