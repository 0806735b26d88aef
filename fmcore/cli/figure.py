"""`fmcore figure`: draw the feature maps of one sample with matplotlib."""

from __future__ import annotations

import argparse
from pathlib import Path

from fmcore.cli.options import AddVerb, add_force, add_layers, add_store, say
from fmcore.figure import write_figures
from fmcore.storage import opened_apart


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `figure` to the command line."""
    figure = verb("figure", _figure, "draw the feature maps of one sample with matplotlib")
    add_store(figure)
    figure.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="index of the sample (default: %(default)s)",
    )
    figure.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to write"
    )
    add_layers(figure)
    add_force(figure)


def _figure(options: argparse.Namespace) -> None:
    with opened_apart(options.store) as store:
        for path in write_figures(
            store,
            options.out,
            sample=options.sample,
            layers=options.layers,
            overwrite=options.force,
        ):
            say(str(path))
