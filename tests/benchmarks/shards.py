"""Stores whose samples stay in shards, beside the same samples in one file.

python tests/benchmarks/shards.py [--quick]

First one sample of maps of 26x26x20 at a time, in random order, of a store of many shards and of
one file: ms at the median and at the 95th and 99th percentile, read in turn, by the clock and of
the processor, which a busy machine changes less. Then very many tiny shards, real files that were
made of one: what it takes to join them, and to open and read the result, each in a process of its
own. Seconds of the clock and of the processor, and MB of memory at the peak, beyond what was taken
before the step.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table
from helpers import sharded
from helpers.factories import CLASS_NAMES, NumpyProbe, make_plan, make_samples

from fmcore import open_store
from fmcore.capture import CaptureOptions, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import ModelInfo
from fmcore.storage.joining import Join, Shard

CLOCKS = {"by the clock": time.perf_counter, "of the processor": time.thread_time}
READS = [
    f"{what}, {clock}" for clock in CLOCKS for what in ("one file", "shards", "shards beside it")
]
STEPS = ("join by copy", "join by manifest", "open", "first read", "a read in each shard")
BYTES = "bytes of the file; of places of chunks; of one place"
SHARD_SAMPLES, MAP_SAMPLES = 8, 32


def map_plan(n: int):
    """The plan, and the samples, of a store of large maps."""
    images = np.random.default_rng(0).integers(0, 256, (n, 26, 26, 1), np.uint8)
    samples = LabelledImages(images, np.arange(n) % len(CLASS_NAMES))
    plan = plan_capture(
        NumpyProbe((26, 26, 1)),
        samples,
        CaptureOptions(statistics="basic", batch_size=MAP_SAMPLES),
        class_names=CLASS_NAMES,
        model=ModelInfo("maps", digest="0" * 64, architecture="{}"),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return plan, samples


def measure_reads(folder: Path, n_shards: int, n_reads: int, table: Table) -> None:
    """Times reads of single samples, of both stores in turn."""
    plan, samples = map_plan(MAP_SAMPLES)
    (shard,), merged = sharded.capture_shards(
        NumpyProbe((26, 26, 1)), samples, folder / "one", plan, [range(MAP_SAMPLES)]
    )
    shards = sharded.copy_shards(shard.path, folder / "many", n_shards)
    plan, samples = map_plan(MAP_SAMPLES * n_shards)
    whole = sharded.join(folder / "whole.h5", plan, samples, shards, merged, kind=Join.COPY)
    kept = sharded.join(folder / "kept.h5", plan, samples, shards, merged)
    rng = np.random.default_rng(1)
    order = rng.integers(0, len(samples.images), n_reads).tolist()
    with open_store(whole) as single, open_store(kept) as joined:
        arrays = [store.layers["block/conv 1"].activation for store in (single, joined)]
        for array in arrays:
            array.row(0)
        times = np.empty((len(CLOCKS), 2, n_reads))
        for at, sample in enumerate(order):
            for which in rng.permutation(2).tolist():
                began = [clock() for clock in CLOCKS.values()]
                arrays[which].row(sample)
                ended = [clock() for clock in CLOCKS.values()]
                times[:, which, at] = np.subtract(ended, began)
    rows = iter(READS)
    for single_file, shards in np.percentile(times * 1e3, [50, 95, 99], axis=2).transpose(1, 2, 0):
        table.add(next(rows), *single_file.tolist())
        table.add(next(rows), *shards.tolist())
        table.add(next(rows), *((float(ratio), "x") for ratio in shards / single_file))


def shard_paths(folder: Path, n: int) -> list[Shard]:
    """The shards that `copy_shards` made."""
    return [
        Shard(folder / f"shard-{at:06d}.h5", range(at * SHARD_SAMPLES, (at + 1) * SHARD_SAMPLES))
        for at in range(n)
    ]


def join_many(folder: Path, n: int, kind: Join) -> Callable[[], object]:
    """What joins the shards; all that a coordinator has before is made first."""
    with sharded.small_chunks():
        n_samples = n * SHARD_SAMPLES
        samples, plan = make_samples(n_samples), make_plan(n_samples, statistics="basic")
    _, merged = sharded.capture_shards(
        NumpyProbe(), samples, folder / str(kind), plan, [range(SHARD_SAMPLES)]
    )
    shards = shard_paths(folder / "shards", n)

    def work() -> None:
        with sharded.small_chunks():
            sharded.join(folder / f"{kind}.h5", plan, samples, shards, merged, kind=kind)

    return work


def prepared(step: str, folder: Path, n: int) -> Callable[[], object]:
    """What a step does, once all that it is not about is there."""
    path = folder / "manifest.h5"
    if step == STEPS[0]:
        return join_many(folder, n, Join.COPY)
    if step == STEPS[1]:
        return join_many(folder, n, Join.MANIFEST)
    if step == STEPS[2]:
        return lambda: open_store(path)
    store = open_store(path)
    if step == STEPS[3]:
        return lambda: store.layers["conv2"].activation.row(n * SHARD_SAMPLES - 1)
    array = store.layers["conv2"].activation
    array.row(0)
    return lambda: [array.row(at) for at in range(0, n * SHARD_SAMPLES, SHARD_SAMPLES)]


def memory(field: str) -> float:
    """MB of memory that this process has, `VmRSS`, or had at its peak, `VmHWM`."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1e3


def run_step(step: str, folder: Path, n: int) -> None:
    """Prints what a step takes in this process, as JSON."""
    work = prepared(step, folder, n)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    work()
    seconds, of_cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps([seconds, of_cpu, memory("VmHWM") - before]))


def measure_many(folder: Path, n: int, table: Table) -> None:
    """Measures each step in a process of its own."""
    samples = make_samples(SHARD_SAMPLES)
    with sharded.small_chunks():
        plan = make_plan(SHARD_SAMPLES, statistics="basic")
        (shard,), _ = sharded.capture_shards(
            NumpyProbe(), samples, folder / "first", plan, [range(SHARD_SAMPLES)]
        )
    sharded.copy_shards(shard.path, folder / "shards", n)
    for step in STEPS:
        command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
        done = subprocess.run(
            [*command, "--shards", str(n)], capture_output=True, text=True, check=True
        )
        table.add(step, *json.loads(done.stdout.splitlines()[-1]))
    with open_store(folder / "manifest.h5") as store:
        n_chunks = len(store.file.array("shard_chunk_size"))
        places = sum(
            store.file.array(f"shard_chunk_{name}").stored_bytes for name in ("offset", "size")
        )
        table.add(
            BYTES,
            *(float(size) for size in (store.file.bytes.size, places, places / n_chunks)),
        )


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--shards", 10_000, 20, help="tiny shards")
    parser.add_number("--read-shards", 100, 5, help="shards of which samples are read")
    parser.add_number("--reads", 5000, 50, help="single samples")
    parser.add_argument("--step", help="only this step, as the script calls itself")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step:
        run_step(options.step, options.folder, options.shards)
        return 0
    with (
        tempfile.TemporaryDirectory() as folder,
        Table("ms of a read", ("p50", "p95", "p99"), READS) as table,
    ):
        measure_reads(Path(folder), options.read_shards, options.reads, table)
    with (
        tempfile.TemporaryDirectory() as folder,
        Table(f"{options.shards:,} shards", ("s", "s of CPU", "MB"), [*STEPS, BYTES]) as table,
    ):
        measure_many(Path(folder), options.shards, table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
