"""The verb that looks into a model, `layers`, and what all verbs on models have in common."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path

from fmcore import api
from fmcore.cli.terminal import AddVerb, add_layers, say
from fmcore.command import image_size
from fmcore.records import KINDS, TAPS


def add_verbs(verb: AddVerb) -> None:
    """Adds it to a parser."""
    layers = verb("layers", _layers, "list the layers of a model, and which a capture would take")
    add_model(layers)
    add_choice(layers)
    layers.add_argument(
        "--size",
        type=image_size,
        metavar="YxX[xC]",
        help="of the images, for models that take any size",
    )
    layers.add_argument("--json", action="store_true", help="everything, as JSON")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Which model, and how it is opened."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .keras, .h5 or .hdf5 file, or a name such as ResNet50V2 (keras.applications)",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="for such a name (random ones)"
    )
    parser.add_argument(
        "--custom",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="your own class or function that the model uses; its module is imported",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run code that is in the file, as of Lambda layers: only for a file you made yourself",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Which of its layers, and what of them."""
    add_layers(parser)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="of layers (conv)")
    parser.add_argument(
        "--tap",
        choices=TAPS,
        default=TAPS[0],
        help="what is stored: a layer's output, or what the normalization and activation after it "
        "make of that (output)",
    )


def _layers(options: argparse.Namespace) -> None:
    size = None if options.size is None else (*options.size, 3)[:3]
    model = api.open_model(
        options.model,
        custom=options.custom,
        trusted=options.trust,
        weights=options.weights,
        image_shape=size,
    )
    rows = api.list_layers(
        model, layers=options.layers, kind=options.kind, tap=options.tap, image_shape=size
    )
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    width, words = max(len(row.path) for row in rows), max(len(row.words) for row in rows)
    for row in rows:
        shape = row.problem if row.shape is None else "x".join(map(str, row.shape))
        say(f"{'*' if row.taken else ' '} {row.path:{width}}  {row.words:{words}}  {shape}")
    taken = [row.shape for row in rows if row.taken and row.shape]
    kilobytes = sum(map(math.prod, taken)) * 4 / 1e3
    print(
        f"{len(taken)} of {len(rows)} would be captured (*), {kilobytes:,.1f} kB of float32 for "
        "each image before compression; sizes are y, x, filter"
    )
