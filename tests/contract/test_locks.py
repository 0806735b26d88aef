"""Every library that make installs is pinned with the SHA-256 of its files, from anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
# The viewer's is another one, see Makefile.
FREE = {"h5py"}
EXTRAS = {"setup": ("train", "dashboard", "figures"), "dev": ("dev",), "viewer": ("dashboard",)}


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    rows = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE)
    return {plain(name): version for name, version in rows}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_is_pins_with_hashes_and_names_no_place(lock):
    lines = lock.read_text().splitlines()
    assert lines
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        assert PIN.fullmatch(line) or HASH.fullmatch(line), line
        if PIN.fullmatch(line):
            assert HASH.fullmatch(after), line


@pytest.mark.parametrize("name", EXTRAS)
def test_a_lock_has_the_versions_that_were_chosen_and_all_that_is_needed(name):
    locked = pins((ROOT / "locks" / f"{name}.txt").read_text())
    pinned = pins((ROOT / "constraints.txt").read_text())
    for library in (locked.keys() & pinned.keys()) - FREE:
        assert locked[library] == pinned[library], f"{library}: run `make lock`"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed, waiting = set(), [*project["dependencies"]]
    for extra in EXTRAS[name]:
        waiting += project["optional-dependencies"][extra]
    while waiting:
        text = waiting.pop()
        library = re.match(r"[A-Za-z0-9._-]+", text)[0]
        if plain(library) == project["name"]:
            for extra in re.search(r"\[(.+?)\]", text)[1].split(","):
                waiting += project["optional-dependencies"][extra]
        else:
            needed.add(plain(library))
    assert needed - locked.keys() == set()
