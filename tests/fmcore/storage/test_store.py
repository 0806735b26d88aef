"""What is written is what is read, by us and by foreign readers; what is damaged is said."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.factories import (
    CLASS_NAMES,
    NumpyProbe,
    count,
    make_samples,
    make_store,
    reference,
    tool,
)
from helpers.sharded import copy_store
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import open_store
from fmcore.errors import (
    ClosedStoreError,
    InputFileError,
    LayerNotFoundError,
    OutputError,
    SampleNotFoundError,
    SelectionError,
    StatisticNotFoundError,
    StoreError,
    UnsupportedVersionError,
)
from fmcore.storage import SCHEMA, problems
from fmcore.storage.format.schema import ATTRIBUTES, SHARD_ATTRIBUTES, scale_path

LAYERS = ("block/conv 1", "conv2")


@pytest.fixture(scope="module")
def store_path(store_path, tmp_path_factory):
    """A copy: HDF5 opens no file with locks that something else in this process has without."""
    return copy_store(store_path, tmp_path_factory.mktemp("own"))


def test_a_store_gives_back_what_the_probe_put_in(store):
    expected, samples = reference(), make_samples(37)
    assert tuple(store.layers) == LAYERS
    for name, values in zip(LAYERS, expected.activations, strict=True):
        assert_array_equal(store.layers[name].activation[:37], values)
        assert_array_equal(store.layers[name].feature_maps(36), values[36])
    assert_array_equal(store.labels, samples.labels)
    assert_array_equal(store.image(5), samples.images[5])
    assert_allclose(store.probability(5), expected.probability[5], rtol=1e-6)
    assert_array_equal(store.predictions, expected.probability.argmax(axis=1))
    assert store.class_names == CLASS_NAMES
    assert_array_equal(store.class_sizes, np.bincount(samples.labels, minlength=4))
    assert store.ids[:2] == ["00", "01"]
    correct = (expected.probability.argmax(axis=1) == samples.labels).mean()
    assert store.about()["model"]["test_accuracy"] == pytest.approx(correct)


def test_class_statistics_and_mean_maps_equal_numpy_on_the_whole_array(store):
    labels = make_samples(37).labels
    for name, values in zip(LAYERS, reference().activations, strict=True):
        layer, values64 = store.layers[name], values.astype(np.float64)
        for index in range(3):
            of_class = values64[labels == index]
            flat = of_class.reshape(-1, values.shape[3])
            for statistic, expected in (
                ("mean", flat.mean(axis=0)),
                ("std", flat.std(axis=0)),
                ("min", flat.min(axis=0)),
                ("max", flat.max(axis=0)),
                ("zero_fraction", (flat == 0).mean(axis=0)),
            ):
                assert_allclose(layer.statistic(statistic)[index], expected, rtol=1e-6, atol=1e-12)
            assert_allclose(layer.mean_map(index, 0), of_class.mean(axis=0)[..., 0], rtol=1e-6)
        assert np.isnan(layer.statistic("mean")[3]).all(), "a class without samples has no mean"
        expected_range = [values64.min(axis=(0, 1, 2)), values64.max(axis=(0, 1, 2))]
        assert_allclose(layer.filter_range(), expected_range, rtol=1e-6)


def test_the_file_holds_exactly_the_schema(store_path):
    with h5py.File(store_path, locking=False) as file:
        found: dict[str, h5py.Dataset] = {}
        file.visititems(
            lambda name, node: (
                found.update({name: node}) if isinstance(node, h5py.Dataset) else None
            )
        )
        groups = list(file["layers"])
        expected = {}
        for spec in SCHEMA:
            for group in groups if "{layer}" in spec.path else [""]:
                expected[spec.path.format(layer=group)] = spec
        scales = {scale_path(axis, path) for path, spec in expected.items() for axis in spec.axes}
        optional = {path for path, spec in expected.items() if spec.optional}
        assert set(found) - scales <= set(expected)
        assert set(expected) - optional <= set(found)
        for path, node in found.items():
            if path in expected:
                spec = expected[path]
                kind = "bytes" if node.dtype.kind == "S" else node.dtype.name
                assert kind in spec.dtypes, path
                names = [axis[0].name.rsplit("/", 1)[-1] for axis in node.dims]
                assert tuple(names) == spec.axes, path
            assert node.fletcher32, path
            assert not h5py.check_vlen_dtype(node.dtype), path
        for place, names in ATTRIBUTES.items():
            for group in groups if "{layer}" in place else [""]:
                if place == SHARD_ATTRIBUTES and place not in file:
                    continue
                required = {name for name, attribute in names.items() if not attribute.optional}
                assert required <= set(file[place.format(layer=group)].attrs) <= set(names)


@pytest.mark.parametrize(
    ("compression", "filters", "words"),
    [
        ("auto", ["gzip", "gzip"], "deflate: it leaves"),  # ReLU maps, half of them zeros
        ("deflate", ["gzip", "gzip"], "deflate, as asked for"),
        ("none", [None, None], "none, as asked for"),
    ],
)
def test_maps_are_compressed_as_asked_and_the_store_says_why(tmp_path, compression, filters, words):
    path = make_store(tmp_path / "s.h5", compression=compression)
    with h5py.File(path, locking=False) as file:
        layers = sorted(file["layers"].values(), key=lambda group: group.attrs["layer_index"])
        maps = [group["activation"] for group in layers]
        assert [array.compression for array in maps] == filters
        assert all(array.fletcher32 for array in maps)
        for group, values in zip(layers, reference().activations, strict=True):
            assert group.attrs["compression"].decode().startswith(words)
            assert_array_equal(group["activation"][...], values)
            assert group["pooled/mean"].compression == "gzip"
    assert list(problems(path)) == []
    with open_store(path) as store:
        for name, values in zip(LAYERS, reference().activations, strict=True):
            assert_array_equal(store.layers[name].activation[...], values)


def test_values_without_zeros_are_stored_as_they_are_unless_asked(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).normal(size=(37, 9, 8, 20)).astype(np.float32)

    def noisy(probe, images, others=None):
        captured = as_it_is(probe, images, others)
        return dataclasses.replace(
            captured, activations=(noise[: len(images)], captured.activations[1])
        )

    as_it_is = NumpyProbe.__call__
    monkeypatch.setattr(NumpyProbe, "__call__", noisy)
    for compression, expected in (("auto", [None, "gzip"]), ("deflate", ["gzip", "gzip"])):
        path = make_store(tmp_path / f"{compression}.h5", batch_size=37, compression=compression)
        with h5py.File(path, locking=False) as file:
            layers = sorted(file["layers"].values(), key=lambda group: group.attrs["layer_index"])
            assert [group["activation"].compression for group in layers] == expected
            assert_array_equal(layers[0]["activation"][...], noise)
            if compression == "auto":
                why = layers[0].attrs["compression"].decode()
                assert re.fullmatch(r"none: .*deflate would leave \d+% of the bytes", why)


def test_a_whole_store_has_no_problem(store_path):
    assert list(problems(store_path)) == []


@pytest.mark.parametrize("batch_size", [1, 5, 37, 64])
def test_the_batch_size_changes_no_array(tmp_path, store, batch_size):
    with open_store(make_store(tmp_path / "other.h5", batch_size=batch_size)) as other:
        for name in LAYERS:
            one, two = store.layers[name], other.layers[name]
            assert_array_equal(one.activation[:37], two.activation[:37])
            assert_array_equal(one.pooled("max")[...], two.pooled("max")[...])
            assert_allclose(one.statistic("std"), two.statistic("std"), rtol=1e-12)
    assert list(problems(tmp_path / "other.h5")) == []


def test_h5dump_reads_the_values_without_a_plugin(tmp_path, store_path):
    program = tool("h5dump", debian="hdf5-tools")
    raw = tmp_path / "raw"
    where = ["-d", "/layers/conv2/activation", "-b", "LE", "-o", str(raw)]
    subprocess.run([program, *where, str(store_path)], capture_output=True, check=True)
    expected = reference().activations[1]
    assert_array_equal(np.fromfile(raw, "<f4").reshape(expected.shape), expected)


def test_ncdump_shows_named_axes(store_path):
    program = tool("ncdump", debian="netcdf-bin")
    header = subprocess.run(
        [program, "-h", str(store_path)], capture_output=True, text=True, check=True
    ).stdout
    assert "float activation(sample, y, x, filter)" in header
    assert "float mean_map(class, map_y, map_x, filter)" in header
    assert "phony" not in header


def test_xarray_opens_a_layer_with_named_axes(store_path):
    import xarray

    with xarray.open_dataset(store_path, engine="h5netcdf", group="layers/conv2") as layer:
        assert layer["activation"].dims == ("sample", "y", "x", "filter")
        assert_array_equal(layer["activation"].values, reference().activations[1])
    with xarray.open_dataset(store_path, engine="h5netcdf", group="layers/conv2/class") as means:
        assert means["moments"].dims == ("moment", "class", "filter")


def test_xarray_opens_scores_top_samples_and_similarities_with_named_axes(store_path):
    import xarray

    def opened(group):
        return xarray.open_dataset(store_path, engine="h5netcdf", group=group)

    with opened("layers/conv2/class") as of_class:
        assert of_class.scores.dims == ("class_score", "estimate", "class", "filter")
        assert of_class.histogram.dims == ("class", "filter", "bin")
    with opened("layers/conv2/filters") as of_filters:
        assert of_filters.correlation_mean.dims == ("filter", "other_filter")
    with opened("layers/conv2/top") as top:
        assert top.class_places.dims == ("place", "class", "filter", "class_k")
        assert top.band_value.dims == ("band", "filter", "k")
    with opened("similarity") as similarity:
        assert similarity.cka_mean.dims == ("layer", "other_layer")


def test_the_file_is_of_hdf5_version_1_10(store_path):
    with h5py.File(store_path, locking=False) as file:
        assert file.userblock_size == 0
    # Superblock 3, as libver v110 writes it; "latest" of HDF5 2.0 would not open everywhere.
    assert store_path.read_bytes()[8] == 3


def test_what_is_not_there_is_named_with_what_is(store):
    with pytest.raises(LayerNotFoundError, match=r"no layer 'conv3'.*did you mean conv2"):
        store.layers["conv3"]
    with pytest.raises(StatisticNotFoundError, match=r"meen.*did you mean mean"):
        store.layers["conv2"].statistic("meen")
    for sample in (-1, 37):
        with pytest.raises(SampleNotFoundError, match="it holds 0 to 36"):
            store.layers["conv2"].feature_maps(sample)


def test_indices_from_the_end_are_none(store):
    layer = store.layers["conv2"]
    for class_index, filter_index in ((-1, 0), (4, 0), (0, -1), (0, 3)):
        with pytest.raises(SelectionError):
            layer.mean_map(class_index, filter_index)


def test_a_closed_store_says_so_and_closes_twice(store_path):
    with open_store(store_path) as store:
        assert repr(store).startswith("<Store 'tiny.h5': 37 samples, 2 layers")
    store.close()
    assert repr(store) == "<closed Store 'tiny.h5'>"
    with pytest.raises(ClosedStoreError):
        _ = store.labels


def test_an_existing_store_is_kept_unless_told_otherwise(tmp_path):
    path = make_store(tmp_path / "kept.h5", 5)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists; give --force"):
        make_store(path, 6)
    assert path.read_bytes() == before
    make_store(path, 6, overwrite=True)
    with open_store(path) as store:
        assert store.n_samples == 6


def test_a_second_writer_of_the_same_store_is_refused(tmp_path):
    from fmcore.files import publish

    target = tmp_path / "one.h5"
    with publish(target) as partial:
        partial.write_bytes(b"first")
        with pytest.raises(OutputError, match="another process is writing"), publish(target):
            pass
    assert target.read_bytes() == b"first"


def edited(store_path: Path, tmp_path: Path, edit) -> Path:
    path = tmp_path / "edited.h5"
    copy_store(store_path, path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def test_files_that_are_no_store_are_refused(tmp_path, store_path):
    with pytest.raises(InputFileError, match="no such file"):
        open_store(tmp_path / "missing.h5")
    with pytest.raises(InputFileError, match="it is a folder"):
        open_store(tmp_path)
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(StoreError, match="not an HDF5 file"):
        open_store(text)
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(StoreError, match="an HDF5 file but not a store"):
        open_store(tmp_path / "other.h5")
    newer = edited(store_path, tmp_path, lambda f: f.attrs.modify("format_version", "2.0"))
    with pytest.raises(UnsupportedVersionError, match=r"format version 2\.0, this fmcore reads 1"):
        open_store(newer)


def test_a_newer_minor_version_is_read(tmp_path, store_path):
    newer = edited(store_path, tmp_path, lambda f: f.attrs.modify("format_version", "1.9"))
    with open_store(newer) as store:
        assert store.n_samples == 37


def link_outside(file):
    file["layers/conv2/extra"] = h5py.ExternalLink("/etc/passwd", "/")


def link_inside(file):
    file["layers/conv2/extra"] = h5py.SoftLink("/samples/label")


def virtual(file):
    layout = h5py.VirtualLayout(shape=(3,), dtype="u1")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(3,))
    file.create_virtual_dataset("layers/conv2/extra", layout)


def external(file):
    file.create_dataset("layers/conv2/extra", (10,), "u1", external=[("/etc/passwd", 0, 10)])


@pytest.mark.parametrize("edit", [link_outside, link_inside, virtual, external])
def test_a_store_that_reaches_outside_its_file_is_refused(tmp_path, store_path, edit):
    with pytest.raises(StoreError, match=r"link to another place|in another file"):
        open_store(edited(store_path, tmp_path, edit))


def drop_labels(file):
    del file["samples/label"]


def wrong_duplicate(file):
    file["layers/conv2/filters/duplicate_of"][1] = 2
    file["layers/conv2/filters/duplicate_r"][1] = 0.995


def wrong_class(file):
    file["samples/label"][3] = 99


def change_attribute(file):
    file["layers/conv2"].attrs.modify("padding", "same")


def detach_axis(file):
    array = file["layers/conv2/class/moments"]
    array.dims[2].detach_scale(file["layers/conv2/filter"])


def shorten(file):
    del file["layers/conv2/activation"]
    array = file.create_dataset(
        "layers/conv2/activation", data=np.zeros((5, 4, 4, 3), "f4"), chunks=True, fletcher32=True
    )
    for position, axis in enumerate(("y", "x", "filter"), start=1):
        array.dims[position].attach_scale(file[f"layers/conv2/{axis}"])
    array.dims[0].attach_scale(file["sample"])


def huge(file):
    del file["samples/label"]
    file.create_dataset("samples/label", (1 << 45,), "i8", chunks=(1 << 20,), fletcher32=True)
    file["samples/label"].dims[0].attach_scale(file["sample"])


def retype_attribute(file):
    file["layers/conv2"].attrs["layer_index"] = "first"


def twice(file):
    file["layers/conv2"].attrs["layer_path"] = np.bytes_("block/conv 1")


def no_samples(file):
    del file["samples"]


def no_model(file):
    del file["model"]


def mix_estimates(file):
    names = file["names/estimate"]
    names[0], names[1] = names[1], names[0]


def lacking(group, attribute):
    return lambda file: file[group].attrs.__delitem__(attribute)


def accuracy_of_predicted_labels(file):
    file["dataset"].attrs["labels"] = np.bytes_("predicted")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (drop_labels, "/samples/label is missing"),
        (detach_axis, "axis filter refers to no scale"),
        (shorten, "/layers/conv2/activation: length 5, but /sample has the shape"),
        (huge, "/samples/label: length 35184372088832, but /sample has the shape"),
        (retype_attribute, "the attribute layer_index has the wrong type, expected integer"),
        (twice, "two groups under /layers have the same layer_path"),
        (no_samples, "/samples/id is missing"),
        (no_model, "/model is missing"),
        (lacking("dataset", "labels"), "dataset lacks the attribute labels"),
        (lacking("capture", "statistics"), "capture lacks the attribute statistics"),
        (lacking("layers/conv2", "histogram"), "conv2 lacks the attribute histogram"),
        (lacking("layers/conv2", "receptive_field"), "conv2 lacks the attribute receptive_field"),
        (mix_estimates, "/names/estimate is not value, low, high"),
        (accuracy_of_predicted_labels, "test_accuracy, but labels of /dataset is 'predicted'"),
    ],
)
def test_a_store_that_is_not_whole_is_refused_at_once(tmp_path, store_path, edit, said):
    path = edited(store_path, tmp_path, edit)
    with pytest.raises(StoreError, match="damaged or incomplete") as caught:
        open_store(path)
    assert "\n" not in str(caught.value)
    assert any(said in problem for problem in problems(path))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (wrong_class, "/samples/label of sample 3 is outside the 4 classes"),
        (change_attribute, "differ from their digest"),
        (wrong_duplicate, "/layers/conv2/filters/duplicate_of of filter 1 is 2"),
    ],
)
def test_validate_names_what_is_wrong(tmp_path, store_path, edit, said):
    assert any(said in problem for problem in problems(edited(store_path, tmp_path, edit)))


@pytest.mark.slow
def test_a_crash_of_hdf5_is_a_problem_found_and_not_ours(store_path, monkeypatch):
    from fmcore.storage import validate

    assert validate.problems_apart(store_path) == []
    # abort stands in for HDF5, which does not crash on demand.
    monkeypatch.setattr(validate, "_find_problems", aborting)
    (said,) = validate.problems_apart(store_path)
    assert "HDF5 itself crashes on it" in said


def aborting(*_) -> list[str]:
    os.abort()


def test_a_defect_of_a_check_is_not_said_to_be_damage(store_path, monkeypatch):
    from fmcore.storage import validate

    monkeypatch.setattr(validate, "_find_problems", failing)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: oh no"):
        validate.problems_apart(store_path)


def failing(*_) -> list[str]:
    raise ZeroDivisionError("oh no")


def content(path: Path) -> dict[str, bytes]:
    """Every array and the attributes that a reader looks at."""
    with open_store(path) as store:
        found = {"about": repr((store.about(), store.class_names, store.ids)).encode()}
        for name in ("labels", "predictions", "class_sizes"):
            found[name] = getattr(store, name).tobytes()
        for layer in store.layers.values():
            found[layer.path] = layer.activation[: store.n_samples].tobytes()
            found[layer.path + "about"] = repr(layer.attributes).encode()
            for kind, names in (
                ("pooled", ("mean", "max")),
                ("class", ("mean", "std", "n_values")),
            ):
                for name in names:
                    read = layer.pooled if kind == "pooled" else layer.statistic
                    found[f"{layer.path}{kind}{name}"] = read(name)[...].tobytes()
        return found


@pytest.mark.slow
def test_a_flipped_bit_is_never_silent(tmp_path, store_path):
    whole, original = content(store_path), store_path.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.h5"
    seen = {"harmless": 0, "refused": 0, "reported": 0}
    times = count(30, 80)
    for _ in range(times):
        damaged = bytearray(original)
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            if list(problems(path)):
                seen["reported"] += 1
            else:
                assert content(path) == whole
                seen["harmless"] += 1
        except (StoreError, InputFileError):
            seen["refused"] += 1
    assert seen["reported"] > times / 4
    assert seen["harmless"] < times / 5, seen


def test_a_truncated_store_is_refused(tmp_path, store_path):
    original = store_path.read_bytes()
    path = tmp_path / "short.h5"
    for size in np.linspace(0, len(original) - 1, 40).astype(int):
        path.write_bytes(original[:size])
        with pytest.raises((StoreError, InputFileError)):
            open_store(path)


# In a process of its own, because what is tested is that it does not end in a segmentation fault.
FAILING_WRITES = """
import errno, io, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from helpers.factories import make_store
from fmcore.errors import OutputError
from fmcore.storage.file import deferred_errors as deferred_errors

counter = {"left": 0}
class Disk(io.FileIO):
    def write(self, data, /):
        counter["left"] -= 1
        if counter["left"] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)
class DeferredErrorFile(deferred_errors.DeferredErrorFile, Disk):
    pass
# DeferredErrorFile.write calls super().write, which is Disk's in this order of bases.
from fmcore.storage import writer
writer.DeferredErrorFile = DeferredErrorFile
path = Path(sys.argv[1]) / "store.h5"
counter["left"] = 10**9
make_store(path, 12)
total = 10**9 - counter["left"]
path.unlink()
failed = 0
for allowed in range(0, total, int(sys.argv[3])):
    counter["left"] = allowed
    try:
        make_store(path, 12)
    except OutputError as error:
        assert "No space left" in str(error), error
        failed += 1
    assert not list(Path(sys.argv[1]).iterdir()), allowed
print(failed, total)
"""


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_write_leaves_nothing_and_no_crash(tmp_path):
    tests, every = Path(__file__).parents[2], count(8, 3)
    command = [sys.executable, "-c", FAILING_WRITES, str(tmp_path), str(tests), str(every)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    failed, total = map(int, done.stdout.split())
    assert failed == len(range(0, total, every))
    assert total > 50
