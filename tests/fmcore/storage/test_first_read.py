"""A layer of a sealed store is checked when it is first read: by itself, and before its values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.sharded import copy_store
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore import open_store
from fmcore.errors import StoreError
from fmcore.storage import handle, problems
from fmcore.storage.file import nodes
from fmcore.storage.file import seal as sealing
from fmcore.storage.file.layer_facts import LayerFacts

BAD, GOOD = "conv2", "block/conv 1"


def extents_of_all(file, path):
    """Where chunks lie, also of a file that a writer would refuse to seal."""
    extents = {}
    file.visititems(
        lambda name, node: (
            extents.update({name: nodes.chunk_extents(node)})
            if isinstance(node, h5py.Dataset) and node.chunks
            else None
        )
    )
    return extents


@pytest.fixture
def edited(tmp_path, store_path, monkeypatch):
    """Makes a copy that was changed by another program, and sealed as if its writer had made it."""
    monkeypatch.setattr(sealing, "all_chunk_extents", extents_of_all)

    def make(edit) -> Path:
        path = copy_store(store_path, tmp_path / "edited.h5")
        with h5py.File(path, "r+") as file:
            edit(file)
        sealing.seal(path)
        return path

    return make


def drop_table(file):
    del file["layers/conv2/pooled/mean"]


def drop_axis(file):
    del file["layers/conv2/filter"]


def shorten(file):
    array = replace(file, "layers/conv2/pooled/max", np.zeros((5, 3), "f4"), fletcher32=True)
    for axis, scale in enumerate(("sample", "layers/conv2/filter")):
        array.dims[axis].attach_scale(file[scale])


def retype(file):
    array = file["layers/conv2/pooled/max"]
    replace(file, array.name, array[...].astype("f8"), fletcher32=True)


def no_checksum(file):
    replace(file, "layers/conv2/bias", file["layers/conv2/bias"][...])


def replace(file, name, values, **options):
    del file[name]
    return file.create_dataset(name, data=values, chunks=values.shape, **options)


def not_a_group(file):
    del file["layers/conv2"]
    file["layers/conv2"] = np.ones(3)


def retype_attribute(file):
    file["layers/conv2"].attrs["layer_index"] = "first"


def lose_attribute(file):
    del file["layers/conv2"].attrs["histogram"]


def other_policy(file):
    file["layers/conv2"].attrs["policy"] = np.bytes_("pooled")


def other_words(file):
    file["layers/conv2"].attrs["kind"] = np.bytes_("Dense")


def lose_optional(file):
    del file["layers/conv2/top/places"]


def link_outside(file):
    file["layers/conv2/extra"] = h5py.ExternalLink("/etc/passwd", "/")


def link_inside(file):
    file["layers/conv2/class/extra"] = h5py.SoftLink("/samples/label")


def second_name(file):
    file["layers/conv2/extra"] = file["samples/label"]


def virtual(file):
    layout = h5py.VirtualLayout(shape=(3,), dtype="u1")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(3,))
    file.create_virtual_dataset("layers/conv2/extra", layout)


def external(file):
    file.create_dataset("layers/conv2/extra", (10,), "u1", external=[("/etc/passwd", 0, 10)])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop_table, "/layers/conv2/pooled/mean is missing"),
        (drop_axis, "/layers/conv2/filter is missing or is not an axis"),
        (shorten, "/layers/conv2/pooled/max: length 5, but /sample has the shape (37,)"),
        (retype, "/layers/conv2/pooled/max has dtype float64, expected float32"),
        (no_checksum, "/layers/conv2/bias has no chunks with Fletcher32"),
        (not_a_group, "/layers/conv2 is not a group"),
        (retype_attribute, "the attribute layer_index has the wrong type, expected integer"),
        (lose_attribute, "/layers/conv2 lacks the attribute histogram"),
        (other_policy, "/layers/conv2/activation is there, but the policy is pooled"),
        (other_words, "/layers/conv2 is not as /contents/facts states"),
        (lose_optional, "/layers/conv2 is not as /contents/facts states"),
        (link_outside, "/layers/conv2/extra is a link to another place"),
        (link_inside, "/layers/conv2/class/extra is a link to another place"),
        (second_name, "/layers/conv2/extra is a second name of another part"),
        (virtual, "/layers/conv2/extra keeps its data in another file"),
        (external, "/layers/conv2/extra keeps its data in another file"),
    ],
)
def test_a_damaged_layer_is_refused_by_name_and_the_others_are_read(edited, store, edit, words):
    path = edited(edit)
    with open_store(path) as damaged:
        for name in ("statistic", "pooled"):
            good, whole = getattr(damaged.layers[GOOD], name), getattr(store.layers[GOOD], name)
            assert_array_equal(good("max")[...], whole("max")[...])
        layer = damaged.layers[BAD]
        assert layer.shape == (4, 4, 3)
        reads = (
            lambda: layer.activation[3],
            lambda: layer.feature_maps(3),
            lambda: layer.statistic("mean"),
            lambda: layer.pooled("max")[:2],
            lambda: layer.kernel,
            layer.health,
        )
        for read in reads:
            with pytest.raises(StoreError, match=re.escape(words)):
                read()
        damaged.layers[GOOD].feature_maps(3)
    try:
        seen = list(problems(path))
    except StoreError as error:
        seen = [str(error)]
    assert any(words in problem for problem in seen)


def test_nothing_of_a_layer_is_looked_at_before_it_is_read(store_path, monkeypatch):
    checked, check = [], handle.require_layer
    monkeypatch.setattr(
        handle,
        "require_layer",
        lambda file, path, structure, group, **options: (
            checked.append(group) or check(file, path, structure, group, **options)
        ),
    )
    with open_store(store_path) as store:
        for layer in store.layers.values():
            assert layer.statistics
            assert layer.stored_bytes
            layer.pooled("max")
        assert checked == []
        store.layers[BAD].pooled("max")[0]
        store.layers[BAD].statistic("mean")
        assert checked == ["conv2"]


def facts_of(path: Path) -> dict[str, dict]:
    with h5py.File(path, locking=False) as file:
        texts = file["contents/facts"][...].tolist()
    return {facts["group"]: facts for facts in map(json.loads, texts)}


def test_what_a_store_states_of_a_layer_is_what_its_group_holds(store_path):
    facts = facts_of(store_path)
    with h5py.File(store_path, locking=False) as file:
        assert list(facts) == list(file["layers"])
        for group, stated in facts.items():
            node = file["layers"][group]
            assert stated["shape"] == [node[axis].size for axis in ("y", "x", "filter")]
            assert stated["stored_bytes"] == node["activation"].id.get_storage_size()
            arrays = set(stated["arrays"])
            assert {"activation", "class_moments", "pooled_max", "top_places"} <= arrays
            assert ("kernel" in arrays) == ("kernel" in node)
            assert stated["attributes"]["layer_path"] == node.attrs["layer_path"].decode()
            assert stated["attributes"].keys() == node.attrs.keys()


def state(**changes):
    """States something else of the last layer, with as many bytes at most."""

    def edit(file):
        array = file["contents/facts"]
        facts = json.loads(array[1]) | changes
        text = json.dumps(facts, separators=(",", ":")).encode()
        array[1] = text
        assert array[1] == text

    return edit


def garbage(text):
    def edit(file):
        file["contents/facts"][1] = text

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        state(group="conv1"),
        state(group="../.."),
        state(group="block_conv_1"),
        state(group=7),
        state(shape=[4, 4]),
        state(shape=[4, 4, -3]),
        state(shape=[4, 4, "3"]),
        state(stored_bytes=-1),
        state(stored_bytes=True),
        state(arrays=7),
        state(attributes={}),
        state(attributes=[1]),
        garbage(b"[" * 1500),
        garbage(b"\xff\xfe"),
        garbage(b""),
        garbage(b"null"),
        lambda file: file.__delitem__("contents/facts"),
        lambda file: file.__delitem__("layers/conv2"),
        lambda file: file.create_group("layers/conv3"),
    ],
)
def test_a_store_whose_list_of_layers_is_none_is_refused_at_once(edited, edit):
    path = edited(edit)
    with pytest.raises(StoreError, match=r"damaged or incomplete store: .*contents/facts"):
        open_store(path)
    assert any("contents/facts" in problem for problem in problems(path))


@pytest.mark.parametrize(
    "changes", [{"shape": [4, 4, 2]}, {"stored_bytes": 1}, {"arrays": ["activation", "mean"]}]
)
def test_what_is_stated_falsely_of_a_layer_is_found_when_it_is_read(edited, changes):
    path = edited(state(**changes))
    with open_store(path) as store:
        store.layers[GOOD].feature_maps(0)
        with pytest.raises(StoreError, match="/layers/conv2 is not as /contents/facts states"):
            store.layers[BAD].feature_maps(0)
    assert any("conv2 is not as" in problem for problem in problems(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(["group", "shape", "stored_bytes", "arrays", "attributes"]), JSON)
def test_any_json_is_a_layer_or_a_value_error(store_path, key, value):
    stated = facts_of(store_path)["conv2"] | {key: value}
    try:
        facts = LayerFacts.parse(json.dumps(stated))
    except ValueError:
        return
    assert LayerFacts.parse(facts.text()) == facts
