"""Stores whose samples lie in shards: equal to one file, and never values that are not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import h5py
import numpy as np
import pytest
from helpers import sharded
from helpers.factories import NumpyProbe, count, make_plan, make_samples, once, reference, sampled
from numpy.testing import assert_allclose, assert_array_equal

from fmcore import files
from fmcore.capture import CaptureOptions, capture
from fmcore.errors import FmcoreError, OutputError, StoreError
from fmcore.files import MOVING
from fmcore.storage import open_store, problems, writer
from fmcore.storage.file import shard_bytes
from fmcore.storage.joining import Join, reclaim_shards
from fmcore.storage.validate import problems_apart

N = 37
# Of the shard that is damaged.
DAMAGED = range(8, 16)
SHARD = "shard-000008.h5"


def parts(folder, n=N, *, statistics="basic", compression="none", seed=0, **options):
    """The shards of a store, before they are joined."""
    samples = make_samples(n, seed=seed)
    with sharded.small_chunks():
        plan = make_plan(n, statistics=statistics, compression=compression, **options)
        ranges = sharded.cuts(n)
        shards, merged = sharded.capture_shards(NumpyProbe(), samples, folder, plan, ranges)
    return plan, samples, shards, merged


def make(path, *pieces, **options):
    with sharded.small_chunks():
        return sharded.join(path, *pieces, **options)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A sharded store, one of the same samples in one file, and one of other samples."""

    def make_all(folder):
        pieces = parts(folder / "parts", statistics="all")
        make(folder / "copied.h5", *pieces, kind=Join.COPY)
        make(folder / "s.h5", *pieces)
        make(folder / "other.h5", *parts(folder / "others", compression="deflate", seed=1))

    return once(tmp_path_factory, "shards", make_all)


@pytest.fixture
def folder(pristine, tmp_path):
    """A copy of these stores that a test may damage."""
    subprocess.run(["cp", "-r", f"{pristine}/.", str(tmp_path)], check=True)
    return tmp_path


def all_arrays(store):
    arrays = {"image": store.images, "probability": store.file.array("probability")}
    for path, layer in store.layers.items():
        arrays[f"{path} maps"] = layer.activation
        for name in ("mean", "max", "max_y", "max_x", "zero_fraction"):
            arrays[f"{path} {name}"] = layer.pooled(name)
    return arrays


def test_a_store_in_shards_is_the_store_in_one_file(pristine):
    assert list(problems(pristine / "s.h5")) == []
    with open_store(pristine / "s.h5") as store, open_store(pristine / "copied.h5") as whole:
        assert (store.n_shards, whole.n_shards) == (4, 0)
        assert len(store.file.sharded) == 14
        for name, array in all_arrays(store).items():
            assert_array_equal(array[...], all_arrays(whole)[name][...], err_msg=name)
            assert_array_equal(array[30:3:-5], all_arrays(whole)[name][30:3:-5], err_msg=name)
        for path, layer in store.layers.items():
            for name in layer.statistics:
                other = whole.layers[path].statistic(name)
                assert_array_equal(layer.statistic(name), other, err_msg=name)
        for layer, maps in zip(store.layers.values(), reference(N).activations, strict=True):
            assert_allclose(layer.activation[...], maps, rtol=1e-5, atol=1e-6)
        shards = sum(file.stat().st_size for file in (pristine / "s.h5.shards").iterdir())
        assert store.n_bytes == shards + (pristine / "s.h5").stat().st_size


def test_what_lies_in_shards_is_nowhere_in_the_file_not_even_empty(pristine):
    with h5py.File(pristine / "s.h5", locking=False) as file:
        with open_store(pristine / "s.h5") as store:
            for path in store.file.sharded:
                assert path not in file
        assert file.attrs["format_version"] == b"1.2"


def test_arrays_whose_chunks_shards_would_share_lie_in_the_file(tmp_path):
    """Chunks of the usual size hold many of these samples: all but the first layer's maps."""
    samples, plan = make_samples(N), make_plan(N)
    ranges = sharded.cuts(N)
    pieces = sharded.capture_shards(NumpyProbe(), samples, tmp_path / "parts", plan, ranges)
    path = sharded.join(tmp_path / "s.h5", plan, samples, *pieces)
    assert list(problems(path)) == []
    with open_store(path) as store:
        assert list(store.file.sharded) == ["layers/block_conv_1/activation"]
        for layer, maps in zip(store.layers.values(), reference(N).activations, strict=True):
            assert_allclose(layer.activation[...], maps, rtol=1e-5, atol=1e-6)


def rewrite(path, change):
    """Changes a shard as another program does."""
    with h5py.File(path, "r+", locking=False) as file:
        change(file)


