"""One layer of an open store; everything that comes out is numpy, plain Python, or stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.errors import MapsNotStoredError, SelectionError
from fmcore.selection import Picks
from fmcore.storage.attributes import read_attributes, read_text
from fmcore.storage.chunks import ChunkIndex, StoredChunk
from fmcore.storage.layer_statistics import LayerStatistics
from fmcore.storage.stored_array import StoredArray

if TYPE_CHECKING:
    from fmcore.storage.reader import Store


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What a store says of a layer, read once when it is opened; see `Layer`."""

    full_group: str
    path: str
    index: int
    policy: str
    shape: tuple[int, int, int]
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, node: h5py.Group) -> Self:
        """The facts of a layer's group."""
        height, width, filters = (int(node[axis].shape[0]) for axis in ("y", "x", "filter"))
        return cls(
            node.name,
            read_text(node, "layer_path"),
            int(node.attrs["layer_index"]),
            read_text(node, "policy"),
            (height, width, filters),
            read_attributes(node),
        )


class Layer(LayerStatistics):
    """One captured layer of a store.

    Attributes:
        path: its Keras path.
        index: its place among the captured layers.
        shape: (y, x, filter) of one sample.
        policy: how its maps are stored: `float32`, `float16`, or `pooled` for not at all.
        attributes: every attribute of its group.
        full_group: the path of its group in the file.
    """

    def __init__(self, store: Store, facts: LayerFacts) -> None:
        self._store = store
        self.full_group = facts.full_group
        self.path, self.index, self.policy = facts.path, facts.index, facts.policy
        self.attributes, self.shape = dict(facts.attributes), facts.shape

    @property
    def has_maps(self) -> bool:
        """Whether the feature maps themselves are stored, and not only what sums them up."""
        return self.policy != "pooled"

    @property
    def group(self) -> str:
        """The name of the layer's group in the file: plain and unique, fit for a file name."""
        return self.full_group.rsplit("/", 1)[-1]

    @property
    def stored_bytes(self) -> int:
        """Bytes that the layer's maps take in the file; 0 where it has none."""
        return int(self._maps().sizes.sum()) if self.has_maps else 0

    def feature_maps(self, sample: int) -> NDArray[np.float32]:
        """All maps of one sample, <float32>[y, x, filter]; reads one chunk, or one a filter block.

        float32 also where the store keeps float16: every float16 is a float32.

        Raises:
            SampleNotFoundError: if there is no such sample.
            MapsNotStoredError: if the store keeps no maps of the layer.
            StoreError: if they are damaged.
        """
        self._store.check_sample(sample)
        maps = self._maps().row(self._store.bytes, sample)
        return maps.astype(np.float32, copy=False)

    @property
    def activation(self) -> StoredArray:
        """The maps of all samples, <float32>[sample, y, x, filter]; read where it is indexed.

        float32 also where the store keeps float16, as `feature_maps`.

        Raises:
            MapsNotStoredError: if the store keeps no maps of the layer.
        """
        self._maps()
        path = f"{self.full_group}/activation"
        return StoredArray(self._store, path, ("sample", "y", "x", "filter"), dtype=np.float32)

    def chunk_bytes(self, sample: int) -> list[StoredChunk]:
        """The chunks that hold the maps of one sample as they lie in the file, not inflated.

        Raises:
            SampleNotFoundError: if there is no such sample.
            MapsNotStoredError: if the store keeps no maps of the layer.
            StoreError: if they are damaged.
        """
        self._store.check_sample(sample)
        maps, file = self._maps(), self._store.bytes
        return [maps.raw(file, position) for position in maps.positions(sample, sample + 1)]

    def only_chunk(self, samples: Picks, filters: Picks) -> tuple[int, ...] | None:
        """The stored chunk that holds exactly the maps of these, as they are; None where none does.

        Only one that any HTTP client inflates: deflate without shuffle, or no compression.
        """
        maps = self._maps()
        if maps.codec.shuffle:
            return None
        return maps.only_chunk((samples, *map(range, self.shape[:2]), filters))

    @property
    def is_indexed(self) -> bool:
        """Whether it is known already where its chunks lie; HDF5 says it at the first read."""
        return self._store.is_indexed(f"{self.full_group}/activation")

    def chunk_now(self, position: tuple[int, ...]) -> bytes | None:
        """The data of `chunk`, if no disk must be waited for; else None."""
        return self._maps().raw_now(self._store.bytes, position)

    def chunk(self, position: tuple[int, ...]) -> StoredChunk:
        """A chunk by its place in the grid, as it lies in the file, verified and not inflated.

        Raises:
            StoreError: if it is damaged.
        """
        return self._maps().raw(self._store.bytes, position)

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Of the maps in the file."""
        return self._maps().dtype

    @property
    def is_deflated(self) -> bool:
        """Whether the chunks of the maps are zlib streams."""
        return self._maps().codec.deflate

    def receptive_field(self, y: int, x: int) -> tuple[int, int, int, int] | None:
        """First row, first column, last row and last column of the input that a unit sees.

        -1 for all four where it sees only padding. None where it is unknown:
        `attributes["receptive_field"]` says why.

        Raises:
            SelectionError: if there is no such unit.
        """
        height, width, _ = self.shape
        if not (0 <= y < height and 0 <= x < width):
            raise SelectionError(
                f"no unit at row {y}, column {x} in layer {self.path}, whose maps are "
                f"{height}x{width}"
            )
        if "receptive_field" not in self._node:
            return None
        first_y, first_x, last_y, last_x = self._whole("receptive_field")[y, x].tolist()
        return first_y, first_x, last_y, last_x

    def receptive_fields(self) -> NDArray[np.int64] | None:
        """That of every unit, <int64>[y, x, (first y, first x, last y, last x)]; None as there."""
        if "receptive_field" not in self._node:
            return None
        return np.asarray(self._whole("receptive_field"), dtype=np.int64)

    @property
    def kernel(self) -> NDArray[np.float32] | None:
        """The weights, <float32>[kernel_y, kernel_x, kernel_input, kernel_output], if stored."""
        return self._whole("kernel") if "kernel" in self._node else None

    @property
    def bias(self) -> NDArray[np.float32] | None:
        """The bias, <float32>[filter], if stored."""
        return self._whole("bias") if "bias" in self._node else None

    def _maps(self) -> ChunkIndex:
        if not self.has_maps:
            raise MapsNotStoredError(
                f"{self._store.path.name} keeps no maps of layer {self.path}: it was captured with "
                "the policy pooled, tables and statistics only; capture it with float32 or float16"
            )
        return self._array("activation")
