"""Keras models on a cluster, from memory and from files, as the capture of one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.clusters import local_client
from helpers.factories import arrays_of

from fmcore import capture_activations
from fmcore.cli import main
from fmcore.storage import open_store, partial_folder, problems

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def client():
    with local_client(1) as client:
        yield client


@pytest.fixture(scope="module")
def test_set():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (150, 12, 12, 1), np.uint8), rng.integers(0, 4, 150)


def two_inputs():
    import keras

    keras.utils.set_random_seed(0)
    image, number = keras.Input((12, 12, 1), name="image"), keras.Input((3,), name="number")
    maps = keras.layers.Conv2D(5, 3, activation="relu", name="conv1")(image)
    flat = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(maps), number])
    answer = keras.layers.Dense(4, activation="softmax")(flat)
    return keras.Model([image, number], answer, name="two")


def require_alike(path, direct):
    """Arrays as of one process: maps from other threads and sums in another order differ little."""
    assert list(problems(path)) == []
    arrays, expected = arrays_of(path), arrays_of(direct)
    assert arrays.keys() == expected.keys()
    for name, array in expected.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(arrays[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
        elif array.dtype.kind != "V" and name.startswith(("samples", "layers")):
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_a_model_and_arrays_in_memory(client, test_set, tmp_path):
    images, labels = test_set
    inputs = {"image": images / np.float32(255), "number": np.eye(150, 3, dtype=np.float32)}
    model, options = two_inputs(), {"batch_size": 16}
    direct = capture_activations(model, inputs, labels, tmp_path / "direct.h5", **options)
    path = capture_activations(
        model, inputs, labels, tmp_path / "cluster.h5", cluster=client, **options
    )
    require_alike(path, direct)
    assert not partial_folder(path).exists()


def require_commands(capsys):
    """What commands make of a store in shards, beside one in a file of the same test set."""
    assert main(["verify", "cluster.h5", "--model", "model.keras", "--data", "data.npz"]) == 0
    assert main(["validate", "cluster.h5"]) == 0
    for name in ("cluster", "direct"):
        assert main(["figure", f"{name}.h5", "--out", f"{name}-figures", "--format", "svg"]) == 0
        assert main(["export", f"{name}.h5", "--out", f"{name}-export"]) == 0
    for kind in ("figures", "export"):
        files = [
            {file.relative_to(folder) for file in folder.rglob("*") if file.is_file()}
            for folder in (Path(f"cluster-{kind}"), Path(f"direct-{kind}"))
        ]
        assert files[0] == files[1] != set()
    maps = [np.load(path) for path in Path("cluster-export").rglob("*activation*.npy")]
    with open_store("cluster.h5") as store:
        np.testing.assert_array_equal(maps[0], store.layers["conv1"].activation[:])
    capsys.readouterr()
    tables = []
    for options in ([], ["--recompute"]):
        assert main(["stats", "cluster.h5", "--format", "csv", *options]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != ""


def test_the_command_with_files(client, test_set, tmp_path, monkeypatch, capsys):
    import keras

    images, labels = test_set
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv1"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_test=images, y_test=labels)
    monkeypatch.chdir(tmp_path)  # workers run elsewhere
    command = ["capture", "model.keras", "--data", "data.npz", "--batch-size", "16"]
    assert main([*command, "--out", "direct.h5"]) == 0
    address = client.scheduler.address
    shards = ["--cluster", address, "--shard-samples", "32", "--join", "manifest"]
    assert main([*command, "--out", "cluster.h5", *shards]) == 0
    assert "Wrote cluster.h5: 150 samples" in capsys.readouterr().out
    with open_store("cluster.h5") as store, open_store("direct.h5") as direct:
        np.testing.assert_allclose(
            store.layers["conv1"].activation[:], direct.layers["conv1"].activation[:], atol=1e-5
        )
        np.testing.assert_array_equal(store.labels, direct.labels)
    require_commands(capsys)
    assert main([*command, "--out", "x.h5", "--cluster", "tcp://10.1.2.3:8786"]) == 1
    assert "without TLS" in capsys.readouterr().err
    assert main([*command, "--out", "x.h5", "--shard-samples", "8"]) == 1
    assert "give --cluster too" in capsys.readouterr().err
