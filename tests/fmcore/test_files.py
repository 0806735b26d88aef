"""A file appears whole under its name and stays there; what is not ours is left alone."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fmcore import files
from fmcore.errors import OutputError, StoreError
from fmcore.files import (
    is_partial,
    locked,
    locked_folder,
    output_errors,
    partial_name,
    publish,
    publish_folder,
    refuse_existing,
    safe_names,
    sha256_of,
    size_text,
)

NO_ROOM = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]


def raise_after(write: Callable[[], object], error: type[BaseException]) -> None:
    """Fails as a writer does that was at work."""
    write()
    raise error


def watch(monkeypatch, path: Path) -> list[tuple[int, str | None]]:
    """Records each `fsync`: which inode, and what lies at `path` at that time."""
    calls, flush = [], os.fsync

    def content() -> str | None:
        if path.is_dir():
            return "folder"
        return path.read_text() if path.exists() else None

    def record(descriptor):
        calls.append((os.fstat(descriptor).st_ino, content()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return calls


@pytest.mark.parametrize("before", [None, "old"])
def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    before, tmp_path, monkeypatch
):
    # After a power cut a name that was not flushed is gone; one from before the data is empty.
    target = tmp_path / "a.txt"
    if before is not None:
        target.write_text(before)
    calls = watch(monkeypatch, target)
    with publish(target, overwrite=True) as partial:
        partial.write_text("new")
    assert calls == [(target.stat().st_ino, before), (tmp_path.stat().st_ino, "new")]


def test_all_of_a_folder_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    tmp_path, monkeypatch
):
    target = tmp_path / "a.zarr"
    calls = watch(monkeypatch, target)
    with publish_folder(target) as partial:
        (partial / "b").mkdir()
        (partial / "b" / "c").write_text("c")
        (partial / "d").write_text("d")
    *contents, last = calls
    parts = [path.stat().st_ino for path in target.rglob("*")]
    assert len(parts) == 3
    assert sorted(contents) == sorted((part, None) for part in parts)
    assert last == (tmp_path.stat().st_ino, "folder")


def test_a_folder_replaces_the_one_before_and_a_failure_leaves_that_one(tmp_path):
    target = tmp_path / "deep" / "a.zarr"
    for content, before in (("old", ()), ("new", ("old",))):
        with publish_folder(target, replaces=before) as partial:
            (partial / content).write_text(content)
        assert [path.name for path in target.iterdir()] == [content]
    with pytest.raises(KeyboardInterrupt), publish_folder(target) as folder:
        raise_after((folder / "half").touch, KeyboardInterrupt)
    assert [path.name for path in target.parent.iterdir()] == ["a.zarr"]
    assert [path.name for path in target.iterdir()] == ["new"]


def test_for_a_second_a_folder_that_fills_again_is_removed_again(tmp_path, monkeypatch):
    # Threads of an interrupted library go on writing for a while.
    remove, clock = shutil.rmtree, [0.0]

    def remove_late(folder, **options):
        if clock[0] > 0.9:
            remove(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", remove_late)
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    with pytest.raises(KeyboardInterrupt), publish_folder(tmp_path / "a.zarr") as folder:
        raise_after((folder / "half").touch, KeyboardInterrupt)
    assert list(tmp_path.iterdir()) == []
    assert clock[0] < 1.1


def test_a_path_below_folders_that_are_not_there_is_written(tmp_path):
    for _ in range(2):
        with publish(tmp_path / "a" / "b" / "c.txt", overwrite=True) as partial:
            partial.write_text("c")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "c"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("removed", [False, True])
def test_a_failure_leaves_the_path_as_it_was(error, removed, tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), publish(target, overwrite=True) as partial:
        raise_after(partial.unlink if removed else lambda: partial.write_text("half"), error)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_nothing_that_a_killed_process_left_is_in_a_folder(tmp_path):
    target = tmp_path / "a.zarr"
    partial_name(target).mkdir()
    (partial_name(target) / "left").touch()
    with publish_folder(target) as folder:
        (folder / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_nothing_that_a_killed_process_left_is_in_a_file(tmp_path):
    target = tmp_path / "a.txt"
    partial_name(target).write_text("left by a killed process")
    with publish(target) as partial, partial.open("r+") as out:
        out.write("new")
    assert target.read_text() == "new"
    partial_name(target).write_text("left by a killed process")
    with publish(target, overwrite=True):
        pass
    assert target.read_bytes() == b""


def test_a_file_that_exists_is_refused_before_any_work(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("mine")
    with pytest.raises(OutputError, match="--force"), publish(target):
        pytest.fail("work was done")
    assert target.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_only_what_can_be_written_is_not_refused(tmp_path):
    file, fifo = tmp_path / "file", tmp_path / "fifo"
    file.touch()
    os.mkfifo(fifo)
    refuse_existing(tmp_path / "new", overwrite=False)
    refuse_existing(file, overwrite=True)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="it is a folder"):
            refuse_existing(tmp_path, overwrite=overwrite)
        with pytest.raises(OutputError, match="not a regular file"):
            refuse_existing(fifo, overwrite=overwrite)
    with pytest.raises(OutputError, match="exists"):
        refuse_existing(file, overwrite=False)


def test_without_hard_links_a_file_is_renamed_unless_its_name_was_taken(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with publish(tmp_path / "a.txt") as partial:
        partial.write_text("a")
    with pytest.raises(OutputError, match="exists"), publish(tmp_path / "b.txt"):
        (tmp_path / "b.txt").write_text("mine")
    contents = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert contents == {"a.txt": "a", "b.txt": "mine"}


@pytest.mark.parametrize(("mask", "rights"), [(0, 0o644), (0o027, 0o640)])
def test_a_published_file_has_one_name_and_the_rights_of_any_new_file(mask, rights, tmp_path):
    old = os.umask(mask)
    try:
        with publish(tmp_path / "a.txt") as partial:
            partial.write_text("a")
    finally:
        os.umask(old)
    status = (tmp_path / "a.txt").stat()
    assert (status.st_nlink, oct(status.st_mode & 0o777)) == (1, oct(rights))


def test_a_partial_name_is_recognized_and_keeps_the_suffix(tmp_path):
    partial = partial_name(tmp_path / "a.b.h5")
    assert (partial.parent, partial.suffix) == (tmp_path, ".h5")
    assert is_partial(partial)
    for name in ("a.b.h5", ".hidden", partial.name[1:]):
        assert not is_partial(tmp_path / name)


@pytest.mark.parametrize("n_bytes", [0, 1, 1 << 20])
def test_a_digest_is_what_sha256sum_prints(n_bytes, tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * (n_bytes // 256) or b"x" * n_bytes)
    digest = sha256_of(tmp_path / "a")
    assert digest == hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()
    if shutil.which("sha256sum"):
        printed = subprocess.run(
            ["sha256sum", tmp_path / "a"], capture_output=True, text=True, check=True
        )
        assert printed.stdout.split()[0] == digest


@pytest.mark.parametrize("number", [*NO_ROOM, errno.EACCES])
def test_an_error_of_the_disk_names_the_path_and_the_room_where_that_is_short(
    number, tmp_path, monkeypatch
):
    usage = {tmp_path: 12_345_678}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, usage[folder])
    )
    path = tmp_path / "not" / "there" / "a.txt"
    with pytest.raises(OutputError) as caught, output_errors(path):
        raise OSError(number, os.strerror(number))
    message = str(caught.value)
    assert message.startswith(f"cannot write {path}: {os.strerror(number)}; ")
    assert (f"12.3 MB are free in {tmp_path}:" in message) == (number in NO_ROOM)
    assert ("give a path that can be written" in message) == (number not in NO_ROOM)


def test_an_error_without_a_reason_keeps_its_words_and_ours_stay_as_they_are(tmp_path):
    with pytest.raises(OutputError, match="the library's own words"), output_errors(tmp_path):
        raise OSError("the library's own words")
    ours = StoreError("ours")
    with pytest.raises(StoreError) as caught, output_errors(tmp_path):
        raise ours
    assert caught.value is ours


def test_a_folder_that_was_created_and_stays_empty_is_removed_and_no_other(tmp_path):
    with locked_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    assert not (tmp_path / "a" / "b").exists()
    with locked_folder(tmp_path / "kept"):
        (tmp_path / "kept" / "empty").mkdir()
        (tmp_path / "kept" / "full").mkdir()
        (tmp_path / "kept" / "full" / "file").touch()
    kept = sorted(str(path.relative_to(tmp_path)) for path in (tmp_path / "kept").rglob("*"))
    assert kept == ["kept/full", "kept/full/file"]
    (tmp_path / "mine" / "empty").mkdir(parents=True)
    for _ in range(2):  # the lock is released at the end
        with locked_folder(tmp_path / "mine"):
            pass
    assert (tmp_path / "mine" / "empty").is_dir()


def test_a_folder_that_a_failure_leaves_empty_is_removed(tmp_path):
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path / "a"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_refused_and_stays(tmp_path):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(OutputError, match="it is a file; give a folder"):
        locked_folder(tmp_path / "a").__enter__()
    assert (tmp_path / "a").read_text() == "mine"


def test_the_kernel_holds_the_lock_against_another_process_and_the_descriptor_is_closed(tmp_path):
    program = (
        "import fcntl, sys\n"
        "try: fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except BlockingIOError: sys.exit(7)"
    )
    path = tmp_path / "a"
    with locked(path, str) as descriptor:
        assert subprocess.run([sys.executable, "-c", program, path]).returncode == 7
    assert subprocess.run([sys.executable, "-c", program, path]).returncode == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_that_was_removed_before_it_was_locked_is_not_locked(tmp_path, monkeypatch):
    path, take = tmp_path / "lock", files.fcntl.flock

    def remove_first(descriptor, operation):
        path.unlink()
        take(descriptor, operation)

    monkeypatch.setattr("fmcore.files.fcntl.flock", remove_first)
    with pytest.raises(OutputError, match="busy"), locked(path, lambda _: "busy"):
        pass


def test_flushing_leaves_no_file_open(tmp_path):
    before = len(list(Path("/dev/fd").iterdir()))
    for name in "abc":
        with publish(tmp_path / name) as partial:
            partial.write_text(name)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_names_differ_also_from_those_that_a_number_was_added_to():
    assert safe_names(["a", "A", "a", "a_2"]) == ["a", "A_2", "a_3", "a_2_2"]


def test_a_name_of_80_characters_is_plain_and_a_longer_one_is_cut():
    assert safe_names(["x" * 80]) == ["x" * 80]
    assert safe_names(["x" * 81]) == ["x" * 80]
    assert safe_names(["x.y"]) == ["x.y"]


def test_devices_of_windows_are_no_names():
    devices = [
        "con",
        "prn",
        "aux",
        "nul",
        *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
    ]
    assert safe_names(devices) == [f"_{device}" for device in devices]
    assert safe_names(["com10", "lpt", "x.con"]) == ["com10", "lpt", "x.con"]


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(999_999, "1,000.0 kB"), (99_949_999, "99.9 MB"), (100_000_000, "100 MB"),
     (9_999_999_999, "10,000 MB"), (10_000_000_000, "10.0 GB")],
)  # fmt: skip
def test_a_size_has_the_unit_and_the_digits_of_its_range(n_bytes, text):
    assert size_text(n_bytes) == text


def test_ctrl_c_before_the_lock_leaves_no_empty_file(tmp_path, monkeypatch):
    calls = []
    take_lock = files._take_lock

    def interrupt_first(descriptor, path):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return take_lock(descriptor, path)

    monkeypatch.setattr(files, "_take_lock", interrupt_first)
    with pytest.raises(KeyboardInterrupt), files.publish(tmp_path / "s.h5"):
        pass
    assert list(tmp_path.iterdir()) == []
