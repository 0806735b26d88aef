"""Deep stores: opening one, the commands that read all or little of it, and its metadata.

python tests/benchmarks/deep.py [--quick] [--store STORE]

A store of many small layers is made without Keras. Seconds are of the processor, of a process of
its own, beyond those that Python and the imports of the command take.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from benchmarks.serving import middle

from fmcore.capture import capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

N_SAMPLES, N_CLASSES, N_FILTERS = 200, 10, 48
ESTIMATE, METADATA, LAYER_METADATA = (
    "the estimate beside the file",
    "metadata beside the file",
    "metadata of a layer",
)
# What is measured, and the code of it; `path` is the store, and imports come before the clock.
READS = {
    "open_store": ("from fmcore import open_store", "open_store(path)"),
    "health of one layer": (
        "from fmcore import open_store",
        "store = open_store(path); next(iter(store.layers.values())).health()",
    ),
    "first page of the dashboard": (
        "from dashboard import create_app; from dashboard.stores.source import Source; "
        "from pathlib import Path; from starlette.testclient import TestClient",
        "client = TestClient(create_app(Source(Path(path)))); "
        "answer = client.get('/', headers={'host': 'localhost'}); assert answer.status_code == 200",
    ),
    "to_xarray": ("from fmcore import open_store; import xarray", "open_store(path).to_xarray()"),
}
COMMANDS = {
    "fmcore info": ("info",),
    "fmcore health": ("health",),
    "fmcore stats": ("stats", "--out", "stats.csv", "--force"),
    "fmcore validate": ("validate",),
}
TIMED = "import sys, time; path = sys.argv[1]; {}\nbegan = time.process_time()\n{}\n" + (
    "print(time.process_time() - began)"
)


class DeepProbe:
    """Many layers of a few pixels, without Keras: ReLU maps of random filters of 2×2 pixels."""

    def __init__(self, n_layers: int) -> None:
        rng = np.random.default_rng(0)
        self._weights = rng.normal(size=(n_layers, 4, N_FILTERS)).astype(np.float32)
        self._output = rng.normal(size=(N_FILTERS, N_CLASSES)).astype(np.float32)
        field = np.zeros((4, 4, 4), np.int32)
        kernel = rng.normal(size=(1, 1, N_FILTERS, N_FILTERS)).astype(np.float32)
        self.layers = tuple(
            LayerSpec(
                f"stage{index // 10}/block{index}/conv",
                (4, 4, N_FILTERS),
                kind="Conv2D",
                activation="relu",
                kernel=kernel,
                bias=np.zeros(N_FILTERS, np.float32),
                receptive_field=field,
            )
            for index in range(n_layers)
        )

    def __call__(self, images: np.ndarray, others: object = None) -> Captured:
        patches = np.concatenate(
            [images[:, y::2, x::2] for y in range(2) for x in range(2)], axis=3
        )
        maps = tuple(np.maximum(patches @ weights - 0.2, 0) for weights in self._weights)
        scores = np.exp(maps[0].mean(axis=(1, 2)) @ self._output)
        return Captured(maps, scores / scores.sum(axis=1, keepdims=True))


def deep_store(path: Path, n_layers: int) -> int:
    """Makes a store of many layers; the bytes that it was estimated to take."""
    probe, rng = DeepProbe(n_layers), np.random.default_rng(0)
    images = rng.integers(0, 256, size=(N_SAMPLES, 8, 8, 1), dtype=np.uint8)
    samples = LabelledImages(images, np.arange(N_SAMPLES) % N_CLASSES)
    plan = plan_capture(
        probe,
        samples,
        class_names=tuple(map(str, range(N_CLASSES))),
        model=ModelInfo("deep", digest="0" * 64, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    capture(probe, samples, path, plan)
    return plan.estimate.store_bytes


def metadata_bytes(path: Path) -> int:
    """The bytes of a file that are not chunks of arrays."""
    sizes: list[int] = []
    with h5py.File(path, locking=False) as file:

        def add(_: str, node: h5py.Group | h5py.Dataset) -> None:
            if isinstance(node, h5py.Dataset):
                sizes.append(node.id.get_storage_size())

        file.visititems(add)
    return path.stat().st_size - sum(sizes)


def processor_seconds(words: Sequence[str | Path], folder: Path) -> tuple[float, str]:
    """The processor seconds of a process and its children, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, *map(str, words)], check=True, capture_output=True, text=True, cwd=folder
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return user + system, result.stdout


def read_seconds(store: Path, code: tuple[str, str], folder: Path) -> float:
    _, printed = processor_seconds(["-c", TIMED.format(*code), store], folder)
    return float(printed.split()[-1])


def command_seconds(store: Path, words: Sequence[str], folder: Path) -> float:
    idle, _ = processor_seconds(["-m", "fmcore.cli", words[0], "--help"], folder)
    verb, *options = words
    busy, _ = processor_seconds(["-m", "fmcore.cli", verb, store, *options], folder)
    return busy - idle


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument("--store", type=Path, help="a deep store that is there already")
    parser.add_number("--layers", 200, 6, help="layers of the store")
    parser.add_number("--rounds", 3, 1, help="how often each is measured; the middle counts")
    options = parser.parse_args()
    sizes = [METADATA, LAYER_METADATA] + [ESTIMATE] * (options.store is None)
    with (
        tempfile.TemporaryDirectory() as made,
        Table("deep store", ("processor",), [*READS, *COMMANDS, *sizes]) as table,
    ):
        folder = Path(made)
        store = options.store and options.store.resolve()
        if store is None:
            store = folder / "deep.h5"
            estimate = deep_store(store, options.layers)
            table.add(ESTIMATE, estimate / store.stat().st_size)
        n_bytes, metadata = store.stat().st_size, metadata_bytes(store)
        table.add(METADATA, metadata / n_bytes, note=f"of {n_bytes / 1e6:,.1f} MB")
        table.add(LAYER_METADATA, (metadata / options.layers / 1e3, "kB"))
        for name, code in READS.items():
            seconds = middle([read_seconds(store, code, folder) for _ in range(options.rounds)])
            table.add(name, (seconds, "s"))
        for name, words in COMMANDS.items():
            seconds = middle([command_seconds(store, words, folder) for _ in range(options.rounds)])
            table.add(name, (seconds, "s"))


if __name__ == "__main__":
    main()
