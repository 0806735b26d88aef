"""The file that HDF5 writes through: to it the disk never fails."""

from __future__ import annotations

import errno
import io
import signal
import tempfile
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmcore.storage.file import deferred_errors


@given(
    st.lists(
        st.tuples(st.sampled_from(["write", "large", "read"]), st.integers(0, 5000)),
        max_size=30,
    ),
    st.integers(0, 12),
)
def test_a_file_whose_disk_is_full_reads_back_what_was_written(steps, allowed):
    left = [allowed]

    class Disk(io.FileIO):
        def write(self, data, /):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data[: max(1, len(data) // 2)])  # a disk may take a part

    class Held(deferred_errors.DeferredErrorFile, Disk):
        pass

    with tempfile.TemporaryDirectory() as folder, Held(f"{folder}/held", "w+") as held:
        plain = io.BytesIO()
        for number, (step, at) in enumerate(steps):
            assert held.seek(at) == plain.seek(at) == held.tell()
            if step in ("write", "large"):
                size = 300 if step == "write" else deferred_errors.LARGE_BYTES
                data = bytes([number + 1]) * size
                assert held.write(data) == plain.write(data)
            elif step == "read":
                found = bytearray(700)
                assert found[: held.readinto(found)] == plain.read(700)
        held.flush()
        if held.error is not None:
            with pytest.raises(OSError, match="No space left"):
                held.check()


def test_little_is_kept_in_memory_of_what_the_disk_takes(tmp_path):
    with deferred_errors.DeferredErrorFile(str(tmp_path / "a"), "w+") as held:
        piece = bytes(1000)
        for number in range(1, 4001):
            held.write(piece)
            on_disk = (tmp_path / "a").stat().st_size
            assert number * len(piece) - on_disk <= deferred_errors.BUFFER_BYTES
    assert (tmp_path / "a").read_bytes() == piece * 4000


@pytest.fixture
def received():
    """The signals that a program's own handlers get."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: numbers.append(got))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_hdf5_is_done_and_else_arrives_at_once(received, number):
    own = signal.getsignal(number)
    with deferred_errors.Interrupts() as interrupts:
        signal.raise_signal(number)
        assert received == [number]
        with interrupts.held():
            with interrupts.held():
                signal.raise_signal(number)
            assert received == [number]  # HDF5 is still at work
        assert received == [number, number]
        with interrupts.held():
            pass
        assert received == [number, number]  # it is delivered once

        def fail():
            with interrupts.held():
                signal.raise_signal(number)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert len(received) == 3
        signal.raise_signal(number)
    assert received == [number] * 4
    assert signal.getsignal(number) is own


def test_signals_that_are_ignored_or_end_the_program_stay_so(received):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with deferred_errors.Interrupts():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
    assert received == [signal.SIGHUP]


def test_in_another_thread_no_handler_changes(received):
    handlers = []

    def look():
        with deferred_errors.Interrupts() as interrupts, interrupts.held():
            handlers.append(signal.getsignal(signal.SIGINT))

    own = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [own]
