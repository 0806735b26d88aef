"""Exports: whole, checked, taken up again where they stopped, and never over what is not theirs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.factories import NumpyProbe, count, make_plan, make_samples, make_store, reference
from numpy.testing import assert_array_equal

from fmcore import open_store
from fmcore.capture import capture
from fmcore.cli import main
from fmcore.errors import (
    InputFileError,
    MapsNotStoredError,
    MissingLibraryError,
    OutputError,
    SelectionError,
)
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.export import manifest as manifests
from fmcore.files import publish_folder
from fmcore.selection import Query, parse_query

GOES = [(name, what) for name, form in FORMATS.items() for what in form.takes]


def files_of(folder):
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


@pytest.mark.parametrize(("name", "what"), GOES)
def test_every_file_is_in_the_manifest_with_its_checksum(store, tmp_path, name, what):
    out = tmp_path / "out"
    written = []
    manifest = export_store(
        store, out, Query(what=what), format_name=name, on_progress=written.append
    )
    assert json.loads((out / "manifest.json").read_text("utf-8")) == manifest
    found = files_of(out)
    assert found.keys() == manifest["files"].keys() | {"manifest.json"}
    for file, entry in manifest["files"].items():
        assert hashlib.sha256(found[file]).hexdigest() == entry["sha256"]
        assert len(found[file]) == entry["bytes"]
    assert manifest["store_digest"] == store.digest
    assert manifest["format"] == name
    assert manifest["what"] == what
    assert sum(written) > 0
    assert list(check_folder(out)) == []


def test_maps_and_samples_line_up(store, tmp_path):
    query = {"sample": "30,2,7", "filter": [2, 0], "dtype": "float16"}
    arrays = export_store(store, tmp_path, **query)["arrays"]
    assert export_store(store, str(tmp_path), parse_query(query))["arrays"] == arrays
    rows = [30, 2, 7]
    for name, values in zip(("block_conv_1", "conv2"), reference().activations, strict=True):
        entry = arrays[f"layers/{name}/activation"]
        got = np.load(tmp_path / entry["file"], mmap_mode="r")
        expected = values[rows][..., [2, 0]]
        assert_array_equal(got, expected.astype(np.float16))
        assert entry["n_overflow"] == 0
        error = np.abs(expected.astype(np.float16).astype(np.float32) - expected).max()
        assert entry["largest_error"] == pytest.approx(error)
    for name, expected in (
        ("index", rows),
        ("label", store.labels[rows]),
        ("prediction", store.predictions[rows]),
        ("id", [store.ids[row] for row in rows]),
    ):
        assert_array_equal(np.load(tmp_path / f"samples/{name}.npy"), expected)


def test_the_command_in_the_manifest_makes_the_same_export(store_path, tmp_path):
    first, again = tmp_path / "first one", tmp_path / "again"
    words = ["export", str(store_path), "--out", str(first), "--layer", "block*"]
    words += ["--filter", "0:2,5", "--class", "zwei ②,0", "--sample", "0:30", "--format", "npz"]
    assert main(words) == 0
    command = shlex.split(json.loads((first / "manifest.json").read_text("utf-8"))["command"])
    assert command[:2] == ["fmcore", "export"]
    assert main([str(again) if one == str(first) else one for one in command[1:]]) == 0
    assert files_of(first)["layers/block_conv_1.npz"] == files_of(again)["layers/block_conv_1.npz"]


def test_a_second_run_keeps_what_holds_and_mends_what_does_not(store, tmp_path):
    export_store(store, tmp_path)
    before, kept = files_of(tmp_path), tmp_path / "layers/conv2/activation.npy"
    when = kept.stat().st_mtime_ns
    broken = tmp_path / "layers/block_conv_1/activation.npy"
    broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    (tmp_path / "samples/label.npy").unlink()
    problems = list(check_folder(tmp_path))
    assert len(problems) == 2
    assert any("differs from its checksum" in one for one in problems)
    assert any("missing" in one for one in problems)
    export_store(store, tmp_path)
    assert files_of(tmp_path).keys() == before.keys()
    assert all(files_of(tmp_path)[name] == before[name] for name in before if "json" not in name)
    assert kept.stat().st_mtime_ns == when
    assert list(check_folder(tmp_path)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["npy", "npz", "zarr"])
def test_an_export_that_was_killed_goes_on(store_path, tmp_path, name):
    whole, out = tmp_path / "whole", tmp_path / "out"
    with open_store(store_path) as store:
        expected = export_store(store, whole, format_name=name)
    script = """
