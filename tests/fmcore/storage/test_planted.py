"""What others have put where a run writes is not joined, not removed and not written through."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import DyingProbe, NumpyProbe, make_plan, make_samples, make_store
from helpers.users import OTHER, PERSON, as_user, need_two_users, shared_folder

from fmcore.capture import CaptureOptions, capture
from fmcore.errors import OutputError
from fmcore.export import export_store
from fmcore.files import partial_name, publish
from fmcore.storage import open_store, partial_folder, problems

N, ROWS = 1_300, 320
PRECIOUS = b"what a person wrote"


class Lying(DyingProbe):
    """Gives other activations than the model."""

    def __call__(self, images, others=None):
        return super().__call__(images * 0 + 0.5)


def run(path: Path, probe=None, restart=False, overwrite=False) -> None:
    plan = make_plan(N, batch_size=64, checkpoint_rows=ROWS)
    options = CaptureOptions(restart=restart, overwrite=overwrite)
    capture(probe or NumpyProbe(), make_samples(N), path, plan, options)


def begun(path: Path, probe: Callable[[int], NumpyProbe] = DyingProbe) -> None:
    """Leaves a part of a capture, as a run that was killed does."""
    with pytest.raises(RuntimeError):
        run(path, probe(12))
    assert (partial_folder(path) / "manifest.json").is_file()


def activation(path: Path) -> np.ndarray:
    with open_store(path) as store:
        return store.layers["block/conv 1"].activation[:N]


@pytest.fixture(scope="module")
def right(tmp_path_factory) -> np.ndarray:
    """The activations of a capture that nobody disturbed; it imports what a capture needs."""
    path = tmp_path_factory.mktemp("right") / "s.h5"
    begun(path)
    run(path)
    with open_store(path) as store:
        for form in ("npy", "zarr"):
            export_store(store, path.parent / form, format_name=form)
    return activation(path)


@pytest.fixture
def shared() -> Iterator[Path]:
    yield from shared_folder()


def plant_link(folder: Path, precious: Path) -> None:
    folder.symlink_to(precious)


def plant_whole(folder: Path, precious: Path) -> None:
    begun(folder.with_name("other.h5"), Lying)
    partial_folder(folder.with_name("other.h5")).rename(folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o777)


def plant_empty(folder: Path, precious: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)


def plant_file(folder: Path, precious: Path) -> None:
    folder.write_text("x")


def plant_links(folder: Path, precious: Path) -> None:
    plant_empty(folder, precious)
    for name in ("store.h5", "manifest.json", "lock", "checkpoint-000000320.npz"):
        (folder / name).symlink_to(precious / name)


PLANTED = [plant_link, plant_whole, plant_empty, plant_file, plant_links]


@need_two_users
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("plant", PLANTED)
def test_a_folder_of_another_user_is_neither_used_nor_emptied(plant, restart, shared, right):
    precious = shared / "precious"
    precious.mkdir()
    for name in ("store.h5", "manifest.json", "lock", "checkpoint-000000320.npz", "notes.txt"):
        (precious / name).write_bytes(PRECIOUS)
    for path in (*precious.iterdir(), precious):
        os.chown(path, PERSON, PERSON)
    store = shared / "s.h5"
    assert as_user(OTHER, lambda: plant(partial_folder(store), precious)) == ""
    error = as_user(PERSON, lambda: run(store, restart=restart))
    assert error.startswith("OutputError"), error
    assert "belongs to the user" in error or "it is a " in error
    assert all(path.read_bytes() == PRECIOUS for path in precious.iterdir())
    assert len(list(precious.iterdir())) == 5
    assert not store.exists()
    # Beside it, all is as always.
    assert as_user(PERSON, lambda: run(shared / "t.h5")) == ""
    assert (activation(shared / "t.h5") == right).all()


@need_two_users
@pytest.mark.parametrize("name", ["store.h5", "manifest.json", "notes.txt"])
def test_nobody_else_can_put_anything_into_what_is_not_finished(name, shared, right):
    store = shared / "s.h5"

    def begin() -> None:
        os.umask(0)
        begun(store)

    assert as_user(PERSON, begin) == ""
    folder = partial_folder(store)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "PermissionError" in as_user(OTHER, (folder / name).touch)
    assert "PermissionError" in as_user(OTHER, lambda: list(folder.iterdir()))
    assert as_user(PERSON, lambda: run(store)) == ""
    assert (activation(store) == right).all()


@need_two_users
def test_what_others_could_write_is_taken_up_only_after_a_restart(shared, right):
    store = shared / "s.h5"
    folder = partial_folder(store)
    assert as_user(PERSON, lambda: begun(store)) == ""
    folder.chmod(0o777)
    assert as_user(OTHER, lambda: (folder / "notes.txt").write_bytes(PRECIOUS)) == ""
    error = as_user(PERSON, lambda: run(store))
    assert "could be written by other users" in error
    assert "--restart" in error
    assert as_user(PERSON, lambda: run(store, restart=True)) == ""
    assert (activation(store) == right).all()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert folder.stat().st_mode & 0o777 == 0o700


@need_two_users
@pytest.mark.parametrize("kind", ["file", "link", "hard link", "pipe", "folder"])
def test_a_partial_file_of_another_user_is_not_written(kind, shared):
    target, precious = shared / "s.txt", shared / "precious"
    precious.write_bytes(PRECIOUS)
    os.chown(precious, PERSON, PERSON)
    partial = partial_name(target)

    def plant() -> None:
        if kind == "link":
            partial.symlink_to(precious)
        elif kind == "pipe":
            os.mkfifo(partial)
        elif kind == "folder":
            partial.mkdir()
        elif kind == "file":
            partial.write_text("planted")
        if kind != "link":
            partial.chmod(0o777)

    if kind == "hard link":  # where the kernel lets others make them
        os.link(precious, partial)
    else:
        assert as_user(OTHER, plant) == ""

    def write() -> None:
        with publish(target, overwrite=True) as path:
            path.write_text("new")

    error = as_user(PERSON, write)
    assert precious.read_bytes() == PRECIOUS
    if kind == "hard link":
        assert error == ""
        assert target.read_text() == "new"
    else:
        assert error.startswith("OutputError"), error
        assert not target.exists()


@need_two_users
def test_a_link_in_the_place_of_a_store_is_not_followed(shared, right):
    precious, store = shared / "precious.h5", shared / "s.h5"
    assert as_user(PERSON, lambda: make_store(precious, 3)) == ""
    before = precious.read_bytes()
    assert as_user(OTHER, lambda: store.symlink_to(precious)) == ""
    error = as_user(PERSON, lambda: run(store, overwrite=True))
    assert "it is a link" in error
    assert precious.read_bytes() == before


@need_two_users
def test_a_manifest_of_another_user_removes_nothing(shared, right):
    out, store = shared / "out", shared / "s.h5"
    assert as_user(PERSON, lambda: make_store(store, 3)) == ""
    out.mkdir()
    out.chmod(0o777)
    thesis = out / "thesis.tex"
    thesis.write_bytes(PRECIOUS)
    os.chown(thesis, PERSON, PERSON)
    entry = {"bytes": len(PRECIOUS), "sha256": hashlib.sha256(PRECIOUS).hexdigest()}
    identity = ("store_digest", "format", "selection", "samples_sha256", "layout", "command")
    about = dict.fromkeys(identity, "x") | {"files": {"thesis.tex": entry}, "arrays": {}}
    plant = (out / "manifest.json").write_text
    assert as_user(OTHER, lambda: plant(json.dumps(about))) == ""

    def export() -> None:
        with open_store(store) as opened:
            export_store(opened, out, overwrite=True)

    assert "belongs to the user" in as_user(PERSON, export)
    assert thesis.read_bytes() == PRECIOUS


# What a person has put there; no second user is needed.


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_of_ones_own_in_the_partial_folder_stays(restart, tmp_path, right, caplog):
    store = tmp_path / "s.h5"
    begun(store)
    own = partial_folder(store) / "notes.txt"
    own.write_bytes(PRECIOUS)
    inside = partial_folder(store) / "figures" / "store.h5"
    inside.parent.mkdir()
    inside.write_bytes(PRECIOUS)
    run(store, restart=restart)
    assert (activation(store) == right).all()
    assert own.read_bytes() == inside.read_bytes() == PRECIOUS
    assert sorted(path.name for path in own.parent.iterdir()) == ["figures", "notes.txt"]
    assert "which no capture wrote" in caplog.text


@pytest.mark.parametrize("restart", [False, True])
def test_a_partial_folder_that_is_a_link_is_refused(restart, tmp_path):
    store, elsewhere = tmp_path / "s.h5", tmp_path / "elsewhere"
    begun(elsewhere)
    before = {path: path.read_bytes() for path in partial_folder(elsewhere).iterdir()}
    partial_folder(store).symlink_to(partial_folder(elsewhere))
    with pytest.raises(OutputError, match=r"s\.h5\.partial: it is a link"):
        run(store, restart=restart)
    assert {path: path.read_bytes() for path in partial_folder(elsewhere).iterdir()} == before


@pytest.mark.parametrize("name", ["store.h5", "checkpoint", "manifest.json"])
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_within_the_partial_folder_is_not_followed(link, name, tmp_path, right):
    store, precious = tmp_path / "s.h5", tmp_path / "precious"
    begun(store)
    folder = partial_folder(store)
    path = folder / name if name != "checkpoint" else next(folder.glob("checkpoint-*"))
    shutil.move(path, precious)
    before = precious.read_bytes()
    link(precious, path)
    run(store)  # from the beginning
    assert (activation(store) == right).all()
    assert precious.read_bytes() == before


def test_a_checkpoint_cannot_be_named_outside_its_folder(tmp_path):
    store = tmp_path / "s.h5"
    begun(store)
    manifest = partial_folder(store) / "manifest.json"
    content = json.loads(manifest.read_text())
    content["checkpoint"]["file"] = "../precious"
    manifest.write_text(json.dumps(content))
    with pytest.raises(OutputError, match=r"'\.\./precious' is no checkpoint"):
        run(store)


def test_a_partial_folder_that_is_replaced_meanwhile_gets_no_checkpoint(tmp_path):
    store, elsewhere = tmp_path / "s.h5", tmp_path / "elsewhere"
    elsewhere.mkdir()

    class Moving(NumpyProbe):
        def __call__(self, images, others=None):
            if not partial_folder(store).is_symlink():
                partial_folder(store).rename(tmp_path / "moved")
                partial_folder(store).symlink_to(elsewhere)
            return super().__call__(images)

    with pytest.raises(OutputError, match="replaced while it was written"):
        run(store, Moving())
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("content", [PRECIOUS, b"\x89HDF\r\n\x1a\n" + bytes(2_000)])
def test_force_replaces_a_store_and_no_other_file(content, tmp_path, right):
    path = tmp_path / "notes.h5"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"it is not a store, and --force .* nothing else"):
        run(path, overwrite=True)
    assert path.read_bytes() == content
    make_store(tmp_path / "s.h5", 3)
    data = (tmp_path / "s.h5").read_bytes()
    for damaged in (data[: len(data) // 2], b"", data):  # of which nothing else is lost
        path.write_bytes(damaged)
        run(path, overwrite=True)
        assert list(problems(path)) == []
