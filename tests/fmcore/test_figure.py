"""The tutorial's picture: 8 columns, viridis, no axes, a title."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fmcore.errors import MissingLibraryError, OutputError, SampleNotFoundError
from fmcore.figure import feature_map_figure, write_figures


def test_the_grid_is_the_tutorials():
    maps = np.random.default_rng(0).random((5, 4, 19)).astype(np.float32)
    figure = feature_map_figure(maps, layer="conv1")
    assert figure.get_suptitle() == "Layer: conv1"
    assert len(figure.axes) == 24
    assert not any(axis.axison for axis in figure.axes)
    drawn = [axis.images[0] for axis in figure.axes if axis.images]
    assert len(drawn) == 19
    assert drawn[7].get_cmap().name == "viridis"
    np.testing.assert_array_equal(drawn[7].get_array(), maps[:, :, 7])


def test_without_matplotlib_it_says_what_to_install(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(
        MissingLibraryError, match=r"pip install 'feature-map-dashboard\[figures\]'"
    ):
        write_figures(store, tmp_path, sample=3)


def test_one_file_for_each_layer(store, tmp_path):
    written = write_figures(store, tmp_path / "figures", sample=3)
    assert [path.name for path in written] == ["block_conv_1_sample3.png", "conv2_sample3.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    with pytest.raises(OutputError, match="exists"):
        write_figures(store, tmp_path / "figures", sample=3)
    with pytest.raises(SampleNotFoundError):
        write_figures(store, tmp_path / "figures", sample=37)


@pytest.mark.parametrize(
    "backend",
    ["module://matplotlib_inline.backend_inline", "inline", "module://nowhere", "nonsense", ""],
)
def test_the_backend_of_a_notebook_stops_no_figure(backend, store, tmp_path):
    """A kernel hands the name of its backend on to `!fmcore figure`, in another environment."""
    code = "import sys; from fmcore.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["figure", str(store.path), "--out", str(tmp_path), "--layer", "conv2"]
    environment = os.environ | {"MPLBACKEND": backend}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "conv2_sample0.png").read_bytes().startswith(b"\x89PNG")


def test_a_backend_that_is_there_stays_the_one_of_the_notebook():
    code = (
        "from fmcore.figure import feature_map_figure; import numpy as np; "
        "feature_map_figure(np.zeros((4, 4, 1), 'f4'), layer='a'); "
        "import matplotlib, os; print(matplotlib.get_backend(), os.environ['MPLBACKEND'])"
    )
    environment = os.environ | {"MPLBACKEND": "svg"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert ended.stdout.split() == ["svg", "svg"], ended.stderr
