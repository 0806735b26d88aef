"""The verbs that read a store: `info`, `validate`, `export` and `figure`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fmcore.cli.terminal import (
    AddVerb,
    add_force,
    add_layers,
    add_query,
    add_store,
    bar,
    query_of,
    say,
)
from fmcore.errors import OutputError
from fmcore.export import (
    FORMATS,
    MANIFEST,
    ExportPlan,
    check_folder,
    export_lines,
    export_store,
    size_text,
)
from fmcore.figure import write_figures
from fmcore.storage import open_store, problems_apart


def add_verbs(verb: AddVerb) -> None:
    """Adds them to a parser."""
    info = verb("info", _info, "say what a store holds")
    add_store(info)
    info.add_argument("--json", action="store_true", help="everything, as JSON")

    validate = verb("validate", _validate, "read a whole store and say what is wrong with it")
    add_store(validate)
    validate.add_argument("--quick", action="store_true", help="structure and metadata only")

    export = verb("export", _export, "write arrays or tables of a store, with a manifest")
    export.add_argument("store", type=Path, metavar="STORE", nargs="?")
    export.add_argument("--out", type=Path, metavar="DIR", help="the folder")
    add_query(export)
    formats = "; ".join(f"{one.name}: {one.description}" for one in FORMATS.values())
    export.add_argument("--format", choices=FORMATS, default="npy", help=f"{formats} (npy)")
    export.add_argument("--dry-run", action="store_true", help="only say what would be written")
    export.add_argument(
        "--check",
        type=Path,
        nargs="?",
        const=True,
        metavar="DIR",
        help="only compare a folder with its manifest",
    )

    figure = verb("figure", _figure, "draw the feature maps of one sample with matplotlib")
    add_store(figure)
    figure.add_argument("--sample", type=int, default=0, metavar="N", help="index (0)")
    figure.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_layers(figure)
    for writer in (export, figure):
        add_force(writer)


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
            "accuracy": store.accuracy_words,
            "predictions": store.has_predictions,
            "layers": layers,
            **store.about(),
        }
    if options.json:
        print(json.dumps(about, indent=2))
        return
    model, dataset = about["model"], about["dataset"]
    print(f"{about['path']}: {about['bytes'] / 1e6:,.1f} MB, {about['samples']:,} samples")
    say(f"  data   {dataset['source']} (preprocessing: {dataset['preprocessing']})")
    say(f"  model  {model['name']}, {about['accuracy']}")
    if not about["predictions"]:
        say(f"         {model['output']}")
    say(f"         {model['framework']}")
    for layer in layers:
        height, width, filters = layer["shape"]
        say(
            f"  layer  {layer['path']}: {filters} filters of {height}x{width}, {layer['kind']}, "
            f"{layer['activation_function']}, {layer['stored_bytes'] / 1e6:,.1f} MB stored"
        )


def _validate(options: argparse.Namespace) -> int:
    found = problems_apart(options.store, quick=options.quick)
    for problem in found:
        say(f"{options.store}: {problem}")
    looked = " (--quick: structure and metadata only, no array was read)" if options.quick else ""
    count = f"{len(found) or 'no'} problem{'s' if len(found) > 1 else ''} found"
    print(f"{options.store}: {count}{looked}")
    return min(len(found), 1)


def _export(options: argparse.Namespace) -> int:
    if options.check:
        return _check(options.out if options.check is True else options.check)
    if options.store is None or options.out is None:
        raise OutputError("name a store and a folder: fmcore export STORE --out DIR")

    def on_plan(plan: ExportPlan) -> bool:
        for line in export_lines(plan):
            say(line)
        for name, reason in plan.about["skipped"].items():
            say(f"left out: {name}, {reason}")
        before = "" if options.format in ("npy", "npz") else " before compression, or as text"
        print(f"{len(plan.parts)} files, about {size_text(plan.nbytes)}{before}", flush=True)
        progress.reset(total=plan.nbytes)
        return not options.dry_run

    with open_store(options.store) as store, bar(None, "B", scale=True) as progress:
        manifest = export_store(
            store,
            options.out,
            query_of(options),
            format_name=options.format,
            overwrite=options.force,
            on_plan=on_plan,
            on_progress=progress.update,
        )
    if options.dry_run:
        print("nothing was written")
        return 0
    for name, entry in (*manifest["arrays"].items(), *manifest["files"].items()):
        if entry.get("n_overflow"):
            say(f"{name}: {entry['n_overflow']:,} values are beyond float16 and became infinite")
    say(f"Wrote {options.out / MANIFEST}: {len(manifest['files'])} files, with their checksums")
    return 0


def _check(folder: Path | None) -> int:
    if folder is None:
        raise OutputError("name the folder to check: fmcore export --check DIR")
    broken = list(check_folder(folder))
    for problem in broken:
        say(problem)
    if not broken:
        say(f"{folder}: every file matches its checksum")
    return min(len(broken), 1)


def _figure(options: argparse.Namespace) -> None:
    with open_store(options.store) as store:
        for path in write_figures(
            store,
            options.out,
            sample=options.sample,
            layers=options.layers,
            overwrite=options.force,
        ):
            say(str(path))
