"""Puts damaged and hostile stores, and odd folders, before a server: it lives, a good one answers.

Each batch lies in a folder of the server with a good store beside it. Every file must be listed,
with its line or the reason why there is none, and every address of those that can be opened be
asked, while one process serves all: if HDF5 crashes in it, that is its end.

    python tests/soak/damaged.py [--quick] [--stores N] [--hostile N] [--folders N]
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from helpers.factories import make_store
from helpers.hostile import (
    damage,
    make_hostile,
    make_odd_folder,
    remove_odd_folder,
    sealed_anew,
    unsealed,
)
from soak.outcomes import exit_code, n_bad

BATCH = 50
SECONDS_PER_ANSWER = 120.0
NOT_YET = "not looked at yet"
# What is asked of every store that is listed without a problem; the layer is the store's first.
ADDRESSES = (
    "",
    "/layers",
    "/maps?layer={layer}&sample=0",
    "/maps?layer={layer}&sample=0:5&format=csv",
    "/pooled?layer={layer}&statistic=max",
    "/statistics?format=json",
    "/images/0.png",
)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A server of one process on a free port."""
    command = [sys.executable, "-m", "dashboard.cli", "serve", str(folder), "--workers", "1",
               "--port", "0", "--no-open"]  # fmt: skip
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://\S+", line)
            if address is None:
                raise RuntimeError(f"the server does not start: {line!r}")
            with httpx.Client(base_url=address[0], timeout=SECONDS_PER_ANSWER) as client:
                yield client, process
        finally:
            process.terminate()
            process.wait(30)


def listed(client: httpx.Client, names: set[str]) -> dict[str, dict]:
    """The lines of the catalogue, once it has all names and has looked at all of them."""
    until = time.monotonic() + SECONDS_PER_ANSWER
    while True:
        answer = client.get("/api/v1/stores")
        answer.raise_for_status()
        lines = {line["name"]: line for line in answer.json()}
        rest = [name for name in names if NOT_YET in lines.get(name, {}).get("problem", NOT_YET)]
        if not rest or time.monotonic() > until:
            return lines
        time.sleep(0.2)


def asked(client: httpx.Client, name: str, counts: Counter[str]) -> None:
    """Asks all addresses of a store; counts what must not be."""
    about = client.get(f"/api/v1/stores/{name}")
    layers = about.json().get("layers", []) if about.status_code == 200 else []
    layer = layers[0] if layers else "nothing"
    for address in ADDRESSES:
        try:
            answer = client.get(f"/api/v1/stores/{name}{address.format(layer=layer)}")
        except httpx.RemoteProtocolError:  # a damaged chunk in the middle of a long answer
            counts["answers that ended early"] += 1
            continue
        counts[f"answers {answer.status_code}"] += 1
        if "internal error" in answer.text[:500]:
            counts[f"BAD {name}{address}: {answer.text[:200]}"] += 1


def batch(folder: Path, client: httpx.Client, process, kinds: dict[str, str]) -> Counter[str]:
    """What came of the files that lie in the folder now, by name, each with its kind."""
    counts: Counter[str] = Counter()
    try:
        lines = listed(client, {"good", *kinds})
        for name, kind in kinds.items():
            line = lines.get(name)
            if line is None:
                counts[f"BAD {kind} {name}: not listed"] += 1
            elif NOT_YET in line["problem"]:
                counts[f"BAD {kind} {name}: never looked at"] += 1
            else:
                problem = line["problem"]
                how = "opened" if not problem else "refused"
                if "crashes" in problem:
                    how = "ended the look"
                if "takes more than" in problem:
                    how = "took too much"
                counts[f"{kind}: {how}"] += 1
                if str(folder) in problem or "\n" in problem:
                    counts[f"BAD {kind} {name}: {problem}"] += 1
                asked(client, name, counts)
        for address in ("/openapi.json", "/docs", "/healthz", "/"):
            answer = client.get(address)
            if answer.status_code != 200:
                counts[f"BAD {address}: {answer.status_code}"] += 1
        good = client.get("/api/v1/stores/good/maps?layer=conv2&sample=3")
        if good.status_code != 200:
            counts[f"BAD the good store: {good.status_code} {good.text[:200]}"] += 1
    except (httpx.HTTPError, ValueError) as error:
        counts[f"BAD {type(error).__name__}: {error}"] += 1
    if process.poll() is not None:
        counts[f"BAD the server ended: {process.returncode}"] += 1
    return counts


