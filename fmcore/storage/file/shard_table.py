"""Which shards hold the samples of a store, and which of its arrays lie in them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.storage.codec import CODECS, Codec
from fmcore.storage.file.nodes import read_text
from fmcore.storage.format.chunk_shape import LARGEST_CHUNK_BYTES
from fmcore.storage.format.schema import SHARDS, array_path

# The suffix of the folder that holds the shards of a store, after the name of the store.
SHARDS_FOLDER = ".shards"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.h5")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CODECS = {codec.name: codec for codec in CODECS}


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """What a store states of one of its shards.

    Attributes:
        name: the name of the file in the folder.
        first_sample: the index of its first sample in the store.
        n_samples: the number of its samples.
        n_bytes: the size of the file.
        digest: the digest in the seal of the file, in hex.
    """

    name: str
    first_sample: int
    n_samples: int
    n_bytes: int
    digest: str

    @property
    def words(self) -> str:
        """Its name and samples, for messages."""
        return f"{self.name} (samples {self.first_sample} to {self.last_sample})"

    @property
    def last_sample(self) -> int:
        """The index of its last sample in the store."""
        return self.first_sample + self.n_samples - 1


@dataclass(frozen=True, slots=True)
class ShardedArray:
    """What a store states of an array whose chunks lie in its shards.

    Attributes:
        path: its path in the store, and in each shard.
        shape: its shape in the store.
        chunk: the shape of a chunk.
        dtype: numpy's name of the type of a value.
        codec: the name of the codec of its chunks.
        first_chunk: the place of its first chunk among the chunks of all such arrays.
        stored_bytes: the bytes that its chunks take.
    """

    path: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    codec: str
    first_chunk: int
    stored_bytes: int

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of chunks along each axis."""
        return tuple(-(-size // step) for size, step in zip(self.shape, self.chunk, strict=True))

    @property
    def chunk_codec(self) -> Codec:
        """The codec of its chunks."""
        return _CODECS[self.codec]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The facts from their JSON.

        Raises:
            ValueError: if it is not that of an array, with the reason.
        """
        try:
            stated = json.loads(text)
            stated |= {name: tuple(stated[name]) for name in ("shape", "chunk")}
            array = cls(**stated)
            numbers = *array.shape, *array.chunk, array.first_chunk, array.stored_bytes
            is_sane = (
                all(type(number) is int for number in numbers)
                and isinstance(array.path, str)
                and array.codec in _CODECS
                and len(array.shape) == len(array.chunk) > 1
                and min(*array.shape, *array.chunk) > 0 <= min(numbers)
                and math.prod(array.chunk) * np.dtype(array.dtype).itemsize <= LARGEST_CHUNK_BYTES
            )
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"it is no JSON of an array: {error}") from error
        if not is_sane:
            raise ValueError(f"it states an array that fmcore does not write: {text[:200]}")
        return array


@dataclass(frozen=True, slots=True, eq=False)
class ShardTable:
    """The shards of a store in the order of their samples, and the arrays that lie in them.

    Attributes:
        folder: the name of the folder of the shards, which lies beside the store.
        shards: what the store states of each.
        arrays: what it states of each array whose chunks lie in them, by path.
    """

    folder: str
    shards: Sequence[ShardFacts]
    arrays: Mapping[str, ShardedArray]

    @property
    def n_bytes(self) -> int:
        """The bytes of all shards."""
        return sum(shard.n_bytes for shard in self.shards)

    @property
    def digest(self) -> str:
        """SHA-256 of all that is stated of folder, shards and arrays, in hex."""
        shards = [list(_FACTS(shard)) for shard in self.shards]
        stated = [self.folder, shards, [asdict(array) for array in self.arrays.values()]]
        return hashlib.sha256(json.dumps(stated, separators=(",", ":")).encode()).hexdigest()

    def columns(self) -> dict[str, NDArray[Any]]:
        """The arrays that hold the table, by their names in the schema."""
        columns = zip(*map(_FACTS, self.shards), strict=True)
        arrays = {
            name: np.array(column, kind)
            for (name, kind), column in zip(_COLUMNS.items(), columns, strict=True)
        }
        stated = map(asdict, self.arrays.values())
        texts = [json.dumps(array, separators=(",", ":")) for array in stated]
        return arrays | {"shard_arrays": np.array(texts, "S")}

    def check(self, n_samples: int) -> None:
        """Checks that the shards hold the samples, each one once, under names in the folder.

        Raises:
            ValueError: if they do not, with the reason.
        """
        if not is_folder_name(self.folder):
            raise ValueError(f"the folder {self.folder!r} is no name of a folder of shards")
        first, names = 0, set()
        for shard in self.shards:
            if not _NAME.fullmatch(shard.name) or shard.name.casefold() in names:
                raise ValueError(f"{shard.name!r} is no name of a shard, or that of two")
            names.add(shard.name.casefold())
            if shard.first_sample != first or shard.n_samples < 1 or shard.n_bytes < 1:
                raise ValueError(f"{shard.words} does not begin with sample {first}")
            if not _DIGEST.fullmatch(shard.digest):
                raise ValueError(f"{shard.words} has no digest")
            first += shard.n_samples
        if first != n_samples:
            raise ValueError(f"the shards hold {first:,} samples, expected {n_samples:,}")
        first_chunk, rows = 0, math.gcd(*(shard.n_samples for shard in self.shards[:-1]))
        for array in self.arrays.values():
            if array.first_chunk != first_chunk:
                raise ValueError(f"the chunks of {array.path} do not follow those before them")
            if array.shape[0] != n_samples or rows % array.chunk[0]:
                raise ValueError(f"{array.path} has a chunk that two shards share")
            first_chunk += math.prod(array.grid)


# The arrays that hold a fact of each shard, in the order of `ShardFacts`, and their types.
_COLUMNS = {
    "shard_name": "S",
    "shard_first_sample": "<i8",
    "shard_n_samples": "<i8",
    "shard_bytes": "<i8",
    "shard_digest": "S",
}
_FACTS = attrgetter("name", "first_sample", "n_samples", "n_bytes", "digest")


def is_shard_name(name: str) -> bool:
    """Whether a file of this name may be a shard."""
    return _NAME.fullmatch(name) is not None


def is_folder_name(name: str) -> bool:
    """Whether a folder of this name may hold shards: it lies beside the store, whatever it is."""
    return name.endswith(SHARDS_FOLDER) and not set(name) & set("/\\\0") and name[0] != "."


def bytes_of_store(path: Path) -> int:
    """The bytes of a store with its shards, or more, without opening it; 0 if it is not there.

    Its shards lie in the folder that is called after it, unless the store was renamed: then all
    that lie beside it are counted.
    """
    folders = [path.with_name(path.name + SHARDS_FOLDER)]
    if not os.path.isdir(folders[0]):  # noqa: PTH112 (False where the name is too long)
        folders = list(path.parent.glob(f"*{SHARDS_FOLDER}"))
    total = 0
    with contextlib.suppress(OSError):
        total = path.stat().st_size
        for folder in folders:
            with os.scandir(folder) as entries:
                total += sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return total


def read_shard_table(file: h5py.File, n_samples: int) -> ShardTable:
    """Reads which shards hold the samples of a store with that group.

    The arrays of the table must have the types and lengths of the schema.

    Raises:
        ValueError: if what is stated cannot be, with the reason.
    """
    columns = [_values(file, name) for name in _COLUMNS]
    shards = [ShardFacts(*facts) for facts in zip(*columns, strict=True)]
    arrays = [ShardedArray.parse(text) for text in _values(file, "shard_arrays")]
    table = ShardTable(
        read_text(file[SHARDS], "folder"), shards, {array.path: array for array in arrays}
    )
    table.check(n_samples)
    if table.digest != read_text(file[SHARDS], "digest"):
        raise ValueError("its digest is not that of the shards and arrays that are stated")
    return table


def _values(file: h5py.File, name: str) -> list[Any]:
    """The values of an array as plain Python."""
    values = file[array_path(name)][...]
    if values.dtype.kind != "S":
        return list(values.tolist())
    return [text.decode("utf-8", "replace") for text in values.tolist()]
