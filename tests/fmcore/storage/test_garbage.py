"""Objects of HDF5 that Python finds to be garbage are not closed while HDF5 writes another file.

h5py closes them in whatever thread Python collects garbage, and does not wait for HDF5.
"""

from __future__ import annotations

import gc
import threading
import time

import h5py
from helpers.factories import make_store

from fmcore.storage import problems


def test_a_store_is_written_while_another_thread_collects_objects_of_hdf5(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        objects = [other.create_dataset(f"{index}", data=[index]) for index in range(9000)]
    done = threading.Event()

    def leave_garbage():
        """Leaves objects that refer to themselves, so that only the collector frees them."""
        while objects and not done.is_set():
            ring = [objects.pop()]
            ring.append(ring)
            time.sleep(0)

    thresholds = gc.get_threshold()
    gc.set_threshold(2)
    thread = threading.Thread(target=leave_garbage)
    thread.start()
    try:
        paths = [make_store(tmp_path / f"{index}.h5", 100) for index in range(5)]
    finally:
        gc.set_threshold(*thresholds)
        done.set()
        thread.join()
    assert gc.isenabled()
    for path in paths:
        assert list(problems(path)) == []
