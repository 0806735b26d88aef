"""What importing does not do, what each package gives, and the viewer without TensorFlow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import dashboard
import fmcore

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["fmcore", "dashboard", "fmcore.cli", "dashboard.cli"])
def test_importing_brings_no_library_that_is_slow_to_start(package):
    code = f"import sys, {package}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"keras", "tensorflow", "torch", "jax", "numba", "scipy"} & set(loaded)
    if package.startswith("fmcore"):
        assert not {"dash", "plotly", "flask", "matplotlib"} & set(loaded)


def test_the_public_names_are_these():
    names = ["ablate_store", "capture_activations", "capture_callback", "export_store"]
    names += [
        "nearest_samples",
        "open_store",
        "outlying_samples",
        "plot",
        "project_samples",
        "verify_store",
    ]
    assert fmcore.__all__ == ["FmcoreError", "Layer", "Store", *names]
    assert dashboard.__all__ == ["create_app", "show"]
    for package in (fmcore, dashboard):
        assert all(hasattr(package, name) for name in package.__all__)


def test_one_module_says_how_to_install_what_is_missing():
    packages = [path for name in ("fmcore", "dashboard") for path in (ROOT / name).rglob("*.py")]
    names = [path.name for path in packages if "feature-map-dashboard[" in path.read_text("utf-8")]
    assert names == []  # `optional` puts the extra between the brackets
    command = [path.name for path in packages if "pip install '" in path.read_text("utf-8")]
    assert command == ["optional.py"]


def run(python: str, *arguments: str) -> str:
    done = subprocess.run([python, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_dashboard_runs_where_tensorflow_is_not_installed(viewer, store_path):
    find = "import importlib.util as u; print(u.find_spec('tensorflow'), u.find_spec('keras'))"
    assert run(viewer, "-c", find).split() == ["None", "None"]
    answers = run(viewer, "-m", "dashboard.cli", "serve", str(store_path), "--check", "--port", "0")
    assert answers.count("answered 200") == 4


def test_without_tensorflow_a_capture_says_what_to_install(viewer, tmp_path):
    data = tmp_path / "d.npz"
    make = "import numpy as n; n.savez(r'{}', x_test=n.zeros((2, 9, 9)), y_test=n.array([0, 1]))"
    run(viewer, "-c", make.format(data))
    command = ["-m", "fmcore.cli", "capture", "ResNet50", "--data", str(data), "--out", "s.h5"]
    done = subprocess.run([viewer, *command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'feature-map-dashboard[train]'" in done.stderr


def test_without_numba_scores_are_not_computed_again_and_it_says_what_to_install(
    viewer, store_path
):
    command = ["-m", "fmcore.cli", "stats", str(store_path), "--recompute"]
    done = subprocess.run([viewer, *command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'feature-map-dashboard[scores]'" in done.stderr


def test_stores_of_either_h5py_are_read_by_the_other(viewer, store_path, tmp_path):
    """TensorFlow allows h5py 3.14 at most; a viewer gets a newer one, with another HDF5."""
    which = "import h5py; print(h5py.__version__)"
    assert run(viewer, "-c", which) != run(sys.executable, "-c", which)
    check = ["-m", "fmcore.cli", "validate"]
    assert "no problem found" in run(viewer, *check, str(store_path))
    write = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "import types; sys.modules['pytest'] = types.ModuleType('pytest')\n"
        # A viewer has no numba: the kernels are plain Python, and here they run as such.
        "numba = types.ModuleType('numba'); numba.njit = lambda **_: lambda kernel: kernel\n"
        "sys.modules['numba'] = numba\n"
        "from helpers.factories import make_store; make_store(Path(sys.argv[1]))"
    )
    other = tmp_path / "other.h5"
    run(viewer, "-c", write, str(other))
    assert "no problem found" in run(sys.executable, *check, str(other))
    with fmcore.open_store(store_path) as one, fmcore.open_store(other) as two:
        for name in one.layers:
            first, second = one.layers[name], two.layers[name]
            assert (first.activation[:37] == second.activation[:37]).all()


def test_no_module_of_the_dashboard_uses_plotlys_classes():
    """They check what is drawn at each click; see `dashboard.figures`."""
    importing = re.compile(r"^\s*(import|from) plotly\b.*graph_ob", re.MULTILINE)
    modules = (ROOT / "dashboard").rglob("*.py")
    assert [one.name for one in modules if importing.search(one.read_text("utf-8"))] == []
