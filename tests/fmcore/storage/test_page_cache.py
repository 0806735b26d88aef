"""What is written of a large store leaves the system's memory, and is on the disk by then."""

from __future__ import annotations

import os

import pytest

from fmcore.storage.file import deferred_errors, page_cache

PIECE = deferred_errors.LARGE_BYTES


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no such advice")
def test_large_writes_are_sent_to_the_disk_in_order_and_later_leave_the_memory(
    tmp_path, monkeypatch
):
    advice: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _, start, size, __: advice.append((start, start + size))
    )
    monkeypatch.setattr(page_cache, "KEPT_BYTES", 4 * PIECE)
    monkeypatch.setattr(page_cache, "PART_BYTES", 2 * PIECE)
    small = bytes(1000)
    with deferred_errors.DeferredErrorFile(str(tmp_path / "a"), "w+") as file:
        for number in range(14):
            file.write(bytes([number]) * PIECE)
            if number == 8:
                file.write(small)
    first = 4 * PIECE
    parts = [
        [(first, first + 2 * PIECE)],
        [(first + 2 * PIECE, first + 4 * PIECE)],
        # The small write lies between: it may be read soon.
        [
            (first + 4 * PIECE, first + 5 * PIECE),
            (first + 5 * PIECE + len(small), first + 6 * PIECE + len(small)),
        ],
        [(first + 6 * PIECE + len(small), first + 8 * PIECE + len(small))],
        [(first + 8 * PIECE + len(small), first + 10 * PIECE + len(small))],
    ]
    sent = [parts[0], parts[1], parts[2], parts[0], parts[3], parts[1], parts[4], parts[2]]
    assert advice == [extent for part in sent for extent in part]


def test_nothing_of_a_small_store_leaves_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fadvise", lambda *_: pytest.fail("advice"), raising=False)
    with deferred_errors.DeferredErrorFile(str(tmp_path / "a"), "w+") as file:
        for _ in range(8):
            file.write(bytes(PIECE))
    assert (tmp_path / "a").stat().st_size == 8 * PIECE