def replace_by_another_of_its_size(folder):
    """Another run's shard, whose seal stands where that of a file of this size does."""
    old, new = folder / "s.h5.shards" / SHARD, folder / "other.h5.shards" / SHARD
    size, data = old.stat().st_size, new.read_bytes()
    assert len(data) < size
    old.write_bytes(data[:-56] + bytes(size - len(data)) + data[-56:])


def retype(file):
    array = file["layers/conv2/activation"]
    values = array[...].astype("f2")
    del file["layers/conv2/activation"]
    file["layers/conv2/activation"] = values


def widen(file):
    array = file["layers/conv2/pooled/mean"]
    values = np.zeros((len(array), 99), "f4")
    del file["layers/conv2/pooled/mean"]
    file["layers/conv2/pooled/mean"] = values


def swap(folder):
    first, second = (folder / "s.h5.shards" / name for name in (SHARD, "shard-000016.h5"))
    first.rename(folder / "aside")
    second.rename(first)
    (folder / "aside").rename(second)


def truncate(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)


def link_out(path):
    away = path.parent.parent.parent / f"away-{os.getpid()}.h5"
    path.rename(away)
    path.symlink_to(away)


def move_folder_behind_a_link(folder):
    (folder / "s.h5.shards").rename(folder / "elsewhere")
    (folder / "s.h5.shards").symlink_to(folder / "elsewhere")


def become_folder(path):
    path.unlink()
    path.mkdir()


def become_pipe(path):
    path.unlink()
    os.mkfifo(path)


def of_shard(change):
    return lambda folder: change(folder / "s.h5.shards" / SHARD)


DAMAGES = {
    "delete": of_shard(lambda path: path.unlink()),
    "rename": of_shard(lambda path: path.rename(path.with_name("shard-9.h5"))),
    "swap": swap,
    "truncate": of_shard(truncate),
    "empty": of_shard(lambda path: path.write_bytes(b"")),
    "append": of_shard(lambda path: path.write_bytes(path.read_bytes() + b"more")),
    "retype": of_shard(lambda path: rewrite(path, retype)),
    "widen": of_shard(lambda path: rewrite(path, widen)),
    "replace": replace_by_another_of_its_size,
    "link out": of_shard(link_out),
    "folder": of_shard(become_folder),
    "pipe": of_shard(become_pipe),
    "no folder": lambda folder: (folder / "s.h5.shards").rename(folder / "gone"),
    "linked folder": move_folder_behind_a_link,
    "other folder": lambda folder: (
        (folder / "s.h5.shards").rename(folder / "aside"),
        (folder / "other.h5.shards").rename(folder / "s.h5.shards"),
    ),
}


def value_or_words(array, sample, expected):
    """The words of the error; None where the value is the expected one."""
    try:
        assert_array_equal(array[sample], expected)
    except StoreError as error:
        return str(error)


