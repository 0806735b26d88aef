"""What passes on stores in one file passes on stores whose samples lie in shards, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.factories import sampled

ROOT = Path(__file__).parents[3]
SUITES = (
    "tests/fmcore/export",
    "tests/dashboard/api/test_api.py",
    "tests/dashboard/pages",
    "tests/dashboard/snapshot",
    "tests/dashboard/stores",
)
# Tests that are about one file, and why.
OF_ONE_FILE = {
    "test_a_store_that_is_replaced_meanwhile": "an open store needs its shards, which are removed",
    "test_a_replaced_store_is_opened_anew": "the same",
    "test_a_stored_chunk_is_the_body": "h5py reads the maps in the file",
    "test_plain_values_are_deflated_on_their_way": "h5py reads the maps in the file",
    "test_maps_are_the_stored_float32": "h5py reads the maps in the file",
    "test_size_is_what_the_chunks_take": "h5py reads the chunks in the file",
    "test_a_damaged_chunk_is_a_problem": "it damages the file",
    "test_text_of_a_damaged_chunk": "it damages the file",
}


@pytest.mark.slow
@pytest.mark.share
@pytest.mark.parametrize("suite", sampled(1, SUITES, seed=1))
def test_a_suite_passes_on_stores_in_shards(suite):
    left_out = "".join(f" and not {name}" for name in OF_ONE_FILE)
    options = ["-q", "-p", "no:cacheprovider", "-m", "not slow and not browser and not keras"]
    command = [sys.executable, "-m", "pytest", *options, "-k", f"test{left_out}", suite]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"SHARDED": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-5000:]
