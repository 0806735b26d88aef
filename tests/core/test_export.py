"""Exports are read back by numpy, bit for bit, and a folder that was tampered with is noticed."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
from factories import reference
from numpy.testing import assert_array_equal

from fmcore.errors import InputFileError, OutputError, SelectionError
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.export.record import ArrayInBlocks


def test_an_export_holds_every_layer_with_labels_that_line_up(store, tmp_path):
    out = tmp_path / "out"
    manifest = export_store(store, out)
    arrays = manifest["arrays"]
    assert json.loads((out / "manifest.json").read_text()) == manifest
    for name, values in zip(store.layers, reference().activations, strict=True):
        entry = arrays[f"activation/{name}"]
        mapped = np.load(out / entry["file"], mmap_mode="r")
        assert_array_equal(mapped, values)
        assert entry["shape"] == list(values.shape)
        assert entry["axes"] == ["sample", "y", "x", "filter"]
        assert entry["dtype"] == "<f4"
    for name, expected in (
        ("label", store.labels),
        ("prediction", store.predictions),
        ("id", np.array(store.ids)),
    ):
        assert_array_equal(np.load(out / arrays[f"samples/{name}"]["file"]), expected)
    for entry in arrays.values():
        found = hashlib.sha256((out / entry["file"]).read_bytes()).hexdigest()
        assert found == entry["sha256"]
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == {
        "manifest.json",
        *(entry["file"] for entry in arrays.values()),
    }
    assert list(check_folder(out)) == []


def test_a_changed_or_missing_file_is_noticed(store, tmp_path):
    export_store(store, tmp_path / "out", layers="conv2")
    file = tmp_path / "out" / "conv2.npy"
    changed = bytearray(file.read_bytes())
    changed[-1] ^= 1
    file.write_bytes(changed)
    assert [str(file) in problem for problem in check_folder(tmp_path / "out")] == [True]
    file.unlink()
    assert "missing" in next(check_folder(tmp_path / "out"))
    with pytest.raises(InputFileError, match=r"no manifest\.json"):
        list(check_folder(tmp_path))


def test_other_peoples_files_are_not_overwritten(store, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        export_store(store, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(OutputError, match="it is a file"):
        export_store(store, tmp_path / "notes.txt")


def test_a_glob_that_matches_nothing_writes_nothing(store, tmp_path):
    with pytest.raises(SelectionError, match=r"'conv9' matches no layer .* did you mean conv2"):
        export_store(store, tmp_path / "out", layers="conv9")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("dtype", ["<f4", "<i8", "<U3"])
@pytest.mark.parametrize("shape", [(5,), (4, 3, 2, 1), (1, 0)])
def test_every_format_writes_what_numpy_reads(form, dtype, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    stream = io.BytesIO()
    form.write(stream, ArrayInBlocks(shape, np.dtype(dtype), iter([values[:2], values[2:]])))
    stream.seek(0)
    read = np.load(stream, allow_pickle=False)
    assert read.dtype == np.dtype(dtype)
    assert_array_equal(read, values)
    assert form.description
