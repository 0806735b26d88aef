"""The commands and the code in README.md, docs/ and FORMAT.md, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.factories import tool
from helpers.servers import running

from dashboard import create_app
from dashboard.stores.source import Source

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.keras


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the reader of README.md has: a model and a test set."""
    keras = pytest.importorskip("keras")
    from fmcore.model.tutorial import tutorial_network

    folder = tmp_path_factory.mktemp("reader")
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    tutorial_network((12, 12, 1), n_classes=2).save(folder / "my_model.keras")
    images = rng.integers(0, 256, (20, 12, 12), dtype=np.uint8)
    np.savez(folder / "my_data.npz", x_test=images, y_test=np.arange(20) % 2)
    return folder


def run(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", command],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_readmes_commands_run_on_ones_own_model(folder):
    commands = next(block for block in blocks("README.md", "sh") if "my_model" in block)
    said = run(commands.replace("fmdash serve", "fmdash serve --check --port 0"), folder)
    assert "20 samples, layers conv1, conv2" in said
    assert said.count("answered 200") == 4


def test_the_commands_that_get_numbers_out_run(folder):
    tool("curl", debian="curl")
    *commands, line = blocks("docs/export.md", "sh")
    run("fmcore capture my_model.keras --data my_data.npz --out my_store.h5 --force", folder)
    shutil.copy(folder / "my_store.h5", folder / "last_store.h5")
    # Its samples are twenty, and all may be predicted well.
    commands = "".join(commands).replace("0:100", "0:20").replace("--sample wrong", "--sample 0:9")
    said = run(commands, folder)
    assert "arrays: every file matches its checksum" in said
    assert "layer,filter,class,target,other,statistic,pooling,value" in said
    assert "conv2: 32 filters, nothing became worse" in said
    assert (folder / "tables/layers/conv2.pooled.parquet").is_file()
    assert (folder / "statistics.parquet").is_file()
    with running(create_app(Source(folder / "my_store.h5"))) as url:
        said = run(line.replace("http://127.0.0.1:8050/", url), folder)
    assert said == "(10, 10, 10, 16)\n"


def test_the_python_of_the_readme_and_its_page_runs(folder, monkeypatch):
    import keras

    monkeypatch.chdir(folder)
    (folder / "my_store.h5").unlink(missing_ok=True)
    with np.load("my_data.npz") as data:
        names = {
            "model": keras.saving.load_model("my_model.keras"),
            "x_test": data["x_test"][..., np.newaxis] / np.float32(255),
            "y_test": data["y_test"],
        }
    names |= {"x_train": names["x_test"], "y_train": names["y_test"]}
    for page in ("README.md", "docs/python.md"):
        for code in blocks(page, "python"):
            exec(code, names)
    assert names["conv1"].path == "conv1"
    stores = [path.name for path in sorted((folder / "epochs").iterdir())]
    assert stores == ["epoch-001.h5", "epoch-005.h5", "epoch-010.h5"]


def test_the_specifications_examples_run(store_path, tmp_path):
    tool("h5dump", debian="hdf5-tools")
    tool("ncdump", debian="netcdf-bin")
    (commands,) = blocks("fmcore/storage/FORMAT.md", "sh")
    code, of_tables = blocks("fmcore/storage/FORMAT.md", "python")
    (tmp_path / "store.h5").write_bytes(store_path.read_bytes())
    # The tiny store has no layer called conv1.
    said = run(commands.replace("layers/conv1", "layers/conv2"), tmp_path)
    assert "sample: 37" in said
    assert "float activation(sample, y, x, filter)" in said
    code += f"assert maps.shape == (4, 4, 3)\n{of_tables}assert value.shape == high.shape == (4, 3)"
    code = code.replace("layers/conv1", "layers/conv2")
    run(f"python - <<'END'\n{code}\nEND", tmp_path)
