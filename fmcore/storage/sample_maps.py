"""The map of a store's samples: computed at once by principal components, or kept by UMAP.

A map by UMAP takes seconds to minutes, so it is computed once and kept in a file beside the store,
`mnist.conv2-mean.umap.npz` for `mnist.h5`: NumPy's format without pickled objects, with the
positions of the samples, and all that they were made with. It names the store by its digest, so
that it is never taken for the map of another capture.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import StatisticNotFoundError
from fmcore.files import Kind, publish, refuse_existing
from fmcore.statistics import (
    NEIGHBORS,
    Nearest,
    Outliers,
    Projection,
    UmapOptions,
    nearest,
    outliers,
    project,
    umap_positions,
)
from fmcore.storage.sample_tables import SampleTable, TableOf, sample_space, sample_table
from fmcore.storage.store import Store
from fmcore.zip_guard import NpzArray, npz_array, npz_contents, open_zip

FORMAT = "fmcore map of samples"
VERSION = 1
ENDING = ".umap.npz"
# What is said of a map, and the archive beside its arrays, take far less.
MOST_ABOUT_BYTES = 64 << 10
MOST_OVERHEAD = 1 << 20
_MEMBERS = {"positions", "about"}


@dataclass(frozen=True, slots=True, eq=False)
class UmapMap:
    """Where samples lie by UMAP.

    Attributes:
        positions: <float32>[sample, axis]; NaN for a sample without a place.
        options: how they were made.
        library: by what, such as `umap-learn 0.5.12`.
        n_columns: how many columns counted.
    """

    positions: NDArray[np.float32]
    options: UmapOptions
    library: str
    n_columns: int

    @property
    def n_placed(self) -> int:
        """How many samples have a place."""
        return int(np.isfinite(self.positions).all(axis=1).sum())


def project_samples(store: Store, **table: str) -> Projection:
    """A map of all samples by their first two principal components.

    Args:
        store: an open store.
        table: `of`, `layer`, `by` and `scale`, as `sample_table` takes them; by default the mean
            activations of the last layer's filters.

    Raises:
        LayerNotFoundError, SelectionError, StatisticNotFoundError: if there is no such table.
    """
    return project(sample_space(store, sample_table(store, **table)))


def nearest_samples(store: Store, sample: int, *, k: int = NEIGHBORS, **table: str) -> Nearest:
    """The k samples nearest to one, and their Euclidean distances.

    Args:
        store: an open store.
        sample: its index.
        k: how many.
        table: `of`, `layer`, `by` and `scale`, as `sample_table` takes them.

    Raises:
        LayerNotFoundError, SampleNotFoundError, SelectionError, StatisticNotFoundError: if there is
            no such sample or table, or a value of the sample is not finite.
    """
    store.check_sample(sample)
    return nearest(sample_space(store, sample_table(store, **table)), sample, k)


def outlying_samples(store: Store, *, k: int = NEIGHBORS, **table: str) -> Outliers:
    """How far each sample lies from its k-th nearest; `order()` has the farthest first.

    Args:
        store: an open store.
        k: which neighbor.
        table: `of`, `layer`, `by` and `scale`, as `sample_table` takes them.

    Raises:
        LayerNotFoundError, SelectionError, StatisticNotFoundError: if there is no such table.
    """
    return outliers(sample_space(store, sample_table(store, **table)), k)


def umap_samples(store: Store, table: SampleTable, options: UmapOptions) -> UmapMap:
    """A map of all samples by UMAP, computed now: 10,000 samples take about half a minute.

    Args:
        store: an open store.
        table: one of its tables.
        options: how the map is made.

    Raises:
        MissingLibraryError: if umap-learn is not installed.
        SelectionError: if an option is out of range, or there are too few samples, or too many.
    """
    space = sample_space(store, table)
    positions, library = umap_positions(space, options)
    return UmapMap(positions, options, library, space.center.n_columns)


def umap_path(store: Store, table: SampleTable) -> Path:
    """The file beside the store, without links, that keeps a map by UMAP.

    Raises:
        OSError: if it is not known where the open store lies.
    """
    real = store.real_path
    base = "output" if table.of == TableOf.OUTPUT else store.layers[table.layer].group
    parts = (base, table.by, "" if table.scale == "none" else table.scale)
    return real.with_name(f"{real.stem}.{'-'.join(filter(None, parts))}{ENDING}")


def write_umap(
    store: Store, table: SampleTable, umap: UmapMap, path: Path, *, overwrite: bool = False
) -> None:
    """Keeps a map by UMAP.

    Args:
        store: the store it is of.
        table: the table it is of.
        umap: the map.
        path: of `umap_path`.
        overwrite: whether to replace a map that is there.

    Raises:
        OutputError: if the file exists and is not replaced, or cannot be written.
    """
    about = {
        "format": FORMAT,
        "version": VERSION,
        "store_digest": store.digest,
        "of": table.of,
        "layer": table.layer,
        "by": table.by,
        "scale": table.scale,
        "n_columns": umap.n_columns,
        "library": umap.library,
        **asdict(umap.options),
    }
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with publish(path, overwrite=overwrite, kind=KIND) as partial, partial.open("wb") as stream:
        np.savez(stream, positions=umap.positions.astype("<f4"), about=text)


def refuse_existing_umap(path: Path, *, overwrite: bool) -> None:
    """Raises `OutputError` where `write_umap` would, before minutes of work."""
    refuse_existing(path, overwrite=overwrite, kind=KIND)


def umap_key(store: Store, table: SampleTable) -> str:
    """What tells the file of a map from the one that replaced it; empty where there is none."""
    try:
        status = umap_path(store, table).lstat()
    except OSError:
        return ""
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"


def read_umap(store: Store, table: SampleTable) -> UmapMap:
    """The map by UMAP that lies beside a store.

    Links are not followed, nothing in the file is run, and no more is read than a map of so many
    samples takes.

    Raises:
        StatisticNotFoundError: if there is none, or it is damaged or of another store; saying how
            to compute it.
    """
    command = f"fmcore project {store.path.name}{_flags(table)}"
    name = ""
    try:
        path = umap_path(store, table)
        name = path.name
        with _opened(path, 8 * store.n_samples + MOST_ABOUT_BYTES + MOST_OVERHEAD) as stream:
            return _read(stream, store, table)
    except FileNotFoundError as error:
        raise StatisticNotFoundError(
            f"nobody has computed a map by UMAP of the {table.words} of {store.path.name}: "
            f"`{command}` does, on the machine where the store lies"
        ) from error
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StatisticNotFoundError(
            f"{name or store.path.name} is not a map by UMAP of {store.path.name}: {reason}; "
            f"`{command} --force` computes it anew"
        ) from error


def _flags(table: SampleTable) -> str:
    """The options of `fmcore project` that name a table."""
    flags = {"of": table.of, "layer": table.layer, "by": table.by, "scale": table.scale}
    if table.of == TableOf.LAYER:
        del flags["of"]
    return "".join(
        f" --{name} {value}" for name, value in flags.items() if value not in ("", "none")
    )


def _opened(path: Path, most_bytes: int) -> BinaryIO:
    """Opens a regular file that is no link, and no larger than it may be."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    stream = os.fdopen(os.open(path, flags), "rb")
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode) or status.st_size > most_bytes:
        stream.close()
        raise ValueError(f"it is no file of at most {most_bytes:,} bytes")
    return stream


