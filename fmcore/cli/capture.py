"""`fmcore capture`: run the test set through a model and store it."""

from __future__ import annotations

import argparse
import shutil
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from fmcore import api
from fmcore.capture import LARGE_STORE_BYTES, CapturePlan
from fmcore.cli.options import (
    AddVerb,
    Join,
    add_capture_option,
    add_choice,
    add_data,
    add_model,
    bar,
    capture_options,
    on_terminal,
    say,
)
from fmcore.cluster import ClusterOptions, KerasOpening, check_cluster
from fmcore.command import (
    command_text,
    decimal_share,
    divisors,
    image_size,
    number,
    numbers,
    size,
    whole_number,
)
from fmcore.dataset import (
    FITS,
    Dataset,
    Decision,
    Preprocessing,
    default_preprocessing,
    preprocessing_named,
)
from fmcore.dataset.preprocessing import NAMES
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.files import refuse_existing, size_text
from fmcore.records import Target
from fmcore.sources import DataOptions, open_both
from fmcore.storage import STORE_KIND, Store, open_store
from fmcore.storage.joining import Join as JoinMode

# More layers than these are counted, not named, in one line.
MOST_NAMED = 8
# What a store holds of the answers, and what it measures where that is no accuracy.
ANSWERS = {
    Target.CLASS: ", probabilities",
    Target.LABELS: ", probabilities",
    Target.NUMBER: ", predicted numbers",
    Target.NONE: "",
}
MEASURED = {
    Target.LABELS: ", for which the store measures the share of right labels, and of samples whose "
    "labels are all right",
    Target.NUMBER: ", for which the store measures the mean absolute error",
    Target.NONE: "",
}


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `capture` to the command line."""
    capture = verb("capture", _capture, "run the test set through a model and store it")
    add_model(capture)
    add_data(capture)
    add_image_files(capture)
    _add_preprocessing(capture)
    add_choice(capture)
    capture.add_argument(
        "--out", type=Path, required=True, metavar="STORE", help="the store to write"
    )
    batch_size = whole_number(1, 1_000_000)
    add_capture_option(capture, "batch_size", "--batch-size", type=batch_size, metavar="N")
    add_capture_option(capture, "memory", "--memory", type=size, metavar="SIZE")
    add_capture_option(capture, "policy", "--policy", action=Join, metavar="GLOB=POLICY")
    add_capture_option(capture, "compression", "--compression")
    add_capture_option(capture, "statistics", "--statistics")
    add_capture_option(capture, "target", "--target")
    add_capture_option(capture, "output", "--output", metavar="NAME")
    add_capture_option(capture, "predictions", "--no-predictions")
    capture.add_argument("--dry-run", action="store_true", help="only print what it would take")
    add_capture_option(capture, "allow_large", "--yes")
    add_capture_option(capture, "restart", "--restart")
    add_capture_option(capture, "overwrite", "--force")
    _add_cluster(capture)
    capture.add_argument(
        "--expect-accuracy",
        type=decimal_share,
        metavar="N",
        help="fail where the test accuracy is not this, such as 0.91, to its last digit",
    )


def add_image_files(parser: argparse.ArgumentParser) -> None:
    """Adds options on how image files are read, and on the names of their classes."""
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="YxX[xC]",
        help="size to which image files are resized, for models that take any size",
    )
    parser.add_argument(
        "--fit",
        choices=FITS,
        default=FITS[0],
        help="how image files are resized; crop and pad keep proportions (default: %(default)s)",
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave out images that cannot be decoded"
    )
    parser.add_argument(
        "--class-names",
        type=Path,
        metavar="FILE",
        help="names of the model's classes, one per line",
    )


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "preprocessing", "of the images for the model; the store keeps them as a person sees them"
    )
    group.add_argument(
        "--scale",
        type=number,
        metavar="N",
        help="divide pixels by N; 1 feeds them as given (default: as the model takes them, or "
        "255 for uint8 where that is not known)",
    )
    group.add_argument(
        "--mean", type=numbers, metavar="N,…", help="then subtract these, one per channel"
    )
    group.add_argument(
        "--std", type=divisors, metavar="N,…", help="then divide by these, one per channel"
    )
    group.add_argument(
        "--preprocess",
        choices=NAMES,
        metavar="NAME",
        help=f"as keras.applications.NAME does it: {', '.join(NAMES)}",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "cluster", "of Dask, whose workers see model, data and the folder of the store"
    )
    group.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="scheduler: tls://HOST:PORT, or tcp://127.0.0.1:PORT; local:N starts N processes of "
        "one thread each on this machine",
    )
    group.add_argument(
        "--shard-samples",
        type=whole_number(1, 1_000_000_000),
        metavar="N",
        help="samples in a shard, rounded to whole batches (default: by their size)",
    )
    group.add_argument(
        "--join",
        choices=[join.value for join in JoinMode],
        default=JoinMode.COPY.value,
        help="how shards become a store: copied into one file, or kept in a folder beside it "
        "(default: %(default)s)",
    )
    for name, words in (
        ("ca", "the certificate of the authority that signed those of the cluster"),
        ("cert", "the certificate of this machine"),
        ("key", "the key of that certificate"),
    ):
        group.add_argument(f"--cluster-{name}", type=Path, metavar="FILE", help=words)


def _cluster(options: argparse.Namespace) -> ClusterOptions | None:
    """The cluster that the options name; None for this process."""
    if options.cluster is None:
        for name in ("shard_samples", "cluster_ca", "cluster_cert", "cluster_key"):
            if getattr(options, name) is not None:
                flag = name.replace("_", "-")
                raise SelectionError(f"--{flag} is for a capture on a cluster; give --cluster too")
        return None
    return ClusterOptions(
        cluster=options.cluster,
        shard_samples=options.shard_samples,
        join=options.join,
        ca=options.cluster_ca,
        certificate=options.cluster_cert,
        key=options.cluster_key,
    )


def _capture(options: argparse.Namespace) -> None:
    record = capture_options(options)
    cluster = _cluster(options)
    if cluster is not None:
        check_cluster(cluster)
    refuse_existing(options.out, overwrite=record.overwrite, kind=STORE_KIND)
    model, dataset = opened(options)
    print(f"Data: {dataset.source}; {len(dataset.test):,} images to capture", flush=True)
    if options.expect_accuracy is not None and dataset.test.truth is None:
        raise DatasetError("--expect-accuracy needs labels, and the images have none")
    preprocessing = _preprocessing(options, dataset)
    started = time.perf_counter()
    with bar(len(dataset.test), "sample") as progress:
        api.capture_dataset(
            model,
            dataset,
            options.out,
            record,
            model_source=options.model,
            preprocessing=preprocessing,
            command=command_text(options.words, without="--out"),
            cluster=cluster,
            opening=KerasOpening(
                options.model,
                options.data,
                _data_options(options),
                custom=tuple(options.custom),
                trusted=options.trust,
                weights=options.weights,
            ),
            on_decision=_say_decision,
            on_plan=lambda plan: _begins(plan, options),
            on_progress=progress.update,
            on_shard=lambda shards: progress.set_postfix_str(shards.words),
            on_link=lambda link: say(f"Dask's dashboard: {link}"),
        )
    if options.dry_run:
        return
    seconds = time.perf_counter() - started
    with open_store(options.out) as store:
        is_short = len(store.layers) <= MOST_NAMED
        layers = f"layers {', '.join(store.layers)}" if is_short else f"{len(store.layers)} layers"
        say(
            f"Wrote {options.out}: {store.n_samples:,} samples, {layers}, "
            f"{size_text(options.out.stat().st_size)}, {store.accuracy_words}, {seconds:.1f} s"
        )
        if options.expect_accuracy is not None:
            _require_accuracy(store, options.expect_accuracy)


def opened(options: argparse.Namespace) -> tuple[Any, Dataset]:
    """The model and the test set that the options name; see `fmcore.sources.open_both`."""
    return open_both(
        options.model,
        options.data,
        _data_options(options),
        custom=options.custom,
        trusted=options.trust,
        weights=options.weights,
    )


def _data_options(options: argparse.Namespace) -> DataOptions:
    return DataOptions(
        data_dir=options.data_dir,
        size=options.size,
        fit=options.fit,
        skip_bad=options.skip_bad,
        class_names=options.class_names,
        progress=on_terminal(),
        memory=options.memory,
    )


def _require_accuracy(store: Store, expected: Decimal) -> None:
    """Refuses an accuracy that is farther from the expected one than half of its last digit.

    Raises:
        ModelError: with both numbers; the store stays.
    """
    accuracy = float(store.about()["model"]["test_accuracy"])
    room = Decimal(5).scaleb(int(expected.as_tuple().exponent) - 1)
    if abs(Decimal(repr(accuracy)) - expected) > room:
        raise ModelError(
            f"the test accuracy is {accuracy:.6g}, expected {expected} ± {room} "
            f"(--expect-accuracy); {store.path} is kept: is it the model, the data and the "
            "preprocessing that you mean?"
        )


def _preprocessing(options: argparse.Namespace, dataset: Dataset) -> Preprocessing | None:
    """The preprocessing that the options declare; None where they leave it to be decided."""
    steps = (options.scale, options.mean, options.std)
    if options.preprocess:
        if any(value is not None for value in steps):
            raise SelectionError("--preprocess sets all of it; leave out --scale, --mean and --std")
        return preprocessing_named(options.preprocess)
    if all(value is None for value in steps):
        return None
    mean, std = options.mean or (), options.std or ()
    scale = options.scale or default_preprocessing(dataset.test.images).scale
    if options.scale is None and scale != 1 and max(map(abs, (*mean, *std))) > 2:
        raise SelectionError(
            f"--mean and --std look like those of pixels of 0 to 255, but uint8 pixels are divided "
            f"by {scale:g} before; give --scale 1 with them, or --scale {scale:g} to confirm it"
        )
    return Preprocessing(scale, mean=mean, std=std)


def _say_decision(decision: Decision) -> None:
    """Prints which pixels the model will see, and why, before the pass."""
    say(f"Preprocessing: {decision.words}; {decision.sight}")


def _begins(plan: CapturePlan, options: argparse.Namespace) -> bool:
    """Prints what the model's output is taken for, and why; whether the capture is to begin.

    Raises:
        ModelError: if an accuracy is expected, and nobody will measure it.
    """
    target = plan.store.target
    if plan.output is not None:
        say(f"Target: {target}; {plan.output.record}")
    if options.expect_accuracy is not None and target != Target.CLASS:
        raise ModelError(
            f"--expect-accuracy {options.expect_accuracy}: an accuracy is that of one class for "
            f"each image, and the target is {target}{MEASURED[target]}; leave it out"
        )
    return not options.dry_run or _say_plan(plan, options.out)


def _say_plan(plan: CapturePlan, out: Path) -> bool:
    """Prints what a capture to `out` would take; False, so that it does not begin."""
    width = max(5, *(len(layer.path) for layer in plan.estimate.layers))
    say(f"{'layer':{width}}  policy       in memory  in the store  compression")
    for layer in plan.estimate.layers:
        say(
            f"{layer.path:{width}}  {layer.policy:8} "
            f"{size_text(layer.map_bytes):>13} {size_text(layer.stored_bytes):>13}  {layer.codec}"
        )
    others = f"images, labels{ANSWERS[plan.store.target]}"
    print(f"{others}: {size_text(plan.estimate.other_bytes)}")
    print(f"the store: about {size_text(plan.estimate.store_bytes)}")
    if plan.checkpoint_rows < plan.n_samples:
        on_disk = size_text(plan.estimate.disk_bytes)
        print(f"with a checkpoint after every {plan.checkpoint_rows:,} samples: {on_disk} on disk")
    free = shutil.disk_usage(folder := next(p for p in out.absolute().parents if p.is_dir())).free
    say(f"free in {folder}: {size_text(free)}")
    if plan.estimate.disk_bytes > free:
        print("that is not enough: the capture would not begin")
    if plan.estimate.store_bytes > LARGE_STORE_BYTES:
        print("more than 10 GB: the capture begins only with --policy or --yes")
    print(f"batches of {plan.store.batch_size} samples; nothing was written")
    return False
