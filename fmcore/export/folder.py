"""A folder of arrays with a manifest: what, from which store, of which shape, with checksums."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import InputFileError, OutputError
from fmcore.export import npy
from fmcore.export.record import Format
from fmcore.files import publish
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

    Memory does not grow with the number of samples. The manifest is written last, so a folder that
    has one is whole.

    Args:
        store: where the arrays come from.
        out: the folder; made where it is missing.
        layers: comma-separated globs over layer paths.
        format_name: one of `FORMATS`.
        overwrite: replace files of an earlier export.
        on_progress: called with the number of bytes of each block when it is written.

    Returns:
        The manifest.

    Raises:
        OutputError: if the folder holds anything and `overwrite` is false, or the disk refuses.
        SelectionError: if a glob matches no layer.
    """
    names = match_names(list(store.layers), layers, what=f"layer of {store.path.name}")
    form = FORMATS[format_name]
    if out.exists() and not out.is_dir():
        raise OutputError(f"cannot export to {out}: it is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise OutputError(f"{out} is not empty; give --force to write into it, or another folder")

    def save(
        name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]
    ) -> dict[str, Any]:
        path = out / f"{name}{form.suffix}"
        with publish(path, overwrite=overwrite) as partial, partial.open("wb") as stream:
            hashed = _Hashed(stream)
            form.write(hashed, shape, dtype, _counted(blocks, on_progress))
        return {
            "file": path.name,
            "shape": list(shape),
            "dtype": dtype.str,
            "sha256": hashed.digest.hexdigest(),
        }

    (out / MANIFEST).unlink(missing_ok=True)  # an export under way is not a whole one
    arrays: dict[str, Any] = {}
    for name in names:
        layer = store.layers[name]
        shape = (store.n_samples, *layer.shape)
        entry = save(layer.group, shape, np.dtype("<f4"), _layer_blocks(layer, store.n_samples))
        arrays[f"activation/{name}"] = entry | {"axes": ["sample", "y", "x", "filter"]}
    for name, array in (
        ("label", store.labels),
        ("prediction", store.predictions),
        ("id", np.array(store.ids)),
    ):
        entry = save(f"samples_{name}", array.shape, array.dtype, [array])
        arrays[f"samples/{name}"] = entry | {"axes": ["sample"]}
    about = store.about()
    manifest = {
        "store": store.path.name,
        "model": about["model"]["name"],
        "model_digest": about["model"]["digest"],
        "dataset": about["dataset"]["source"],
        "dataset_fingerprint": about["dataset"]["fingerprint"],
        "class_names": list(store.class_names),
        "format": form.name,
        "arrays": arrays,
    }
    with publish(out / MANIFEST, overwrite=True) as partial:
        partial.write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def check_folder(out: Path) -> Iterator[str]:
    """One sentence for each file that is missing or differs from the manifest.

    Raises:
        InputFileError: if there is no manifest.
    """
    path = out / MANIFEST
    if not path.is_file():
        raise InputFileError(f"no {MANIFEST} in {out}; `fmcore export` writes one")
    for entry in json.loads(path.read_text())["arrays"].values():
        file = out / entry["file"]
        if not file.is_file():
            yield f"{file} is missing"
            continue
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != entry["sha256"]:
            yield f"{file} differs from its checksum in {MANIFEST}"


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
