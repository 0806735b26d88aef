"""`fmcore train`: train the tutorial's network and save it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fmcore import api
from fmcore.cli.options import AddVerb, add_data, add_force, add_image_memory, on_terminal
from fmcore.command import whole_number
from fmcore.sources import DataOptions, load


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `train` to the command line."""
    train = verb("train", _train, "train the tutorial's network and save it")
    add_data(train)
    add_image_memory(train)
    train.add_argument(
        "--epochs",
        type=whole_number(1, 10_000),
        default=3,
        metavar="N",
        help="passes over the images (default: %(default)s)",
    )
    train.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="fixes initial weights and order (default: %(default)s)",
    )
    train.add_argument(
        "--out", type=Path, required=True, metavar="MODEL.keras", help="the file to write"
    )
    add_force(train)


def _train(options: argparse.Namespace) -> None:
    data_options = DataOptions(
        data_dir=options.data_dir, progress=on_terminal(), memory=options.memory
    )
    dataset = load(options.data, data_options)
    n_train = len(dataset.train) if dataset.train is not None else 0
    print(f"Data: {dataset.source}; {n_train:,} images to train", flush=True)
    history = api.train(
        dataset,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        overwrite=options.force,
        progress=on_terminal(),
    )
    accuracy = history["val_accuracy"][-1]
    print(f"Wrote {options.out} after {options.epochs} epochs, validation accuracy {accuracy:.4f}")
