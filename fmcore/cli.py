"""`fmcore`: arguments to the verbs of the other modules; the only place of the core that prints."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fmcore import __version__, pipeline
from fmcore.arguments import size, whole
from fmcore.capture import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_MEMORY,
    LARGE_STORE_BYTES,
    CapturePlan,
)
from fmcore.command import run_command
from fmcore.dataset import load_dataset
from fmcore.errors import one_line
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.figure import write_figures
from fmcore.startup import without_startup_notes
from fmcore.storage import open_store, problems_apart


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 where it went well, 1 for an error that is said in one line, 2 usage."""
    return run_command("fmcore", _parser(), argv)


def _train(options: argparse.Namespace) -> None:
    dataset = load_dataset(options.data, data_dir=options.data_dir, progress=_on_terminal())
    n_train = len(dataset.train) if dataset.train is not None else 0
    print(f"Data: {dataset.source}; {n_train:,} images to train", flush=True)
    with without_startup_notes():
        pipeline.need_keras()
    history = pipeline.train(
        dataset,
        options.out,
        epochs=options.epochs,
        seed=options.seed,
        overwrite=options.force,
        progress=_on_terminal(),
    )
    accuracy = history["val_accuracy"][-1]
    print(f"Wrote {options.out} after {options.epochs} epochs, validation accuracy {accuracy:.4f}")