@pytest.mark.share
@pytest.mark.parametrize(("damage", "is_open"), sampled(10, DAMAGES, (False, True)))
def test_a_shard_that_is_not_as_it_was_is_an_error_that_names_it(pristine, folder, damage, is_open):
    with open_store(pristine / "copied.h5") as whole:
        expected = {name: array[...] for name, array in all_arrays(whole).items()}
    if not is_open:
        DAMAGES[damage](folder)
    n_errors = 0
    with open_store(folder / "s.h5") as store:
        if is_open:  # none of its shards is
            DAMAGES[damage](folder)
        for name, array in all_arrays(store).items():
            for sample in range(N):
                words = value_or_words(array, sample, expected[name][sample])
                if words is None:
                    assert sample not in DAMAGED
                else:
                    n_errors += 1
                    shard = min(sample // 8 * 8, 24)  # the last has what is left
                    assert f"s.h5.shards/shard-{shard:06d}.h5 (samples {shard} to" in words
            with pytest.raises(StoreError, match=r"s\.h5\.shards/shard-0000"):
                array[...]
    assert n_errors >= 14 * len(DAMAGED)
    texts = list(problems(folder / "s.h5", quick=True))
    assert any(SHARD in problem for problem in texts), texts


@pytest.mark.skipif(os.geteuid() == 0, reason="NOT TESTED: root may read every file")
def test_a_shard_that_may_not_be_read_is_named(folder):
    (folder / "s.h5.shards" / SHARD).chmod(0)
    with open_store(folder / "s.h5") as store, pytest.raises(StoreError, match=SHARD):
        store.images[...]


def test_a_damaged_chunk_is_named_with_its_shard(folder):
    path = folder / "s.h5.shards" / SHARD
    with h5py.File(path, locking=False) as file:
        place = file["layers/conv2/activation"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 7] ^= 4
    path.write_bytes(data)
    with open_store(folder / "s.h5") as store:
        maps = store.layers["conv2"].activation
        maps[0:8]
        words = rf"s\.h5, shard {SHARD}, is a damaged store: /layers/conv2/activation, samples 8"
        with pytest.raises(StoreError, match=words):
            maps[9]
    texts = problems_apart(folder / "s.h5")
    assert len(texts) == 1
    assert texts[0].startswith(f"shard {SHARD} (samples 8 to 15): /layers/conv2/activation")
    assert problems_apart(folder / "s.h5", quick=True) == []


def test_validation_goes_on_behind_a_shard_that_is_not_there(folder):
    (folder / "s.h5.shards" / "shard-000000.h5").unlink()
    truncate(folder / "s.h5.shards" / "shard-000024.h5")
    for texts in (problems_apart(folder / "s.h5"), list(problems(folder / "s.h5", quick=True))):
        assert ["shard-000000.h5" in texts[0], "shard-000024.h5" in texts[1]] == [True, True]
        assert len(texts) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda shards: shards.attrs.modify("folder", b"../s.h5.shards"), "no name of a folder"),
        (lambda shards: shards.attrs.modify("folder", b"s.h5"), "no name of a folder"),
        (lambda shards: shards.attrs.modify("digest", b"0" * 64), "digest"),
        (lambda shards: shards["n_samples"].__setitem__(0, 7), "does not begin with sample"),
        (lambda shards: shards["first_sample"].__setitem__(1, 0), "does not begin with sample"),
        (lambda shards: shards["name"].__setitem__(0, b"../../x.h5"), "no name of a shard"),
        (lambda shards: shards["name"].__setitem__(0, b"shard-000008.h5"), "that of two"),
        (lambda shards: shards["bytes"].__setitem__(0, 1 << 50), "digest"),
        (lambda shards: shards["arrays"].__setitem__(0, b"[1]"), "no JSON of an array"),
        (lambda shards: shards.__delitem__("digest"), "digest is missing"),
    ],
)
def test_a_store_that_states_what_cannot_be_is_refused(folder, change, words):
    with h5py.File(folder / "s.h5", "r+", locking=False) as file:
        change(file["shards"])
    with pytest.raises(StoreError, match=words):
        open_store(folder / "s.h5")


def test_arrays_that_state_other_shapes_are_refused(folder):
    for key, value in {"dtype": "int64", "chunk": [3, 4, 4, 3], "codec": "zstd"}.items():
        with h5py.File(folder / "s.h5", "r+", locking=False) as file:
            rows = file["shards/arrays"]
            before = rows[...]
            at = next(i for i, text in enumerate(before) if b"conv2/activation" in text)
            stated = json.dumps(json.loads(before[at]) | {key: value}, separators=(",", ":"))
            rows[at] = stated.encode()
        with pytest.raises(StoreError):
            open_store(folder / "s.h5")
        with h5py.File(folder / "s.h5", "r+", locking=False) as file:
            file["shards/arrays"][...] = before
    open_store(folder / "s.h5").close()


def test_few_shards_are_open_at_a_time_and_any_thread_reads_right_values(pristine, monkeypatch):
    monkeypatch.setattr(shard_bytes, "LEAST_OPEN", 1)
    monkeypatch.setattr(shard_bytes, "MOST_OPEN", 1)
    with open_store(pristine / "s.h5") as store, open_store(pristine / "copied.h5") as whole:
        expected = whole.layers["block/conv 1"].activation[...]
        maps = store.layers["block/conv 1"].activation
        order = np.random.default_rng(0).integers(0, N, 400).tolist()
        with ThreadPoolExecutor(8) as threads:
            for sample, values in zip(order, threads.map(maps.row, order), strict=True):
                assert_array_equal(values, expected[sample])


FEW_FILES = """
import os, resource, sys
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fmcore import open_store
from fmcore.errors import StoreError

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
expected = np.load(sys.argv[2])
with open_store(sys.argv[1]) as store, open_store(sys.argv[1]) as fresh:
    maps, others = (opened.layers["block/conv 1"].activation for opened in (store, fresh))
    others.chunks
    with ThreadPoolExecutor(8) as threads:
        np.testing.assert_array_equal(list(threads.map(maps.row, range(len(expected)))), expected)
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for sample in range(len(expected)):  # it closes one of its own for the next
        np.testing.assert_array_equal(maps.row(sample), expected[sample])
    for sample in range(0, len(expected), 8):  # it has none of its own
        try:
            others.row(sample)
            sys.exit("nothing was left, and yet it was read")
        except StoreError as error:
            assert "too many files are open" in str(error) and "shard-" in str(error), error
"""


