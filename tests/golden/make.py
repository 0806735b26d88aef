"""Writes the golden stores of the format's versions: `python tests/golden/make.py`.

One has its samples in the file, one in shards. Each is written once, when a version is released,
and never again: what later versions of the program must still read is this file, byte for byte.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import sharded
from helpers.factories import NumpyProbe, make_plan, make_samples, make_store

from fmcore.storage import FORMAT_VERSION
from fmcore.storage.format.schema import SHARDED_VERSION

FOLDER = Path(__file__).parent


def make_sharded(path: Path, n: int) -> None:
    """Writes a store whose first layer lies in two shards."""
    folder, plan, samples = path.with_suffix(".parts"), make_plan(n), make_samples(n)
    ranges = [range(n // 3), range(n // 3, n)]
    pieces = sharded.capture_shards(NumpyProbe(), samples, folder, plan, ranges)
    sharded.join(path, plan, samples, *pieces)
    folder.rmdir()


def main() -> None:
    os.environ["SOURCE_DATE_EPOCH"] = "1767225600"  # 2026-01-01
    for version, make in {FORMAT_VERSION: make_store, SHARDED_VERSION: make_sharded}.items():
        path = FOLDER / f"store-{version}.h5"
        if path.exists():
            print(f"{path} is there already; a released version keeps its golden store")
            continue
        make(path, 12)
        print(f"Wrote {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
