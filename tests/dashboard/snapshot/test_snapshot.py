"""Snapshots as files: what is in them, how large they may be, and what they replace."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest
from helpers.factories import (
    CLASS_NAMES,
    make_encoded_store,
    make_store,
    make_target_store,
)

from dashboard.cli import main
from dashboard.cli import snapshot as verb
from dashboard.snapshot import MAX_SIZE, PAGES, choose, write_folder, write_snapshot
from dashboard.snapshot.bundle import BundleError, bundled
from dashboard.stores.cache import ByteCache
from dashboard.stores.snapshot import Snapshot
from fmcore import open_store
from fmcore.errors import OutputError, SelectionError
from fmcore.records import Target
from fmcore.selection import Query

FIRST, SECOND = "block/conv 1", "conv2"
STORES = {
    "full": make_store,
    "basic": lambda path: make_store(path, statistics="basic"),
    "pooled": lambda path: make_store(path, policy="*=pooled"),
    "float16": lambda path: make_store(path, policy="*=float16"),
    "encoded without labels": lambda path: make_encoded_store(path, labelled=False),
    "labels": lambda path: make_target_store(path, Target.LABELS),
    "number": lambda path: make_target_store(path, Target.NUMBER),
}


class Elements(HTMLParser):
    """The elements of a page with their attributes and texts, as a browser's parser finds them."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.all: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        self.all.append((f"/{tag}", {}, []))

    def handle_data(self, data):
        if self.all:
            self.all[-1][2].append(data)

    def texts(self, tag):
        return [(attrs, "".join(parts)) for name, attrs, parts in self.all if name == tag]


def blocks_of(path):
    """The data of a snapshot, bytes by name."""
    scripts = Elements(path.read_text("utf-8")).texts("script")
    return {
        attrs["id"].removeprefix("data-"): base64.b64decode(text)
        for attrs, text in scripts
        if attrs.get("type") == "text/plain"
    }


def about_of(path):
    return json.loads(zlib.decompress(blocks_of(path)["about"]))


def activation(path, layer):
    with h5py.File(path, locking=False) as file:
        groups = file["layers"].values()
        return next(
            group["activation"][...]
            for group in groups
            if group.attrs["layer_path"] == layer.encode()
        )


def run(*words):
    return main(["snapshot", *map(str, words)])


def test_maps_are_the_stored_float32_of_what_was_chosen(store_path, tmp_path, capsys):
    out = tmp_path / "page.html"
    words = ("--page", "maps", "--layer", FIRST, "--filter", "7,2:4", "--sample", "5,3,5,9")
    assert run(store_path, "--out", out, *words) == 0
    assert "3 of 37 samples: those of “5,3,5,9”." in capsys.readouterr().out
    blocks, stored = blocks_of(out), activation(store_path, FIRST)
    names = [name for name in blocks if name.startswith("maps-")]
    assert names == ["maps-0-5", "maps-0-3", "maps-0-9"]
    for name in names:
        values = np.frombuffer(zlib.decompress(blocks[name]), "<f4").reshape(9, 8, 3)
        expected = stored[int(name.rpartition("-")[2])][..., [2, 3, 7]]
        np.testing.assert_array_equal(values, expected)
    assert [layer["path"] for layer in about_of(out)["layers"]] == [FIRST]


@pytest.mark.parametrize("kind", STORES)
def test_every_kind_of_store_has_a_snapshot(kind, tmp_path):
    path, out = STORES[kind](tmp_path / "store.h5"), tmp_path / "page.html"
    with open_store(path) as store:
        write_snapshot(store, out, filter="0:2", sample="0:3")
    blocks = blocks_of(out)
    about = json.loads(zlib.decompress(blocks["about"]))
    has_maps = [not layer["facts"]["message"] for layer in about["layers"]]
    assert has_maps == [kind != "pooled"] * len(has_maps)
    for at, layer in enumerate(about["layers"]):
        assert {f"filter-{at}-{index}" for index in layer["filters"]} <= blocks.keys()
        n_classes = len(json.loads(zlib.decompress(blocks[f"numbers-{at}-0"]))) - 1
        assert n_classes == len(about["classes"])
        for place in range(len(about["statistics"])):
            assert json.loads(zlib.decompress(blocks[f"classes-{at}-{place}"]))["figures"]


def test_samples_are_taken_from_each_class_alike_and_that_is_said(tmp_path):
    path = make_store(tmp_path / "store.h5", n=900, batch_size=300, statistics="basic")
    with open_store(path) as store:
        snapshot = Snapshot(store, "store", ByteCache())
        choice = choose(snapshot, Query())
        labels, samples = store.labels, choice.samples
        assert choice.words == (
            "200 of 900 samples: 66 to 67 of each class that has any, at even distances by index; "
            "none was picked for what it shows."
        )
        assert choose(snapshot, Query(sample="all")).words == "All 900 samples."
        assert choose(snapshot, Query(sample=f"@{_list(tmp_path)}")).words == (
            "2 of 900 samples: those that a file lists."
        )
    assert len(np.unique(samples)) == 200
    assert sorted(np.bincount(labels[samples], minlength=4)) == [0, 66, 67, 67]
    for label in range(3):
        places = np.flatnonzero(np.isin(np.flatnonzero(labels == label), samples))
        assert np.ptp(np.diff(places)) <= 1


def _list(folder):
    path = folder / "wanted.txt"
    path.write_text("4\n8\n")
    return path


