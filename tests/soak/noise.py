"""Scores noise, and counts how many scores lie outside the band that should hold 95% of them.

Of each kind of noise and each way to split samples into classes there are test sets of many sizes.
No more than 7% may lie outside in any of these cells, nor less than 3% where scores have no steps.

    python tests/soak/noise.py [--quick] [--draws N] [--rounds N] [--seed N]
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from helpers.noise import KINDS, SPLITS, Outside, outside_of_classes, outside_of_targets

from fmcore.statistics import STATISTICS

LEAST, MOST = 0.03, 0.07
SIZES = (10, 13, 20, 35, 60, 100, 200, 500, 1000, 2000)
# With --quick, one cell of so many, which is no multiple of how many there are of anything.
ONE_OF = 19


def cells(seed: int, draws: int, rounds: int, *, quick: bool) -> Iterator[Outside]:
    """What lies outside, cell by cell."""
    every = [
        (kind, split, n, turn)
        for turn in range(rounds)
        for n in SIZES
        for kind in KINDS
        for split in (*SPLITS, "")
    ]
    for number, (kind, split, n, turn) in enumerate(every):
        if quick and (number - seed - turn) % ONE_OF:
            continue
        of = [seed, turn, number]
        if split:
            yield from outside_of_classes(kind, split, n, draws, seed=of)
        else:
            yield from outside_of_targets(kind, n, draws, seed=of)


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--draws", 2_000, 2_000, help="filters of each cell")
    parser.add_number("--rounds", 2, 1, help="cells of each kind, split and size")
    parser.add_number("--seed", 0, 0, help="where numbers begin")
    options = parser.parse_args()
    by_score: dict[str, list[Outside]] = defaultdict(list)
    families = dict.fromkeys(one.family for one in STATISTICS.values() if one.chance)
    for cell in cells(options.seed, options.draws, options.rounds, quick=options.quick):
        if cell.draws >= options.draws:
            by_score[cell.score].append(cell)
    wrong = []
    with Table("share of noise outside the band", ("cells", "mean", "most"), families) as table:
        for family in families:
            found = by_score[family]
            worst = max(found, key=lambda cell: cell.share)
            mean = sum(cell.share for cell in found) / len(found)
            table.add(family, len(found), mean, worst.share, note=worst.cell)
            wrong += [cell for cell in found if cell.share > MOST]
            wrong += [cell for cell in found if cell.continuous and cell.share < LEAST]
    for cell in wrong:
        print(f"WRONG: {cell.score}: {cell.share:.1%} of {cell.draws:,}: {cell.cell}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
