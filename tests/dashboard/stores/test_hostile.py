"""What somebody may put into a folder of stores: listed or left out, no store beside is harmed."""

from __future__ import annotations

import logging
import os
import shutil
import time

import httpx
import numpy as np
import pytest
from helpers.hostile import (
    HOSTILE,
    ODD,
    damage,
    make_hostile,
    make_odd_folder,
    remove_odd_folder,
    unsealed,
)
from helpers.servers import running
from helpers.sharded import copy_store
from plotly.io.json import to_json_plotly

from dashboard import create_app
from dashboard.figures.theme import LIGHT
from dashboard.pages import PAGES
from dashboard.pages.page import Page
from dashboard.pages.state import parse_query
from dashboard.stores import discovery, looks, source
from dashboard.stores.discovery import DEEPEST, find_stores
from dashboard.stores.file_keys import key_of
from dashboard.stores.looks import Looks
from dashboard.stores.source import NOT_YET, STORE_HERE, Source, StoreNotOpenedError
from fmcore.apart import Apart
from fmcore.errors import FmcoreError
from fmcore.storage import FileBytes

CRASH = "helpers.hostile:crash"


@pytest.fixture
def shelf(tmp_path, store_path):
    """A folder with a good store."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    copy_store(store_path, folder / "good.h5")
    return folder


def test_a_file_that_ends_hdf5_is_listed_as_damaged_and_looked_at_once(shelf, monkeypatch, caplog):
    monkeypatch.setattr(looks, "LOOK", CRASH)
    calls, call = [], Apart.call
    monkeypatch.setattr(Apart, "call", lambda *words: calls.append(words) or call(*words))
    stores = Source(shelf)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            (line,) = stores.summaries()
            assert line.problem.startswith("good.h5 is a damaged or incomplete store: HDF5 itself")
            with pytest.raises(StoreNotOpenedError, match="SIGSEGV"):
                stores.snapshot("good")
    assert len(calls) == 1
    assert str(shelf / "good.h5") in caplog.text  # where it lies, for whoever runs the server
    (shelf / "good.h5").write_bytes((shelf / "good.h5").read_bytes())  # another file by its times
    assert stores.summaries()[0].problem
    assert len(calls) == 2


def test_workers_share_what_looks_came_to(shelf):
    shared = Looks()
    with (shelf / "good.h5").open("rb") as file:
        opened = FileBytes(shelf / "good.h5", descriptor=file.fileno())
        key = key_of(os.fstat(file.fileno()))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                shared.look(opened, "good.h5")
                shared._apart.stop()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        summary = shared.kept("good.h5", key)
        assert summary is not None
        assert summary.model == "tiny"
        assert shared._apart._helper is None  # nobody looked here


def test_what_is_shared_begins_anew_when_it_is_long(shelf, monkeypatch):
    monkeypatch.setattr(looks, "MOST_SHARED_BYTES", 100)
    stores = Source(shelf)
    for _ in range(4):
        (shelf / "good.h5").touch()
        assert not stores.summaries()[0].problem
    assert os.fstat(stores._looks._shared.fileno()).st_size < 3000


def test_a_catalogue_of_many_new_files_does_not_wait_for_all_of_them(shelf, monkeypatch):
    monkeypatch.setattr(source, "LOOK_SECONDS", -1.0)
    stores = Source(shelf)
    assert [line.problem for line in stores.summaries()] == [NOT_YET]
    monkeypatch.setattr(source, "LOOK_SECONDS", 30.0)
    assert [line.problem for line in stores.summaries()] == [""]


def test_a_store_that_becomes_a_link_out_is_refused_at_once(shelf, tmp_path, store_path):
    outside = tmp_path / "secret.h5"
    copy_store(store_path, outside)
    below = shelf / "below"
    below.mkdir()
    copy_store(store_path, below / "s.h5")
    stores = Source(shelf)
    stores.snapshot("good")
    stores.snapshot("below:s")
    stores._scanned = time.monotonic() + 3600  # no scan helps
    (shelf / "good.h5").unlink()
    (shelf / "good.h5").symlink_to(outside)
    shutil.rmtree(below)
    (tmp_path / "elsewhere").mkdir()
    copy_store(store_path, tmp_path / "elsewhere" / "s.h5")
    below.symlink_to(tmp_path / "elsewhere")  # the folder on the way
    for name in ("good", "below:s"):
        assert stores.current(name) is None
        with pytest.raises(StoreNotOpenedError, match="leads out of the folder of stores"):
            stores.snapshot(name)
    assert all("leads out" in line.problem for line in stores.summaries())


@pytest.mark.parametrize("seed", range(2 * len(ODD)))
def test_odd_entries_of_a_folder_harm_no_store_beside_them(tmp_path, store_path, seed):
    folder = tmp_path / "odd"
    try:
        make_odd_folder(folder, store_path, seed)
        with running(create_app(Source(folder))) as url, httpx.Client(base_url=url) as client:
            lines = {line["name"]: line for line in client.get("/api/v1/stores").json()}
            assert not lines.pop("good")["problem"]
            assert all(line["problem"] for line in lines.values())
            assert client.get("/openapi.json").status_code == 200
            assert client.get("/_dash-layout").status_code == 200
            for name in lines:
                answer = client.get(f"/api/v1/stores/{name.replace('%', '%25')}")
                assert answer.status_code in (404, 409), answer.text
                assert str(tmp_path) not in answer.text
            maps = client.get("/api/v1/stores/good/maps?layer=conv2&sample=3")
            assert maps.status_code == 200
    finally:
        remove_odd_folder(folder)


def test_what_lies_too_deep_or_comes_too_late_is_left_out(tmp_path, store_path, monkeypatch):
    folder = tmp_path
    for depth in range(1, DEEPEST + 3):
        folder = folder / "f"
        folder.mkdir()
        os.link(store_path, folder / f"s{depth}.h5")
    names = [name.rpartition(":")[2] for name in find_stores([tmp_path])]
    assert sorted(names) == sorted(f"s{depth}" for depth in range(1, DEEPEST))
    monkeypatch.setattr(discovery, "MOST_ENTRIES", 5)
    assert len(find_stores([tmp_path])) < 5


def test_names_that_are_too_long_for_an_address_are_listed_with_that(tmp_path):
    folder = tmp_path / ("a" * 200) / ("b" * 200) / ("ü" * 100)
    folder.mkdir(parents=True)
    (folder / "s.h5").write_bytes(b"")
    ((name, entry),) = find_stores([tmp_path]).items()
    assert len(name) <= 500
    assert "longer than 500 bytes" in entry.problem


def test_the_api_describes_itself_without_a_store_that_can_be_opened(tmp_path):
    for content in (None, b"no store"):
        if content is not None:
            (tmp_path / "a.h5").write_bytes(content)
        with running(create_app(Source(tmp_path))) as url, httpx.Client(base_url=url) as client:
            described = client.get("/openapi.json")
            assert described.status_code == 200
            assert "/api/v1/stores/{store}/maps" in described.json()["paths"]
            assert client.get("/docs").status_code == 200


def test_a_refused_store_is_the_fault_of_who_put_it_there_and_says_no_path(shelf, store_path):
    (shelf / "a.h5").write_bytes(store_path.read_bytes()[:5000])
    with running(create_app(Source(shelf))) as url, httpx.Client(base_url=url) as client:
        for address in ("", "/layers", "/maps?layer=conv2", "/images/0.png"):
            answer = client.get(f"/api/v1/stores/a{address}")
            assert answer.status_code == 409
            assert "a.h5 is a damaged" in answer.json()["detail"]
            assert str(shelf) not in answer.text
        assert str(shelf) not in client.get("/api/v1/stores").text
        assert str(shelf) not in client.get("/stores/a/_dash-layout").text


@pytest.mark.slow
def test_pages_of_hostile_stores_draw_or_say_why_not(tmp_path, store_path):
    seeds = range(3 * len(HOSTILE))
    for seed in seeds:
        make_hostile(tmp_path / f"h{seed}.h5", store_path, seed)
    stores = Source(tmp_path)
    lines = stores.summaries()
    assert len(lines) == len(seeds)
    n_opened = 0
    for line in lines:
        if line.problem:
            continue
        n_opened += 1
        token = STORE_HERE.set(line.name)
        try:
            snapshot = stores.snapshot()
            for page in (page for page in PAGES if isinstance(page, Page)):
                state = parse_query("?sample=3&filter=1&class=1&against=2", snapshot.catalog)[0]
                for panel in page.panels:
                    try:
                        subject, of_subject = page.subject(stores, snapshot, state)
                        also = dict.fromkeys(panel.also)
                        with np.errstate(all="ignore"):
                            to_json_plotly(panel.draw(subject, of_subject, LIGHT, **also))
                    except FmcoreError:
                        continue  # which the page shows
        finally:
            STORE_HERE.reset(token)
    assert n_opened >= 3


def test_a_server_is_not_ended_by_what_ends_hdf5(tmp_path, store_path):
    for seed in range(1, 61, 3):
        path = tmp_path / f"d{seed}.h5"
        copy_store(store_path, path)
        unsealed(path)
        rng = np.random.default_rng(seed)
        damage(path, rng, int(rng.integers(1, 9)))
    lines = Source(tmp_path).summaries()
    assert len(lines) == 20


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    (line,) = Source(tmp_path).summaries()
    assert "a pipe" in line.problem
    with pytest.raises(StoreNotOpenedError, match="is no file"):
        Source(tmp_path / "pipe.h5").snapshot()
