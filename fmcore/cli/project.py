"""`fmcore project`: compute a map of all samples by UMAP, and keep it beside the store."""

from __future__ import annotations

import argparse
import time

from fmcore.cli.options import AddVerb, add_force, add_store, say
from fmcore.command import whole_number
from fmcore.statistics import POOLINGS, Scale, UmapOptions
from fmcore.storage import (
    TableOf,
    opened_apart,
    refuse_existing_umap,
    sample_table,
    umap_path,
    umap_samples,
    write_umap,
)

DEFAULTS = UmapOptions()


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `project` to the command line."""
    words = "compute a map of all samples by UMAP for the dashboard"
    project = verb("project", _project, words)
    add_store(project)
    project.add_argument(
        "--of",
        choices=[of.value for of in TableOf],
        default="",
        help="what samples are compared by: the activations of a layer, or the output of the model "
        "(default: layer)",
    )
    project.add_argument(
        "--layer", default="", metavar="PATH", help="the layer (default: the last one captured)"
    )
    project.add_argument(
        "--by", choices=POOLINGS, default="", help="over the pixels of a map (default: mean)"
    )
    project.add_argument(
        "--scale",
        choices=[scale.value for scale in Scale],
        default="",
        help="std divides each column by its standard deviation (default: none)",
    )
    project.add_argument(
        "--neighbors",
        type=int,
        default=DEFAULTS.n_neighbors,
        metavar="N",
        help="samples that count as near to one (default: %(default)s)",
    )
    project.add_argument(
        "--min-dist",
        type=float,
        default=DEFAULTS.min_dist,
        metavar="D",
        help="the least distance of points on the map, 0 to 1 (default: %(default)s)",
    )
    project.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=DEFAULTS.seed,
        metavar="N",
        help="of the random numbers (default: %(default)s)",
    )
    add_force(project)


def _project(options: argparse.Namespace) -> None:
    umap_options = UmapOptions(options.neighbors, options.min_dist, options.seed)
    umap_options.check()
    with opened_apart(options.store) as store:
        names = ("of", "layer", "by", "scale")
        table = sample_table(store, **{name: getattr(options, name) for name in names})
        path = umap_path(store, table)
        refuse_existing_umap(path, overwrite=options.force)
        started = time.monotonic()
        umap = umap_samples(store, table, umap_options)
        write_umap(store, table, umap, path, overwrite=options.force)
        seconds = time.monotonic() - started
    say(f"{path}: {umap.n_placed:,} samples by the {table.words}, {umap.library}, {seconds:.0f} s")
