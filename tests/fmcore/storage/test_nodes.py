"""What is read of an HDF5 file's nodes is what h5py wrote, and nothing leads out of the file."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.errors import InputFileError, StoreError
from fmcore.storage.codec import DEFLATE, NONE, SHUFFLE_DEFLATE
from fmcore.storage.file.nodes import (
    DEEPEST,
    all_chunk_extents,
    attributes_digest,
    codec_of,
    creation_properties,
    damage_as_store_error,
    fixed_text,
    gaps,
    iter_nodes,
    merge_adjacent,
    read_attributes,
    read_text,
    refer_to_arrays,
    refer_to_scales,
)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", libver=("v110", "v110")) as opened:
        yield opened


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=12), st.randoms())
def test_runs_and_gaps_share_out_every_byte(distances, random):
    extents, end = [], 0
    for distance, length in distances:
        extents.append((end + distance, end + distance + length))
        end += distance + length
    size = end + 2
    covered = np.zeros(size, bool)
    for start, stop in extents:
        covered[start:stop] = True
    random.shuffle(extents)
    middle = len(extents) // 2
    parts = [np.array(part, "<i8").reshape(-1, 2) for part in (extents[:middle], extents[middle:])]
    runs = merge_adjacent(parts)
    steps = np.flatnonzero(np.diff(covered, prepend=False, append=False))
    assert_array_equal(runs, steps.reshape(-1, 2))
    assert runs.dtype == "<i8"
    between = list(gaps(runs, size))
    assert len(between) == len(runs) + 1
    uncovered = np.zeros(size, bool)
    for start, stop in between:
        uncovered[start:stop] = True
    assert_array_equal(uncovered, ~covered)


@given(st.text())
@example("")
def test_a_text_is_read_back_and_what_is_no_unicode_is_escaped(tmp_path_factory, text):
    if "\0" in text:  # HDF5 ends a text there
        return
    with h5py.File(tmp_path_factory.mktemp("a") / "a.h5", "w") as file:
        file.attrs["text"] = fixed_text(text)
        kind = file.attrs.get_id("text").dtype
        assert read_text(file, "text") == text.encode("utf-8", "backslashreplace").decode()
    assert h5py.check_string_dtype(kind).length == max(1, len(text.encode("utf-8", "replace")))


def test_half_a_character_of_utf_16_is_escaped():
    assert fixed_text("a\ud800").tobytes() == rb"a\ud800"


def test_a_text_that_is_absent_is_empty_and_one_of_another_kind_is_its_words(file):
    file.attrs["number"], file.attrs["broken"], file.attrs["variable"] = 7, np.bytes_(b"\xff"), "é"
    assert read_text(file, "none") == ""
    assert read_text(file, "number") == "7"
    assert read_text(file, "broken") == "�"
    assert read_text(file, "variable") == "é"


def test_attributes_are_read_as_plain_python(file):
    values = {"a": 7, "b": 1.5, "c": [1, 2], "d": "é", "e": [[1.5]], "f": True}
    for name, value in values.items():
        file.attrs[name] = fixed_text(value) if isinstance(value, str) else value
    found = read_attributes(file)
    assert found == values
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in values.items()
    }


@pytest.mark.parametrize("codec", [DEFLATE, NONE, SHUFFLE_DEFLATE], ids=lambda codec: codec.name)
def test_an_array_has_the_filters_of_its_codec_and_no_times(file, codec):
    kind, space = h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((4, 3))
    h5py.h5d.create(file.id, b"a", kind, space, creation_properties((2, 3), codec))
    array = file["a"]
    assert codec_of(array.id.get_create_plist()) == codec
    has_shuffle = codec == SHUFFLE_DEFLATE
    assert (array.chunks, array.fletcher32, array.shuffle) == ((2, 3), True, has_shuffle)
    assert (array.compression, array.compression_opts) == (
        ("gzip", 1) if codec != NONE else (None, None)
    )
    assert not array.id.get_create_plist().get_obj_track_times()


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "gzip"}, {"shuffle": True, "fletcher32": True},
     {"compression": "lzf", "fletcher32": True}, {"scaleoffset": 3}],
)  # fmt: skip
def test_other_filters_are_no_codec(file, options):
    array = file.create_dataset("a", data=np.ones(4, np.int32), chunks=(2,), **options)
    assert codec_of(array.id.get_create_plist()) is None


def test_filters_in_another_order_are_no_codec(file):
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((2,))
    properties.set_fletcher32()
    properties.set_deflate(1)
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F32LE, space, properties)
    assert codec_of(file["a"].id.get_create_plist()) is None


def test_nodes_come_by_name_from_outside_in_and_only_chunked_arrays_have_extents(file, tmp_path):
    file["b/y"], file["b/x"], file["a"] = np.arange(3), 1, 2
    file.create_dataset("b/z", data=np.arange(5), chunks=(2,))
    assert [name for name, _ in iter_nodes(file, tmp_path)] == ["/a", "/b", "/b/x", "/b/y", "/b/z"]
    extents = all_chunk_extents(file, tmp_path)
    assert list(extents) == ["b/z"]
    expected = [file["b/z"].id.get_chunk_info(index) for index in range(3)]
    assert_array_equal(
        extents["b/z"], [(info.byte_offset, info.byte_offset + info.size) for info in expected]
    )


def nested(file, depth):
    file.create_group("/".join("g" * depth))


def add_virtual(file, _):
    layout = h5py.VirtualLayout((2,), "i4")
    layout[:] = h5py.VirtualSource("other.h5", "a", (2,))
    file.create_virtual_dataset("v", layout)


LEAVING = {
    "a link": (lambda file, _: file.update({"s": h5py.SoftLink("/a")}), "/s is a link to another"),
    "another file": (
        lambda file, _: file.update({"e": h5py.ExternalLink("b.h5", "/")}),
        "/e is a link to another place",
    ),
    "virtual": (add_virtual, "/v keeps its data in another file"),
    "external": (
        lambda file, path: file.create_dataset("x", (2,), "i4", external=[(str(path), 0, 8)]),
        "/x keeps its data in another file",
    ),
    "second name": (lambda file, _: file.update({"g/b": file["a"]}), "/g/b is a second name"),
    "cycle": (lambda file, _: file.update({"g/b": file["g"]}), "/g/b is a second name"),
    "deep": (lambda file, _: nested(file, DEEPEST + 1), "is nested deeper than any part"),
}


@pytest.mark.parametrize("kind", LEAVING)
def test_what_leads_out_of_the_file_or_in_circles_is_refused(file, tmp_path, kind):
    file["a"] = 1
    file.create_group("g")
    assert len(list(iter_nodes(file, tmp_path))) == 2
    change, why = LEAVING[kind]
    change(file, tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=why):
        list(iter_nodes(file, tmp_path))


def test_a_store_may_be_as_deep_as_is_stated(file, tmp_path):
    nested(file, DEEPEST)
    assert len(list(iter_nodes(file, tmp_path))) == DEEPEST


def test_axes_are_what_hdf5_itself_would_have_written(file):
    for group in ("theirs", "ours"):
        for axis in ("x", "y"):
            file[f"{group}/{axis}"] = np.arange(3)
            file[f"{group}/{axis}"].make_scale(axis)
        for array in ("a", "b"):
            file[f"{group}/{array}"] = np.ones((3, 3))
    for array in ("a", "b"):
        for axis, scale in enumerate("xy"):
            file[f"theirs/{array}"].dims[axis].attach_scale(file[f"theirs/{scale}"])
        refer_to_scales(file[f"ours/{array}"], [file["ours/x"].ref, file["ours/y"].ref])
    arrays = [file["ours/a"].ref, file["ours/b"].ref]
    for axis, scale in enumerate("xy"):
        refer_to_arrays(file[f"ours/{scale}"], [(array, axis) for array in arrays])
    for node in ("a", "b", "x", "y"):
        theirs, ours = (file[f"{group}/{node}"].attrs for group in ("theirs", "ours"))
        assert list(ours) == list(theirs)
        for name in theirs:
            kinds = [one.get_id(name).get_type() for one in (theirs, ours)]
            assert kinds[0].equal(kinds[1]), name
            assert theirs.get_id(name).shape == ours.get_id(name).shape
    array, scale = file["ours/b"], file["ours/y"]
    assert [axis[0] for axis in array.dims] == [file["ours/x"], scale]
    assert h5py.h5ds.is_attached(array.id, scale.id, 1)
    assert not h5py.h5ds.is_attached(array.id, scale.id, 0)
    array.dims[1].detach_scale(scale)
    assert [(file[one].name, axis) for one, axis in scale.attrs["REFERENCE_LIST"]] == [
        ("/ours/a", 1)
    ]


def test_an_array_takes_as_many_bytes_however_many_share_its_axis(tmp_path):
    def size(n: int) -> int:
        with h5py.File(tmp_path / f"{n}.h5", "w", libver=("v110", "v110")) as file:
            file["x"] = np.arange(3)
            file["x"].make_scale("x")
            arrays = [file.create_dataset(f"{index:04}", data=np.ones(3)) for index in range(n)]
            for array in arrays:
                refer_to_scales(array, [file["x"].ref])
            refer_to_arrays(file["x"], [(array.ref, 0) for array in arrays])
        return (tmp_path / f"{n}.h5").stat().st_size

    few, more, most = map(size, (200, 1000, 3000))
    assert (most - more) / 2000 < 1.1 * (more - few) / 800


def test_the_digest_covers_attributes_and_no_order(tmp_path):
    def digest(change=lambda file: None, *, names=("a", "b")) -> str:
        with h5py.File(tmp_path / "d.h5", "w") as file:
            for name in names:
                file.attrs[name] = 1
            file["g/x"], file["g/y"], file["g/v"] = np.arange(2), np.arange(2), np.ones(2)
            file["g"].attrs["c"] = [1, 2]
            file["g/v"].attrs["d"] = fixed_text("text")
            change(file)
            return attributes_digest(file)

    def scale(file):
        file["g/x"].make_scale("x")
        file["g/v"].dims[0].attach_scale(file["g/x"])

    def move(file):
        del file.attrs["a"]
        file["g"].attrs["a"] = 1

    whole = digest()
    assert digest(names=("b", "a")) == whole
    assert digest(lambda file: file.attrs.modify("attributes_sha256", 1)) == whole
    assert digest(scale) == whole  # what an axis refers to follows from the schema
    changes = [
        lambda file: file.attrs.modify("a", 2),
        lambda file: file.attrs.create("a", np.int32(1)),
        lambda file: file.attrs.create("a", [1]),
        lambda file: file.attrs.create("e", 1),
        lambda file: file["g"].attrs.create("c", [[1, 2]]),
        lambda file: file["g/v"].attrs.modify("d", fixed_text("Text")),
        move,
    ]
    digests = {digest(change) for change in changes}
    assert len(digests | {whole}) == len(changes) + 1


@pytest.mark.parametrize("error", [OSError, RuntimeError, KeyError, ValueError, TypeError,
                                   AttributeError])  # fmt: skip
def test_what_h5py_raises_for_damage_names_the_file_and_the_remedy(tmp_path, error):
    with (
        pytest.raises(StoreError, match=r"a\.h5 is a damaged or incomplete store .*capture again"),
        damage_as_store_error(tmp_path / "a.h5"),
    ):
        raise error("x")


@pytest.mark.parametrize("error", [InputFileError("x"), ZeroDivisionError(), KeyboardInterrupt()])
def test_what_is_no_damage_stays_as_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, damage_as_store_error(tmp_path):
        raise error
    assert caught.value is error
