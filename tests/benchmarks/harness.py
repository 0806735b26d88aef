"""What benchmarks and soak scripts share: options, a table that knows its rows, a tiny store."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

# A line of output begins with this where a row of a table is missing; the runner collects them.
NOT_PRODUCED = "NOT PRODUCED: "
# The Python of an environment with the dashboard alone, which `make test` makes.
VIEWER = Path(
    os.environ.get("FMCORE_VIEWER", Path(__file__).parents[2] / ".venv-viewer"), "bin/python"
)
# A number, one with its unit, or words.
Cell = float | tuple[float, str] | str


class Options(argparse.ArgumentParser):
    """The options of a script: `--quick`, and numbers that are smaller with it."""

    def __init__(self, doc: str) -> None:
        super().__init__(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._numbers: dict[str, tuple[float, float]] = {}
        self.add_argument("--quick", action="store_true", help="tiny inputs, one round: seconds")

    def add_number(self, flag: str, full: float, quick: float, **options: str) -> None:
        """Adds a number with a default for each size of run."""
        words = f"{options.pop('help', '')} ({full:,}; with --quick {quick:,})".strip()
        action = self.add_argument(flag, type=type(full), help=words, **options)
        self._numbers[action.dest] = (full, quick)

    def parse_args(self, *arguments, **options) -> argparse.Namespace:
        parsed = super().parse_args(*arguments, **options)
        for name, defaults in self._numbers.items():
            if getattr(parsed, name) is None:
                setattr(parsed, name, defaults[parsed.quick])
        return parsed


class Table:
    """Rows of numbers, each printed as soon as it is measured.

    At its end it names the rows that are missing, or hold a number that is none; the script then
    ends with exit code 1.

    Args:
        title: the head of the first column.
        columns: the heads of the others.
        rows: the names of all rows that are due.
        width: characters of the first column.
    """

    def __init__(
        self, title: str, columns: Sequence[str], rows: Iterable[str], *, width: int = 56
    ) -> None:
        self._title, self._columns, self._width = title, columns, width
        self._due = list(rows)
        self._complete: set[str] = set()

    def expect(self, rows: Iterable[str]) -> None:
        """Adds rows whose names are known only now."""
        self._due.extend(rows)

    def add(self, row: str, *cells: Cell, note: str = "") -> None:
        """Prints a row with a cell for each column."""
        if row not in self._due:
            raise ValueError(f"no such row is due: {row!r}")
        if len(cells) != len(self._columns):
            raise ValueError(f"{row}: {len(cells)} cells, expected {len(self._columns)}")
        self._print(row, map(_text, cells), note)
        if all(map(_is_number, cells)):
            self._complete.add(row)

    def _print(self, row: str, cells: Iterable[str], note: str = "") -> None:
        line = f"{row:{self._width}}" + "".join(f"{cell:>14}" for cell in cells)
        print(f"{line}  {note}".rstrip(), flush=True)

    def __enter__(self) -> Table:
        self._print(self._title, self._columns)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        missing = [row for row in self._due if row not in self._complete]
        for row in missing:
            print(f"{NOT_PRODUCED}{self._title}: {row}", flush=True)
        if missing and error is None:
            raise SystemExit(1)


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    number, unit = cell if isinstance(cell, tuple) else (cell, "")
    digits = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{digits} {unit}".rstrip()


def _is_number(cell: Cell) -> bool:
    number = cell[0] if isinstance(cell, tuple) else cell
    return isinstance(number, str) or math.isfinite(number)


class TinyProbe:
    """Layers of the names and filters of the tutorial's network, without Keras."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._weights = [rng.normal(size=(1, n)).astype(np.float32) for n in (16, 32)]
        self._output = rng.normal(size=(32, 10)).astype(np.float32)
        kernels = [rng.normal(size=(3, 3, *n)).astype(np.float32) for n in ((1, 16), (16, 32))]
        self.layers = tuple(
            LayerSpec(
                name, (*size, kernel.shape[3]), kind="Conv2D", activation="relu", kernel=kernel
            )
            for name, size, kernel in zip(
                ("conv1", "conv2"), ((14, 14), (7, 7)), kernels, strict=True
            )
        )

    def __call__(self, images: np.ndarray, others: object = None) -> Captured:
        maps = [
            np.maximum(images[:, ::step, ::step] @ weights - 0.2, 0)
            for step, weights in zip((2, 4), self._weights, strict=True)
        ]
        scores = np.exp(maps[1].mean(axis=(1, 2)) @ self._output)
        return Captured(tuple(maps), scores / scores.sum(axis=1, keepdims=True))


def tiny_store(path: Path, *, n: int = 200, seed: int = 0) -> Path:
    """A real store of random images, with the layers of the tutorial's network, made smaller."""
    probe, rng = TinyProbe(seed), np.random.default_rng(0)
    images = rng.integers(0, 256, size=(n, 28, 28, 1), dtype=np.uint8)
    samples = LabelledImages(images, np.arange(n) % 10)
    plan = plan_capture(
        probe,
        samples,
        class_names=tuple(map(str, range(10))),
        model=ModelInfo("tiny", digest=f"{seed:064x}", architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, samples, path, plan)


class CloudProbe:
    """Layers whose pooled activations lie in a cloud for each of ten classes, without Keras."""

    def __init__(self, *, n_filters: int = 32) -> None:
        rng = np.random.default_rng(0)
        self.patterns = rng.normal(size=(10, 8, 8)).astype(np.float32)
        kernel = rng.normal(size=(4, 4, 1, n_filters)).astype(np.float32)
        self._weights = kernel.reshape(16, n_filters) / 4
        self.layers = (
            LayerSpec("conv1", (2, 2, n_filters), kind="Conv2D", activation="relu", kernel=kernel),
        )

    def __call__(self, images: np.ndarray, others: object = None) -> Captured:
        values = images[..., 0] - 0.5
        patches = values.reshape(-1, 2, 4, 2, 4).swapaxes(2, 3).reshape(-1, 2, 2, 16)
        maps = np.maximum(patches @ self._weights, 0)
        scores = np.exp(3 * np.einsum("nyx,cyx->nc", values, self.patterns))
        return Captured((maps,), scores / scores.sum(axis=1, keepdims=True))


def points_store(path: Path, *, n: int = 100_000, n_filters: int = 32) -> Path:
    """A real store for a map of many samples: small images of ten classes, tables and no maps."""
    probe, rng = CloudProbe(n_filters=n_filters), np.random.default_rng(0)
    labels = rng.integers(0, 10, size=n)
    noise = rng.normal(size=(n, 8, 8)).astype(np.float32)
    images = np.clip(128 + 16 * (probe.patterns[labels] + 2 * noise), 0, 255).astype(np.uint8)
    samples = LabelledImages(images[..., np.newaxis], labels)
    plan = plan_capture(
        probe,
        samples,
        CaptureOptions(policy="*=pooled", statistics="basic"),
        class_names=tuple(map(str, range(10))),
        model=ModelInfo("cloud", digest=f"{n_filters:064x}", architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, samples, path, plan)
