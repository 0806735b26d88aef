"""What is read past HDF5 is what HDF5 reads, and damage is named, whatever reads it."""

from __future__ import annotations

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.factories import NumpyProbe, make_plan, make_samples, make_store
from helpers.sharded import copy_store
from numpy.testing import assert_array_equal
from soak import flips

from fmcore import open_store
from fmcore.capture import capture
from fmcore.cli import main
from fmcore.errors import ClosedStoreError, MapsNotStoredError, StoreError
from fmcore.storage import problems, validate
from fmcore.storage.chunks.stored_array import index_of
from fmcore.storage.codec import DEFLATE, NONE, SHUFFLE_DEFLATE
from fmcore.storage.file import opened as opened_file
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import seal, verify_seal
from fmcore.storage.format import chunk_shape

N = 37
MAPS = "layers/block_conv_1/activation"
LAYER = "block/conv 1"


def store_of(path: Path, *, codec=DEFLATE, policy: str = "float32") -> Path:
    """A store whose layers all have one codec and one policy."""
    plan = make_plan(N)
    layers = [replace(layer, codec=codec, policy=policy) for layer in plan.store.layers]
    plan = replace(plan, store=replace(plan.store, layers=layers))
    return capture(NumpyProbe(), make_samples(N), path, plan)


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 16]))


