"""`fmcore layers`: the layers of a model, and which of them a capture would take."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math

from fmcore import api
from fmcore.cli.options import AddVerb, add_choice, add_model, capture_options, say
from fmcore.command import image_size
from fmcore.files import size_text


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `layers` to the command line."""
    layers = verb("layers", _layers, "list the layers of a model, and which a capture would take")
    add_model(layers)
    add_choice(layers)
    layers.add_argument(
        "--size",
        type=image_size,
        metavar="YxX[xC]",
        help="size of the images, for models that take any size",
    )
    layers.add_argument("--json", action="store_true", help="print everything as JSON")


def _layers(options: argparse.Namespace) -> None:
    size = None if options.size is None else (*options.size, 3)[:3]
    model = api.open_model(
        options.model,
        custom=options.custom,
        trusted=options.trust,
        weights=options.weights,
        image_shape=size,
    )
    rows = api.list_layers(model, capture_options(options), image_shape=size)
    if options.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    width, words = max(len(row.path) for row in rows), max(len(row.words) for row in rows)
    for row in rows:
        shape = row.problem if row.shape is None else "x".join(map(str, row.shape))
        say(f"{'*' if row.taken else ' '} {row.path:{width}}  {row.words:{words}}  {shape}")
    for output in api.list_outputs(model, image_shape=size):
        loss = f", loss {output.loss.name}" if output.loss.name else ""
        say(f"output {output.name}: {output.shape_words} for each image, {output.words}{loss}")
    taken = [row.shape for row in rows if row.taken and row.shape]
    size_of_maps = size_text(sum(map(math.prod, taken)) * 4)
    print(
        f"{len(taken)} of {len(rows)} would be captured (*), {size_of_maps} of float32 for "
        "each image before compression; sizes are y, x, filter"
    )
