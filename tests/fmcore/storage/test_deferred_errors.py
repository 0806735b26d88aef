"""The file that HDF5 writes through: to it the disk never fails."""

from __future__ import annotations

import errno
import io
import tempfile

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
