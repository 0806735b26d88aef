"""Several stores at one address: found, added, replaced, removed, broken; and never mixed."""

from __future__ import annotations

import itertools
import os
import threading
import time
from urllib.parse import unquote

import httpx
import numpy as np
import pytest
from helpers.factories import make_store
from helpers.servers import SHOW_PAGE, running
from helpers.sharded import bytes_of, copy_store

from dashboard import create_app
from dashboard.stores.cache import ByteCache, size_of
from dashboard.stores.discovery import Entry, find_stores
from dashboard.stores.source import MOST_OPEN, SCAN_SECONDS, Source, StoreNotFoundError
from fmcore import open_store


@pytest.fixture
def folder(tmp_path, store_path):
    """Two stores in subfolders, a damaged one, and what is none of the server's business."""
    shelf = tmp_path / "shelf"
    for name in ("a/one.h5", "b c/zwei ü.h5"):
        path = shelf / name
        path.parent.mkdir(parents=True)
        copy_store(store_path, path)
    (shelf / "damaged.h5").write_bytes(store_path.read_bytes()[:5000])
    (shelf / "one.h5.partial").mkdir()
    (shelf / "one.h5.partial" / "store.h5").write_bytes(b"")
    (shelf / ".hidden.h5").write_bytes(b"")
    (shelf / "notes.txt").write_text("x")
    outside = tmp_path / "secret.h5"
    copy_store(store_path, outside)
    (shelf / "out.h5").symlink_to(outside)
    (shelf / "up").symlink_to(tmp_path)
    (shelf / "loop").symlink_to(shelf)
    (shelf / "again.h5").symlink_to(shelf / "a" / "one.h5")
    return shelf


def test_stores_are_found_in_folders_and_nothing_outside_them_is(folder, tmp_path):
    assert list(find_stores([folder])) == ["a:one", "again", "b c:zwei ü", "damaged"]
    both = find_stores([folder / "a", folder / "a" / "one.h5", folder / "a"])
    assert list(both) == ["one", "one~2", "one~3"]
    nowhere = tmp_path / "nowhere"
    assert find_stores([nowhere]) == {"nowhere": Entry(nowhere, "nowhere")}


