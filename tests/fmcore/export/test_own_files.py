"""`--force` replaces what was written by the same command, and no file of a person's own."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.ablations import make_ablation
from helpers.factories import make_store
from helpers.sharded import copy_store

from fmcore.cli import main
from fmcore.errors import OutputError
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.export.manifest import CLAIMS, UNFINISHED
from fmcore.files import publish_folder, refuse_existing
from fmcore.model.training_record import HISTORY_KIND, MODEL_KIND
from fmcore.storage import open_store

PRECIOUS = b"what a person wrote"


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("own") / "s.h5", 12)


@pytest.fixture
def store(store_path):
    with open_store(store_path) as opened:
        yield opened


def what(name: str) -> str:
    return "pooled" if name in ("csv", "json", "parquet") else "maps"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_has_the_name_of_a_part_is_refused_and_nothing_is_written(
    name, store, tmp_path
):
    export_store(store, tmp_path / "other", format_name=name, what=what(name))
    parts = sorted(path for path in contents(tmp_path / "other") if path != "manifest.json")
    for part in (parts[0], parts[-1]):
        out = tmp_path / "out"
        (out / part).parent.mkdir(parents=True)
        (out / part).write_bytes(PRECIOUS)
        with pytest.raises(OutputError, match="is not as an export wrote it"):
            export_store(store, out, format_name=name, what=what(name), overwrite=True)
        assert contents(out) == {part: PRECIOUS}
        shutil.rmtree(out)


@pytest.mark.parametrize("change", ["another selection", "the same export, damaged"])
def test_a_file_of_ones_own_in_a_zarr_folder_stays(change, store, tmp_path):
    export_store(store, tmp_path, format_name="zarr")
    folder = next(tmp_path.glob("layers/*.zarr"))
    own = folder / "activation" / "notes.txt"
    own.write_bytes(PRECIOUS)
    options = {"what": "pooled"}
    if change != "another selection":
        options = {}
        (folder / "zarr.json").write_text("{}")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match=r"notes\.txt"):
        export_store(store, tmp_path, format_name="zarr", overwrite=True, **options)
    assert contents(tmp_path) == before
    own.unlink()
    export_store(store, tmp_path, format_name="zarr", overwrite=True, **options)
    assert list(check_folder(tmp_path)) == []


def test_a_file_that_was_changed_since_the_export_is_not_replaced_by_another_one(store, tmp_path):
    export_store(store, tmp_path, format_name="csv", what="pooled")
    changed = next(tmp_path.glob("layers/*.csv"))
    changed.write_bytes(PRECIOUS)
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="is not as an export wrote it"):
        export_store(store, tmp_path, format_name="csv", what="pooled", filter="0", overwrite=True)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["npy", "zarr"])
def test_an_export_goes_on_over_what_it_wrote_and_had_not_recorded(name, store, tmp_path):
    export_store(store, tmp_path, format_name=name)
    whole = contents(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["files"] = {}
    manifest[CLAIMS] = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")]
    (tmp_path / "manifest.json").unlink()
    (tmp_path / UNFINISHED).write_text(json.dumps(manifest))
    export_store(store, tmp_path, format_name=name)
    assert contents(tmp_path).keys() == whole.keys()
    assert list(check_folder(tmp_path)) == []


def test_the_place_of_a_folder_is_not_taken_from_a_file_a_link_or_another_folder(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "new").write_bytes(PRECIOUS)
    for plant in (
        lambda path: path.write_bytes(PRECIOUS),
        lambda path: path.symlink_to(elsewhere),
        lambda path: shutil.copytree(elsewhere, path / "deeper"),
    ):
        path = tmp_path / "x.zarr"
        plant(path)
        before = contents(tmp_path)
        with pytest.raises(OutputError, match="cannot replace"), publish_folder(path) as folder:
            (folder / "new").touch()
        assert contents(tmp_path) == before
        assert path.is_symlink() or path.exists()
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


TABLES = {
    "stats": "a table of statistics",
    "ablate": "a table of `fmcore ablate`",
    "contrast": "a table of `fmcore contrast`",
}


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_table_replaces_a_table_of_its_kind_and_no_other_file(
    ending, store_path, tmp_path, capsys
):
    path = copy_store(store_path, tmp_path / "own.h5")
    make_ablation(path, curve=False)
    options = {"stats": ["--statistic", "apoz"], "contrast": ["--a", "label=0"], "ablate": []}
    outs = {verb: tmp_path / f"{verb}.{ending}" for verb in TABLES}
    commands = {
        verb: [verb, str(path), *options[verb], "--out", str(out), "--force"]
        for verb, out in outs.items()
    }
    for command in commands.values():
        for _ in range(2):
            assert main(command) == 0
    tables = {verb: out.read_bytes() for verb, out in outs.items()}
    for verb, command in commands.items():
        for other in (
            *(table for name, table in tables.items() if name != verb),
            PRECIOUS,
            b"layer,filter\nconv1,3\n",
            b"[\n1, 2]\n",
            b"PAR1" + bytes(99) + b"PAR1",
        ):
            outs[verb].write_bytes(other)
            assert main(command) == 1
            assert f"is not {TABLES[verb]}" in capsys.readouterr().err
            assert outs[verb].read_bytes() == other
    outs["stats"].write_bytes(b"")
    assert main(commands["stats"]) == 0
    assert outs["stats"].read_bytes() == tables["stats"]


def test_a_figure_replaces_a_figure_and_no_other_picture(store_path, tmp_path, capsys):
    command = ["figure", str(store_path), "--out", str(tmp_path), "--layers", "conv2", "--force"]
    for _ in range(2):
        assert main(command) == 0
    (path,) = tmp_path.iterdir()
    photo = path.read_bytes().replace(b"Software\0Matplotlib", b"Software\0Photographer")
    path.write_bytes(photo)
    assert main(command) == 1
    assert "is not a figure that matplotlib has drawn" in capsys.readouterr().err
    assert path.read_bytes() == photo


def test_a_training_replaces_a_model_and_its_history_and_no_other_file(tmp_path):
    model, history = tmp_path / "m.keras", tmp_path / "m.history.json"
    for path, kind in ((model, MODEL_KIND), (history, HISTORY_KIND)):
        path.write_bytes(PRECIOUS)
        with pytest.raises(OutputError, match=f"it is not {kind.words}"):
            refuse_existing(path, overwrite=True, kind=kind)
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("thesis.tex", PRECIOUS)
    history.write_text('{"history": "of a country"}')
    for path, kind in ((model, MODEL_KIND), (history, HISTORY_KIND)):
        with pytest.raises(OutputError, match=f"it is not {kind.words}"):
            refuse_existing(path, overwrite=True, kind=kind)


@pytest.mark.keras
def test_a_training_is_repeated_over_its_own_files(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (20, 28, 28), np.uint8), np.arange(20) % 2
    data = tmp_path / "d.npz"
    np.savez(data, x_train=images, y_train=labels, x_test=images, y_test=labels)
    out = tmp_path / "m.keras"
    command = ["train", "--data", str(data), "--epochs", "1", "--out", str(out), "--force"]
    for _ in range(2):
        assert main(command) == 0
    out.write_bytes(PRECIOUS)
    assert main(command) == 1
    assert out.read_bytes() == PRECIOUS
