"""`fmcore figure`: draw maps, kernels, classes or samples of a store with matplotlib."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore import plot
from fmcore.cli.options import AddVerb, add_force, add_layers, add_store, say
from fmcore.plot.files import DPI, Form, save_figure
from fmcore.plot.look import COLORS, COLUMNS, ColorRange
from fmcore.selection import match_names, parse_numbers
from fmcore.statistics import Summary
from fmcore.storage import Layer, Store, opened_apart

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Subject(StrEnum):
    """What `fmcore figure` draws."""

    MAPS = "maps"
    KERNELS = "kernels"
    CLASSES = "classes"
    TOP = "top"


# Which subjects an option is for; others than these refuse it. The default of each is None.
_FOR = {
    "sample": (Subject.MAPS,),
    "filters": (Subject.TOP,),
    "statistic": (Subject.CLASSES,),
    "columns": (Subject.MAPS, Subject.KERNELS, Subject.TOP),
    "cmap": (Subject.MAPS, Subject.KERNELS, Subject.CLASSES),
    "range": (Subject.MAPS, Subject.KERNELS, Subject.CLASSES),
    "labels": (Subject.MAPS, Subject.KERNELS),
}


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `figure` to the command line."""
    figure = verb("figure", _figure, "draw feature maps, kernels and more with matplotlib")
    add_store(figure)
    figure.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to write"
    )
    figure.add_argument(
        "--kind",
        choices=[kind.value for kind in Subject],
        default=Subject.MAPS.value,
        help="what is drawn of each layer: all feature maps of one sample, the kernels, a "
        "statistic of every class and filter, or the samples that a filter responds to most "
        "(default: %(default)s)",
    )
    figure.add_argument("--sample", type=int, metavar="N", help="index of the sample (default: 0)")
    add_layers(figure)
    figure.add_argument(
        "--filter",
        dest="filters",
        metavar="LIST",
        help="with --kind top, indices and ranges of filters, such as 0:8,12 (default: 0)",
    )
    figure.add_argument(
        "--statistic",
        metavar="NAME",
        help="with --kind classes, a statistic of each class and filter, such as auc_max "
        "(default: mean)",
    )
    figure.add_argument(
        "--all-layers",
        action="store_true",
        help="one picture with a row for each layer: a map for all filters, and the strongest ones",
    )
    figure.add_argument(
        "--summary",
        choices=[by.value for by in Summary],
        help="with --all-layers, what the map for all filters is: their mean, the mean of absolute "
        "values, the largest, or principal components as colors (default: mean)",
    )
    figure.add_argument(
        "--columns", type=int, metavar="N", help=f"tiles in a line (default: {COLUMNS})"
    )
    figure.add_argument(
        "--cmap", metavar="NAME", help=f"the name of matplotlib's colors (default: {COLORS})"
    )
    figure.add_argument(
        "--range",
        type=_span,
        metavar="RANGE",
        help="what the colors span: map for each map's own values, layer for those of all, with a "
        "color bar, or LOW:HIGH (default: map)",
    )
    figure.add_argument(
        "--labels", action="store_true", default=None, help="the filter's index above each tile"
    )
    figure.add_argument(
        "--dpi", type=float, default=DPI, metavar="N", help="pixels an inch (default: %(default)s)"
    )
    figure.add_argument(
        "--format",
        choices=[form.value for form in Form],
        default=Form.PNG.value,
        help="the format of the files (default: %(default)s)",
    )
    add_force(figure)
    figure.set_defaults(usage_error=figure.error)


def _span(text: str) -> str | tuple[float, float]:
    if text in list(ColorRange):
        return text
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected map, layer or LOW:HIGH, such as 0:2.5"
        ) from None
    return low, high


def _figure(options: argparse.Namespace) -> None:
    _refuse_useless(options)
    with opened_apart(options.store) as store:
        for stem, draw in _figures(store, options):
            path = options.out / f"{stem}.{options.format}"
            say(str(save_figure(draw(), path, overwrite=options.force)))


def _refuse_useless(options: argparse.Namespace) -> None:
    """Refuses options that would change nothing."""
    if options.summary and not options.all_layers:
        options.usage_error("--summary has no effect without --all-layers; add it")
    if options.all_layers and options.kind != Subject.MAPS:
        options.usage_error(f"--all-layers draws maps; leave out --kind {options.kind}")
    for name, kinds in _FOR.items():
        if getattr(options, name) is None:
            continue
        flag = "--filter" if name == "filters" else f"--{name}"
        if options.all_layers and name != "sample":
            options.usage_error(f"{flag} has no effect with --all-layers; leave it out")
        if options.kind not in kinds:
            options.usage_error(
                f"{flag} has no effect with --kind {options.kind}; it is for {', '.join(kinds)}"
            )
    if options.kind == Subject.CLASSES and options.range == ColorRange.MAP:
        options.usage_error("--range map has no effect with --kind classes; it is one heatmap")


def _figures(
    store: Store, options: argparse.Namespace
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """The name of each file without its ending, and what draws it."""
    sample = options.sample or 0
    if options.all_layers:
        by = options.summary or Summary.MEAN
        yield (
            f"all_layers_sample{sample}",
            lambda: plot.layers(
                store, sample=sample, by=by, layers=options.layers, dpi=options.dpi
            ),
        )
        return
    store.check_sample(sample)
    for name in match_names(list(store.layers), options.layers, what=f"layer of {store.path.name}"):
        yield from _of_layer(store, store.layers[name], options, sample)


def _of_layer(
    store: Store, layer: Layer, options: argparse.Namespace, sample: int
) -> Iterator[tuple[str, Callable[[], Figure]]]:
    names = {"columns": "columns", "cmap": "cmap", "range": "color_range", "labels": "labels"}
    look: dict[str, Any] = {
        keyword: value
        for name, keyword in names.items()
        if (value := getattr(options, name)) is not None
    }
    look |= {"layer": layer.path, "dpi": options.dpi}
    match options.kind:
        case Subject.MAPS:
            look["color_bar"] = options.range not in (None, ColorRange.MAP)
            yield f"{layer.group}_sample{sample}", lambda: plot.feature_maps(store, sample, **look)
        case Subject.KERNELS:
            look["color_bar"] = options.range not in (None, ColorRange.MAP)
            yield f"{layer.group}_kernels", lambda: plot.kernels(store, **look)
        case Subject.CLASSES:
            if options.range == ColorRange.LAYER:
                del look["color_range"]
            statistic = options.statistic or "mean"
            yield (
                f"{layer.group}_{statistic}",
                lambda: plot.classes(store, statistic=statistic, **look),
            )
        case Subject.TOP:
            filters = parse_numbers(
                options.filters or "0", layer.n_filters, what="filter", field="filter"
            )
            for index in map(int, filters):
                yield (
                    f"{layer.group}_filter{index}_top",
                    functools.partial(plot.top_samples, store, filter=index, **look),
                )
