"""The tutorial's picture by `fmcore.plot` beside the tutorial's own code, in turn.

python tests/benchmarks/figures.py [--quick] [--filters N] [--rounds N]
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from benchmarks.harness import Options, Table
from benchmarks.serving import middle

from fmcore.plot.look import Look
from fmcore.plot.tiles import Tile, tiles_figure

MOST = 1.05
ROW = "figure of all filters: times as long as the tutorial's code"


def tutorial(maps: np.ndarray) -> bytes:
    n_filters = maps.shape[-1]
    rows = -(-n_filters // 8)
    figure = plt.figure(figsize=(12, rows * 1.5 + 0.6))
    for i in range(n_filters):
        plt.subplot(rows, 8, i + 1)
        plt.imshow(maps[:, :, i], cmap="viridis")
        plt.axis("off")
    plt.suptitle("Layer: conv1")
    plt.tight_layout()
    pixels = saved(figure)
    plt.close(figure)
    return pixels


def ours(maps: np.ndarray) -> bytes:
    tiles = [Tile(maps[:, :, index]) for index in range(maps.shape[-1])]
    return saved(tiles_figure(tiles, Look(), title="Layer: conv1", span=None))


def saved(figure) -> bytes:
    figure.savefig(file := io.BytesIO(), format="rgba")
    return file.getvalue()


def timed(draw, maps: np.ndarray) -> tuple[float, bytes]:
    started = time.perf_counter()
    pixels = draw(maps)
    return time.perf_counter() - started, pixels


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_number("--filters", 512, 24)
    parser.add_number("--rounds", 5, 1)
    options = parser.parse_args()
    maps = np.random.default_rng(0).random((14, 14, options.filters), dtype=np.float32)
    tutorial(maps[..., :8]), ours(maps[..., :8])  # fonts are found once
    with Table("figures", ("theirs", "ours", "ratio"), [ROW]) as table:
        times = []
        for _ in range(options.rounds):
            (theirs, expected), (own, pixels) = timed(tutorial, maps), timed(ours, maps)
            assert pixels == expected
            times.append((theirs, own))
        theirs, own = (middle(column) for column in zip(*times, strict=True))
        table.add(ROW, (theirs, "s"), (own, "s"), own / theirs, note=f"wanted: {MOST} at most")
        assert own <= MOST * theirs
