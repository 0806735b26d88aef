"""What the commands share: printing, progress bars, and options that several of them have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fmcore.errors import one_line
from fmcore.records import KINDS, TAPS
from fmcore.selection import PARAMETERS, Query, parse_query

# Adds a verb: its name, what runs it, and what it does in a few words.
AddVerb = Callable[[str, Any, str], argparse.ArgumentParser]


def say(text: str) -> None:
    """Prints a line in which names out of a file may stand, which may hold anything."""
    print(one_line(text))


def on_terminal() -> bool:
    """Whether a person sees what goes to stderr."""
    return sys.stderr.isatty()


def bar(total: int | None, unit: str, *, scale: bool = False) -> tqdm[Any]:
    """A progress bar on a terminal, nothing in a log."""
    return tqdm(total=total, unit=unit, unit_scale=scale, disable=None, leave=False)


def add_store(parser: argparse.ArgumentParser) -> None:
    """The store that is read."""
    parser.add_argument("store", type=Path, metavar="STORE")


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Which layers; `--layers` is the option's older name."""
    parser.add_argument(
        "--layer",
        "--layers",
        dest="layers",
        default="*",
        metavar="GLOB",
        help="such as 'conv1,block?_*'",
    )


def add_query(parser: argparse.ArgumentParser, *names: str) -> None:
    """What is asked for; all of `PARAMETERS` where no names are given."""
    for one in PARAMETERS:
        if names and one.name not in names:
            continue
        older = ["--layers"] if one.name == "layer" else []
        parser.add_argument(
            f"--{one.name}",
            *older,
            dest=f"query_{one.name}",
            choices=one.choices or None,
            metavar=None if one.choices else one.example,
            help=f"{one.description} {one.here}".strip(),
        )


def query_of(options: argparse.Namespace) -> Query:
    """What was asked for with the options of `add_query`.

    Raises:
        SelectionError: if a value is none there is.
    """
    found = {
        name.removeprefix("query_"): value
        for name, value in vars(options).items()
        if name.startswith("query_")
    }
    return parse_query(found)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Whether files are replaced."""
    parser.add_argument("--force", action="store_true", help="replace what is there")


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


def add_data(parser: argparse.ArgumentParser) -> None:
    """Which images, and where named data sets lie."""
    parser.add_argument(
        "--data",
        default="mnist",
        help="mnist, cifar10, cifar100, fashion_mnist; FILE.npz; images-idx3 files; "
        "FILE.h5::IMAGES,LABELS; a folder with a subfolder of images for each class; an image "
        "(mnist). For each further input of a model: x_test_NAME in the npz file, or "
        "FILE.h5::IMAGES,LABELS,NAME=ARRAY; it is fed as it is",
    )
    parser.add_argument("--data-dir", type=Path, help="where mnist.npz lies ($FMCORE_DATA, data/)")