import os, signal, sys
from fmcore import files
from fmcore.cli import main
from fmcore.export import folder
folder.RECORD_BYTES = 0
real, left = files._flush, int(sys.argv.pop())
def flush(path):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(path)
files._flush = flush
sys.exit(main(sys.argv[1:]))
"""
    words = ["export", str(store_path), "--out", str(out), "--format", name]
    n_killed = 0
    for left in range(1, 200, count(4, 1)):
        done = subprocess.run([sys.executable, "-c", script, *words, str(left)], check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        n_killed += 1
        assert not (out / "manifest.json").exists() or list(check_folder(out)) == []
    assert n_killed > count(2, 5)
    assert list(check_folder(out)) == []
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["files"] == expected["files"]
    assert files_of(out).keys() == files_of(whole).keys()


def test_a_store_that_is_replaced_meanwhile_gives_the_old_values(tmp_path):
    path = make_store(tmp_path / "s.h5", 37)
    with open_store(path) as store:
        make_store(path, 20, overwrite=True)
        export_store(store, tmp_path / "out")
    assert np.load(tmp_path / "out/layers/conv2/activation.npy").shape[0] == 37
    with open_store(path) as store, pytest.raises(OutputError, match="store_digest"):
        export_store(store, tmp_path / "out")


def test_other_content_is_refused_and_force_takes_only_its_own(store, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        export_store(store, tmp_path)
    assert files_of(tmp_path) == {"notes.txt": b"mine"}
    with pytest.raises(OutputError, match="it is a file"):
        export_store(store, tmp_path / "notes.txt")
    export_store(store, tmp_path, overwrite=True)
    with pytest.raises(OutputError, match=r"another export, with a different selection"):
        export_store(store, tmp_path, Query(layer="conv2"))
    export_store(store, tmp_path, Query(layer="conv2"), overwrite=True)
    assert not (tmp_path / "layers/block_conv_1").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert list(check_folder(tmp_path)) == []


def test_a_manifest_cannot_name_what_lies_outside(store, tmp_path):
    out, secret = tmp_path / "out", tmp_path / "secret"
    secret.write_text("mine")
    export_store(store, out)
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    for name in ("../secret", str(secret), "."):
        manifest["files"] = {name: {"bytes": 4, "sha256": hashlib.sha256(b"mine").hexdigest()}}
        manifest["format"] = "npz"
        (out / "manifest.json").write_text(json.dumps(manifest))
        assert "outside" in next(check_folder(out))
        with pytest.raises(InputFileError, match="outside"):
            export_store(store, out, overwrite=True)
        assert secret.read_text() == "mine"
        (out / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "change",
    [
        "",
        "[]",
        "[" * 100_000,
        {"files": [1]},
        {"arrays": None},
        {"arrays": {"x": "y"}},
        {"files": {"x": {"bytes": "3", "sha256": ""}}},
        {"files": {"x\0": {"bytes": 3, "sha256": ""}}},
    ],
)
def test_what_is_no_manifest_is_said_and_stays_as_it_is(store, tmp_path, change):
    if isinstance(change, str):
        text = change
    else:
        known = json.loads(json.dumps(export_store(store, tmp_path / "other")))
        text = json.dumps(known | change)
    tmp_path /= "out"
    tmp_path.mkdir()
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputFileError, match="is not the manifest of an export"):
        list(check_folder(tmp_path))
    for overwrite in (False, True):
        with pytest.raises(InputFileError, match=r"is not the manifest of .* move that file away"):
            export_store(store, tmp_path, overwrite=overwrite)
    assert files_of(tmp_path) == {"manifest.json": text.encode()}


def test_an_unfinished_export_is_no_whole_one(store, tmp_path):
    manifest = export_store(store, tmp_path)
    manifests.write_manifest(tmp_path, manifest, finished=False)
    assert "not finished" in next(check_folder(tmp_path))
    with pytest.raises(InputFileError, match=r"no manifest\.json"):
        list(check_folder(tmp_path / "layers"))


def test_nothing_is_written_where_nothing_can_be(store, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for query, form, error, why in (
        (Query(layer="conv9"), "npy", SelectionError, r"'conv9' matches no layer .* mean conv2"),
        (Query(), "parquet", SelectionError, r"holds pooled and statistics, not maps"),
        (Query(), "nyp", SelectionError, r"no format 'nyp'; .* did you mean npz, npy"),
        (Query(what="pooled", statistic="meen"), "npy", SelectionError, r"did you mean mean"),
        (Query(what="statistics", statistic="acu"), "csv", SelectionError, r"did you mean auc"),
    ):
        with pytest.raises(error, match=why):
            export_store(store, out, query, format_name=form)
    for form, module in (("zarr", "zarr"), ("parquet", "pyarrow")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingLibraryError, match=rf"feature-map-dashboard\[{form}\]"):
            export_store(store, out, Query(what="pooled"), format_name=form)
    assert not out.exists()


def test_layers_without_maps_are_left_out_and_named(tmp_path):
    path = make_store(tmp_path / "s.h5", policy="conv2=pooled")
    with open_store(path) as store:
        manifest = export_store(store, tmp_path / "out")
        assert manifest["skipped"] == {"conv2": "captured with policy pooled: no maps"}
        assert "layers/conv2/activation.npy" not in manifest["files"]
        with pytest.raises(MapsNotStoredError, match="choose what=pooled"):
            export_store(store, tmp_path / "none", Query(layer="conv2"))


def test_values_beyond_float16_are_counted_and_said(tmp_path, capsys):
    class Loud(NumpyProbe):
        def __call__(self, images, others=None):
            captured = super().__call__(images)
            captured.activations[1][:3, 0, 0, 0] = 70_000.0
            return captured

    samples = make_samples(37)
    path = capture(Loud(), samples, tmp_path / "loud.h5", make_plan(37))
    out = tmp_path / "out"
    assert main(["export", str(path), "--out", str(out), "--dtype", "float16"]) == 0
    said = capsys.readouterr().out
    assert "conv2/activation: 12 values beyond the range of float16 became infinite" in said
    for form, what in (("csv", "maps"), ("parquet", "pooled")):
        words = ["--out", str(tmp_path / form), "--format", form, "--what", what]
        assert main(["export", str(path), *words, "--dtype", "float16"]) == 0
        assert "values beyond the range of float16 became infinite" in capsys.readouterr().out


def test_a_dry_run_says_all_and_writes_nothing(store_path, tmp_path, capsys):
    assert main(["export", str(store_path), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "layers/conv2/activation.npy: 7.1 kB (activation 37x4x4x3 float32)" in said
    n_arrays = said.count(".npy: ")
    assert re.search(rf"{n_arrays} files, about 2\d\d\.\d kB", said)
    assert said.endswith("nothing was written\n")
    assert not (tmp_path / "out").exists()


def test_check_says_it_on_the_command_line(store_path, tmp_path, capsys):
    assert main(["export", str(store_path), "--out", str(tmp_path / "out")]) == 0
    assert main(["export", "--check", str(tmp_path / "out")]) == 0
    assert "every file matches" in capsys.readouterr().out
    (tmp_path / "out/samples/id.npy").write_bytes(b"")
    assert main(["export", "--check", str(tmp_path / "out")]) == 1
    assert "id.npy differs" in capsys.readouterr().out
    assert main(["export", "--check"]) == 1
    assert "expected the folder to check" in capsys.readouterr().err
    assert main(["export", "--out", str(tmp_path / "out")]) == 1
    assert "expected a store and a folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["layers", "samples/label.npy", "manifest.json"])
def test_a_link_in_the_folder_is_not_written_through(store, tmp_path, name):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / name).parent.mkdir(parents=True)
    if name == "layers":
        elsewhere.mkdir()
    else:
        elsewhere.write_text("mine")
    (out / name).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="link"):
        export_store(store, out, overwrite=True)
    assert list(elsewhere.iterdir()) == [] if name == "layers" else elsewhere.read_text() == "mine"


def test_force_removes_only_what_an_export_wrote(store, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    entry = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    about = export_store(store, tmp_path, Query(layer="conv*"), overwrite=True)
    about["files"] |= {"thesis.tex": entry | {"bytes": 2}}
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    export_store(store, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "x"
    changed = tmp_path / "layers/conv2/activation.npy"
    changed.write_bytes(b"mine now")
    export_store(store, tmp_path, Query(layer="block*"), overwrite=True)
    assert changed.read_bytes() == b"mine now"
    assert list(check_folder(tmp_path)) == []


def test_a_folder_that_others_still_write_to_is_removed_all_the_same(tmp_path):
    def write(folder) -> None:
        for index in range(100):
            (folder / f"{index % 7}").mkdir(parents=True, exist_ok=True)
            time.sleep(0.001)

    def interrupted() -> None:
        with publish_folder(tmp_path / "a" / "x.zarr") as folder:
            threading.Thread(target=write, args=(folder,)).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "a").iterdir()) == []


def test_what_a_stopped_export_left_is_taken_over(store, tmp_path):
    (tmp_path / "layers/.conv1.fmcore-partial.zarr/activation").mkdir(parents=True)
    (tmp_path / "layers/.conv1.fmcore-partial.zarr/activation/zarr.json").write_text("{}")
    export_store(store, tmp_path)
    assert list(check_folder(tmp_path)) == []


def test_two_exports_into_one_folder_do_not_mix(store, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        begun.set()
        go_on.wait(10)

    first = threading.Thread(
        target=export_store, args=(store, tmp_path), kwargs={"on_progress": wait}
    )
    first.start()
    assert begun.wait(10)
    with pytest.raises(OutputError, match="another process is writing"):
        export_store(store, tmp_path)
    go_on.set()
    first.join()
    assert list(check_folder(tmp_path)) == []