def test_scripts_and_styles_are_those_that_the_policy_names(store_path, tmp_path):
    for pages in (["maps"], [*PAGES]):
        out = tmp_path / f"{pages[0]}{len(pages)}.html"
        with open_store(store_path) as store:
            write_snapshot(store, out, pages=pages)
        elements = Elements(out.read_text("utf-8"))
        policy = next(
            attrs["content"] for attrs, _ in elements.texts("meta") if "http-equiv" in attrs
        )
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        allowed = set(re.findall(r"'sha256-([^']+)'", policy))
        run_texts = [text for attrs, text in elements.texts("script") if "id" not in attrs]
        assert len(run_texts) == 1
        data = blocks_of(out)
        assert ("plotly" in data) == (pages != ["maps"])
        library = [zlib.decompress(data["plotly"]).decode()] if "plotly" in data else []
        texts = [*run_texts, *library, *(text for _, text in elements.texts("style"))]
        digests = {
            base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts
        }
        empty = base64.b64encode(hashlib.sha256(b"").digest()).decode()
        assert digests == allowed - {empty}
        assert not [attrs for tag, attrs, _ in elements.all if {"src", "href"} & attrs.keys()]


def test_what_would_be_too_large_is_refused_before_it_is_written(store_path, tmp_path, capsys):
    out = tmp_path / "page.html"
    with open_store(store_path) as store:
        sizes = []
        write_snapshot(
            store, out, filter="::3", on_estimate=lambda estimate: sizes.append(estimate.n_bytes)
        )
        assert abs(sizes[0] / out.stat().st_size - 1) < 0.05
    out.unlink()
    assert run(store_path, "--out", out, "--max-size", "1MB") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "more than 1,000.0 kB; nothing was written" in message or "more than 1.0 MB" in message
    for way in ("--sample", "--layer", "--filter", "--page", "--max-size"):
        assert way in message
    assert [*tmp_path.iterdir()] == []


def test_what_is_wrong_is_said_in_a_line(store_path, tmp_path, capsys):
    out = tmp_path / "page.html"
    for words, expected in (
        (("--sample", "label=nine"), "nine"),
        (("--all", "--page", "maps"), "--all writes every page"),
    ):
        assert run(store_path, "--out", out, *words) == 1
        message = capsys.readouterr().err
        assert expected in message
        assert message.count("\n") == 1
    with open_store(store_path) as store:
        for wrong in ({"layer": "conv9"}, {"filter": "99"}, {"sample": "not all"}):
            with pytest.raises(SelectionError):
                write_snapshot(store, out, **wrong)
    assert [*tmp_path.iterdir()] == []


def test_only_a_snapshot_is_replaced(store, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("<!doctype html>my own")
    for overwrite, message in ((False, "exists"), (True, "not a snapshot")):
        with pytest.raises(OutputError, match=message):
            write_snapshot(store, out, pages=["maps"], overwrite=overwrite)
    assert out.read_text() == "<!doctype html>my own"
    out.unlink()
    write_snapshot(store, out, pages=["maps"], sample="0")
    with pytest.raises(OutputError, match="exists"):
        write_snapshot(store, out, pages=["maps"])
    write_snapshot(store, out, pages=["classes"], filter="0", overwrite=True)
    assert about_of(out)["here"] == ["classes"]


def test_a_folder_is_replaced_where_it_holds_nothing_else(store, store_path, tmp_path):
    out, few = tmp_path / "site", {"filter": "0", "sample": "0"}
    assert run(store_path, "--out", out, "--all", "--filter", "0", "--sample", "0") == 0
    files = {"index.html", *(f"{name}.html" for name in PAGES)}
    assert {path.name for path in out.iterdir()} == files
    assert [about_of(out / f"{name}.html")["here"] for name in PAGES] == [[name] for name in PAGES]
    assert [page["file"] for page in about_of(out / "index.html")["pages"]] == [
        f"{name}.html" for name in PAGES
    ]
    with pytest.raises(OutputError, match="not empty"):
        write_folder(store, out, **few)
    write_folder(store, out, overwrite=True, **few)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds notes\.txt"):
        write_folder(store, out, overwrite=True, **few)
    assert (out / "notes.txt").read_text() == "mine"
    with pytest.raises(OutputError, match="more than"):
        write_folder(store, tmp_path / "small", max_size=1_000, **few)
    assert {path.name for path in tmp_path.iterdir()} == {"site"}


def test_the_command_has_the_pages_and_the_bound_of_what_it_calls():
    assert (tuple(PAGES), MAX_SIZE) == (verb.PAGES, verb.MAX_SIZE)


def test_names_of_a_store_are_nowhere_in_the_text_of_a_page(store_path, tmp_path):
    out = tmp_path / "page.html"
    with open_store(store_path) as store:
        write_snapshot(store, out, filter="0")
    text = out.read_text("utf-8")
    assert CLASS_NAMES[3] not in text
    assert CLASS_NAMES[3] in about_of(out)["classes"]


@pytest.mark.parametrize(
    "text",
    [
        'import * as all from "./other.js";\n',
        "export default 3;\n",
        'export { one } from "./other.js";\n',
        'const other = () => import("./other.js");\n',
        'import { two } from "./other.js";\n',
    ],
)
def test_a_module_that_cannot_be_joined_is_refused(text, tmp_path):
    (tmp_path / "one.js").write_text(text)
    (tmp_path / "other.js").write_text('import { one } from "./one.js";\nexport const two = one;\n')
    with pytest.raises(BundleError):
        bundled(tmp_path / "one.js")