def damaged_batch(folder: Path, source: Path, seeds: range) -> dict[str, str]:
    """Stores with one to eight changed places: sealed before, not, or after."""
    kinds = {}
    for seed in seeds:
        rng, path = np.random.default_rng(seed), folder / f"d{seed}.h5"
        shutil.copyfile(source, path)
        how = ("sealed before", "not sealed", "sealed after")[seed % 3]
        if how != "sealed before":
            unsealed(path)
        damage(path, rng, int(rng.integers(1, 9)))
        if how == "sealed after":
            sealed_anew(path)
        kinds[path.stem] = how
    return kinds


def hostile_batch(folder: Path, source: Path, seeds: range) -> dict[str, str]:
    """Stores that were changed on purpose."""
    return {f"h{seed}": make_hostile(folder / f"h{seed}.h5", source, seed) for seed in seeds}


def in_batches(make, source: Path, count: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(source, folder / "good.h5")
        with serving(folder) as (client, process):
            for first in range(0, count, BATCH):
                kinds = make(folder, source, range(first, min(count, first + BATCH)))
                counts += batch(folder, client, process, kinds)
                if process.poll() is not None:
                    return counts
                for stem in kinds:
                    (folder / f"{stem}.h5").unlink()
    return counts


def odd_folders(source: Path, count: int) -> Counter[str]:
    """Folders with odd entries, one after the other in a folder that is served."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder, good = Path(name) / "served", Path(name) / "good.h5"
        folder.mkdir()
        shutil.copy(source, good)
        with serving(folder) as (client, process):
            for seed in range(count):
                make_odd_folder(folder / f"f{seed}", good, seed)
            lines = listed(client, {f"f{seed}:good" for seed in range(count)})
            counts["lines"] += len(lines)
            for seed in range(count):
                line = lines.get(f"f{seed}:good", {"problem": "not listed"})
                if line["problem"]:
                    counts[f"BAD f{seed}:good: {line['problem']}"] += 1
            for address in ("/openapi.json", "/docs", "/healthz", "/"):
                if (status := client.get(address).status_code) != 200:
                    counts[f"BAD {address}: {status}"] += 1
            answer = client.get("/api/v1/stores/f0:good/maps?layer=conv2&sample=3")
            if answer.status_code != 200:
                counts[f"BAD the good store: {answer.status_code} {answer.text[:200]}"] += 1
            if process.poll() is not None:
                counts[f"BAD the server ended: {process.returncode}"] += 1
        # Each as the folder that is served, which must start.
        for seed in range(0, count, max(1, count // 2)):
            with serving(folder / f"f{seed}") as (client, _):
                if client.get("/api/v1/stores").status_code != 200:
                    counts[f"BAD f{seed} served by itself"] += 1
        for seed in range(count):
            remove_odd_folder(folder / f"f{seed}")
    return counts


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--stores", 2000, 30, help="stores with one to eight changed places")
    parser.add_number("--hostile", 280, 14, help="stores that were changed on purpose")
    parser.add_number("--folders", 200, 8, help="folders with odd entries")
    options = parser.parse_args()
    rows = ("damaged stores", "hostile stores", "odd folders")
    counts: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory() as name,
        Table("what people put before a server", ("cases", "bad", "seconds"), rows) as table,
    ):
        source = make_store(Path(name) / "whole.h5")
        for row, count, run in (
            (rows[0], options.stores, lambda n: in_batches(damaged_batch, source, n)),
            (rows[1], options.hostile, lambda n: in_batches(hostile_batch, source, n)),
            (rows[2], options.folders, lambda n: odd_folders(source, n)),
        ):
            began, outcomes = time.perf_counter(), run(count)
            bad = n_bad(outcomes)
            table.add(row, count, bad, time.perf_counter() - began)
            counts += outcomes
    return exit_code(counts)


if __name__ == "__main__":
    sys.exit(main())
