"""A folder of arrays with a manifest: what, from which store, of which shape, with checksums."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import InputFileError
from fmcore.export import npy
from fmcore.export.record import ArrayInBlocks, Format
from fmcore.files import publish_folder
from fmcore.selection import match_names
from fmcore.storage import Layer, Store

FORMATS: dict[str, Format] = {each.name: each for each in (npy.FORMAT,)}
MANIFEST = "manifest.json"
BLOCK_BYTES = 32 << 20


def export_store(
    store: Store,
    out: Path,
    *,
    layers: str = "*",
    format_name: str = "npy",
    overwrite: bool = False,
    on_progress: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Writes one file for each layer, with labels, predictions, ids and a manifest beside them.

    Memory does not grow with the number of samples. The manifest appears last, so a folder that
    has one is whole; an export that fails leaves the folder as it was.

    Args:
        store: where the arrays come from.
        out: the folder; made where it is missing.
        layers: comma-separated globs over layer paths.
        format_name: one of `FORMATS`.
        overwrite: replace files of an earlier export.
        on_progress: called with the number of bytes of each block when it is written.

    Returns:
        The manifest; under `skipped` it says which layers have no maps in the store.

    Raises:
        OutputError: if the folder holds anything and `overwrite` is false, or the disk refuses.
        SelectionError: if a glob matches no layer.
    """
    names = match_names(list(store.layers), layers, what=f"layer of {store.path.name}")
    form = FORMATS[format_name]
    samples = {
        "label": store.labels,
        "prediction": store.predictions,
        "id": np.array(store.ids),
    }
    with publish_folder(out, last=MANIFEST, overwrite=overwrite) as folder:
        arrays: dict[str, Any] = {}
        skipped: dict[str, str] = {}

        def save(key: str, name: str, axes: Sequence[str], whole: ArrayInBlocks) -> None:
            path = folder / f"{name}{form.suffix}"
            path.parent.mkdir(exist_ok=True)
            with path.open("wb") as stream:
                hashed = _Hashed(stream)
                form.write(hashed, replace(whole, blocks=_counted(whole.blocks, on_progress)))
            arrays[key] = {
                "file": f"{name}{form.suffix}",
                "shape": list(whole.shape),
                "dtype": whole.dtype.str,
                "axes": list(axes),
                "sha256": hashed.digest.hexdigest(),
            }

        for name in names:
            layer = store.layers[name]
            if not layer.has_maps:
                skipped[f"activation/{name}"] = f"captured with policy {layer.policy}: no maps"
                continue
            whole = ArrayInBlocks(
                (store.n_samples, *layer.shape),
                np.dtype("<f4"),
                _layer_blocks(layer, store.n_samples),
            )
            save(f"activation/{name}", layer.group, ("sample", "y", "x", "filter"), whole)
        for name, array in samples.items():
            # A folder of their own, where no layer's name can be in the way.
            whole = ArrayInBlocks(array.shape, array.dtype, iter([array]))
            save(f"samples/{name}", f"samples/{name}", ("sample",), whole)
        manifest = _manifest(store, form, arrays) | ({"skipped": skipped} if skipped else {})
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def _manifest(store: Store, form: Format, arrays: dict[str, Any]) -> dict[str, Any]:
    about = store.about()
    return {
        "store": store.path.name,
        "model": about["model"]["name"],
        "model_digest": about["model"]["digest"],
        "dataset": about["dataset"]["source"],
        "dataset_fingerprint": about["dataset"]["fingerprint"],
        "class_names": list(store.class_names),
        "format": form.name,
        "arrays": arrays,
    }


def check_folder(out: Path) -> Iterator[str]:
    """One sentence for each file that is missing or differs from the manifest.

    Raises:
        InputFileError: if there is no manifest, or it is none.
    """
    for entry in _read_manifest(out / MANIFEST):
        file = out / entry["file"]
        if not file.resolve().is_relative_to(out.resolve()):
            yield f"{MANIFEST} names {entry['file']!r}, which lies outside {out}"
        elif not file.is_file():
            yield f"{file} is missing"
        else:
            with file.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != entry["sha256"]:
                yield f"{file} differs from its checksum in {MANIFEST}"


def _read_manifest(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputFileError(f"no {MANIFEST} in {path.parent}; `fmcore export` writes one")
    try:
        entries = json.loads(path.read_text())["arrays"].values()
        return [{key: str(entry[key]) for key in ("file", "sha256")} for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputFileError(
            f"{path} is no manifest of an export ({error!r}); export again"
        ) from error


def _layer_blocks(layer: Layer, n_samples: int) -> Iterator[NDArray[np.float32]]:
    rows = max(1, BLOCK_BYTES // (4 * int(np.prod(layer.shape))))
    for start in range(0, n_samples, rows):
        yield layer.activation(start, start + rows)


def _counted(
    blocks: Iterable[NDArray[Any]], on_progress: Callable[[int], object]
) -> Iterator[NDArray[Any]]:
    for block in blocks:
        yield block
        on_progress(block.nbytes)


class _Hashed(io.RawIOBase, BinaryIO):
    """A stream that takes the SHA-256 of what passes through."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def write(self, data: Any, /) -> int:
        self.digest.update(data)
        return self._stream.write(data)
