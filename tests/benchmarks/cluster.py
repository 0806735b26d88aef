"""A capture on a cluster: two workers against one, and one worker against no cluster.

Workers are warm: TensorFlow runs in them. Two workers, each held to one core, are compared with one
on a stack of six convolutions of 256 filters, pooled, with basic statistics, where the forward pass
is most; one worker and no cluster on the tutorial's network with MNIST's images ten times over,
where writing is most, with a thread for each core, once for each way to join. Runs of a pair
alternate.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table
from helpers.clusters import local_client

from fmcore import capture_activations
from fmcore.cluster import ClusterOptions
from fmcore.dataset import load_dataset
from fmcore.storage.file.shard_table import SHARDS_FOLDER
from fmcore.storage.joining import Join


def main() -> int:
    options = Options(__doc__)
    options.add_number("--images", 2048, 32, help="images of the stack of convolutions")
    options.add_number("--digits", 100_000, 300, help="images of the tutorial's network")
    options.add_number("--pairs", 5, 1)
    options.add_number("--cores", 2, 1, help="threads of the one worker")
    settings = options.parse_args()
    rows = ("two workers, of one", *(f"one worker, {join}, of none" for join in Join))
    columns = ("first", "second", "ratio")
    with (
        Table("seconds of a capture", columns, rows, width=28) as table,
        tempfile.TemporaryDirectory() as name,
    ):
        folder = Path(name)
        stack, digits = save_models(folder)
        rng = np.random.default_rng(0)
        images = rng.random((settings.images, 32, 32, 3), np.float32)
        labels = np.arange(settings.images) % 10
        few = {"policy": "*=pooled", "statistics": "basic", "batch_size": 8}
        with local_client(1) as single, local_client(2) as pair:

            def run(client, n: int = settings.images) -> float:
                return seconds(folder, stack, images[:n], labels[:n], client, **few)

            hold(pair), hold(single)
            run(pair, 64), run(single, 64)
            add(table, rows[0], [(run(pair), run(single))])
        mnist = load_dataset("mnist").test
        order = np.arange(settings.digits) % len(mnist)
        pixels, labels = mnist.images_of(order), mnist.known_labels[order]
        with local_client(1, settings.cores) as client:
            for row, join in zip(rows[1:], Join, strict=True):
                cluster = ClusterOptions(cluster=client, join=join)
                add(table, row, alternate(
                    lambda cluster=cluster: seconds(folder, digits, pixels, labels, cluster),
                    lambda: seconds(folder, digits, pixels, labels, None),
                    settings.pairs,
                ))  # fmt: skip
    return 0


def save_models(folder: Path) -> tuple[Path, Path]:
    """Saves a stack of convolutions, and the tutorial's network."""
    import keras

    layers = keras.layers
    stack = [layers.Conv2D(256, 3, padding="same", activation="relu") for _ in range(6)]
    tutorial = [
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
    ]
    paths = []
    for name, shape, body in (("stack", (32, 32, 3), stack), ("digits", (28, 28, 1), tutorial)):
        head = [layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")]
        keras.utils.set_random_seed(0)
        paths.append(folder / f"{name}.keras")
        keras.Sequential([keras.Input(shape), *body, *head], name=name).save(paths[-1])
    return paths[0], paths[1]


def seconds(folder: Path, model: Path, images, labels, client, **settings) -> float:
    """How long a capture takes."""
    path = folder / "store.h5"
    started = time.perf_counter()
    capture_activations(model, images, labels, path, cluster=client, allow_large=True, **settings)
    taken = time.perf_counter() - started
    path.unlink()
    shutil.rmtree(path.with_name(f"{path.name}{SHARDS_FOLDER}"), ignore_errors=True)
    return taken


def hold(client) -> None:
    """Holds each worker to a core of its own: it has threads beside the one that runs the model."""
    for core, worker in enumerate(sorted(client.nthreads())):
        client.run(_hold_to, core, workers=[worker])


def _hold_to(core: int) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(thread.name), {core})


def alternate(first, second, n_pairs: int) -> list[tuple[float, float]]:
    """Seconds of both, run in turn, after one run of each that warms."""
    first(), second()
    return [(first(), second()) for _ in range(n_pairs)]


def add(table: Table, row: str, pairs: list[tuple[float, float]]) -> None:
    """Adds the medians of some pairs."""
    firsts, seconds_ = zip(*pairs, strict=True)
    ratio = statistics.median(first / second for first, second in pairs)
    table.add(row, statistics.median(firsts), statistics.median(seconds_), ratio)


if __name__ == "__main__":
    sys.exit(main())
