"""What a capture is estimated to take follows from the schema, array by array."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import pytest
from helpers.factories import CLASS_NAMES, NumpyProbe, make_samples

from fmcore.capture import CaptureOptions, capture, cost, plan_capture
from fmcore.capture.cost import BOXES, estimate_layer
from fmcore.dataset import Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo


@pytest.mark.parametrize("statistics", ["all", "basic"])
@pytest.mark.parametrize("policy", ["float32", "float16", "pooled"])
def test_an_estimate_counts_the_bytes_of_every_array(tmp_path, monkeypatch, statistics, policy):
    n = 200
    # Here all is counted uncompressed, and without what describes it.
    monkeypatch.setattr(cost, "SHARES", dict.fromkeys(cost.SHARES, 1))
    for name, value in {"CHANCE": 1, "ZEROS": 1, "WEIGHTS": 1, "ARRAY_METADATA": 0}.items():
        monkeypatch.setattr(cost, name, value)
    labels = np.arange(n) % len(CLASS_NAMES)  # so many of each class that no table has a gap
    probe, samples = NumpyProbe(), make_samples(n, labels=labels)
    probe.layers = tuple(
        dataclasses.replace(spec, receptive_field=np.zeros((*spec.shape[:2], 4), np.int32))
        for spec in probe.layers
    )
    options = CaptureOptions(statistics=statistics, policy=f"*={policy}")
    plan = plan_capture(
        probe,
        samples,
        options,
        class_names=CLASS_NAMES,
        model=ModelInfo("tiny"),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    path = capture(probe, samples, tmp_path / "s.h5", plan, options)
    with h5py.File(path) as file:
        sizes = {
            node.attrs["layer_path"].decode(): sum(
                array_bytes(name, array)
                for name, array in members(node).items()
                if name not in ("class/histogram", "bin_bounds")
            )
            for node in file["layers"].values()
        }
        n_sample_bytes = sum(
            array.size * array.dtype.itemsize for array in members(file["samples"]).values()
        )
    for layer in plan.store.layers:
        no_histogram = dataclasses.replace(layer, bin_bits=None)
        estimate = estimate_layer(no_histogram, 1.0, np.bincount(labels), lacks=plan.store.lacks)
        assert estimate.stored_bytes == sizes[layer.spec.path]
    assert n * plan.store.sample_bytes == n_sample_bytes


class DeepProbe(NumpyProbe):
    """Many layers of a few pixels: ReLU maps of random filters over 2×2 pixels."""

    def __init__(self, n_layers: int) -> None:
        rng = np.random.default_rng(0)
        widths = [(24, 48, 96)[index % 3] for index in range(n_layers)]
        self._weights = [rng.normal(size=(4, width)).astype(np.float32) for width in widths]
        self._output = rng.normal(size=(widths[0], len(CLASS_NAMES))).astype(np.float32)
        self.layers = tuple(
            LayerSpec(
                f"block{index}/conv",
                (4, 4, width),
                kernel=rng.normal(size=(1, 1, width, width)).astype(np.float32),
                bias=np.zeros(width, np.float32),
                receptive_field=np.zeros((4, 4, 4), np.int32),
            )
            for index, width in enumerate(widths)
        )

    def __call__(self, images, others=None) -> Captured:
        parts = [images[:, y : y + 8 : 2, x : x + 8 : 2] for y in range(2) for x in range(2)]
        patches = np.concatenate(parts, axis=3)
        maps = tuple(np.maximum(patches @ weights - 0.2, 0) for weights in self._weights)
        scores = np.exp(maps[0].mean(axis=(1, 2)) @ self._output)
        return Captured(maps, scores / scores.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("n", [40, 200])
def test_the_estimate_of_a_deep_store_is_within_a_tenth_of_the_file(tmp_path, n):
    labels = np.arange(n) % len(CLASS_NAMES)
    probe, samples = DeepProbe(15), make_samples(n, labels=labels)
    plan = plan_capture(
        probe,
        samples,
        class_names=CLASS_NAMES,
        model=ModelInfo("deep", digest="0" * 64, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    path = capture(probe, samples, tmp_path / "s.h5", plan)
    assert 0.9 < plan.estimate.store_bytes / path.stat().st_size < 1.1


def members(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """The arrays of a group and of those below it, but for axes, by their path in it."""
    arrays: dict[str, h5py.Dataset] = {}

    def add(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset) and not node.is_scale:
            arrays[name] = node

    group.visititems(add)
    return arrays


def array_bytes(name: str, array: h5py.Dataset) -> int:
    """The bytes of an array, uncompressed but for boxes, which are estimated from measurements."""
    n_bytes = array.size * array.dtype.itemsize
    return n_bytes // BOXES if name == "receptive_field" else n_bytes
