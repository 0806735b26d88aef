"""Runs all benchmarks: python tests/benchmarks [--quick] [--only NAME …]"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.runner import RunnerOptions, Script, run_all

BENCHMARKS = (
    Script(HERE / "viewer.py", tools=("chromium",), packages=("keras", "playwright")),
    Script(HERE / "overview.py", tools=("chromium",), packages=("keras", "playwright")),
    Script(HERE / "sample_map.py", tools=("chromium",), packages=("playwright",)),
    Script(HERE / "layers.py", tools=("chromium",), packages=("keras", "playwright", "sklearn")),
    Script(HERE / "memory.py", packages=("keras",)),
    Script(HERE / "capture.py", packages=("keras", "zarr")),
    Script(HERE / "cluster.py", packages=("keras", "distributed")),
    Script(HERE / "networks.py", packages=("keras", "sklearn")),
    Script(HERE / "images.py", packages=("keras",)),
    Script(HERE / "ablation.py", packages=("keras",)),
    Script(HERE / "server.py"),
    Script(HERE / "contrast.py"),
    Script(HERE / "figures.py", packages=("matplotlib",)),
    Script(HERE / "network_drawing.py", tools=("chromium",), packages=("keras", "playwright")),
    Script(HERE / "shards.py"),
    Script(HERE / "deep.py", packages=("xarray",)),
    Script(HERE / "arrays_out.py", tools=("wrk",), packages=("keras",)),
)

if __name__ == "__main__":
    names = [script.path.stem for script in BENCHMARKS]
    options = RunnerOptions(__doc__, names).parse_args()
    sys.exit(run_all(BENCHMARKS, quick=options.quick, only=options.only))
