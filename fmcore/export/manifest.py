"""`manifest.json`: what an export holds, from which store, with a checksum of each file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmcore.errors import InputFileError, OutputError
from fmcore.files import other_owner, output_errors, publish, sha256_of

MANIFEST = "manifest.json"
# The manifest of an unfinished export.
UNFINISHED = ".manifest.unfinished.json"
# Fields in which two runs must agree for one to go on where the other stopped.
IDENTITY = ("store_digest", "format", "selection", "samples_sha256", "layout")
# One more, of exports that hold what was measured beside the store.
ABLATIONS = "ablations"
# Of an unfinished export: the files and folders that it writes, which nobody had when it began.
CLAIMS = "claims"
LARGEST_BYTES = 256 << 20


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export, finished or not; None where there is none.

    Raises:
        InputFileError: if the manifest cannot be understood.
    """
    paths = (folder / name for name in (MANIFEST, UNFINISHED))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8") as stream:
            content = json.loads(stream.read(LARGEST_BYTES))  # cut short, it is not JSON
    except (OSError, ValueError, RecursionError) as error:
        raise _no_manifest(path, str(error)) from error
    if (problem := _problem(content)) is not None:
        raise _no_manifest(path, problem)
    return dict(content)


def _problem(content: Any) -> str | None:
    """Why a file's content is not a manifest of an export; None where it is."""
    if not isinstance(content, dict) or not all(name in content for name in (*IDENTITY, "command")):
        return f"it lacks one of {', '.join(IDENTITY)}"
    files, arrays = content.get("files"), content.get("arrays")
    if not isinstance(files, dict) or not isinstance(arrays, dict):
        return "it has no files or no arrays"
    claims = content.get(CLAIMS, [])
    if not isinstance(claims, list) or not all(isinstance(path, str) for path in claims):
        return "it does not say what it claims"
    for name, entry in files.items():
        has_size = isinstance(entry, dict) and isinstance(entry.get("bytes"), int)
        if not has_size or not isinstance(entry.get("sha256"), str) or "\0" in name:
            return f"it gives no size or no checksum of {name!r}"
    if not all(isinstance(entry, dict) for entry in arrays.values()):
        return "it does not describe an array"
    return None


def _no_manifest(path: Path, reason: str) -> InputFileError:
    return InputFileError(
        f"{path} is not the manifest of an export: {reason}; give another folder, or move that "
        "file away"
    )


def require_own_manifest(folder: Path) -> None:
    """Refuses manifests that are links, or of another user: they say which files may be removed.

    Raises:
        OutputError: naming the manifest.
    """
    for name in (MANIFEST, UNFINISHED):
        path = folder / name
        if path.is_symlink():
            raise OutputError(f"cannot write {path}: it is a link; remove the link")
        if path.exists() and (owner := other_owner(path.lstat())) is not None:
            raise OutputError(
                f"cannot write {path}: it belongs to {owner}, and says which files an export may "
                "replace; give another folder"
            )


def write_manifest(folder: Path, manifest: Mapping[str, Any], *, finished: bool) -> None:
    """Writes the manifest of a finished or unfinished export, and removes the other one.

    Raises:
        OutputError: if the disk refuses.
    """
    names = (MANIFEST, UNFINISHED) if finished else (UNFINISHED, MANIFEST)
    with publish(folder / names[0], overwrite=True) as partial:
        partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / names[1]).unlink(missing_ok=True)


def differences(manifest: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The fields of `IDENTITY`, and the ablations, in which two exports differ."""
    return [name for name in (*IDENTITY, ABLATIONS) if manifest.get(name) != other.get(name)]


def path_inside(folder: Path, name: str) -> Path:
    """The path of a file that a manifest names.

    Raises:
        InputFileError: if the path leads outside the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise InputFileError(f"{MANIFEST} names {name!r}, which lies outside {folder}")
    return path


def is_as_stated(folder: Path, name: str, entry: Mapping[str, Any]) -> bool:
    """Whether a file of an export has the size and the checksum in the manifest."""
    path = path_inside(folder, name)
    return (
        path.is_file()
        and path.stat().st_size == entry["bytes"]
        and sha256_of(path) == entry["sha256"]
    )


def check_folder(folder: Path) -> Iterator[str]:
    """One sentence for each file of an export that is missing or differs from the manifest.

    Raises:
        InputFileError: if there is no manifest, or it cannot be understood.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputFileError(f"no {MANIFEST} in {folder}; `fmcore export` writes one")
    if not (folder / MANIFEST).is_file():
        yield f"{folder} holds an export that is not finished; the same command goes on with it"
    for name, entry in manifest["files"].items():
        try:
            if not path_inside(folder, name).is_file():
                yield f"{folder / name} is missing"
            elif not is_as_stated(folder, name, entry):
                yield f"{folder / name} differs from its checksum in {MANIFEST}"
        except InputFileError as error:
            yield str(error)


def remove_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Removes the files of an earlier export; those that were changed since then stay.

    Raises:
        InputFileError: if the manifest names a file outside the folder; nothing is removed.
        OutputError: if the disk refuses.
    """
    files = manifest["files"]
    paths = [folder / name for name in files if is_as_stated(folder, name, files[name])]
    with output_errors(folder):
        for path in (folder / MANIFEST, folder / UNFINISHED, *paths):
            path.unlink(missing_ok=True)
        for path in paths:
            for parent in path.parents:
                if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                    break
                parent.rmdir()
