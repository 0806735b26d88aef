"""`fmcore ablate`: what the model loses without each filter, measured."""

from __future__ import annotations

import argparse
import sys

import numpy as np

from fmcore import api
from fmcore.ablation import DEFAULT_MEMORY, AblationOptions, AblationPlan
from fmcore.cli.capture import add_image_files, opened
from fmcore.cli.options import (
    AddVerb,
    add_data,
    add_force,
    add_layers,
    add_model,
    add_store,
    bar,
    say,
)
from fmcore.cli.tables import add_table_choice, aligned, give_table, table_form
from fmcore.command import size, whole_number
from fmcore.errors import SelectionError
from fmcore.export import ABLATION_TABLE, ablation_table
from fmcore.numbers import number_text
from fmcore.records import Target
from fmcore.selection import match_names
from fmcore.statistics import COST_LEVEL, Change, Curve, Replacement
from fmcore.storage import Ablation, LayerAblation, opened_apart

FIRST_ROWS = 5
HEADINGS = ("", "accuracy lost", "95% interval", "q", "loss", "changed")


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `ablate` to the command line."""
    ablate = verb("ablate", _ablate, "measure what the model loses without each filter")
    add_store(ablate)
    add_model(ablate, "--model", without="without it, what was measured before is printed")
    add_data(ablate, default=None)
    add_image_files(ablate)
    add_layers(ablate)
    ablate.add_argument(
        "--by",
        choices=tuple(Replacement),
        default=str(Replacement.ZERO),
        help="what takes the place of a filter's output: zero, its mean over the test set, or its "
        "output for another sample (default: %(default)s)",
    )
    ablate.add_argument(
        "--sample", default="", metavar="GROUP", help="a group of samples (default: all)"
    )
    ablate.add_argument(
        "--curve",
        action="store_true",
        help="also measure how right the model is while filters go one after the other, by cost, "
        "by the usual signs and at random",
    )
    ablate.add_argument(
        "--model-curve",
        action="store_true",
        help="also measure how right it is while filters of all measured layers go together",
    )
    ablate.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="of random choices (default: %(default)s)",
    )
    ablate.add_argument(
        "--memory",
        type=size,
        default=DEFAULT_MEMORY,
        metavar="SIZE",
        help="bytes that it may take beyond the model (default: 1GiB)",
    )
    ablate.add_argument("--dry-run", action="store_true", help="only print how long it would take")
    ablate.add_argument(
        "--restart", action="store_true", help="discard what an interrupted run has left"
    )
    ablate.add_argument(
        "--by-class", action="store_true", help="add a row for each class to the table"
    )
    add_table_choice(ablate)
    add_force(ablate)


def _ablate(options: argparse.Namespace) -> None:
    form = table_form(options, ABLATION_TABLE)
    if options.model is not None:
        _measure(options)
        if options.dry_run:
            return
    elif options.dry_run or options.data is not None:
        raise SelectionError("--model MODEL is needed to measure anything", field="model")
    with opened_apart(options.store) as store:
        ablation = store.ablation(options.by)
        paths = match_names(ablation.layers, options.layers, what="measured layer", field="layers")
        if form is not None:
            tables = ablation_table(ablation, paths, store.class_names, by_class=options.by_class)
            give_table(tables, form, options.out, ABLATION_TABLE, overwrite=options.force)
            return
        for line in lines(ablation, paths):
            say(line)


def _measure(options: argparse.Namespace) -> None:
    record = AblationOptions(
        layers=options.layers,
        by=options.by,
        seed=options.seed,
        curve=options.curve,
        model_curve=options.model_curve,
        memory=options.memory,
        overwrite=options.force,
        restart=options.restart,
    )
    if options.data is None:
        with opened_apart(options.store) as store:
            image_shape = store.image_shape
        dataset = None
        model = api.open_model(
            options.model,
            custom=options.custom,
            trusted=options.trust,
            weights=options.weights,
            image_shape=image_shape,
        )
    else:
        model, dataset = opened(options)
    with bar(None, "row", scale=True) as progress:

        def begins(plan: AblationPlan) -> bool:
            for line in plan_lines(plan):
                print(f"fmcore: {line}", file=sys.stderr, flush=True)
            progress.reset(plan.n_rows)
            return not options.dry_run

        api.ablate_dataset(
            options.store,
            model,
            dataset,
            record,
            samples=options.sample,
            on_plan=begins,
            on_progress=progress.update,
        )


def plan_lines(plan: AblationPlan) -> list[str]:
    """What is measured, and about how long it takes."""
    lines = list(plan.notes)
    if plan.kept:
        lines.append(f"{', '.join(plan.kept)}: measured before; --force measures anew")
    if plan.parts:
        n_filters = sum(part.n_filters for part in plan.parts)
        lines.append(
            f"{n_filters:,} filters of {len(plan.parts)} layers, {plan.parts[0].n_samples:,} "
            f"samples: about {_seconds_text(plan.seconds)}"
        )
    if (curve := plan.model_curve) is not None:
        lines.append(
            f"{'of that ' if plan.parts else ''}the curve of the whole model, {curve.n_filters:,} "
            f"filters of {curve.n_layers} layers, {curve.n_samples:,} samples: about "
            f"{_seconds_text(curve.seconds)}"
        )
    return lines


def _seconds_text(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def lines(ablation: Ablation, paths: list[str]) -> list[str]:
    """What was measured, for people: the filters that cost most, and those without effect."""
    facts = ablation.facts
    is_class = facts.target == Target.CLASS
    texts = [
        f"Each filter replaced by {facts.by}, {facts.n_samples:,} samples"
        + ("" if facts.labels == "given" or not is_class else "; labels are the predictions")
    ]
    for path in paths:
        layer = ablation.layer(path)
        rows = _cost_rows(layer) if is_class else _output_rows(layer)
        nothing = np.flatnonzero(layer.no_effect).tolist()
        texts += ["", f"{path}: {layer.n_filters} filters, the most costly first", *rows]
        if nothing:
            texts.append(f"  no effect: {', '.join(map(str, nothing))}")
        if layer.curve is not None:
            texts += _curve_lines(layer.curve, is_class=is_class)
    if ablation.curve is not None:
        n_filters, n_layers = ablation.curve.ranks.shape[1], len(ablation.layers)
        texts += ["", f"whole model: {n_filters:,} filters of {n_layers} layers"]
        texts += _curve_lines(ablation.curve, is_class=is_class)
    texts.append("")
    if is_class:
        texts += [
            "accuracy lost: by how much the accuracy falls without the filter, with Newcombe's "
            "interval for paired shares.",
            "q: exact McNemar p after Holm over the filters of the layer; below "
            f"{COST_LEVEL} the cost is apart from zero.",
            f"loss: by how much the cross-entropy rises; changed: answers that are another, of "
            f"{facts.n_samples:,}.",
        ]
    else:
        texts.append("moved: how far the output moves without the filter, relative to its size.")
    return texts


def _cost_rows(layer: LayerAblation) -> list[str]:
    costs = layer.costs()
    rows = [
        (
            f"  filter {index}",
            f"{costs.accuracy.value[index]:+.4f}",
            _interval(costs.accuracy, index),
            number_text(costs.q[index], digits=2),
            f"{costs.loss.value[index]:+.4f}",
            f"{costs.n_changed[index]:,}",
        )
        for index in costs.order()[::-1][:FIRST_ROWS].tolist()
    ]
    return aligned(HEADINGS, *rows)


def _output_rows(layer: LayerAblation) -> list[str]:
    costs = layer.costs()
    return [
        f"  filter {index}: moved {number_text(costs.output[index], digits=3)}"
        for index in costs.order()[::-1][:FIRST_ROWS].tolist()
    ]


def _interval(change: Change, index: int) -> str:
    return f"{change.low[index]:+.4f} to {change.high[index]:+.4f}"


def _curve_lines(curve: Curve, *, is_class: bool) -> list[str]:
    """What is left while filters go, and of how many samples."""
    quality = "accuracy" if is_class else "relative error of the output"
    band = curve.random_band()
    headings = ["  gone", *curve.named_orders, "random (least to most)"]
    columns = [curve.order_quality(order) for order in curve.named_orders]
    rows = [
        [
            f"{step:>6}",
            *(f"{column[at]:.3f}" for column in columns),
            f"{band[1, at]:.3f} ({band[0, at]:.3f} to {band[2, at]:.3f})",
        ]
        for at, step in enumerate(curve.steps.tolist())
    ]
    title = f"  {quality} while filters go, {curve.n_samples:,} samples"
    return [title, *aligned(headings, *rows)]
