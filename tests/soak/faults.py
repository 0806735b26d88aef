"""Kills and failing disks: a capture with checkpoints is hit anywhere, and the same command again
must end in a store that equals an uninterrupted one, array by array, bit by bit. Two captures at
once, and readers of a store that is replaced.

python tests/soak/faults.py [--quick] [--kills N] [--keras N] [--races N] [--readers SECONDS] …
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

import h5py
import numpy as np
from benchmarks.harness import Options, Table
from helpers.factories import NumpyProbe, make_plan, make_samples

from fmcore.capture import CaptureOptions, capture
from fmcore.cli import main as fmcore
from fmcore.model.opening import without_startup_notes
from fmcore.storage import open_store, partial_folder, problems

N, BATCH, CHECKPOINT_ROWS = 500, 32, 96
HOW = {"before": "killed before", "after": "killed after", "fail": "failed as of a full disk"}

# Where captures are killed inside, and the functions that do it.
INSIDE = {"checkpoint": ["record"], "resumption": ["look_up", "resume"]}

# The child: a capture with checkpoints whose Nth call of an I/O function kills it (before or after
# the call), or fails as a full disk does; where `how` is a key of INSIDE, the Nth call in there.
CHILD = """
import errno, os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from soak import faults
target, how, wanted = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls, inside = 0, how not in faults.INSIDE
def hit(call, *arguments, **options):
    global calls
    calls += inside
    if calls != wanted or not inside:
        return call(*arguments, **options)
    if how == "fail":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if how == "after":
        call(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
def hook(owner, name):
    call = getattr(owner, name)
    setattr(owner, name, lambda *a, **k: hit(call, *a, **k))
if how == "blind":  # sees no full disk beforehand
    import shutil
    shutil.disk_usage = lambda path: type("Usage", (), {"free": 10**12})()
elif how != "plain":
    import fmcore.storage.file.deferred_errors as deferred_errors
    for owner, name in [(os, "fsync"), (os, "link"), (os, "ftruncate"), (os, "pwrite"),
                        (os, "unlink"), (os, "rmdir"),
                        (Path, "replace"), (Path, "write_text"), (Path, "mkdir")]:
        hook(owner, name)
    class Hooked(deferred_errors.io.FileIO):
        def write(self, data):
            return hit(super().write, data)
    deferred_errors.DeferredErrorFile.__bases__ = (Hooked,)
    opened = Path.open  # the index of chunks and the seal are written through this
    def opens(self, mode="r", *arguments, **options):
        if mode == "r+b":
            return deferred_errors.io.BufferedRandom(Hooked(self, "r+"))
        if mode == "ab":
            return deferred_errors.io.BufferedWriter(Hooked(self, "a"))
        return opened(self, mode, *arguments, **options)
    Path.open = opens
    def enter(call):
        def entered(*arguments):
            global inside
            inside = True
            result = call(*arguments)
            inside = False
            return result
        return entered
    from fmcore.storage import Checkpoints
    for name in faults.INSIDE.get(how, []):
        setattr(Checkpoints, name, enter(getattr(Checkpoints, name)))
print("READY", flush=True)
from fmcore import command
import argparse
parser = argparse.ArgumentParser()
parser.set_defaults(run=lambda options: faults.run(target) and 0)
code = command.run_command("fmcore", parser, [])
print("CALLS", calls, flush=True)
sys.exit(code)
"""


# The command with more checkpoints than so few images are worth.
OFTEN = """
import sys
from fmcore.capture import plan
from fmcore.cli import main
plan.checkpoint_rows = lambda *_, **__: 128
sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one kind of fault: how often it was tried, what was met, what went wrong."""

    times: int
    met: str
    wrong: list[str]


def run(path: Path) -> Path:
    """The capture under test, in this process."""
    plan = make_plan(N, batch_size=BATCH, checkpoint_rows=CHECKPOINT_ROWS)
    return capture(NumpyProbe(), make_samples(N), path, plan)


def contents(path: Path) -> dict[str, str]:
    """A digest of every array and attribute but the time of writing, by path."""
    digests: dict[str, str] = {}

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        values = {f"@{key}": value for key, value in node.attrs.items()}
        if isinstance(node, h5py.Dataset):
            values[""] = node[...]
        for key, value in values.items():
            if key not in ("@created", "@attributes_sha256", "@DIMENSION_LIST", "@REFERENCE_LIST"):
                array = np.asarray(value)
                about = f"{array.dtype}{array.shape}".encode()
                digests[name + key] = hashlib.sha256(about + array.tobytes()).hexdigest()

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
    return digests


def child(path: Path, how: str = "plain", wanted: int = 0, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(TESTS), str(path), how, str(wanted)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def recorded(path: Path) -> dict[str, object] | None:
    """What the manifest of an unfinished store records; None if there is none."""
    manifest = partial_folder(path) / "manifest.json"
    return json.loads(manifest.read_text())["checkpoint"] if manifest.is_file() else None


def state(path: Path) -> str:
    """What a hit left, in words."""
    if path.exists():
        return "finished"
    checkpoint = recorded(path)
    return "nothing kept" if checkpoint is None else f"{checkpoint['n_samples']} samples kept"


def lost_checkpoint(path: Path) -> list[str]:
    """What the manifest records and is not as it says."""
    checkpoint, folder = recorded(path), partial_folder(path)
    if checkpoint is None or path.exists():  # once the store has its name, nothing else counts
        return []
    file, store = folder / checkpoint["file"], folder / "store.h5"
    if (
        not file.is_file()
        or hashlib.sha256(file.read_bytes()).hexdigest() != checkpoint["sha256"]
        or not store.is_file()
        or store.stat().st_size < checkpoint["store_bytes"]
    ):
        return [f"recorded checkpoint {file.name} is lost"]
    return []


def after_a_hit(path: Path, whole: dict[str, str], resume=run) -> list[str]:
    """What is wrong once a run was hit, and once the same command ran again."""
    wrong = lost_checkpoint(path)
    if path.exists():
        wrong += [f"broken under the final name: {one}" for one in problems(path)]
    else:
        resume(path)
    if contents(path) != whole:
        wrong.append("the finished store differs from an uninterrupted one")
    return wrong


def kills_at_random(folder: Path, whole: dict[str, str], count: int, seed: int) -> Result:
    """Kills at random moments between the start and the end of a run."""
    process = child(folder / "timing.h5")
    process.stdout.readline()
    began, rng = time.perf_counter(), random.Random(seed)
    process.communicate()
    seconds = time.perf_counter() - began
    wrong, seen = [], Counter()
    for turn in range(count):
        path = folder / f"kill-{turn}.h5"
        process = child(path)
        process.stdout.readline()
        time.sleep(rng.uniform(0, seconds))
        process.kill()
        process.communicate()
        seen[state(path)] += 1
        wrong += [f"kill {turn}: {one}" for one in after_a_hit(path, whole)]
        path.unlink()
        leave_nothing(path)
    return Result(count, ", ".join(f"{what} {n}x" for what, n in sorted(seen.items())), wrong)


def kills_inside(folder: Path, whole: dict[str, str], where: str, count: int, seed: int) -> Result:
    """Kills while a checkpoint is made, or while a killed run is taken up, at any of its I/O."""

    def begin(path: Path, how: str, wanted: int) -> tuple[str, int]:
        """Runs a child to its end: what it printed, and its exit code."""
        if how == "resumption":
            child(path, "checkpoint", n_calls - 1).communicate(timeout=120)
            if recorded(path) is None:
                raise RuntimeError(f"{path}: nothing was recorded before the first kill")
        process = child(path, how, wanted)
        return process.communicate(timeout=120)[0], process.returncode

    def calls_in(how: str) -> int:
        out, _ = begin(path := folder / f"{where}-{how}-calls.h5", how, 0)
        path.unlink()
        return int(out.split("CALLS")[1])

    wrong, seen, rng = [], Counter(), random.Random(seed)
    n_calls = calls_in("checkpoint")
    n_inside = n_calls if where == "checkpoint" else calls_in(where)
    for turn in range(count):
        path, wanted = folder / f"{where}-{turn}.h5", rng.randint(1, n_inside)
        _, code = begin(path, where, wanted)
        seen[state(path)] += 1
        if code != -9:
            wrong.append(f"{where}, call {wanted} of {n_inside}: exit code {code}")
        wrong += [f"{where}, call {wanted}: {one}" for one in after_a_hit(path, whole)]
        path.unlink()
        leave_nothing(path)
    met = ", ".join(f"{what} {n}x" for what, n in sorted(seen.items()))
    return Result(count, f"of {n_inside} calls; {met}", wrong)


def leave_nothing(path: Path) -> None:
    """Removes what a kill after the final rename leaves."""
    folder = partial_folder(path)
    for file in folder.iterdir() if folder.exists() else ():
        file.unlink()
    if folder.exists():
        folder.rmdir()


def every_call(folder: Path, whole: dict[str, str], how: str, every: int) -> Result:
    """Hits every call of an I/O function in turn, until a run is through without a hit."""
    wrong, n = [], 1
    while True:
        path = folder / f"{how}-{n}.h5"
        process = child(path, how, n)
        out, stderr = process.communicate(timeout=120)
        code = process.returncode
        if "CALLS" in out and int(out.split("CALLS")[1]) < n:
            break
        where = f"{how} at call {n}"
        if how == "fail":
            lines = [line for line in stderr.splitlines() if "error:" in line]
            if code not in (0, 1) or (code == 1 and len(lines) != 1) or "Traceback" in stderr:
                wrong.append(f"{where}: exit code {code}, printed {stderr!r}")
        elif code != -9:
            wrong.append(f"{where}: exit code {code}, printed {stderr!r}")
        wrong += [f"{where}: {one}" for one in after_a_hit(path, whole)]
        n += every
    return Result(len(range(1, n, every)), f"of {n - 1} calls", wrong)


def limited_files(folder: Path, whole: dict[str, str], count: int, seed: int) -> Result:
    """Files that may not grow beyond a size: store, checkpoint and manifest."""
    wrong, rng = [], random.Random(seed)
    size = (folder / "whole.h5").stat().st_size
    for turn in range(count):
        path, limit = folder / f"limit-{turn}.h5", rng.randrange(1, size)

        def limited(limit=limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = child(path, preexec_fn=limited)
        _, stderr = process.communicate(timeout=120)
        if process.returncode != 1 or stderr.count("error:") != 1 or "Traceback" in stderr:
            wrong.append(f"limit {limit}: exit code {process.returncode}, printed {stderr!r}")
        wrong += [f"limit {limit}: {one}" for one in after_a_hit(path, whole)]
    return Result(count, f"sizes up to {size:,} bytes", wrong)


def small_disks(folder: Path, whole: dict[str, str], count: int, seed: int) -> Result:
    """A disk that is full at some moment; then there is room, and it goes on."""
    disk, wrong, rng = folder / "disk", [], random.Random(seed)
    disk.mkdir()
    size = (folder / "whole.h5").stat().st_size

    for _ in range(count):
        limit = rng.randrange(20_000, 2 * size)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={limit}", "tmpfs", str(disk)]
        if subprocess.run(mount, capture_output=True).returncode:
            raise PermissionError("small disks: this user may not mount one; run as root")
        try:
            path = disk / "store.h5"
            process = child(path, "blind")
            _, stderr = process.communicate(timeout=120)
            if process.returncode == 0:
                limit = 0  # it was large enough
            elif process.returncode != 1 or stderr.count("error:") != 1 or "Traceback" in stderr:
                wrong.append(f"disk of {limit}: code {process.returncode}, printed {stderr!r}")
            subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
            wrong += [f"disk of {limit}: {one}" for one in after_a_hit(path, whole)]
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return Result(count, f"sizes up to {2 * size:,} bytes", wrong)


def of_two(folder: Path, whole: dict[str, str], count: int) -> Result:
    """Two captures to one store at the same moment: one proceeds, and the other says who does."""
    wrong, seen = [], Counter()
    for turn in range(count):
        path = folder / f"race-{turn}.h5"
        both = [child(path), child(path)]
        for process in both:
            process.stdout.readline()
        ends = sorted((process.communicate()[1], process.returncode) for process in both)
        stderr = next((text for text, code in ends if code == 1), "")
        by = next((word for word in ("pid", "exists", "about to end") if word in stderr), "?")
        seen[by] += 1
        if sorted(code for _, code in ends) != [0, 1] or stderr.count("error:") != 1 or by == "?":
            wrong.append(f"race {turn}: {ends}")
        wrong += [f"race {turn}: {one}" for one in after_a_hit(path, whole)]
    return Result(count, f"the second one heard {dict(seen)}", wrong)


def reads_on(path: Path, stores: list[dict[str, bytes]], begun, ended, answers) -> None:
    """Reads a store again and again; how often, and what was no whole one of these stores."""
    n, wrong = 0, []
    begun.release()
    while not ended.is_set():
        try:
            seen = by_reader(path)
            n += 1
            if seen not in stores:
                wrong.append("a mixed answer")
        except Exception as error:  # whatever it is, a reader must not meet it
            wrong.append(f"{type(error).__name__}: {error}")
    answers.put((n, wrong[:3], len(wrong)))


def by_reader(path: Path) -> dict[str, bytes]:
    """All arrays of a store that depend on its samples."""
    with open_store(path) as store:
        seen = {"labels": store.labels.tobytes(), "size": str(store.n_samples).encode()}
        for layer in store.layers.values():
            seen[layer.path] = layer.activation[: store.n_samples].tobytes()
            seen[f"{layer.path} max"] = layer.pooled("max")[...].tobytes()
            seen[f"{layer.path} mean"] = layer.statistic("mean").tobytes()
        return seen


def readers_while_replaced(folder: Path, seconds: float) -> Result:
    """Four readers of a store that captures of two data sets replace in turn."""
    path, stores = folder / "replaced.h5", []
    plans = [
        (n, make_plan(n, batch_size=BATCH, checkpoint_rows=CHECKPOINT_ROWS)) for n in (40, 300)
    ]
    for n, plan in plans:
        capture(NumpyProbe(), make_samples(n), path, plan, CaptureOptions(overwrite=True))
        stores.append(by_reader(path))
    context = get_context("spawn")
    answers, begun, ended = context.Queue(), context.Semaphore(0), context.Event()
    readers = [
        context.Process(target=reads_on, args=(path, stores, begun, ended, answers))
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for _ in readers:
        begun.acquire(timeout=60)
    until, n_replaced = time.time() + seconds, 0
    while time.time() < until or n_replaced < 2:  # however slow the machine is
        n, plan = plans[n_replaced % 2]
        capture(NumpyProbe(), make_samples(n), path, plan, CaptureOptions(overwrite=True))
        n_replaced += 1
    ended.set()
    reads = [answers.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    wrong = [f"reader: {error} ({total} in all)" for _, few, total in reads for error in few]
    if not all(n for n, _, _ in reads):
        wrong.append("a reader read nothing")
    met = f"by 4 readers in {seconds:.0f} s of a store replaced {n_replaced}x"
    return Result(sum(n for n, _, _ in reads), met, wrong)


def keras_kills(folder: Path, count: int, n_images: int, seed: int) -> Result:
    """Kills of the real command, with TensorFlow, once it has begun to write."""
    with without_startup_notes():
        from fmcore.model.tutorial import tutorial_network

    tutorial_network((28, 28, 1), n_classes=10).save(folder / "m.keras")
    rng = random.Random(seed)
    images = np.random.default_rng(0).integers(0, 256, (n_images, 28, 28), dtype=np.uint8)
    np.savez(folder / "d.npz", x_test=images, y_test=np.arange(n_images) % 10)
    words = ["capture", str(folder / "m.keras"), "--data", str(folder / "d.npz")]
    words += ["--batch-size", "64", "--out"]

    def again(path: Path) -> None:
        """The command, in this process, where TensorFlow is loaded."""
        if code := fmcore([*words, str(path)]):
            raise RuntimeError(f"fmcore capture ended with exit code {code}")

    began = time.perf_counter()
    again(folder / "keras.h5")
    seconds, whole = time.perf_counter() - began, contents(folder / "keras.h5")
    wrong, seen = [], Counter()
    for turn in range(count):
        path = folder / f"keras-{turn}.h5"
        command = [sys.executable, "-c", OFTEN, *words, str(path)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not partial_folder(path).exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, seconds))
        process.kill()
        process.wait()
        seen[state(path)] += 1
        wrong += [f"Keras kill {turn}: {what}" for what in after_a_hit(path, whole, again)]
        path.unlink()
        leave_nothing(path)
    return Result(count, ", ".join(f"{what} {n}x" for what, n in sorted(seen.items())), wrong)


def quiet() -> None:
    """In each process: each resume says that a lock is stale."""
    logging.disable(logging.WARNING)


def main() -> int:
    """All of it; one sentence for each thing that went wrong."""
    parser = Options(__doc__)
    parser.add_number("--kills", 180, 2)
    parser.add_number("--inside", 20, 1, help="kills in checkpoints, and in resumptions")
    parser.add_number("--keras", 20, 1, help="kills of the real command")
    parser.add_number("--images", 3000, 600, help="that the real command captures")
    parser.add_number("--limits", 40, 1, help="limited files, and small disks")
    parser.add_number("--every", 1, 450, help="hit every nth call of an I/O function")
    parser.add_number("--races", 20, 1)
    parser.add_number("--readers", 60.0, 1.0, help="seconds", metavar="SECONDS")
    parser.add_number("--seed", 0, 0)
    options = parser.parse_args()
    quiet()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = contents(run(folder / "whole.h5"))
        # The longest first.
        parts = {
            "killed captures with TensorFlow": (
                *(keras_kills, folder),
                *(options.keras, options.images, options.seed),
            ),
            **{
                f"calls of I/O functions, {words}": (every_call, folder, whole, how, options.every)
                for how, words in HOW.items()
            },
            "captures killed at random": (
                *(kills_at_random, folder, whole),
                *(options.kills, options.seed),
            ),
            **{
                f"kills inside a {where}": (
                    *(kills_inside, folder, whole, where),
                    *(options.inside, options.seed),
                )
                for where in INSIDE
            },
            "files limited in size": (limited_files, folder, whole, options.limits, options.seed),
            "small disks": (small_disks, folder, whole, options.limits, options.seed),
            "races of two captures": (of_two, folder, whole, options.races),
            "reads while a store is replaced": (readers_while_replaced, folder, options.readers),
        }
        wrong: list[str] = []
        with (
            Table("faults", ("times", "wrong"), parts) as table,
            ProcessPoolExecutor(
                os.cpu_count() if options.quick else 1,
                mp_context=get_context("spawn"),
                initializer=quiet,
            ) as processes,
        ):
            results = {row: processes.submit(*part) for row, part in parts.items()}
            for row, future in results.items():
                result = future.result()
                table.add(row, result.times, len(result.wrong), note=result.met)
                wrong += result.wrong
    print("\n".join(wrong) or "nothing went wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