def _capture(options: argparse.Namespace) -> None:
    dataset = load_dataset(options.data, data_dir=options.data_dir, progress=_on_terminal())
    print(f"Data: {dataset.source}; {len(dataset.test):,} images to capture", flush=True)
    with without_startup_notes():
        pipeline.need_keras()
    started = time.perf_counter()
    with _bar(len(dataset.test), "sample") as bar:
        pipeline.capture_dataset(
            options.model,
            dataset,
            options.out,
            layers=options.layers,
            policy=",".join(options.policy),
            batch_size=options.batch_size,
            memory=options.memory,
            overwrite=options.force,
            restart=options.restart,
            allow_large=options.yes,
            on_plan=lambda plan: not options.dry_run or _say_plan(plan, options.out),
            on_progress=bar.update,
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


def _say_plan(plan: CapturePlan, out: Path) -> bool:
    """Prints what a capture to `out` would take; it is not begun."""
    width = max(5, *(len(layer.path) for layer in plan.estimate.layers))
    _say(f"{'layer':{width}}  policy   compression      in memory  in the store")
    for layer in plan.estimate.layers:
        _say(
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
    _say(f"free in {folder}: {_megabytes(free).strip()}")
    if plan.estimate.disk_bytes > free:
        print("that is too little: the capture would not begin")
    if plan.estimate.store_bytes > LARGE_STORE_BYTES:
        print("more than 10 GB: it begins only with --policy or --yes")
    print(f"batches of {plan.store.batch_size} samples; nothing was written")
    return False


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10,.1f} MB"


def _info(options: argparse.Namespace) -> None:
    with open_store(options.store) as store:
        layers = [
            {
                "path": layer.path,
                "shape": list(layer.shape),
                "kind": layer.attributes["kind"],
                "activation_function": layer.attributes["activation_function"],
                "stored_bytes": layer.stored_bytes,
            }
            for layer in store.layers.values()
        ]
        about: dict[str, Any] = {
            "path": str(store.path),
            "bytes": store.path.stat().st_size,
            "samples": store.n_samples,
            "classes": list(store.class_names),
            "layers": layers,
            **store.about(),
        }
    if options.json:
        print(json.dumps(about, indent=2))
        return
    model, dataset = about["model"], about["dataset"]
    print(f"{about['path']}: {about['bytes'] / 1e6:,.1f} MB, {about['samples']:,} samples")
    _say(f"  data   {dataset['source']} (preprocessing: {dataset['preprocessing']})")
    _say(f"  model  {model['name']}, test accuracy {model['test_accuracy']:.4f}")
    _say(f"         {model['framework']}")
    for layer in layers:
        height, width, filters = layer["shape"]
        _say(
            f"  layer  {layer['path']}: {filters} filters of {height}x{width}, {layer['kind']}, "
            f"{layer['activation_function']}, {layer['stored_bytes'] / 1e6:,.1f} MB stored"
        )


def _validate(options: argparse.Namespace) -> int:
    found = problems_apart(options.store, quick=options.quick)
    for problem in found:
        _say(f"{options.store}: {problem}")
    looked = " (--quick: structure and metadata only, no array was read)" if options.quick else ""
    count = f"{len(found) or 'no'} problem{'s' if len(found) > 1 else ''} found"
    print(f"{options.store}: {count}{looked}")
    return min(len(found), 1)


def _export(options: argparse.Namespace) -> int:
    if options.check:
        broken = list(check_folder(options.out))
        print("\n".join(map(one_line, broken)) or f"{options.out}: every file matches its checksum")
        return min(len(broken), 1)
    with open_store(options.store) as store, _bar(None, "B", scale=True) as bar:
        manifest = export_store(
            store,
            options.out,
            layers=options.layers,
            format_name=options.format,
            overwrite=options.force,
            on_progress=bar.update,
        )
    for name, entry in manifest["arrays"].items():
        _say(f"{options.out / entry['file']}: {name} {tuple(entry['shape'])} {entry['dtype']}")
    print(f"{options.out / 'manifest.json'}: shapes, axes, checksums")
    return 0


def _figure(options: argparse.Namespace) -> None:
    with open_store(options.store) as store:
        for path in write_figures(
            store,
            options.out,
            sample=options.sample,
            layers=options.layers,
            overwrite=options.force,
        ):
            _say(str(path))


def _say(text: str) -> None:
    print(one_line(text))  # names out of a file, which may hold anything


def _on_terminal() -> bool:
    return sys.stderr.isatty()


def _bar(total: int | None, unit: str, *, scale: bool = False) -> tqdm[Any]:
    # disable=None: a bar on a terminal, nothing in a log.
    return tqdm(total=total, unit=unit, unit_scale=scale, disable=None, leave=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fmcore",
        description="Store every feature map of a whole test set, and get it back out.",
    )
    parser.add_argument("--version", action="version", version=f"fmcore {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

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
    capture.add_argument("model", type=Path, metavar="MODEL", help="a .keras file")
    _add_data(capture)
    _add_layers(capture)
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
        help="what batches and class maps may take, such as 512MB (1GiB)",
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

    info = verb("info", _info, "say what a store holds")
    info.add_argument("store", type=Path, metavar="STORE")
    info.add_argument("--json", action="store_true", help="everything, as JSON")

    validate = verb("validate", _validate, "read a whole store and say what is wrong with it")
    validate.add_argument("store", type=Path, metavar="STORE")
    validate.add_argument("--quick", action="store_true", help="structure and metadata only")

    export = verb("export", _export, "write a store's arrays, with a manifest")
    export.add_argument("store", type=Path, metavar="STORE")
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    _add_layers(export)
    formats = "; ".join(f"{one.name}: {one.description}" for one in FORMATS.values())
    export.add_argument("--format", choices=FORMATS, default="npy", help=formats)
    export.add_argument("--check", action="store_true", help="only compare DIR with its manifest")

    figure = verb("figure", _figure, "draw the feature maps of one sample with matplotlib")
    figure.add_argument("store", type=Path, metavar="STORE")
    figure.add_argument("--sample", type=int, default=0, metavar="N", help="index (0)")
    figure.add_argument("--out", type=Path, required=True, metavar="DIR")
    _add_layers(figure)

    for writer in (train, capture, export, figure):
        writer.add_argument("--force", action="store_true", help="replace what is there")
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", default="mnist", help="mnist, or FILE.npz (mnist)")
    parser.add_argument("--data-dir", type=Path, help="where mnist.npz lies ($FMCORE_DATA, data/)")


def _add_layers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layers", default="*", metavar="GLOB", help="such as 'conv1,block?_*'")


if __name__ == "__main__":
    sys.exit(main())
