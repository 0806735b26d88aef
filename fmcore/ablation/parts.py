"""What an interrupted ablation has measured: parts in a folder beside the file that they become."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fmcore.files import (
    OwnFolder,
    is_plain_file,
    locked,
    output_errors,
    partial_name,
    publish,
    sha256_of,
)
from fmcore.storage.unfinished import (
    LOCK,
    MANIFEST,
    UNFINISHED,
    read_manifest,
    readable,
    write_manifest,
)

log = logging.getLogger(__name__)

_PART = re.compile(r"\.?part-\d{4,}-\d{9,}(\.fmcore-partial)?\.npy")
_FIXED_NAMES = (MANIFEST, partial_name(Path(MANIFEST)).name, LOCK)


def _is_own_name(name: str) -> bool:
    return name in _FIXED_NAMES or _PART.fullmatch(name) is not None


class Parts:
    """The folder of an unfinished ablation while its lock is held; see `open_parts`.

    Attributes:
        n_samples: for each layer by its path, how many samples are measured.
    """

    def __init__(
        self, own: OwnFolder, identity: Mapping[str, str], layers: Mapping[str, int]
    ) -> None:
        self._own = own
        self._identity = dict(identity)
        self._places = dict(layers)
        self._files: dict[str, str] = {}
        self.n_samples = dict.fromkeys(layers, 0)

    def look_up(self) -> None:
        """Takes up what an earlier run recorded.

        Raises:
            OutputError: if that run measured something else, naming the field.
        """
        content = read_manifest(self._own.path, self._identity, "measured", of="ablation")
        if content is None:
            self.clear()
            return
        with readable(self._own.path / MANIFEST):
            files = {str(name): str(digest) for name, digest in content["files"].items()}
            done = {str(path): int(n) for path, n in content["samples"].items()}
        sound = all(
            _PART.fullmatch(name)
            and is_plain_file(self._own.path / name)
            and sha256_of(self._own.path / name) == digest
            for name, digest in files.items()
        )
        if not sound or set(done) != set(self._places):
            log.warning("%s is not as it was recorded; the ablation begins anew", self._own.path)
            self.clear()
            return
        self._files, self.n_samples = files, done

    def record(self, layer: str, start: int, values: NDArray[Any]) -> None:
        """Makes what was measured of some samples durable.

        Args:
            layer: the layer's path.
            start: the place of the first sample.
            values: [variant, sample].

        Raises:
            OSError: if the disk refuses.
        """
        self._own.require_same()
        path = self._own.path / f"part-{self._places[layer]:04d}-{start:09d}.npy"
        with publish(path, overwrite=True) as partial, partial.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)
        self._files[path.name] = sha256_of(path)
        self.n_samples[layer] = start + values.shape[1]
        measured = {"files": self._files, "samples": self.n_samples}
        write_manifest(self._own.path, self._identity, measured=measured)

    def joined(self, layer: str) -> Joined:
        """All that was measured of a layer."""
        prefix = f"part-{self._places[layer]:04d}-"
        names = sorted(name for name in self._files if name.startswith(prefix))
        return Joined([self._own.path / name for name in names])

    def clear(self) -> None:
        """Removes what ablations left in the folder, but for the lock."""
        self._own.remove_files(but={LOCK})
        self._files, self.n_samples = {}, dict.fromkeys(self._places, 0)

    def remove(self) -> None:
        """Removes the folder, once all is measured or nothing is worth keeping."""
        self.n_samples = dict.fromkeys(self._places, 0)
        if left := self._own.remove():
            log.warning("%s stays: it holds %s, which is not ours", self._own.path, left[0])


class Joined:
    """Parts that lie side by side, [variant, sample]; indexing rows reads those of each part."""

    def __init__(self, paths: list[Path]) -> None:
        self._parts = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
        self.shape = (self._parts[0].shape[0], sum(part.shape[1] for part in self._parts))

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return np.concatenate([part[rows] for part in self._parts], axis=1)

    def field(self, name: str, first: int) -> Self:
        """A field of all values, from a row on."""
        field = object.__new__(type(self))
        field._parts = [part[name][first:] for part in self._parts]
        field.shape = (self.shape[0] - first, self.shape[1])
        return field


@contextlib.contextmanager
def open_parts(
    path: Path, identity: Mapping[str, str], layers: Mapping[str, int], *, restart: bool
) -> Iterator[Parts]:
    """Locks the folder of an unfinished ablation, and looks up what an earlier run recorded there.

    Args:
        path: the file that the parts become.
        identity: what a run must have in common with the run that it goes on with, in words.
        layers: the place of each layer, by its path.
        restart: whether to discard what is in the folder.

    Raises:
        OutputError: if another run holds the lock, the earlier run had another identity, or the
            disk refuses.
    """
    folder = path.with_name(f"{path.name}{UNFINISHED}")
    busy = f"another process measures {path} now; wait for it, or give another --by"
    with output_errors(path), contextlib.ExitStack() as closing:
        own = OwnFolder(folder, _is_own_name, discard=restart)
        closing.callback(own.close)
        closing.enter_context(locked(folder / LOCK, lambda _: busy))
        parts = Parts(own, identity, layers)
        if restart:
            parts.clear()
        else:
            parts.look_up()
        try:
            yield parts
        finally:
            if not any(parts.n_samples.values()):
                parts.remove()
