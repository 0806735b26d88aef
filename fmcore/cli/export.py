"""`fmcore export`: write arrays or tables of a store, with a manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from fmcore.cli.options import (
    AddVerb,
    add_force,
    add_query,
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
)
from fmcore.files import size_text
from fmcore.storage import opened_apart


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `export` to the command line."""
    export = verb("export", _export, "write arrays or tables of a store, with a manifest")
    export.add_argument("store", type=Path, metavar="STORE", nargs="?", help="the store to read")
    export.add_argument("--out", type=Path, metavar="DIR", help="the folder to write")
    add_query(export)
    formats = "; ".join(f"{form.name}: {form.description}" for form in FORMATS.values())
    export.add_argument(
        "--format", choices=FORMATS, default="npy", help=f"{formats} (default: %(default)s)"
    )
    export.add_argument("--dry-run", action="store_true", help="only print what would be written")
    export.add_argument(
        "--check",
        type=Path,
        nargs="?",
        const=True,
        metavar="DIR",
        help="only compare a folder with its manifest (default: the one of --out)",
    )
    add_force(export)


def _export(options: argparse.Namespace) -> int:
    if options.check:
        return _check(options.out if options.check is True else options.check)
    if options.store is None or options.out is None:
        raise OutputError("expected a store and a folder: fmcore export STORE --out DIR")

    def on_plan(plan: ExportPlan) -> bool:
        for line in export_lines(plan):
            say(line)
        for name, reason in plan.about["skipped"].items():
            say(f"left out: {name}, {reason}")
        exact = FORMATS[options.format].exact_bytes
        remark = "" if exact else " before compression, or as text"
        print(f"{len(plan.parts)} files, about {size_text(plan.nbytes)}{remark}", flush=True)
        progress.reset(total=plan.nbytes)
        return not options.dry_run

    with opened_apart(options.store) as store, bar(None, "B", scale=True) as progress:
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
            n_overflow = entry["n_overflow"]
            say(f"{name}: {n_overflow:,} values beyond the range of float16 became infinite")
    say(f"Wrote {options.out / MANIFEST}: {len(manifest['files'])} files, with their checksums")
    return 0


def _check(folder: Path | None) -> int:
    if folder is None:
        raise OutputError("expected the folder to check: fmcore export --check DIR")
    problems = list(check_folder(folder))
    for problem in problems:
        say(problem)
    if not problems:
        say(f"{folder}: every file matches its checksum")
    return min(len(problems), 1)
