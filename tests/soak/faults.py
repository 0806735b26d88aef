"""Kills and failing disks: a capture in shards is hit anywhere, and the same command again must end
in a store that equals an uninterrupted one, array by array, bit by bit. Two captures at once, and
readers of a store that is replaced.

python tests/soak/faults.py [--kills N] [--keras N] [--races N] [--readers SECONDS] [--seed S]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

import h5py
import numpy as np
from helpers.factories import NumpyProbe, make_plan, make_samples

from fmcore.capture import capture
from fmcore.model.opening import without_startup_notes
from fmcore.storage import open_store, partial_folder, problems

N, BATCH, MEMORY = 500, 32, 1_500_000

# The child: a capture in shards whose Nth call of an I/O function kills it (before or after the
# call), or fails as a full disk does.
CHILD = """
import errno, os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from soak import faults
target, how, wanted = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
calls = 0
def hit(call, *arguments, **options):
    global calls
    calls += 1
    if calls != wanted:
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
print("READY", flush=True)
from fmcore import command
import argparse
parser = argparse.ArgumentParser()
parser.set_defaults(run=lambda options: faults.run(target) and 0)
code = command.run_command("fmcore", parser, [])
print("CALLS", calls, flush=True)
sys.exit(code)
"""


def run(path: Path) -> Path:
    """The capture under test, in this process."""
    plan = make_plan(N, batch_size=BATCH, memory=MEMORY)
    return capture(NumpyProbe(), make_samples(N), path, plan)


def contents(path: Path) -> dict[str, str]:
    """A digest of every array and attribute but the time of writing, by path."""
    found: dict[str, str] = {}

    def add(name: str, node: h5py.Group | h5py.Dataset) -> None:
        values = {f"@{key}": value for key, value in node.attrs.items()}
        if isinstance(node, h5py.Dataset):
            values[""] = node[...]
        for key, value in values.items():
            if key not in ("@created", "@attributes_sha256", "@DIMENSION_LIST", "@REFERENCE_LIST"):
                array = np.asarray(value)
                about = f"{array.dtype}{array.shape}".encode()
                found[name + key] = hashlib.sha256(about + array.tobytes()).hexdigest()

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
    return found


def child(path: Path, how: str = "plain", wanted: int = 0, **options) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD, str(TESTS), str(path), how, str(wanted)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def lost_shards(path: Path) -> list[str]:
    """Shards that the manifest records and that are not as it says."""
    manifest = partial_folder(path) / "manifest.json"
    if not manifest.is_file():
        return []
    recorded = json.loads(manifest.read_text())["shards"]
    files = [(manifest.parent / one["file"], one["sha256"]) for one in recorded]
    return [
        f"recorded shard {file.name} is lost"
        for file, digest in files
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != digest
    ]


def after_a_hit(path: Path, whole: dict[str, str], resume=run) -> list[str]:
    """What is wrong once a run was hit, and once the same command ran again."""
    found = lost_shards(path)
    if path.exists():
        found += [f"broken under the final name: {one}" for one in problems(path)]
    else:
        resume(path)
    if contents(path) != whole:
        found.append("the finished store differs from an uninterrupted one")
    return found


def kills_at_random(folder: Path, whole: dict[str, str], count: int, rng) -> list[str]:
    """Kills at random moments between the start and the end of a run."""
    started = time.perf_counter()
    process = child(folder / "timing.h5")
    process.stdout.readline()
    ready = time.perf_counter()
    process.communicate()
    seconds = time.perf_counter() - ready
    print(f"one run: {seconds:.2f} s after {ready - started:.2f} s of start")
    found, seen = [], Counter()
    for turn in range(count):
        path = folder / f"kill-{turn}.h5"
        process = child(path)
        process.stdout.readline()
        time.sleep(rng.uniform(0, seconds))
        process.kill()
        process.communicate()
        state = "finished" if path.exists() else f"{len(list(folder.glob('kill*/shard-*')))} shards"
        seen[state] += 1
        found += [f"kill {turn}: {one}" for one in after_a_hit(path, whole)]
        path.unlink()
        leave_nothing(path)
    print("killed at: " + ", ".join(f"{state} {n}x" for state, n in sorted(seen.items())))
    return found


def leave_nothing(path: Path) -> None:
    """Removes what a kill after the final rename leaves."""
    folder = partial_folder(path)
    for file in folder.iterdir() if folder.exists() else ():
        file.unlink()
    if folder.exists():
        folder.rmdir()


def every_call(folder: Path, whole: dict[str, str], how: str, every: int) -> list[str]:
    """Hits every call of an I/O function in turn, until a run is through without a hit."""
    found, n = [], 1
    while True:
        path = folder / f"{how}-{n}.h5"
        process = child(path, how, n)
        out, said = process.communicate(timeout=120)
        code = process.returncode
        if "CALLS" in out and int(out.split("CALLS")[1]) < n:
            break
        where = f"{how} at call {n}"
        if how == "fail":
            lines = [line for line in said.splitlines() if "error:" in line]
            if code not in (0, 1) or (code == 1 and len(lines) != 1) or "Traceback" in said:
                found.append(f"{where}: exit code {code}, said {said!r}")
        elif code != -9:
            found.append(f"{where}: exit code {code}, said {said!r}")
        found += [f"{where}: {one}" for one in after_a_hit(path, whole)]
        n += every
    print(f"{how}: {len(range(1, n, every))} of {n - 1} calls of I/O functions hit")
    return found


def limited_files(folder: Path, whole: dict[str, str], count: int, rng) -> list[str]:
    """Files that may not grow beyond a size: shard, join and manifest."""
    import resource

    found = []
    size = (folder / "whole.h5").stat().st_size
    for turn in range(count):
        path, limit = folder / f"limit-{turn}.h5", rng.randrange(1, size)

        def limited(limit=limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = child(path, preexec_fn=limited)
        _, said = process.communicate(timeout=120)
        if process.returncode != 1 or said.count("error:") != 1 or "Traceback" in said:
            found.append(f"limit {limit}: exit code {process.returncode}, said {said!r}")
        found += [f"limit {limit}: {one}" for one in after_a_hit(path, whole)]
    print(f"files limited in size: {count} sizes up to {size:,} bytes")
    return found


def small_disks(folder: Path, whole: dict[str, str], count: int, rng) -> list[str]:
    """A disk that is full at some moment of shard or join; then there is room, and it goes on."""
    disk, found = folder / "disk", []
    disk.mkdir()
    size = (folder / "whole.h5").stat().st_size

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        return subprocess.run(command, capture_output=True).returncode == 0

    for _ in range(count):
        limit = rng.randrange(20_000, 2 * size)
        if not mount(f"size={limit}"):
            print("NOT TESTED: small disks, because this user may not mount one")
            return found
        try:
            path = disk / "store.h5"
            process = child(path, "blind")
            _, said = process.communicate(timeout=120)
            if process.returncode == 0:
                limit = 0  # it was large enough
            elif process.returncode != 1 or said.count("error:") != 1 or "Traceback" in said:
                found.append(f"disk of {limit}: code {process.returncode}, said {said!r}")
            subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
            found += [f"disk of {limit}: {one}" for one in after_a_hit(path, whole)]
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    print(f"small disks: {count} sizes up to {2 * size:,} bytes")
    return found


def of_two(folder: Path, whole: dict[str, str], count: int) -> list[str]:
    """Two captures to one store at the same moment: one proceeds, and the other says who does."""
    found, seen = [], Counter()
    for turn in range(count):
        path = folder / f"race-{turn}.h5"
        both = [child(path), child(path)]
        for process in both:
            process.stdout.readline()
        ends = sorted((process.communicate()[1], process.returncode) for process in both)
        said = next((text for text, code in ends if code == 1), "")
        by = next((word for word in ("pid", "exists", "about to end") if word in said), "?")
        seen[by] += 1
        if sorted(code for _, code in ends) != [0, 1] or said.count("error:") != 1 or by == "?":
            found.append(f"race {turn}: {ends}")
        found += [f"race {turn}: {one}" for one in after_a_hit(path, whole)]
    print(f"{count} races of two captures; the second was told: {dict(seen)}")
    return found


def reads_on(path: Path, known: list[dict[str, bytes]], begun, ended, answers) -> None:
    """Reads a store again and again; how often, and what was no whole store of those known."""
    n, wrong = 0, []
    begun.release()
    while not ended.is_set():
        try:
            seen = by_reader(path)
            n += 1
            if seen not in known:
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
            seen[f"{layer.path} max"] = layer.pooled("max").tobytes()
            seen[f"{layer.path} mean"] = layer.statistic("mean").tobytes()
        return seen


def readers_while_replaced(folder: Path, seconds: float) -> list[str]:
    """Four readers of a store that captures of two data sets replace in turn."""
    path, known = folder / "replaced.h5", []
    plans = [(n, make_plan(n, batch_size=BATCH, memory=MEMORY)) for n in (40, 300)]
    for n, plan in plans:
        capture(NumpyProbe(), make_samples(n), path, plan, overwrite=True)
        known.append(by_reader(path))
    context = get_context("spawn")
    answers, begun, ended = context.Queue(), context.Semaphore(0), context.Event()
    readers = [
        context.Process(target=reads_on, args=(path, known, begun, ended, answers))
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for _ in readers:
        begun.acquire(timeout=60)
    until, n_replaced = time.time() + seconds, 0
    while time.time() < until or n_replaced < 2:  # however slow the machine is
        n, plan = plans[n_replaced % 2]
        capture(NumpyProbe(), make_samples(n), path, plan, overwrite=True)
        n_replaced += 1
    ended.set()
    told = [answers.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    n_reads = sum(n for n, _, _ in told)
    print(f"{n_reads:,} reads by 4 readers in {seconds:.0f} s of a store replaced {n_replaced}x")
    wrong = [f"reader: {one} ({total} in all)" for _, some, total in told for one in some]
    return wrong if all(n for n, _, _ in told) else [*wrong, "a reader read nothing"]


def keras_kills(folder: Path, count: int, rng) -> list[str]:
    """Kills of the real command, with TensorFlow."""
    if not count:
        return []
    with without_startup_notes():
        from fmcore.model.tutorial import tutorial_network

    tutorial_network((28, 28, 1), n_classes=10).save(folder / "m.keras")
    images = np.random.default_rng(0).integers(0, 256, (3000, 28, 28), dtype=np.uint8)
    np.savez(folder / "d.npz", x_test=images, y_test=np.arange(3000) % 10)
    command = [sys.executable, "-m", "fmcore.cli", "capture", str(folder / "m.keras"), "--data"]
    command += [str(folder / "d.npz"), "--memory", "20MB", "--out"]

    def again(path: Path) -> None:
        subprocess.run([*command, str(path)], check=True, capture_output=True)

    started = time.perf_counter()
    again(folder / "keras.h5")
    seconds, whole = time.perf_counter() - started, contents(folder / "keras.h5")
    found, kept = [], Counter()
    for turn in range(count):
        path = folder / f"keras-{turn}.h5"
        process = subprocess.Popen([*command, str(path)], stdout=-3, stderr=-3)
        time.sleep(rng.uniform(0.4, 1) * seconds)
        process.kill()
        process.wait()
        kept[len(list(partial_folder(path).glob("shard-*")))] += 1
        found += [f"Keras kill {turn}: {one}" for one in after_a_hit(path, whole, again)]
        path.unlink()
        leave_nothing(path)
    print(f"{count} kills with TensorFlow; shards that lay there: {dict(sorted(kept.items()))}")
    return found


def soak(
    *, kills: int, keras: int, limits: int, every: int, races: int, readers: float, seed: int
) -> list[str]:
    """All of it; one sentence for each thing that went wrong."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = contents(run(folder / "whole.h5"))
        found = kills_at_random(folder, whole, kills, rng)
        for how in ("before", "after", "fail"):
            found += every_call(folder, whole, how, every)
        found += limited_files(folder, whole, limits, rng)
        found += small_disks(folder, whole, limits, rng)
        found += of_two(folder, whole, races)
        found += readers_while_replaced(folder, readers) if readers else []
        return found + keras_kills(folder, keras, rng)


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # each resume says that a lock is stale
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=180)
    parser.add_argument("--keras", type=int, default=20)
    parser.add_argument("--limits", type=int, default=40)
    parser.add_argument("--every", type=int, default=1, help="hit every nth call")
    parser.add_argument("--races", type=int, default=20)
    parser.add_argument("--readers", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    wrong = soak(**vars(parser.parse_args()))
    print("\n".join(wrong) or "nothing went wrong")
    sys.exit(bool(wrong))