def test_a_link_that_is_not_followed_is_in_the_log_once(folder, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("dashboard.stores.source.SCAN_SECONDS", 0.0)
    stores = Source(folder)
    for _ in range(3):
        assert "out" not in stores.names
    lines = [record.getMessage() for record in caplog.records if "is a link" in record.msg]
    inside = folder.resolve()
    assert sorted(lines) == [
        f"{folder}/loop is a link that leads to a folder, to {inside}; it is left out",
        f"{folder}/out.h5 is a link that leads out of the folder of stores, to "
        f"{tmp_path.resolve()}/secret.h5; it is left out",
        f"{folder}/up is a link that leads out of the folder of stores, to {tmp_path.resolve()}; "
        "it is left out",
    ]
    (folder / "out.h5").unlink()
    (folder / "out.h5").symlink_to("/etc/hostname")
    assert "out" not in stores.names
    assert "/etc/hostname" in caplog.records[-1].getMessage()


def test_the_catalogue_says_what_each_store_is_and_why_one_is_broken(folder, store_path):
    lines = {one.name: one for one in Source(folder).summaries()}
    with open_store(store_path) as store:
        about = store.about()
        dead = sum((layer.filter_range()[1] <= 0).sum() for layer in store.layers.values())
        line = lines["a:one"]
        assert (line.model, line.dataset) == (about["model"]["name"], about["dataset"]["source"])
        assert line.test_accuracy == about["model"]["test_accuracy"]
        assert (line.n_samples, line.n_layers) == (store.n_samples, len(store.layers))
        assert (line.n_dead, line.digest) == (dead, store.digest)
        assert line.n_filters == sum(layer.n_filters for layer in store.layers.values())
    assert line.n_bytes == bytes_of(store_path)
    assert "damaged.h5" in lines["damaged"].problem
    assert str(folder) not in lines["damaged"].problem
    assert not line.problem


def test_pages_and_api_of_each_store_lie_below_its_name(folder):
    app = create_app(Source(folder))
    with running(app) as url, httpx.Client(base_url=url, follow_redirects=True) as client:
        assert "/stores/" not in client.get("/").text
        assert "a:one" in client.get("/_dash-layout").text
        for name in ("a:one", "b%20c:zwei%20%C3%BC"):
            page = client.get(f"/stores/{name}?layer=conv1")
            assert unquote(page.url.raw_path.decode()) == f"/stores/{unquote(name)}/?layer=conv1"
            config = page.text.split('id="_dash-config"')[1][:200]
            assert f"stores/{unquote(name)}/" in unquote(config)
            assert 'src="/assets/' in page.text
            assert "@here@" not in page.text
            body = {**SHOW_PAGE, "inputs": [dict(one) for one in SHOW_PAGE["inputs"]]}
            body["inputs"][0]["value"] = f"/stores/{name}/classes"
            shown = client.post(f"/stores/{name}/_dash-update-component", json=body)
            assert shown.status_code == 200
            assert "There is no page" not in shown.text
            listed = client.get(f"/stores/{name}/api/v1/stores/{name}")
            assert listed.json()["digest"] == client.get(f"/api/v1/stores/{name}").json()["digest"]
        for wrong in ("nothing", "..", "%2e%2e", "%2fetc%2fpasswd", "out", "up:secret", ".hidden"):
            for path in (f"/stores/{wrong}/maps", f"/api/v1/stores/{wrong}"):
                status = client.get(path).status_code
                assert status == 404 or (wrong in ("..", "%2e%2e") and status in (200, 404)), path
        assert client.get("/stores/damaged/_dash-layout").status_code == 400
        assert {one["name"] for one in client.get("/api/v1/stores").json()} == {
            "a:one",
            "again",
            "b c:zwei ü",
            "damaged",
        }


def test_a_prefix_of_a_proxy_is_in_every_address(folder):
    app = create_app(Source(folder), prefix="/team/maps")
    with running(app) as url, httpx.Client(base_url=url) as client:
        for sent in ("/team/maps/stores/a:one/", "/stores/a:one/"):  # stripped by the proxy or not
            page = client.get(sent).text
            assert 'src="/team/maps/assets/' in page
            assert '"/team/maps/stores/a%3Aone/"' in page
        moved = client.get("/team/maps/stores/a:one")
        assert unquote(moved.headers["location"]).endswith("/team/maps/stores/a:one/")
        assert client.get("/team/maps/api/v1/stores/a:one").status_code == 200
        assert client.get("/team/maps/_dash-layout").status_code == 200


@pytest.mark.slow
def test_stores_come_go_and_are_replaced_while_it_runs(folder):
    source = Source(folder)
    assert source.snapshot("a:one").digest == source.snapshot("again").digest
    make_store(folder / "new.h5", 5)
    (folder / "damaged.h5").unlink()
    (folder / "again.h5").unlink()
    time.sleep(SCAN_SECONDS)
    assert source.snapshot("new").catalog.n_samples == 5
    assert source.names == ("a:one", "b c:zwei ü", "new")
    with pytest.raises(StoreNotFoundError, match="no store 'again'"):
        source.snapshot("again")
    before = source.snapshot("new")
    make_store(folder / "new.h5", 7, overwrite=True)
    assert source.snapshot("new").catalog.n_samples == 7
    assert before.labels.shape == (5,)
    assert before.sample(4).index == 4  # who has it open reads on in the old file


@pytest.mark.slow
def test_no_more_stores_are_open_than_agreed(tmp_path, store_path):
    for n in range(MOST_OPEN + 4):
        os.link(store_path, tmp_path / f"s{n}.h5")
    source = Source(tmp_path)
    for name in (*source.names, *source.names):
        assert source.snapshot(name).name == name
    assert sum(source.current(name) is not None for name in source.names) == MOST_OPEN


def test_what_is_kept_stays_within_its_bound():
    cache = ByteCache(100_000)
    for n in range(50):
        assert cache.get(n, lambda n=n: np.full(1000, n, np.float64))[0] == n
        assert cache.n_bytes <= 100_000
    made = []
    assert cache.get("large", lambda: made.append(1) or np.zeros(10**6)).size == 10**6
    assert cache.get("large", lambda: made.append(1) or np.zeros(10**6)).size == 10**6
    assert len(made) == 2  # too large to keep
    assert size_of({"a": [np.zeros(1000)], "b": (1, 2)}) > 8000


@pytest.mark.slow
def test_an_answer_is_of_one_store_while_it_is_replaced_again_and_again(tmp_path):
    path, sizes = tmp_path / "s.h5", (5, 9)
    known = {}
    for n in sizes:
        make_store(path, n, overwrite=True)
        with open_store(path) as store:
            known[store.digest] = n
    copies = {n: (tmp_path / f"copy{n}").resolve() for n in sizes}
    for n, copy in copies.items():
        make_store(path, n, overwrite=True)
        copy.write_bytes(path.read_bytes())
        with open_store(path) as store:
            known[store.digest] = n
    ended, seen = threading.Event(), []

    def replace():
        for n in itertools.cycle(sizes):
            fresh = tmp_path / "fresh"
            fresh.write_bytes(copies[n].read_bytes())
            fresh.replace(path)
            if ended.wait(
                1
            ):  # a first look at a file takes 0.1 s, ten times that on a busy machine
                return

    with running(create_app(Source(tmp_path))) as url, httpx.Client(base_url=url) as client:
        worker = threading.Thread(target=replace)
        worker.start()
        while len(seen) < 20 or len(set(seen)) < 2:
            answer = client.get("/api/v1/stores/s/pooled?layer=conv2&statistic=max")
            assert answer.status_code == 200, answer.text
            digest, rows = (
                answer.headers["x-store-digest"],
                int(answer.headers["x-shape"].split(",")[0]),
            )
            assert known[digest] == rows
            assert len(answer.content) % rows == 0
            body = {**SHOW_PAGE}
            page = client.post("/stores/s/_dash-update-component", json=body)
            assert page.status_code == 200
            assert page.headers["x-store-digest"] in known
            seen.append(digest)
        ended.set()
        worker.join()
