"""`manifest.json`: what an export holds, of which store, with a checksum of each file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fmcore.errors import InputFileError
from fmcore.files import output_errors, publish, sha256_of

MANIFEST = "manifest.json"
# The same of an export that is not finished; it becomes the manifest at the end.
UNFINISHED = ".manifest.unfinished.json"
# What two runs must have in common for one to go on where the other stopped.
IDENTITY = ("store_digest", "format", "selection", "samples_sha256", "layout")
LARGEST_BYTES = 256 << 20


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export, finished or not; None where there is none.

    Raises:
        InputFileError: if it cannot be understood.
    """
    places = (folder / name for name in (MANIFEST, UNFINISHED))
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    try:
        with path.open(encoding="utf-8") as stream:
            found = json.loads(stream.read(LARGEST_BYTES))  # cut short, it is no JSON
    except (OSError, ValueError, RecursionError) as error:
        raise _no_manifest(path, str(error)) from error
    if (why := _problem(found)) is not None:
        raise _no_manifest(path, why)
    return dict(found)


def _problem(found: Any) -> str | None:
    """Why this is no manifest of ours; None where it is one."""
    if not isinstance(found, dict) or not all(name in found for name in (*IDENTITY, "command")):
        return f"it lacks one of {', '.join(IDENTITY)}"
    files, arrays = found.get("files"), found.get("arrays")
    if not isinstance(files, dict) or not isinstance(arrays, dict):
        return "it names no files and arrays"
    for name, entry in files.items():
        sized = isinstance(entry, dict) and isinstance(entry.get("bytes"), int)
        if not sized or not isinstance(entry.get("sha256"), str) or "\0" in name:
            return f"it says no size and checksum of {name!r}"
    if not all(isinstance(entry, dict) for entry in arrays.values()):
        return "it says nothing of an array"
    return None


def _no_manifest(path: Path, why: str) -> InputFileError:
    return InputFileError(
        f"{path} is no manifest of an export: {why}; give --force (overwrite=True in Python) to "
        "replace it, or another folder"
    )


def write_manifest(folder: Path, manifest: Mapping[str, Any], *, finished: bool) -> None:
    """Puts the manifest where it belongs, and takes the other one away.

    Raises:
        OutputError: if the disk refuses.
    """
    names = (MANIFEST, UNFINISHED) if finished else (UNFINISHED, MANIFEST)
    with publish(folder / names[0], overwrite=True) as partial:
        partial.write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / names[1]).unlink(missing_ok=True)


def differences(manifest: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In what two exports differ, by the names of `IDENTITY`."""
    return [name for name in IDENTITY if manifest.get(name) != other.get(name)]


def inside(folder: Path, name: str) -> Path:
    """The place of a file that a manifest names.

    Raises:
        InputFileError: if it lies outside the folder.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or path.resolve() == folder.resolve():
        raise InputFileError(f"{MANIFEST} names {name!r}, which lies outside {folder}")
    return path


def is_as_stated(folder: Path, name: str, entry: Mapping[str, Any]) -> bool:
    """Whether a file of an export has the size and the checksum that the manifest says."""
    path = inside(folder, name)
    return (
        path.is_file()
        and path.stat().st_size == entry["bytes"]
        and sha256_of(path) == entry["sha256"]
    )


def check_folder(folder: Path) -> Iterator[str]:
    """One sentence for each file of an export that is missing, or differs from the manifest.

    Raises:
        InputFileError: if there is no manifest, or it is none.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise InputFileError(f"no {MANIFEST} in {folder}; `fmcore export` writes one")
    if not (folder / MANIFEST).is_file():
        yield f"{folder} holds an export that is not finished; the same command goes on with it"
    for name, entry in manifest["files"].items():
        try:
            if not inside(folder, name).is_file():
                yield f"{folder / name} is missing"
            elif not is_as_stated(folder, name, entry):
                yield f"{folder / name} differs from its checksum in {MANIFEST}"
        except InputFileError as error:
            yield str(error)


def remove_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Removes what an earlier export wrote, as it wrote it; what was changed since then stays.

    Raises:
        InputFileError: if the manifest names what lies outside; nothing is removed then.
        OutputError: if the disk refuses.
    """
    files = manifest["files"]
    paths = [folder / name for name in files if is_as_stated(folder, name, files[name])]
    with output_errors(folder):
        for path in (folder / MANIFEST, folder / UNFINISHED, *paths):
            path.unlink(missing_ok=True)
        for path in paths:
            for above in path.parents:
                if above == folder or not above.is_dir() or any(above.iterdir()):
                    break
                above.rmdir()
