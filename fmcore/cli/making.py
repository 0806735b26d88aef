"""The verbs that make something of a data set: `train` and `capture`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import shutil
import time
from pathlib import Path

from fmcore import pipeline
from fmcore.arguments import image_size, size, whole
from fmcore.capture import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_MEMORY,
    LARGE_STORE_BYTES,
    CapturePlan,
)
from fmcore.cli.terminal import AddVerb, add_force, add_layers, bar, on_terminal, say
from fmcore.dataset import load_dataset
from fmcore.records import KINDS, STATISTICS_KEPT, TAPS
from fmcore.storage import open_store


def add_verbs(verb: AddVerb) -> None:
    """Adds them to a parser."""
    train = verb("train", _train, "train the tutorial's network and save it")
    _add_data(train)
    train.add_argument(
        "--epochs", type=whole(1, 10_000), default=3, help="passes over the images (3)"
    )
    train.add_argument(
        "--seed", type=whole(0, 2**32 - 1), default=0, help="fixes weights and order (0)"
    )
    train.add_argument("--out", type=Path, required=True, metavar="MODEL.keras")

    capture = verb("capture", _capture, "run the test set through a model and store it")
    _add_model(capture)
    _add_data(capture)
    _add_choice(capture)
    capture.add_argument("--out", type=Path, required=True, metavar="STORE")
    capture.add_argument(
        "--batch-size",
        type=whole(1, 1_000_000),
        metavar="N",
        help=f"samples in one go through the model (what fits, at most {DEFAULT_BATCH_SIZE})",
    )
    capture.add_argument(
        "--memory",
        type=size,
        default=DEFAULT_MEMORY,
        metavar="SIZE",
        help="what batches, class maps and histograms may take, such as 512MB (1GiB)",
    )
    capture.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="GLOB=POLICY",
        help="how layers are stored: float32 (exactly), float16, pooled (no maps)",
    )
    capture.add_argument("--dry-run", action="store_true", help="only say what it would take")
    capture.add_argument("--yes", action="store_true", help="also where it takes more than 10 GB")
    capture.add_argument(
        "--restart", action="store_true", help="discard the shards of an interrupted run"
    )
    capture.add_argument(
        "--statistics",
        choices=STATISTICS_KEPT,
        default=STATISTICS_KEPT[0],
        help="basic leaves out histograms, scores, top samples and similarities (all)",
    )
    for writer in (train, capture):
        add_force(writer)

    layers = verb("layers", _layers, "list the layers of a model, and which a capture would take")
    _add_model(layers)
    _add_choice(layers)
    layers.add_argument(
        "--size",
        type=image_size,
        metavar="YxX[xC]",
        help="of the images, for models that take any size",
    )
    layers.add_argument("--json", action="store_true", help="everything, as JSON")


def _add_model(parser: argparse.ArgumentParser) -> None:
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


def _add_choice(parser: argparse.ArgumentParser) -> None:
    add_layers(parser)
    parser.add_argument("--kind", choices=KINDS, default=KINDS[0], help="of layers (conv)")
    parser.add_argument(
        "--tap",
        choices=TAPS,
        default=TAPS[0],
        help="what is stored: a layer's output, or what the normalization and activation after it "
        "make of that (output)",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="mnist", help="mnist, or FILE.npz (mnist)")
    parser.add_argument("--data-dir", type=Path, help="where mnist.npz lies ($FMCORE_DATA, data/)")


def _train(options: argparse.Namespace) -> None:
    dataset = load_dataset(options.data, data_dir=options.data_dir, progress=on_terminal())
    n_train = len(dataset.train) if dataset.train is not None else 0
    print(f"Data: {dataset.source}; {n_train:,} images to train", flush=True)
    history = pipeline.train(
        dataset,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        overwrite=options.force,
        progress=on_terminal(),
    )
    accuracy = history["val_accuracy"][-1]
    print(f"Wrote {options.out} after {options.epochs} epochs, validation accuracy {accuracy:.4f}")


def _capture(options: argparse.Namespace) -> None:
    dataset = load_dataset(options.data, data_dir=options.data_dir, progress=on_terminal())
    print(f"Data: {dataset.source}; {len(dataset.test):,} images to capture", flush=True)
    started = time.perf_counter()
    with bar(len(dataset.test), "sample") as progress:
        pipeline.capture_dataset(
            options.model,
            dataset,
            options.out,
            custom=options.custom,
            trusted=options.trust,
            weights=options.weights,
            layers=options.layers,
            kind=options.kind,
            tap=options.tap,
            policy=",".join(options.policy),
            batch_size=options.batch_size,
            memory=options.memory,
            statistics=options.statistics,
            overwrite=options.force,
            restart=options.restart,
            allow_large=options.yes,
            on_plan=lambda plan: not options.dry_run or _say_plan(plan, options.out),
            on_progress=progress.update,
        )
    if options.dry_run:
        return
    seconds = time.perf_counter() - started
    with open_store(options.out) as store:
        accuracy = store.about()["model"]["test_accuracy"]
        print(
            f"Wrote {options.out}: {store.n_samples:,} samples, layers {', '.join(store.layers)}, "
            f"{options.out.stat().st_size / 1e6:,.0f} MB, test accuracy {accuracy:.4f}, "
            f"{seconds:.1f} s"
        )


def _layers(options: argparse.Namespace) -> None:
    size = None if options.size is None else (*options.size, 3)[:3]
    model = pipeline.open_model(
        options.model,
        custom=options.custom,
        trusted=options.trust,
        weights=options.weights,
        image_shape=size,
    )
    rows = pipeline.list_layers(
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


def _say_plan(plan: CapturePlan, out: Path) -> bool:
    """Prints what a capture to `out` would take; it is not begun."""
    width = max(5, *(len(layer.path) for layer in plan.estimate.layers))
    say(f"{'layer':{width}}  policy   compression      in memory  in the store")
    for layer in plan.estimate.layers:
        say(
            f"{layer.path:{width}}  {layer.policy:8} {layer.codec:15} "
            f"{_megabytes(layer.map_bytes)} {_megabytes(layer.stored_bytes)}"
        )
    print(f"images, labels, probabilities: {_megabytes(plan.estimate.other_bytes).strip()}")
    print(f"the store: about {_megabytes(plan.estimate.store_bytes).strip()}")
    shards = plan.estimate.n_shards
    if shards > 1:
        on_disk = _megabytes(plan.estimate.disk_bytes).strip()
        print(f"{shards} shards of {plan.shard_rows:,} samples, and their join: {on_disk} on disk")
    free = shutil.disk_usage(folder := next(p for p in out.absolute().parents if p.is_dir())).free
    say(f"free in {folder}: {_megabytes(free).strip()}")
    if plan.estimate.disk_bytes > free:
        print("that is too little: the capture would not begin")
    if plan.estimate.store_bytes > LARGE_STORE_BYTES:
        print("more than 10 GB: it begins only with --policy or --yes")
    print(f"batches of {plan.store.batch_size} samples; nothing was written")
    return False


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"