def test_hundreds_of_shards_are_read_with_few_descriptors(tmp_path):
    n = 8 * count(80, 300)
    _, _, shards, merged = parts(tmp_path / "parts", 8)
    shards = sharded.copy_shards(shards[0].path, tmp_path / "many", n // 8)
    samples, path = make_samples(n), tmp_path / "s.h5"
    with sharded.small_chunks():
        plan = make_plan(n, statistics="basic", compression="none")
        sharded.join(path, plan, samples, shards, merged)
    maps = reference(8).activations[0]
    np.save(tmp_path / "maps.npy", np.concatenate([maps] * (n // 8)))
    command = [sys.executable, "-c", FEW_FILES, str(path), str(tmp_path / "maps.npy")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_shards_are_moved_before_the_store_has_its_name_and_back_if_it_gets_none(
    tmp_path, monkeypatch
):
    plan, samples, shards, merged = parts(tmp_path / "parts", 16)
    path = tmp_path / "s.h5"

    def fail(*_, **__):
        assert not shards[0].path.exists()
        raise RuntimeError("it cannot be read")

    monkeypatch.setattr(writer, "verify_store", fail)
    with pytest.raises(RuntimeError):
        make(path, plan, samples, shards, merged)
    monkeypatch.undo()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["parts"]
    assert all(shard.path.is_file() for shard in shards)
    make(path, plan, samples, shards, merged)
    assert list(problems(path)) == []


def test_what_a_kill_leaves_is_taken_up_again(tmp_path):
    """The shards are in their folder, and the store has no name yet."""
    pieces = parts(tmp_path / "parts", 16)
    if (pid := os.fork()) == 0:
        files._give_name = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        try:
            make(tmp_path / "s.h5", *pieces)
        finally:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    path, left = tmp_path / "s.h5", tmp_path / "s.h5.shards"
    assert not path.exists()
    assert sorted(file.name for file in left.iterdir()) == [
        MOVING,
        "shard-000000.h5",
        "shard-000008.h5",
    ]
    reclaim_shards(path, tmp_path / "parts")
    assert not left.exists()
    make(path, *pieces)
    assert list(problems(path)) == []
    reclaim_shards(path, tmp_path / "parts")
    assert list(problems(path)) == []


def test_the_shards_of_a_store_that_is_replaced_go_when_the_new_one_is_there(folder):
    path = folder / "s.h5"
    (folder / "s.h5.shards" / "mine.txt").write_text("a person's")
    pieces = parts(folder / "parts", 16, seed=3)
    with pytest.raises(OutputError, match="exists"):
        make(path, *pieces)
    assert list(problems(path)) == []
    make(path, *pieces, overwrite=True)
    assert list(problems(path)) == []
    assert [file.name for file in (folder / "s.h5.shards").iterdir()] == ["mine.txt"]
    with sharded.small_chunks():
        capture(NumpyProbe(), pieces[1], path, pieces[0], CaptureOptions(overwrite=True))
    assert list(problems(path)) == []
    assert not (folder / "s.h5.2.shards").exists()


def test_a_store_that_was_renamed_is_read_and_its_shards_are_nobody_elses(folder):
    (folder / "s.h5").rename(folder / "renamed.h5")
    assert list(problems(folder / "renamed.h5")) == []
    reclaim_shards(folder / "s.h5", folder / "parts")
    make(folder / "s.h5", *parts(folder / "parts", 16, seed=3))
    assert list(problems(folder / "s.h5")) == []
    assert list(problems(folder / "renamed.h5")) == []


def test_a_store_and_its_shards_move_together(folder, tmp_path):
    (folder / "there").mkdir()
    for name in ("s.h5", "s.h5.shards"):
        (folder / name).rename(folder / "there" / name)
    assert list(problems(folder / "there" / "s.h5")) == []
    (folder / "link.h5").symlink_to(folder / "there" / "s.h5")
    assert list(problems(folder / "link.h5")) == []


def test_shards_of_another_store_are_refused(tmp_path):
    plan, samples, shards, merged = parts(tmp_path / "parts", 16)
    _, _, others, _ = parts(tmp_path / "others", 32)
    swapped = [shards[0], replace(shards[1], path=others[2].path)]
    with pytest.raises(FmcoreError, match="is another shard: it has 8 samples from 16 on"):
        make(tmp_path / "s.h5", plan, samples, swapped, merged, kind=Join.COPY)
    with pytest.raises(ValueError, match="expected samples from 8 on"):
        make(tmp_path / "s.h5", plan, samples, [shards[0], shards[0]], merged)
    _, _, deflated, _ = parts(tmp_path / "deflated", 16, compression="deflate")
    with pytest.raises(StoreError, match="is no shard of this store: /layers/block_conv_1/act"):
        make(tmp_path / "s.h5", plan, samples, deflated, merged)
    assert not list(tmp_path.glob("*s.h5*"))
