"""Runs all soak scripts: python tests/soak [--quick] [--store STORE --other STORE] [--only NAME …]

A full run needs the store of the full MNIST test set, and another store of the same samples.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.harness import VIEWER
from benchmarks.runner import RunnerOptions, Script, run_all

TOOLS, PACKAGES = ("chromium", str(VIEWER)), ("playwright",)
# What people.py does one after the other in a full run; a quick one does all of it by itself.
PEOPLE = (
    (),
    ("--people", "300", "--seconds", "60"),
    ("--people", "20", "--seconds", "120", "--beside", "exports"),
    ("--seconds", "120", "--beside", "kills"),
    ("--seconds", "150", "--beside", "replacing"),
)


def main() -> int:
    names = ("people", "slow", "odd", "faults", "flips", "damaged", "noise", "contrasts")
    names += ("cluster", "ablations", "mutants")
    parser = RunnerOptions(__doc__, names)
    parser.add_argument("--store", help="of the full MNIST test set")
    parser.add_argument("--other", help="another one, which is put in its place")
    options = parser.parse_args()
    if not options.quick and not (options.store and options.other):
        parser.error("--store and --other are needed, or --quick")
    stores = (str(options.store), "--other", str(options.other))
    scripts = (
        *(
            Script(HERE / "people.py", (*stores, *words), TOOLS, PACKAGES)
            for words in (PEOPLE[:1] if options.quick else PEOPLE)
        ),
        Script(HERE / "slow.py", tools=(str(VIEWER),)),
        Script(HERE / "odd.py", (), TOOLS[1:], PACKAGES),
        Script(HERE / "faults.py", packages=("keras",)),
        Script(HERE / "flips.py"),
        Script(HERE / "damaged.py"),
        Script(HERE / "noise.py", packages=("numba",)),
        Script(HERE / "contrasts.py", () if options.quick else ("--store", str(options.store))),
        Script(HERE / "cluster.py", packages=("distributed",)),
        Script(HERE / "ablations.py", packages=("keras",)),
        Script(HERE / "mutants.py", packages=("coverage",)),
    )
    return run_all(scripts, quick=options.quick, only=options.only)


if __name__ == "__main__":
    sys.exit(main())
