"""`fmcore verify`: compare a store with what Keras itself predicts."""

from __future__ import annotations

import argparse

from fmcore import api
from fmcore.cli.capture import add_image_files, opened
from fmcore.cli.options import AddVerb, add_data, add_image_memory, add_model, add_store, bar, say
from fmcore.command import whole_number


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `verify` to the command line."""
    verify = verb("verify", _verify, "compare a store with what Keras itself predicts")
    add_store(verify)
    add_model(verify, "--model")
    add_data(verify)
    add_image_files(verify)
    add_image_memory(verify)
    verify.add_argument(
        "--samples",
        type=whole_number(1, 1_000_000_000),
        default=200,
        metavar="N",
        help="how many random samples are compared (default: %(default)s)",
    )
    verify.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="fixes which samples (default: %(default)s)",
    )


def _verify(options: argparse.Namespace) -> int:
    model, dataset = opened(options)
    with bar(min(options.samples, len(dataset.test)), "sample") as progress:
        verification = api.verify_dataset(
            options.store,
            model,
            dataset,
            samples=options.samples,
            seed=options.seed,
            on_progress=progress.update,
        )
    say(verification.words)
    return int(not verification.agrees)
