"""Contrasts of two groups in the server: 743 filters of 15 layers, 10,000 samples.

python tests/benchmarks/contrast.py [--quick]

A store of that size is made without Keras: ReLU-like maps of 2x2 that share some of what they
answer to. Ms of one contrast as the server makes it, beside those of the processor: the first one
of a pooled table ranks all samples; the next ones find the ranks. Bytes are those of what is kept.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table

from dashboard.stores.cache import ByteCache
from dashboard.stores.snapshot import Snapshot
from fmcore import open_store
from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

N_FILTERS = (16, 23, 32, 32, 48, 48, 48, 64, 64, 64, 64, 64, 64, 64, 48)
N_SHARED = 24
GROUPS = {
    "the first contrast, of two halves": ("0:{half}", "{half}:{n}", "mean"),
    "two halves": ("0:{n}:2", "1:{n}:2", "mean"),
    "a class against another": ("label=7", "label=1", "mean"),
    "20 against the rest": ("0:20", "", "mean"),
    "7 wrong against right": ("label=7 0:{few}", "label=7 not 0:{few}", "mean"),
    "the first by max": ("label=3", "label=5", "max"),
    "the first by zeros, most of them tied": ("label=3", "label=5", "zeros"),
    "20 against a class by zeros": ("0:20", "label=5", "zeros"),
}


class Answers:
    """Filters that answer to shared causes, and to noise of their own."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.layers = tuple(
            LayerSpec(
                f"conv{index}",
                (2, 2, n),
                kind="Conv2D",
                activation="relu",
                kernel=np.zeros((3, 3, 1, n), np.float32),
            )
            for index, n in enumerate(N_FILTERS)
        )
        self._shared = [rng.normal(size=(N_SHARED, n)).astype(np.float32) for n in N_FILTERS]
        self._shift = [rng.uniform(-1, 3, n).astype(np.float32) for n in N_FILTERS]
        self._noise = np.random.default_rng(1)

    def __call__(self, images: np.ndarray, others: object = None) -> Captured:
        causes = self._noise.normal(size=(len(images), 1, 1, N_SHARED)).astype(np.float32)
        maps = [
            np.maximum(
                causes @ shared / 5
                + self._noise.standard_normal((len(images), 2, 2, shared.shape[1]), np.float32)
                - shift,
                0,
            )
            for shared, shift in zip(self._shared, self._shift, strict=True)
        ]
        return Captured(tuple(maps), np.full((len(images), 10), 0.1, np.float32))


def contrast_store(path: Path, n: int) -> Path:
    """A store without scores, whose pooled tables are those of `Answers`."""
    probe = Answers()
    samples = LabelledImages(np.zeros((n, 4, 4, 1), np.uint8), np.arange(n) % 10)
    plan = plan_capture(
        probe,
        samples,
        CaptureOptions(statistics="basic", policy="*=pooled"),
        class_names=tuple(map(str, range(10))),
        model=ModelInfo("answers", digest="0" * 64, architecture='{"layers": []}'),
        dataset_name="blank",
        dataset_source="blank images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, samples, path, plan)


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--samples", 10_000, 500, help="of the store")
    parser.add_number("--rounds", 3, 1, help="of each contrast whose ranks are kept")
    options = parser.parse_args()
    n = options.samples
    columns = ("ms", "ms of CPU", "filters apart")
    with (
        tempfile.TemporaryDirectory() as folder,
        Table("contrast", columns, [*GROUPS, "kept, MB"]) as table,
    ):
        path = contrast_store(Path(folder, "answers.h5"), n)
        cache = ByteCache()
        snapshot = Snapshot(open_store(path), "answers", cache)
        for name, (a, b, by) in GROUPS.items():
            texts = [text.format(n=n, half=n // 2, few=n // 50) for text in (a, b)]
            times = []
            for turn in range(1 if "first" in name else options.rounds):
                unlike = f" not {n - 1 - turn}"  # so that each round is another contrast
                began, cpu = time.perf_counter(), time.process_time()
                result = snapshot.contrast(texts[0] + unlike, texts[1], by)
                times.append((time.perf_counter() - began, time.process_time() - cpu))
            wall, of_cpu = min(times)
            table.add(name, wall * 1e3, of_cpu * 1e3, result.n_apart)
        table.add("kept, MB", cache.n_bytes / 1e6, 0, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
