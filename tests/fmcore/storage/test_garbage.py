"""No thread is in HDF5 while another one is: objects that are let go of wait until HDF5 is done."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

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


# In a process of its own, because HDF5 crashes where two threads are in it.
BESIDE_OTHERS = """
import sys, threading
sys.path.insert(0, sys.argv[2])
from pathlib import Path
import h5py
from helpers.factories import make_store
done = threading.Event()
def let_go():
    while not done.is_set():
        h5py.h5s.create_simple((3,))
threads = [threading.Thread(target=let_go) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for index in range(5):
        make_store(Path(sys.argv[1]) / f"{index}.h5", 200)
finally:
    done.set()
"""


def test_stores_are_written_while_other_threads_let_go_of_objects_of_hdf5(tmp_path):
    tests = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", BESIDE_OTHERS, str(tmp_path), tests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for index in range(5):
        assert list(problems(tmp_path / f"{index}.h5")) == []
