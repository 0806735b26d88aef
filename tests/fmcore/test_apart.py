"""What happens to a function in a process of its own happens to nobody else."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from fmcore import apart
from fmcore.apart import Apart, ApartError, Bounds, NoHelperError
from fmcore.errors import StoreError


def size_and_name(descriptor: int, name: str) -> list[object]:
    return [os.fstat(descriptor).st_size, name, os.getpid()]


def dies(descriptor: int, name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


def turns(descriptor: int, name: str) -> None:
    while True:
        pass


def grows(descriptor: int, name: str) -> int:
    return len(bytearray(int(name)))


def refuses(descriptor: int, name: str) -> None:
    if name == "store":
        raise StoreError("it is none")
    raise LookupError(name)


def writes(descriptor: int, name: str) -> None:
    Path(name).write_bytes(b"x")


def spoiled(descriptor: int, name: str) -> str:
    """Fails where it was called before in the same process, as HDF5 may after a damaged file."""
    if getattr(sys, "_was_called", False):
        os.abort()
    sys._was_called = True  # type: ignore[attr-defined]
    return name


@pytest.fixture
def called():
    """Calls a function of this module apart, about this file."""
    aparts: list[Apart] = []

    def call(function, text="", **bounds):
        aparts.append(Apart(f"{function.__module__}:{function.__name__}"))
        with Path(__file__).open("rb") as file:
            return aparts[-1].call(file.fileno(), text, Bounds(**bounds))

    yield call
    for helper in aparts:
        helper.stop()


def test_a_result_comes_back_with_what_was_handed_over(called):
    size, name, process = called(size_and_name, "line\nbreak \udcff ü")
    assert (size, name) == (Path(__file__).stat().st_size, "line\nbreak \udcff ü")
    assert process != os.getpid()


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_death_is_an_error_that_names_the_signal(called, name):
    with pytest.raises(ApartError, match=f"crashes on it .{name}"):
        called(dies, name)


def test_a_call_takes_no_more_time_and_memory_than_agreed(called):
    began = time.monotonic()
    with pytest.raises(ApartError, match="takes more than 1 s"):
        called(turns, seconds=1.0)
    assert time.monotonic() - began < 60  # not the patience for a disk on top of it
    assert called(grows, "1000000", memory_bytes=1 << 28) == 1_000_000
    with pytest.raises(ApartError, match="takes more than 256 MiB of memory"):
        called(grows, str(1 << 29), memory_bytes=1 << 28)


def test_errors_keep_their_kind_and_words(called):
    with pytest.raises(StoreError, match=r"^it is none$"):
        called(refuses, "store")
    with pytest.raises(ApartError, match="LookupError: else"):
        called(refuses, "else")


def test_nothing_can_be_written_apart(called, tmp_path):
    with pytest.raises(ApartError):
        called(writes, str(tmp_path / "file"))
    assert not (tmp_path / "file").exists() or (tmp_path / "file").stat().st_size == 0


def test_what_an_earlier_file_left_behind_is_not_held_against_the_next(called):
    calls = Apart(f"{__name__}:spoiled")
    with Path(__file__).open("rb") as file:
        try:
            assert [calls.call(file.fileno(), str(n)) for n in range(4)] == ["0", "1", "2", "3"]
        finally:
            calls.stop()


def test_a_helper_that_has_ended_is_replaced(called):
    calls = Apart(f"{__name__}:size_and_name")
    with Path(__file__).open("rb") as file:
        try:
            calls.call(file.fileno(), "")
            calls._helper._process.kill()
            calls._helper._process.wait()
            assert calls.call(file.fileno(), "again")[1] == "again"
        finally:
            calls.stop()


def test_no_process_apart_is_no_damage_of_a_file(monkeypatch):
    monkeypatch.setattr(apart, "_START", "raise SystemExit")
    helper = Apart(f"{__name__}:size_and_name")
    with Path(__file__).open("rb") as file, pytest.raises(NoHelperError, match="does not start"):
        helper.call(file.fileno(), "")


def test_a_fork_has_a_helper_of_its_own():
    calls = Apart(f"{__name__}:size_and_name")
    with Path(__file__).open("rb") as file:
        try:
            calls.call(file.fileno(), "")
            mine = calls._helper._process.pid
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    is_right = calls.call(file.fileno(), "child")[1] == "child"
                    code = 0 if is_right and calls._helper._process.pid != mine else 1
                    calls.stop()
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert calls.call(file.fileno(), "parent")[1] == "parent"
        finally:
            calls.stop()
