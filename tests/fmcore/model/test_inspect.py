"""Model files: what people have is opened, what is hostile does nothing and is refused by name."""

from __future__ import annotations

import io
import json
import logging
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from helpers.bombs import npy, zipped
from helpers.keras_registry import saved_classes, saved_functions
from keras import layers
from numpy.testing import assert_allclose

from fmcore import capture_activations, open_store
from fmcore.cli import main
from fmcore.errors import InputFileError, ModelError, SelectionError
from fmcore.model.inspect import inspect_model_file
from fmcore.model.opening import open_model
from fmcore.model.saved_names import CLASSES, CODE_LAYERS, FUNCTIONS, HIGHER_ORDER

pytestmark = pytest.mark.keras
IMAGES = np.random.default_rng(0).random((5, 8, 8, 1)).astype(np.float32)
LABELS = np.array([0, 1, 2, 0, 1])


def small(*inner) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(inner or (layers.Conv2D(2, 3, name="conv", activation="relu"),)),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="dense", activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "whole.keras"
    small().save(path)
    return path


@pytest.fixture(scope="module")
def legacy(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "whole.h5"
    small().save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5"])
def test_whole_models_of_both_formats_are_captured(suffix, tmp_path):
    model, path = small(), tmp_path / f"model{suffix}"
    model.save(path)
    store = capture_activations(path, IMAGES, LABELS, tmp_path / "s.h5")
    expected = keras.Model(model.inputs, model.layers[0].output).predict(IMAGES, verbose=0)
    with open_store(store) as opened:
        stored = opened.layers["conv"].activation[:5]
        assert_allclose(stored, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_an_architecture_is_named_and_may_have_weights(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        model = open_model("mobilenetv3small", image_shape=(32, 32, 3))
    assert "mobilenetv3small has random weights" in caplog.text
    weights = tmp_path / "mine.weights.h5"
    model.save_weights(weights)
    again = open_model("MobileNetV3Small", weights=weights, image_shape=(32, 32, 3))
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert (one == other).all()
    with pytest.raises(ModelError, match=r"'ResNet5' is neither a file .* did you mean ResNet50"):
        open_model("ResNet5")
    with pytest.raises(ModelError, match=r"ResNet50 cannot be built: .*at least 32x32"):
        open_model("ResNet50", image_shape=(8, 8, 3))
    with pytest.raises(InputFileError, match=r"cannot read weights .*no such file"):
        open_model("ResNet50", weights=tmp_path / "none.h5")


CODE = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, x):
        return x * 2
"""


def test_a_class_of_ones_own_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_layers.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    from my_layers import Doubled

    small(Doubled(), layers.Conv2D(2, 3, name="conv")).save("own.keras")
    np.savez("data.npz", x_test=IMAGES, y_test=LABELS)
    capture = ["capture", "own.keras", "--data", "data.npz", "--out", "s.h5"]
    assert main(capture) == 1
    said = capsys.readouterr().err
    assert "'doubled' is of the class Doubled in my_layers" in said
    assert "--custom MODULE:Doubled" in said
    assert main([*capture, "--custom", "my_layers:Doubled"]) == 0
    for text, words in (
        ("my_layers", "expected MODULE:NAME"),
        ("my_layer:Doubled", "No module named"),
        ("my_layers:Doubld", "did you mean Doubled"),
    ):
        assert main([*capture, "--force", "--custom", text]) == 1
        assert words in capsys.readouterr().err


def test_ones_own_file_with_code_in_it_can_be_trusted(tmp_path):
    path = tmp_path / "lambda.keras"
    small(layers.Lambda(lambda x: x * 2, name="twice"), layers.Conv2D(2, 3)).save(path)
    with pytest.raises(ModelError, match=r"'twice' is a Lambda, which runs code.*--trust"):
        open_model(path)
    assert open_model(path, trusted=True).predict(IMAGES, verbose=0).shape == (5, 3)


def test_layers_are_listed(whole, capsys):
    assert main(["layers", str(whole)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["*", "conv", "Conv2D", "6x6x2"]
    assert said[1].split() == ["flatten", "Flatten", "1x1x72"]
    assert said[-2] == "output dense: (3,) for each image, softmax"
    assert said[-1].startswith("1 of 3 would be captured (*), 0.3 kB of float32")
    assert main(["layers", str(whole), "--kind", "dense", "--json"]) == 0
    taken = [row["path"] for row in json.loads(capsys.readouterr().out) if row["taken"]]
    assert taken == ["dense"]
    assert main(["layers", str(whole), "--layers", "konv"]) == 1
    assert "did you mean conv?" in capsys.readouterr().err


# Hostile files. Each makes a bad file out of a good one.


def changed(whole: Path, path: Path, change) -> None:
    """A copy of a `.keras` file with another configuration."""
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                data = json.dumps(change(config) or config).encode()
            archive.writestr(name, data)


def first_layer(config: dict, entry: dict) -> None:
    config["config"]["layers"].insert(1, entry)


def entry(class_name: str, module: str = "keras.layers", **config) -> dict:
    config.setdefault("name", "bad")
    return {"module": module, "class_name": class_name, "config": config, "registered_name": None}


MARSHALLED = "4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAACXAHwAUwApAU7pAAAAACkBWgF4cwEAAAAg"
LAMBDA = {
    "class_name": "__lambda__",
    "config": {"value": [MARSHALLED, None, None]},
    "module": "builtins",
}
SYSTEM = {
    "module": "os",
    "class_name": "function",
    "config": "system",
    "registered_name": "system",
}


def with_layer(class_name: str, module: str = "keras.layers", **settings):
    def make(whole: Path, path: Path) -> None:
        new = entry(class_name, module, **settings)
        changed(whole, path, lambda config: first_layer(config, new))

    return make


def with_setting(layer: int, **settings):
    def make(whole: Path, path: Path) -> None:
        def change(config):
            config["config"]["layers"][layer]["config"].update(settings)

        changed(whole, path, change)

    return make


def with_top(**values):
    return lambda whole, path: changed(whole, path, lambda config: config.update(values))


def with_member(name: str, data: bytes = b"x", *, link: bool = False, compress: bool = False):
    def make(whole: Path, path: Path) -> None:
        changed(whole, path, lambda config: None)
        with zipfile.ZipFile(path, "a") as archive:
            info = zipfile.ZipInfo(name)
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            archive.writestr(info, data, kind)

    return make


def with_weights(damage):
    """Its weights file changed by h5py."""

    def make(whole: Path, path: Path) -> None:
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as archive:
            for name in source.namelist():
                data = source.read(name)
                if name == "model.weights.h5":
                    image = io.BytesIO(data)
                    with h5py.File(image, "r+") as file:
                        damage(file)
                    data = image.getvalue()
                archive.writestr(name, data)

    return make


def replaced(file: h5py.File, **options) -> str:
    """Drops the first kernel, whose path it gives."""
    found: list[str] = []
    file.visititems(
        lambda name, node: found.append(name) if isinstance(node, h5py.Dataset) else None
    )
    del file[found[0]]
    return found[0]


def external_storage(file):
    name = replaced(file)
    file.create_dataset(name, (3, 3, 1, 2), "f4", external=[("/etc/passwd", 0, 72)])


def virtual_source(file):
    name = replaced(file)
    layout = h5py.VirtualLayout((3, 3, 1, 2), "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", (3, 3, 1, 2))
    file.create_virtual_dataset(name, layout)


def external_link(file):
    file[replaced(file)] = h5py.ExternalLink("/tmp/other.h5", "/x")


def soft_link(file):
    file[replaced(file)] = h5py.SoftLink("/layers")


def shape_bomb(file):
    file.create_dataset(replaced(file), (1 << 40,), "f4", chunks=(1 << 16,))


def deflate_bomb(file):
    file.create_dataset(
        replaced(file), data=np.zeros(40_000_000, "u1"), chunks=(1 << 20,), compression=9
    )


def deep_groups(file):
    group = file
    for _ in range(100):
        group = group.create_group("deeper")


def cut(share: float):
    def make(whole: Path, path: Path) -> None:
        data = whole.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return make


def of_legacy(change):
    """A legacy file changed by h5py."""

    def make(legacy: Path, path: Path) -> None:
        path.write_bytes(legacy.read_bytes())
        with h5py.File(path, "r+") as file:
            change(file)

    return make


def legacy_config(change):
    def edit(file):
        config = json.loads(file.attrs["model_config"])
        change(config)
        file.attrs["model_config"] = json.dumps(config)

    return of_legacy(edit)


def nested_json(whole: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 200_000 + "]" * 200_000)


def duplicated(whole: Path, path: Path) -> None:
    changed(whole, path, lambda config: None)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("config.json", "{}")


HOSTILE = {
    "a Lambda": (with_layer("Lambda", function=LAMBDA), "'bad' is a Lambda"),
    "an activation that is a lambda": (with_setting(1, activation=LAMBDA), "__lambda__"),
    "os.system as an activation": (with_setting(1, activation=SYSTEM), "function system in os"),
    "a saved model": (with_layer("TFSMLayer", filepath="/tmp/x"), "'bad' is a TFSMLayer"),
    "a torch module": (with_layer("TorchModuleWrapper", module="AAAA"), "is a TorchModuleWrapper"),
    "a jax layer": (with_layer("JaxLayer", call_fn=LAMBDA), "is a JaxLayer"),
    "a class of subprocess": (
        with_layer("Popen", "subprocess", args=["id"]),
        "Popen in subprocess",
    ),
    "a class of a module like Keras": (with_layer("Evil", "keras_evil"), "Evil in keras_evil"),
    "the way around safe mode": (
        with_layer("function", "keras_hub.src", config="enable_unsafe_deserialization"),
        "in keras_hub.src",
    ),
    "a class that nobody registered": (
        lambda whole, path: changed(
            whole,
            path,
            lambda config: first_layer(
                config, entry("Own") | {"module": None, "registered_name": "mine>Own"}
            ),
        ),
        "registered as mine>Own",
    ),
    "a model of another module": (with_top(module="evil.models"), "in evil.models"),
    "a vocabulary in a file": (
        with_layer("StringLookup", vocabulary="/etc/passwd"),
        "reads the file '/etc/passwd'",
    ),
    "a text vocabulary": (
        with_layer("TextVectorization", vocabulary="/etc/passwd"),
        "reads the file",
    ),
    "an unknown layer of Keras": (with_layer("NoSuchLayer"), "NoSuchLayer in keras.layers, which"),
    "code by another module": (with_layer("layers.Lambda", "keras"), "'bad' is a Lambda"),
    "code by its module": (
        with_layer("Lambda", "keras.src.layers.core.lambda_layer"),
        "'bad' is a Lambda",
    ),
    "a layer by another module": (with_layer("layers.Dense", "keras"), "layers.Dense in keras"),
    "a class of Keras that is no layer": (
        with_layer("KerasFileEditor", "keras.saving", filepath="/etc/passwd"),
        "KerasFileEditor in keras.saving",
    ),
    "a download as an activation": (
        with_setting(1, activation=SYSTEM | {"module": "keras.utils", "config": "get_file"}),
        "function get_file in keras.utils",
    ),
    "a download by another module": (
        with_setting(1, activation=SYSTEM | {"module": "keras", "config": "utils.get_file"}),
        "function utils.get_file in keras",
    ),
    "a download that is registered": (
        with_setting(
            1,
            activation=SYSTEM | {"module": "x", "config": "relu", "registered_name": "get_file"},
        ),
        "function relu in x",
    ),
    "a type of TensorFlow": (
        with_layer("__typespec__", "keras.layers", spec_name="Lambda"),
        "__typespec__ in keras.layers",
    ),
    "an operation on functions": (with_layer("Map", "keras.src.ops.core"), "Map in keras.src"),
    "pickled weights": (
        with_member("model.weights.npz", zipped(x=npy((1,), "|O", 1))),
        "'model.weights.npz' in it holds weights as NumPy's objects",
    ),
    "a compile bomb of units": (with_setting(3, units=1 << 40), "declares units"),
    "a bomb of filters": (with_setting(1, filters=10**9), "declares filters"),
    "a bomb of an input": (
        with_setting(0, batch_shape=[None, 1 << 20, 1 << 20, 1]),
        "takes inputs of 1048576x1048576x1",
    ),
    "a kernel larger than any image": (
        lambda whole, path: changed(
            whole,
            path,
            lambda config: (
                config["config"]["layers"][1].update(build_config={"input_shape": [None, 8, 8, 4]})
                or config["config"]["layers"][1]["config"].update(kernel_size=30_000)
            ),
        ),
        "declare at least 7,200,000,",
    ),
    "a recurrent layer without weights": (
        lambda whole, path: changed(
            whole,
            path,
            lambda config: first_layer(
                config,
                entry("LSTM", units=1_000_000) | {"build_config": {"input_shape": [None, 9, 1]}},
            ),
        ),
        "declare at least 1,000,001,000,",
    ),
    "a border without an end": (
        with_layer("ZeroPadding2D", padding=[[10**7, 0], [0, 0]]),
        "declares padding",
    ),
    "an empty name of a setting": (with_layer("Dense", units=1, **{"": "x"}), "safe mode"),
    "JSON without an end": (nested_json, "not JSON"),
    "a member outside": (with_member("../evil.txt"), "outside its folder"),
    "an absolute member": (with_member("/tmp/evil.txt"), "outside its folder"),
    "a member of Windows": (with_member("C:\\evil.txt"), "outside its folder"),
    "a symbolic link": (with_member("assets/x", b"/etc/passwd", link=True), "symbolic link"),
    "a member twice": (duplicated, "more than once"),
    "a zip bomb": (with_member("assets/x", bytes(40_000_000), compress=True), "inflates"),
    "external storage": (with_weights(external_storage), "keeps its data in another file"),
    "a virtual source": (with_weights(virtual_source), "keeps its data in another file"),
    "an external link": (with_weights(external_link), "is a link to another place"),
    "a soft link": (with_weights(soft_link), "is a link to another place"),
    "a shape bomb": (with_weights(shape_bomb), "declares 4,398,046,511,104 bytes but holds only 0"),
    "a deflate bomb": (with_weights(deflate_bomb), "declares 40,000,000 bytes but holds only"),
    "groups without an end": (with_weights(deep_groups), "more than 64 groups deep"),
    "half a file": (cut(0.5), "not a whole zip archive"),
    "all but a byte": (cut(0.9999), "not a whole zip archive"),
}
HOSTILE_LEGACY = {
    "a Lambda": (
        legacy_config(
            lambda config: config["config"]["layers"].insert(
                1, {"class_name": "Lambda", "config": {"name": "bad", "function": [MARSHALLED]}}
            )
        ),
        "'bad' is a Lambda",
    ),
    "a class of os": (
        legacy_config(
            lambda config: config["config"]["layers"].insert(
                1, {"class_name": "system", "module": "os", "config": {"name": "bad"}}
            )
        ),
        "system in os",
    ),
    "external storage": (of_legacy(external_storage), "keeps its data in another file"),
    "a virtual source": (of_legacy(virtual_source), "keeps its data in another file"),
    "an external link": (of_legacy(external_link), "is a link to another place"),
    "a shape bomb": (of_legacy(shape_bomb), "declares 4,398,046,511,104 bytes but holds only 0"),
    "half a file": (cut(0.5), "not a readable HDF5 file"),
    "weights alone": (
        of_legacy(lambda file: file.attrs.__delitem__("model_config")),
        "weights alone are not a model",
    ),
}


def assert_refused(path: Path, said: str) -> None:
    def around() -> set[Path]:
        return {*path.parent.iterdir(), *path.parent.parent.iterdir()}

    before, began = around(), time.monotonic()
    with pytest.raises((ModelError, InputFileError)) as caught:
        open_model(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 5
    assert around() == before


FILES = [
    *((".keras", "whole", *one) for one in HOSTILE.items()),
    *((".h5", "legacy", *one) for one in HOSTILE_LEGACY.items()),
]


@pytest.mark.parametrize(
    ("suffix", "good", "hostile"),
    [pytest.param(one[0], one[1], one[3], id=f"{one[2]}{one[0]}") for one in FILES],
)
def test_a_hostile_file_is_refused_and_does_nothing(suffix, good, hostile, request, tmp_path):
    make, said = hostile
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"bad{suffix}"
    make(request.getfixturevalue(good), path)
    assert_refused(path, said)


def test_a_file_is_looked_at_before_keras_is_there(whole, tmp_path):
    """So a refusal takes no seconds, and nothing of Keras is reached by what is refused."""
    path = tmp_path / "bad.keras"
    HOSTILE["a Lambda"][0](whole, path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom fmcore.errors import ModelError\n"
        "from fmcore.api import open_model\n"
        "try:\n    open_model(Path(sys.argv[1]))\nexcept ModelError as error:\n    print(error)\n"
        "print('keras' in sys.modules, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert "is a Lambda" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"


def test_good_files_pass(whole, legacy):
    inspect_model_file(whole)
    inspect_model_file(legacy)
    with pytest.raises(SelectionError, match="expected MODULE:NAME"):
        open_model(whole, custom=["nothing"])


def test_what_a_file_may_name_is_what_keras_makes_models_of():
    # Another version of Keras may have more: what is not there is none of its classes.
    assert saved_classes() - HIGHER_ORDER - CODE_LAYERS - CLASSES == set()
    assert saved_functions() - HIGHER_ORDER - FUNCTIONS == set()
    assert not (CLASSES | FUNCTIONS) & (CODE_LAYERS | HIGHER_ORDER)
    assert all(name.isidentifier() for name in CLASSES | FUNCTIONS)
