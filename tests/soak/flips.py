"""Flips bits of a store and cuts it short: nothing may change unseen, crash or hang.

Each case is read by our reader, by plain h5py and by the validator, in a process of its own kind:
HDF5 itself may crash on damaged metadata, which must not end the harness.

    python tests/soak/flips.py [--quick] [--count N] [--cuts N]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table
from helpers.factories import make_store
from soak.outcomes import exit_code, n_bad

from fmcore.errors import FmcoreError
from fmcore.storage import open_store, problems
from fmcore.storage.format.schema import SCHEMA

SECONDS_PER_CASE = 60.0
# What h5py raises for a damaged file: a clean error, if not ours.
CLEAN = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, SystemError)

Case = tuple[str, int, int]  # ("flip", byte, bit) or ("cut", size, 0)


def by_reader(path: Path) -> dict[str, object]:
    """Everything that our reader gives."""
    with open_store(path) as store:
        seen: dict[str, object] = {"about": repr((store.about(), store.class_names, store.ids))}
        seen["model"] = repr(store.architecture())
        for name in ("labels", "predictions", "class_sizes", "probabilities"):
            seen[name] = getattr(store, name).tobytes()
        for sample in range(store.n_samples):
            seen[f"image {sample}"] = store.image(sample).tobytes()
        for layer in store.layers.values():
            seen[layer.path] = repr((layer.attributes, layer.shape, layer.policy, layer.index))
            if layer.has_maps:
                seen[f"{layer.path} maps"] = layer.activation[: store.n_samples].tobytes()
                chunks = [layer.activation.raw_chunks(sample) for sample in range(store.n_samples)]
                seen[f"{layer.path} bytes"] = repr(chunks)
            for spec in SCHEMA:
                *_, kind, name = spec.path.split("/")
                if kind == "pooled":
                    seen[f"{layer.path} {name}"] = layer.pooled(name)[...].tobytes()
            for name in layer.statistics:
                seen[f"{layer.path} {name} of all"] = layer.statistic(name).tobytes()
            maps = [layer.mean_map(0, one) for one in range(layer.n_filters)]
            seen[f"{layer.path} mean maps"] = repr(
                [None if m is None else m.tolist() for m in maps]
            )
        return seen


def by_hdf5(path: Path) -> dict[str, object]:
    """Everything that h5py gives: values, attributes, names, order, axes and their labels."""
    seen: dict[str, object] = {}

    def visit(node: h5py.Group | h5py.Dataset) -> None:
        names = list(node.attrs)
        plain = {
            name: (np.asarray(node.attrs[name]).dtype.str, np.asarray(node.attrs[name]).tobytes())
            for name in names
            # References, seen through the names they resolve to.
            if name not in ("DIMENSION_LIST", "REFERENCE_LIST")
        }
        seen[f"{node.name}@"] = (names, plain)
        if isinstance(node, h5py.Dataset):
            axes = [
                (axis.label, list(axis), [one.name for one in axis.values()]) for axis in node.dims
            ]
            seen[node.name] = (node.shape, node.dtype.str, axes, node[...].tobytes())
            return
        seen[f"{node.name}/"] = list(node)
        for name in node:
            visit(node[name])

    with h5py.File(path, "r", locking=False) as file:
        visit(file["/"])
    return seen


def tried(read, path: Path) -> object:
    try:
        return read(path)
    except FmcoreError as error:
        return f"refused: {error}"
    except CLEAN as error:
        return f"error: {type(error).__name__}: {error}"


def damaged(original: bytes, case: Case) -> bytes:
    kind, place, bit = case
    if kind == "cut":
        return original[:place]
    changed = bytearray(original)
    changed[place] ^= 1 << bit
    return bytes(changed)


def worker(source: Path, folder: Path, pipe) -> None:
    """Answers each (stage, case) with what came of it, until None comes."""
    original = source.read_bytes()
    whole = {"reader": by_reader(source), "hdf5": by_hdf5(source)}
    path = folder / f"case-{os.getpid()}.h5"
    pipe.send("ready")
    while (message := pipe.recv()) is not None:
        stage, case = message
        path.write_bytes(damaged(original, case))
        if stage == "validate":
            broken = tried(lambda store: list(problems(store)), path)
            pipe.send("no problem" if broken == [] else "problem")
            continue
        seen = tried({"reader": by_reader, "hdf5": by_hdf5}[stage], path)
        if isinstance(seen, str):
            pipe.send("refused" if seen.startswith("refused") else "error")
        else:
            pipe.send("same" if seen == whole[stage] else "other")


class Child:
    """A process that may crash or hang, and is then replaced."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._arguments = (source, folder)
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=worker, args=(*self._arguments, theirs), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(SECONDS_PER_CASE) or self._pipe.recv() != "ready":
            raise RuntimeError("the harness' child does not start")

    def ask(self, stage: str, case: Case) -> str:
        self._pipe.send((stage, case))
        try:
            if self._pipe.poll(SECONDS_PER_CASE):
                return self._pipe.recv()
            outcome = "hang"
        except (EOFError, OSError):
            outcome = "crash"
        self.stop()
        self._start()
        return outcome

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


def run(source: Path, folder: Path, cases: list[Case], *, hdf5: bool = True) -> Counter[str]:
    """How many cases came out how; `BAD …` is what must not be."""
    counts: Counter[str] = Counter()
    # Plain h5py has a child of its own: HDF5 may spoil its memory and crash cases later.
    child, foreign = Child(source, folder), Child(source, folder)
    try:
        for case in cases:
            ours = child.ask("reader", case)
            checked = child.ask("validate", case)
            theirs = foreign.ask("hdf5", case) if hdf5 else "not asked"
            counts[f"{case[0]}: reader {ours}, validate {checked}, h5py {theirs}"] += 1
            wrong = ours in ("other", "error", "crash", "hang") or checked in ("crash", "hang")
            visible = ours != "same" or theirs not in ("same", "not asked")
            wrong |= visible and checked == "no problem"
            wrong |= case[0] == "cut" and ours != "refused"
            if wrong:
                counts[f"BAD {case}: reader {ours}, validate {checked}, h5py {theirs}"] += 1
    finally:
        child.stop()
        foreign.stop()
    return counts


def make_cases(size: int, flips: int, cuts: int, seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    cases: list[Case] = [
        ("flip", int(place), int(bit))
        for place, bit in zip(
            rng.integers(size, size=flips), rng.integers(8, size=flips), strict=True
        )
    ]
    return [*cases, *(("cut", int(place), 0) for place in rng.integers(size, size=cuts))]


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--count", 1000, 24, help="flipped bits")
    parser.add_number("--cuts", 200, 6, help="truncations")
    parser.add_number("--seed", 0, 0)
    options = parser.parse_args()
    rows = {"flip": "flipped bits", "cut": "truncations"}
    with (
        tempfile.TemporaryDirectory() as name,
        Table("damaged stores", ("cases", "bad", "seconds"), rows.values()) as table,
    ):
        folder = Path(name)
        source = make_store(folder / "whole.h5")
        every = make_cases(source.stat().st_size, options.count, options.cuts, options.seed)
        counts: Counter[str] = Counter()
        for kind, row in rows.items():
            cases, began = [case for case in every if case[0] == kind], time.perf_counter()
            outcomes = run(source, folder, cases)
            bad = n_bad(outcomes)
            table.add(row, len(cases), bad, time.perf_counter() - began)
            counts += outcomes
    return exit_code(counts)


if __name__ == "__main__":
    sys.exit(main())