def damage(path: Path, array: str, row: int) -> None:
    """Flips a bit in the middle of the chunk that holds a row."""
    with h5py.File(path) as file:
        node = file[array]
        corner = (row // node.chunks[0] * node.chunks[0], *[0] * (node.ndim - 1))
        place = node.id.get_chunk_info_by_coord(corner)
    flip(path, place.byte_offset + place.size // 2)


@pytest.fixture
def copied(tmp_path, store_path) -> Path:
    return copy_store(store_path, tmp_path / "copy.h5")


@pytest.mark.parametrize("codec", [DEFLATE, NONE, SHUFFLE_DEFLATE], ids=lambda codec: codec.name)
@pytest.mark.parametrize("policy", ["float32", "float16"])
@pytest.mark.parametrize("cut", ["samples", "filters"])
def test_any_range_equals_what_h5py_reads(tmp_path, monkeypatch, codec, policy, cut):
    if cut == "filters":  # 20 filters in blocks that do not divide them
        monkeypatch.setattr(chunk_shape, "SMALL_SAMPLE_BYTES", 1)
        monkeypatch.setattr(chunk_shape, "LARGE_SAMPLE_BYTES", 9 * 8 * 4 * 7)
    path = store_of(tmp_path / "store.h5", codec=codec, policy=policy)
    with open_store(path) as store, h5py.File(path, locking=False) as file:
        for layer in store.layers.values():
            there = file["layers"][layer.group]["activation"]
            expected = there[...]
            assert expected.dtype == policy
            for start, stop in ((0, N), (0, 1), (5, 6), (3, 17), (N - 1, N), (30, 99), (4, 4)):
                maps = layer.activation[start:stop]
                assert maps.dtype == np.float32
                assert_array_equal(maps, expected[start:stop])
            for sample in (0, 1, 20, N - 1):
                assert_array_equal(layer.feature_maps(sample), expected[sample])
                assert_array_equal(assembled(layer, sample, expected), expected[sample])
            assert layer.stored_bytes == there.id.get_storage_size()
    assert list(problems(path)) == []


def assembled(layer, sample: int, like: np.ndarray) -> np.ndarray:
    """The maps of a sample from its stored chunks, as a browser would make them."""
    out = np.full(like.shape[1:], 99, like.dtype)
    for chunk in layer.activation.raw_chunks(sample):
        data = zlib.decompress(chunk.data) if chunk.codec.endswith("deflate") else chunk.data
        if chunk.codec.startswith("shuffle"):
            data = np.frombuffer(data, "u1").reshape(like.dtype.itemsize, -1).T.tobytes()
        values = np.frombuffer(data, chunk.dtype).reshape(chunk.shape)
        row, first = sample - chunk.corner[0], chunk.corner[3]
        there = out[..., first : first + chunk.shape[3]]
        there[...] = values[row, ..., : there.shape[-1]]
    return out


def test_every_array_equals_what_h5py_reads(store_path):
    found: list[str] = []
    with h5py.File(store_path, locking=False) as file, open_store(store_path) as store:
        file.visititems(
            lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None
        )
        for name in found:
            index = store.file.index(name)
            assert_array_equal(index.rows(0, len(file[name])), file[name][...])
            assert_array_equal(index.row(0), file[name][0])
            assert index.offsets.dtype == index.sizes.dtype == np.int64


def test_a_layer_without_maps_says_so_and_gives_the_rest(tmp_path):
    with open_store(store_of(tmp_path / "store.h5", policy="pooled")) as store:
        layer = store.layers[LAYER]
        assert (layer.has_maps, layer.policy, layer.shape) == (False, "pooled", (9, 8, 20))
        assert layer.stored_bytes == 0
        assert layer.pooled("max").shape == (N, 20)
        for read in (
            layer.feature_maps,
            lambda one: layer.activation.raw_chunks(one),
            lambda one: layer.activation[one:N],
        ):
            with pytest.raises(MapsNotStoredError, match="with the policy pooled"):
                read(0)


@pytest.mark.parametrize("policy", ["pooled", "float16", "double"])
def test_a_policy_that_the_arrays_contradict_is_refused(copied, policy):
    with h5py.File(copied, "r+") as file:
        file["layers/conv2"].attrs["policy"] = np.bytes_(policy)
    with pytest.raises(StoreError, match=r"policy is '?" + policy):
        open_store(copied)


def test_an_array_with_foreign_filters_is_refused(copied):
    with h5py.File(copied, "r+") as file:
        old, scale = file["layers/conv2/bias"], file["layers/conv2/filter"]
        values = old[...]
        del file["layers/conv2/bias"]
        new = file.create_dataset(
            "layers/conv2/bias",
            data=values,
            chunks=values.shape,
            fletcher32=True,
            compression="lzf",
        )
        new.dims[0].attach_scale(scale)
    with pytest.raises(StoreError, match="other filters than the codecs"):
        open_store(copied)


def test_a_damaged_chunk_is_named_by_array_and_samples_and_the_rest_is_read(copied):
    damage(copied, MAPS, 7)
    damage(copied, "layers/conv2/class/moments", 0)
    with open_store(copied) as store:
        layer = store.layers[LAYER]
        for read in (
            layer.feature_maps,
            lambda one: layer.activation.raw_chunks(one),
            lambda one: layer.activation[:N],
        ):
            with pytest.raises(StoreError, match=rf"/{MAPS}, samples 6 to 7: its checksum"):
                read(7)
        layer.feature_maps(5)
        with pytest.raises(StoreError, match="/layers/conv2/class/moments, indices 0 to 4: "):
            store.layers["conv2"].statistic("mean")


@pytest.mark.slow
def test_validate_lists_every_damaged_chunk_and_goes_on(copied, capsys):
    for row in (7, 8, 20):
        damage(copied, MAPS, row)
    damage(copied, "samples/image", 3)
    found = list(problems(copied))
    assert [one.split(":")[0] for one in found] == [
        "/samples/image, samples 0 to 36",
        f"/{MAPS}, samples 6 to 9",
        f"/{MAPS}, samples 20 to 21",
    ]
    assert main(["validate", str(copied)]) == 1
    assert "3 problems found" in capsys.readouterr().out
    assert main(["validate", "--quick", str(copied)]) == 0
    assert "no problem found (--quick: structure and metadata only" in capsys.readouterr().out


def test_validate_looks_at_scales_and_predictions(copied):
    with h5py.File(copied, "r+") as file:
        file["layers/conv2/y"][2] = 9
        file["samples/prediction"][4] = (file["samples/prediction"][4] + 1) % 4
    found = list(problems(copied))
    assert any("/layers/conv2/y, indices 0 to 3: an axis must count" in one for one in found)
    with h5py.File(copied, "r+") as file:
        file["layers/conv2/y"][2] = 2
    found = list(problems(copied))
    assert any("prediction of sample 4 is not the most probable class" in one for one in found)


@pytest.mark.parametrize("entry", [(0, 1 << 60, 9, 0), (0, 10, 1 << 40, 0), (0, 10, 9, 1)])
def test_an_index_that_points_anywhere_is_an_error(copied, entry):
    class Lying:
        def __init__(self, real) -> None:
            self.real = real

        def __getattr__(self, name: str):
            return getattr(self.real, name)

        def chunk_iter(self, said) -> None:
            info = h5py.h5d.StoreInfo
            self.real.chunk_iter(lambda one: said(info(one.chunk_offset, entry[3], *entry[1:3])))

    class Array:
        def __init__(self, real) -> None:
            self.real, self.id = real, Lying(real.id)

        def __getattr__(self, name: str):
            return getattr(self.real, name)

    with h5py.File(copied) as file, pytest.raises(StoreError, match="damaged index"):
        index_of(Array(file[MAPS]), FileBytes(copied))


def test_a_store_replaced_under_its_readers_stays_what_it_was(copied):
    with open_store(copied) as store:
        expected = store.layers[LAYER].activation[:N]
        make_store(copied, 5, overwrite=True)
        assert_array_equal(store.layers[LAYER].activation[:N], expected)
        assert store.image(N - 1).shape == (9, 8, 1)


def test_a_store_replaced_while_it_is_opened_is_opened_once_more(copied, tmp_path, monkeypatch):
    other = make_store(tmp_path / "other.h5", 5)
    opened: list[Path] = []

    class Replaced(FileBytes):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            if not opened:
                other.replace(path)
            opened.append(path)

    monkeypatch.setattr(opened_file, "FileBytes", Replaced)
    with open_store(copied) as store:
        assert len(opened) == 2
        assert store.n_samples == 5
        assert len(store.layers[LAYER].activation[:5]) == 5


def test_a_store_closed_under_its_readers_ends_in_values_or_a_clean_error(store_path):
    for _ in range(20):
        store, together = open_store(store_path), threading.Barrier(4)
        layer = store.layers[LAYER]
        expected = layer.feature_maps(3)

        def read(_: int) -> bool:
            together.wait()  # noqa: B023
            try:
                return all(np.array_equal(layer.feature_maps(3), expected) for _ in range(50))  # noqa: B023
            except ClosedStoreError:
                return True

        with ThreadPoolExecutor(3) as threads:
            answers = threads.map(read, range(3))
            together.wait()
            store.close()
            assert all(answers)
        with pytest.raises(ClosedStoreError):
            layer.feature_maps(3)


def test_the_seal_is_there_and_covers_every_byte_outside_the_chunks(copied):
    original = copied.read_bytes()
    assert verify_seal(FileBytes(copied))
    with h5py.File(copied) as file:
        places = []
        file.visititems(
            lambda _, node: (
                node.id.chunk_iter(places.append) if isinstance(node, h5py.Dataset) else None
            )
        )
    chunk_bytes = np.zeros(len(original), bool)
    for one in places:
        chunk_bytes[one.byte_offset : one.byte_offset + one.size] = True
    outside = np.flatnonzero(~chunk_bytes)
    for offset in [*outside[:60:7], *outside[100::997], *outside[-120:]]:
        flip(copied, int(offset))
        with pytest.raises(StoreError, match=r"differ from their seal|has a damaged seal"):
            open_store(copied)
        flip(copied, int(offset))
    assert copied.read_bytes() == original


def test_a_store_without_a_seal_is_read_and_reported(copied):
    with h5py.File(copied, "r+"):
        pass  # HDF5 cuts off what lies behind its end
    assert not verify_seal(FileBytes(copied))
    with open_store(copied) as store:
        assert store.n_samples == N
    assert ["it has no seal" in one for one in problems(copied)] == [True]
    seal(copied)
    assert list(problems(copied)) == []


def hanging(*_) -> list[str]:
    threading.Event().wait()
    return []


@pytest.mark.slow
def test_a_hang_of_hdf5_is_a_problem_found(store_path, monkeypatch):
    monkeypatch.setattr(validate, "_find_problems", hanging)
    monkeypatch.setattr(validate, "PATIENCE_SECONDS", 3.0)
    (said,) = validate.problems_apart(store_path)
    assert "does not return" in said


@pytest.mark.slow
def test_flipped_bits_and_cut_ends_are_never_silent(tmp_path):
    source = make_store(tmp_path / "whole.h5", 12)
    counts = flips.run(source, tmp_path, flips.make_cases(source.stat().st_size, 12, 4, seed=3))
    assert not [case for case in counts if case.startswith("BAD")], counts
    assert sum(counts.values()) == 16
