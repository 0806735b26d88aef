"""Writes the golden store of the format's version: `python tests/golden/make.py`.

It is written once, when a version is released, and never again: what later versions of the program
must still read is this file, byte for byte.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.factories import make_store

from fmcore.storage import FORMAT_VERSION

FOLDER = Path(__file__).parent


def main() -> None:
    path = FOLDER / f"store-{FORMAT_VERSION}.h5"
    if path.exists():
        sys.exit(f"{path} is there already; a released version keeps its golden store")
    os.environ["SOURCE_DATE_EPOCH"] = "1767225600"  # 2026-01-01
    make_store(path, 12)
    print(f"Wrote {path}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
