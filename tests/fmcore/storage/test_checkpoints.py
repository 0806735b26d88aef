"""A capture with checkpoints: resumed after anything, never mixed, equal to one in one go."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.factories import DyingProbe, NumpyProbe, make_plan, make_samples, make_store
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages
from fmcore.errors import OutputError
from fmcore.records import ModelInfo
from fmcore.storage import open_store, problems
from fmcore.storage.file.deferred_errors import DeferredErrorFile
from fmcore.storage.unfinished import partial_folder
from fmcore.storage.writer import StoreWriter

N, ROWS = 4_200, 640


def contents(path: Path) -> dict[str, np.ndarray]:
    """Every array and attribute but the time of writing, by path."""
    found: dict[str, np.ndarray] = {}

    def add(name, node):
        if isinstance(node, h5py.Dataset):
            found[name] = node[...]
        found.update({f"{name}@{key}": value for key, value in node.attrs.items()})

    with h5py.File(path) as file:
        file.visititems(add)
        found.update({f"@{key}": value for key, value in file.attrs.items()})
    timed = ("@created", "@attributes_sha256")
    references = ("DIMENSION_LIST", "REFERENCE_LIST")
    return {k: v for k, v in found.items() if k not in timed and not k.endswith(references)}


def assert_equal(one: Path, other: Path) -> None:
    first, second = contents(one), contents(other)
    assert first.keys() == second.keys()
    for name in first:
        assert_array_equal(first[name], second[name], err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """An uninterrupted capture without checkpoints."""
    return make_store(tmp_path_factory.mktemp("whole") / "s.h5", N, batch_size=64)


def run(path: Path, probe=None, n: int = N, restart=False, **options) -> Path:
    plan = make_plan(n, **({"batch_size": 64, "checkpoint_rows": ROWS} | options))
    return capture(
        probe or NumpyProbe(), make_samples(n), path, plan, CaptureOptions(restart=restart)
    )


def recorded(path: Path) -> dict:
    """What the manifest says of the last checkpoint."""
    return json.loads((partial_folder(path) / "manifest.json").read_text())["checkpoint"]


def test_a_capture_with_checkpoints_equals_one_without(whole, tmp_path):
    path = run(tmp_path / "s.h5")
    assert_equal(path, whole)
    assert list(problems(path)) == []
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "beside as large a write"])
def test_the_journal_says_where_hdf5_put_chunks(tmp_path, monkeypatch, others):
    put, n_runs = StoreWriter._put, 0
    list_writes = DeferredErrorFile.list_writes

    @contextlib.contextmanager
    def with_others(file):
        with list_writes(file) as writes:
            yield writes
            writes += [(place + at, n) for place, n in writes for at in range(1, 1 + others)]

    monkeypatch.setattr(DeferredErrorFile, "list_writes", with_others)

    def compared(writer, rows, run):
        nonlocal n_runs
        put(writer, rows, run)
        n_runs += 1
        place = rows.array.id.get_chunk_info_by_coord(run.corner)
        assert list(writer._journal[-2:]) == [len(run.sizes), place.byte_offset]

    monkeypatch.setattr(StoreWriter, "_put", compared)
    run(tmp_path / "s.h5")
    assert n_runs > 100


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_a_checkpoint_may_lie_within_a_chunk_of_any_table(batch_size, tmp_path):
    options = {"n": 700, "batch_size": batch_size, "checkpoint_rows": 7 * batch_size}
    whole = make_store(tmp_path / "whole.h5", 700, batch_size=batch_size)
    with pytest.raises(RuntimeError):
        run(tmp_path / "s.h5", DyingProbe(400 // batch_size), **options)
    assert recorded(tmp_path / "s.h5")["n_samples"] % (7 * batch_size) == 0
    assert_equal(run(tmp_path / "s.h5", **options), whole)


@pytest.mark.slow
@pytest.mark.parametrize("n_batches", [1, 10, 27, 39, 65])
def test_a_run_that_failed_is_taken_up_and_ends_bit_equal(whole, tmp_path, n_batches, caplog):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(n_batches))
    assert not path.exists()
    n_kept = n_batches * 64 // ROWS * ROWS
    if n_kept:
        assert recorded(path)["n_samples"] == n_kept
        assert f"{n_kept} of {N} samples are kept" in caplog.text
    else:
        assert list(tmp_path.iterdir()) == []
    left = DyingProbe(-(-(N - n_kept) // 64))  # none of the samples goes through the model again
    run(path, left)
    assert left.left == 0
    assert_equal(path, whole)
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]


def test_a_run_is_taken_up_as_often_as_it_fails(whole, tmp_path):
    path = tmp_path / "s.h5"
    for n_kept in range(ROWS, N, ROWS):
        with pytest.raises(RuntimeError):
            run(path, DyingProbe(ROWS // 64 + 1))
        assert recorded(path)["n_samples"] == n_kept
        assert len(list(partial_folder(path).glob("checkpoint-*"))) == 1
    run(path)
    assert_equal(path, whole)


def test_with_a_fixed_time_stores_are_equal_byte_by_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    first, second, third = (tmp_path / f"{name}.h5" for name in "abc")
    run(first)
    run(second, checkpoint_rows=2 * N)
    with pytest.raises(RuntimeError):
        run(third, DyingProbe(39))
    run(third)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()
    with h5py.File(first) as file:
        assert file.attrs["created"] == b"2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("time", ["soon", "1e9", str(10**30)])
def test_a_time_that_is_none_is_refused(tmp_path, monkeypatch, time):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", time)
    with pytest.raises(OutputError, match=f"SOURCE_DATE_EPOCH is '{time}'; expected seconds"):
        run(tmp_path / "s.h5", n=100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["chunk", "cut", "lost", "checkpoint", "no checkpoint"])
def test_what_changed_since_it_was_recorded_is_captured_anew(whole, tmp_path, caplog, damage):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(39))
    folder = partial_folder(path)
    file = folder / (recorded(path)["file"] if "checkpoint" in damage else "store.h5")
    if damage in ("lost", "no checkpoint"):
        file.unlink()
    elif damage == "cut":
        os.truncate(file, recorded(path)["store_bytes"] - 1)
    else:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    run(path)
    assert f"{folder} is not as it was recorded; the capture begins anew" in caplog.text
    assert_equal(path, whole)


def test_what_a_killed_run_wrote_after_its_checkpoint_is_of_no_account(whole, tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(39))
    folder, kept = partial_folder(path), recorded(path)["store_bytes"]
    with (folder / "store.h5").open("r+b") as file:
        file.seek(kept)
        file.write(b"half a chunk" * 1000)
    (folder / "checkpoint-000002560.npz").write_bytes(b"half a checkpoint")
    run(path)
    assert_equal(path, whole)
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5"]


def test_the_disk_holds_little_more_than_the_store(tmp_path):
    """As measured after every batch; without histograms, whose sums are as large as this store."""

    class Watching(NumpyProbe):
        most = 0

        def __call__(self, images, others=None):
            used = sum(file.stat().st_size for file in tmp_path.rglob("*"))
            self.most = max(self.most, used)
            return super().__call__(images)

    probe = Watching()
    path = run(tmp_path / "s.h5", probe, statistics="basic", memory=10_000)
    assert 0.8 * path.stat().st_size < probe.most < 1.1 * path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("batch size", {"batch_size": 32}),
        ("policy", {"policy": "block*=float16"}),
        ("histograms", {"statistics": "basic"}),
    ],
)
def test_other_options_refuse_to_resume_and_name_the_field(tmp_path, field, options):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(39))
    with pytest.raises(OutputError, match=f"another capture: {field}") as error:
        run(path, **options)
    assert "--restart" in str(error.value)
    run(path, restart=True, **options)
    assert list(problems(path)) == []


def test_another_hdf5_refuses_to_resume(tmp_path, monkeypatch):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(39))
    n_kept = recorded(path)["n_samples"]
    with monkeypatch.context() as patched:
        patched.setattr("h5py.version.hdf5_version", "9.9.9")
        with pytest.raises(OutputError, match=r"another capture: HDF5 was .*, now it is 9\.9\.9"):
            run(path)
    left = DyingProbe(-(-(N - n_kept) // 64))
    run(path, left)  # what was refused is still there
    assert left.left == 0


@pytest.mark.parametrize("field", ["images", "order of images", "labels", "dtype of images"])
def test_other_data_refuse_to_resume_and_name_the_field(tmp_path, field):
    path, samples = tmp_path / "s.h5", make_samples(N)
    plan = make_plan(N, batch_size=64, checkpoint_rows=ROWS)
    with pytest.raises(RuntimeError):
        capture(DyingProbe(39), samples, path, plan)
    if field == "images":
        samples.images[5, 2, 2, 0] ^= 1
    elif field == "labels":
        samples.labels[5] = (samples.labels[5] + 1) % 3
    elif field == "dtype of images":
        samples = LabelledImages(samples.images.astype(np.float32), samples.labels)
    else:
        samples.images[[3, 4]] = samples.images[[4, 3]]
    with pytest.raises(OutputError, match=f"another capture: {field} was"):
        capture(NumpyProbe(), samples, path, plan)


def test_a_manifest_that_is_none_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "s.h5"
    with pytest.raises(RuntimeError):
        run(path, DyingProbe(39))
    (partial_folder(path) / "manifest.json").write_text("{}")
    with pytest.raises(OutputError, match=r"cannot be read.*--restart"):
        run(path)


def test_a_stale_lock_is_explained_and_a_foreign_one_refused(tmp_path, caplog):
    path = tmp_path / "s.h5"
    folder = partial_folder(path)
    folder.mkdir()
    about = {"host": "elsewhere", "pid": 7, "since": "2026-01-01"}
    (folder / "lock").write_text(json.dumps(about))
    with pytest.raises(OutputError, match="pid 7 on host elsewhere since 2026-01-01"):
        run(path, n=100)
    (folder / "lock").write_text(json.dumps(about | {"host": os.uname().nodename}))
    run(path, n=100)
    assert "its lock is stale" in caplog.text
    assert path.is_file()


def race(path: str, start, results) -> None:
    start.wait()
    try:
        run(Path(path), n=600)
        results.put("")
    except OutputError as error:
        results.put(str(error))


@pytest.mark.slow
def test_of_two_captures_to_one_store_exactly_one_proceeds(tmp_path):
    context = multiprocessing.get_context("fork")
    for turn in range(3):
        path, start, results = str(tmp_path / f"{turn}.h5"), context.Event(), context.Queue()
        both = [context.Process(target=race, args=(path, start, results)) for _ in range(2)]
        for process in both:
            process.start()
        start.set()
        said = sorted(results.get(timeout=60) for _ in both)
        for process in both:
            process.join()
        assert said[0] == ""
        assert "pid" in said[1] or "exists" in said[1] or "about to end" in said[1], said
        assert list(problems(path)) == []


def test_float16_says_its_largest_error_and_its_overflows(tmp_path, caplog):
    class Large(NumpyProbe):
        def __call__(self, images, others=None):
            found = super().__call__(images)
            found.activations[0][0, 0, 0, 0] = 1e6
            return found

    path = tmp_path / "s.h5"
    plan = make_plan(64, batch_size=64, policy="block*=float16,conv2=pooled")
    capture(Large(), make_samples(64), path, plan)
    exact = Large()(make_samples(64).images.astype(np.float32) / np.float32(255)).activations[0]
    with np.errstate(over="ignore"), h5py.File(path) as file:
        group = file["layers/block_conv_1"]
        assert_array_equal(group["activation"][...], exact.astype(np.float16))
        error = np.abs(exact.astype(np.float16).astype(np.float64) - exact)
        assert group.attrs["largest_error"] == error[np.isfinite(error)].max()
        assert group.attrs["n_overflow"] == 1
        assert "activation" not in file["layers/conv2"]
        assert file["layers/conv2/pooled/max"].shape == (64, 3)
    assert "too large for float16" in caplog.text


def test_a_large_store_and_a_small_disk_are_refused_before_it_begins(tmp_path, monkeypatch):
    plan = make_plan(100)
    monkeypatch.setattr("fmcore.capture.run.LARGE_STORE_BYTES", 1000)
    with pytest.raises(OutputError, match=r"--policy .* or confirm with --yes"):
        capture(NumpyProbe(), make_samples(100), tmp_path / "s.h5", plan)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("U", (), {"free": 10})())
    options = CaptureOptions(allow_large=True)
    with pytest.raises(OutputError, match="are free in"):
        capture(NumpyProbe(), make_samples(100), tmp_path / "s.h5", plan, options)
    assert not list(tmp_path.iterdir())


def test_values_that_are_not_finite_are_counted_and_reported(tmp_path, caplog):
    class Broken(NumpyProbe):
        def __call__(self, images, others=None):
            found = super().__call__(images)
            found.activations[1][:, 0, 0, 2] = np.nan
            return found

    capture(Broken(), make_samples(37), tmp_path / "s.h5", make_plan(37))
    assert "conv2: 37 of 1,776 activations are NaN or infinite, in 1 of 3 filters" in caplog.text
    with open_store(tmp_path / "s.h5") as store:
        assert store.layers["conv2"].statistic("n_nonfinite").sum() == 37


def test_an_estimate_is_near_what_is_written(tmp_path):
    path = make_store(tmp_path / "s.h5", 2_000, batch_size=256)
    assert_allclose(make_plan(2_000).estimate.store_bytes, path.stat().st_size, rtol=0.35)


def test_of_many_classes_only_those_with_samples_are_estimated(tmp_path):
    class Many(NumpyProbe):
        def __init__(self) -> None:
            super().__init__()
            self._output = np.zeros((20, 300), np.float32)

    labels = np.arange(60) % 20 * 7
    samples = make_samples(60, labels=labels)
    plan = plan_capture(
        Many(),
        samples,
        class_names=[f"c{index}" for index in range(300)],
        model=ModelInfo("tiny", digest="0" * 64, architecture="{}"),
        dataset_name="random",
        dataset_source="random images",
    )
    path = capture(Many(), samples, tmp_path / "s.h5", plan)
    assert 0.65 < plan.estimate.store_bytes / path.stat().st_size < 2
    absent = np.delete(np.arange(300), np.unique(labels))
    with open_store(path) as store:
        layer = store.layers["block/conv 1"]
        found = layer.statistic("auc_max")
        assert np.isfinite(found[labels]).any(axis=1).all()
        assert np.isnan(found[absent]).all()
        top = layer.top("class_sample")[...]
        assert (top[7, 0, :3] >= 0).all()
        assert (top[7, 0, 3:] == -1).all()
        assert (top[absent] == -1).all()
        assert np.isnan(layer.top("class_value")[absent]).all()
    assert list(problems(path)) == []


def test_tables_read_in_small_pieces_give_the_same_scores(tmp_path, monkeypatch):
    one = make_store(tmp_path / "one.h5", 900, batch_size=64)
    monkeypatch.setattr("fmcore.storage.scoring.SLAB_BYTES", 3 * 4 * 900)
    monkeypatch.setattr("fmcore.storage.scoring.MOST_READS", 100)
    monkeypatch.setattr("fmcore.statistics.compute.BLOCK_BYTES", 5 * 8 * 900)
    other = make_store(tmp_path / "other.h5", 900, batch_size=64)
    first, second = contents(one), contents(other)
    for name in first:
        if first[name].dtype.kind == "f":
            assert_allclose(first[name], second[name], rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            assert_array_equal(first[name], second[name], err_msg=name)
