"""Writes an export: a folder of files, each of which appears whole, and at last a manifest."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from fmcore.errors import OutputError
from fmcore.export.contents import Part
from fmcore.export.formats import FORMATS
from fmcore.export.manifest import (
    CLAIMS,
    UNFINISHED,
    differences,
    is_as_stated,
    read_manifest,
    remove_files,
    require_own_manifest,
    write_manifest,
)
from fmcore.export.plan import ExportPlan, plan_export
from fmcore.files import (
    is_partial,
    locked_folder,
    publish,
    publish_folder,
    sha256_of,
    size_text,
    tree_files,
)
from fmcore.selection import Query, parse_query
from fmcore.storage import Store

# Bytes that a kill may cost: the manifest is written, and flushed, after so many.
RECORD_BYTES = 64 << 20


def export_store(
    store: Store,
    out: str | Path,
    query: Query | None = None,
    *,
    format_name: str = "npy",
    overwrite: bool = False,
    on_plan: Callable[[ExportPlan], bool] = lambda _: True,
    on_progress: Callable[[int], object] = lambda _: None,
    **selection: object,
) -> dict[str, Any]:
    """Exports chosen arrays or tables, with ids, known labels and predictions, and a manifest.

    Memory does not grow with the number of samples. Each file appears whole, and the manifest last.
    The same call again resumes an export that was stopped: files whose checksum matches are kept.

    Args:
        store: the store to export.
        out: folder of the export; it is created where it is missing.
        query: what to export; made of `selection` where it is left out.
        format_name: one of `FORMATS`.
        overwrite: replace another export, and write beside other files, of which none is replaced.
        on_plan: called with what will be written; where it returns False, nothing is written.
        on_progress: called with the number of bytes that were written or kept.
        selection: what to export, by the names of `PARAMETERS`, such as `layer="conv*"`,
            `class_="seven"`, `sample=slice(0, 100)`, `what="pooled"`; all maps where left out.

    Returns:
        The manifest; under `skipped` it says which layers have no maps in the store, and which
        ablations beside it cannot be read.

    Raises:
        OutputError: if the folder holds something else and `overwrite` is false, a file that is not
            of an export would be replaced, or the disk refuses or is too small.
        InputFileError: if there is a `manifest.json` that is not of an export.
        SelectionError, MapsNotStoredError, MissingLibraryError: as `plan_export`.
    """
    out = Path(out)
    query = parse_query(selection) if query is None else query
    plan = plan_export(store, out, query, format_name=format_name)
    if not on_plan(plan):
        return plan.about
    with locked_folder(out):
        manifest = _begin_or_resume(out, plan, overwrite=overwrite)
        _finish(out, plan, manifest, on_progress)
    return manifest


def _finish(
    out: Path, plan: ExportPlan, manifest: dict[str, Any], on_progress: Callable[[int], object]
) -> None:
    """Writes the parts that are missing or differ from the manifest, and then the manifest."""
    files, unrecorded = manifest["files"], RECORD_BYTES
    done = {name for name, entry in files.items() if is_as_stated(out, name, entry)}
    for part in plan.parts:
        names = _part_files(part, files)
        if names and names <= done:
            on_progress(part.nbytes)
            continue
        for name in names:
            del files[name]
        if unrecorded >= RECORD_BYTES:  # so that a run that is killed from here on can resume
            write_manifest(out, manifest, finished=False)
            unrecorded = 0
        try:
            files |= _write_part(out, part, sorted(names), on_progress)
        except BaseException:
            if files:
                write_manifest(out, manifest, finished=False)
            else:
                (out / UNFINISHED).unlink()  # as if nothing had been begun
            raise
        unrecorded += part.nbytes
        for member, array in part.arrays.items():
            manifest["arrays"][_key(part, member)] = _entry(part, member) | array.notes()
    del manifest[CLAIMS]
    write_manifest(out, manifest, finished=True)


def _begin_or_resume(out: Path, plan: ExportPlan, *, overwrite: bool) -> dict[str, Any]:
    """The manifest to start from: that of an earlier run of this export, or a new one."""
    require_own_manifest(out)
    earlier = read_manifest(out)
    old_bytes = sum(entry["bytes"] for entry in earlier["files"].values()) if earlier else 0
    _check_room(out, plan, old_bytes)
    claims = {CLAIMS: [part.path for part in plan.parts]}
    if earlier is None:
        if not overwrite and any(map(_is_foreign, out.rglob("*"))):
            raise OutputError(
                f"{out} is not empty; give --force (overwrite=True in Python) to write into it, or "
                "another folder"
            )
        _refuse_foreign(out, plan, {}, ())
        return plan.about | {"arrays": {}, "files": {}} | claims
    if not (different := differences(earlier, plan.about)):
        _refuse_foreign(out, plan, earlier["files"], earlier.get(CLAIMS, ()))
        return earlier | {"command": plan.about["command"]} | claims
    if not overwrite:
        raise OutputError(
            f"{out} holds another export, with a different {' and '.join(different)}; give "
            "--force (overwrite=True in Python) to replace it, or another folder"
        )
    files = earlier["files"]
    own = {name: entry for name, entry in files.items() if is_as_stated(out, name, entry)}
    _refuse_foreign(out, plan, own, earlier.get(CLAIMS, ()))
    remove_files(out, earlier)
    return plan.about | {"arrays": {}, "files": {}} | claims


def _refuse_foreign(
    out: Path, plan: ExportPlan, files: Collection[str], claims: Collection[str]
) -> None:
    """Refuses to write where there is a file that no export wrote.

    Args:
        out: the folder of the export.
        plan: what will be written.
        files: the files that an earlier export wrote.
        claims: the files and folders that an earlier export was about to write.

    Raises:
        OutputError: naming the file.
    """
    for part in plan.parts:
        if part.path in claims:
            continue
        path = out / part.path
        names = [f"{part.path}/{name}" for name in tree_files(path)] if path.is_dir() else []
        if not names and (path.is_symlink() or path.exists()) and not path.is_dir():
            names = [part.path]
        for name in names:
            if name not in files:
                raise OutputError(
                    f"cannot write {out / part.path}: {out / name} is not as an export wrote it, "
                    "and --force does not replace it; move it away, or give another folder"
                )


def _is_foreign(path: Path) -> bool:
    """Whether a path is a file that no export left behind when it was stopped."""
    is_folder = path.is_dir() and not path.is_symlink()
    return not is_folder and not any(map(is_partial, (path, *path.parents)))


def _part_files(part: Part, files: dict[str, Any]) -> set[str]:
    """Names of the files that belong to a part."""
    if part.fill is None:
        return {part.path} & files.keys()
    return {name for name in files if name.startswith(f"{part.path}/")}


def _write_part(
    out: Path, part: Part, before: Sequence[str], on_progress: Callable[[int], object]
) -> dict[str, dict[str, Any]]:
    """Writes a part, and returns size and checksum of each of its files.

    Args:
        out: the folder of the export.
        part: what to write.
        before: the files of the part that an earlier run wrote.
        on_progress: called with the number of bytes that were written.
    """
    path = out / part.path
    if not path.resolve().is_relative_to(out.resolve()):
        raise OutputError(f"cannot write {path}: a link leads out of {out}; remove the link")
    if part.fill is not None:
        replaces = [name.removeprefix(f"{part.path}/") for name in before]
        with publish_folder(path, replaces=replaces) as folder:
            part.fill(folder)
        on_progress(part.nbytes)
        return {
            f"{part.path}/{file.relative_to(path).as_posix()}": {
                "bytes": file.stat().st_size,
                "sha256": sha256_of(file),
            }
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    assert part.write is not None  # noqa: S101 (a part is a file or a folder)
    with publish(path, overwrite=True) as partial, partial.open("wb") as stream:
        hashing = _HashingStream(stream, on_progress)
        part.write(hashing)
    about = {"bytes": hashing.n_bytes, "sha256": hashing.digest.hexdigest()}
    return {part.path: about | part.notes()}


def _check_room(out: Path, plan: ExportPlan, old_bytes: int) -> None:
    """Refuses an export that cannot fit on the disk, even if it keeps all earlier files."""
    free, needed = shutil.disk_usage(out).free, plan.nbytes - old_bytes
    if needed > free and FORMATS[plan.about["format"]].exact_bytes:
        raise OutputError(
            f"the export to {out} needs about {size_text(needed)}, {size_text(free)} are "
            "free; free some space, name another folder, or choose less with --layer or --dtype "
            "float16"
        )


def _key(part: Part, member: str) -> str:
    return part.arrays[member].path if not member else f"{part.path}/{member}"


def _entry(part: Part, member: str) -> dict[str, Any]:
    array = part.arrays[member]
    entry = {
        "file": part.path,
        "shape": list(array.shape),
        "dtype": array.dtype.str,
        "axes": list(array.axes),
    }
    return entry | ({"member": member} if member else {})


class _HashingStream(io.RawIOBase, BinaryIO):
    """A stream that computes the SHA-256 of what is written, and cannot seek."""

    def __init__(self, stream: BinaryIO, on_progress: Callable[[int], object]) -> None:
        self._stream = stream
        self._on_progress = on_progress
        self.digest = hashlib.sha256()
        self.n_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        n_bytes = memoryview(data).nbytes
        self.digest.update(data)
        self._stream.write(data)
        self.n_bytes += n_bytes
        self._on_progress(n_bytes)
        return n_bytes