def _read(stream: BinaryIO, store: Store, table: SampleTable) -> UmapMap:
    with open_zip(stream) as archive:
        arrays = npz_contents(archive)
        shape = (store.n_samples, 2)
        if set(arrays) != _MEMBERS or not _is(arrays["positions"], "<f4", shape):
            raise ValueError(f"expected positions of {store.n_samples:,} samples, and `about`")
        if not _is(arrays["about"], "|u1") or arrays["about"].nbytes > MOST_ABOUT_BYTES:
            raise ValueError("expected text in `about`")
        positions, about = (npz_array(archive, arrays[name]) for name in ("positions", "about"))
    facts: dict[str, Any] = json.loads(about.tobytes())
    if facts["format"] != FORMAT or facts["version"] != VERSION:
        raise ValueError(f"expected version {VERSION} of the format {FORMAT!r}")
    if facts["store_digest"] != store.digest:
        raise ValueError("it is of another store, or of what the store was before")
    if tuple(facts[name] for name in ("of", "layer", "by", "scale")) != table.key:
        raise ValueError("it is of another table")
    options = UmapOptions(int(facts["n_neighbors"]), float(facts["min_dist"]), int(facts["seed"]))
    options.check()
    return UmapMap(positions, options, str(facts["library"])[:100], int(facts["n_columns"]))


def _is(array: NpzArray, dtype: str, shape: tuple[int, ...] | None = None) -> bool:
    is_shape = len(array.shape) == 1 if shape is None else array.shape == shape
    return is_shape and array.dtype == np.dtype(dtype)


def _is_map(stream: BinaryIO) -> bool:
    """Whether a file is a map of samples, of any store."""
    try:
        with open_zip(stream) as archive:
            return set(npz_contents(archive)) == _MEMBERS
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


KIND = Kind("a map of samples by UMAP", _is_map)
