"""What is exported, and the store itself, is read by others bit for bit, and indexed as by numpy."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import xarray
import zarr
from factories import CLASS_NAMES, NumpyProbe, absent, make_samples, tool
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fmcore.capture import capture, plan_capture
from fmcore.errors import ArrayIndexError
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.records import Captured, LayerSpec, ModelInfo
from fmcore.selection import parse_query
from fmcore.statistics import STATISTICS
from fmcore.storage import Store, open_store
from fmcore.storage.chunks import ChunkIndex

AXES = ("sample", "y", "x", "filter")
BESIDE = ("index", "id", "label", "prediction")
ODD_NAN = np.uint32(0xFFC12345).view(np.float32)  # negative, and with a payload

# What a spreadsheet, a shell, a file system or a parser may take for something else.
HOSTILE = (
    "=cmd()",
    "+1",
    "-1",
    "@x",
    "\ttab",
    "\rcr",
    'with "quotes", and commas',
    "new\nline",
    "carriage\rreturn",
    "../../x",
    "/etc/passwd",
    "CON",
    "con",
)

# --- stores, and what numpy knows of them ---------------------------------------------------------


class OddProbe(NumpyProbe):
    """Maps with NaN, infinities, -0.0, the smallest float32, and values beyond float16."""

    def __call__(self, images):
        found = super().__call__(images)
        first, second = (values.copy() for values in found.activations)
        first[:, 0, 0, ::3], first[:, 8, 7, 1] = -0.0, 1e-45
        first[:, 3, 3, 2], first[:, 3, 4, 2] = 7e4, -1e30
        second[:, 0, 1, 0], second[:, 1, 0, 0] = np.inf, -np.inf
        second[:, 2, 2, 0] = ODD_NAN
        second[images[:, 0, 0, 0] > 0.5, :, :, 2] = np.nan  # whole maps
        return Captured((first, second), found.probability)


class WideProbe(NumpyProbe):
    """Maps of which one sample takes two chunks; and noise that no codec makes smaller."""

    def __init__(self) -> None:
        super().__init__()
        self._ramp = np.arange(64 * 64 * 20, dtype=np.float32).reshape(64, 64, 20) / 7
        noise = np.random.default_rng(2).integers(0, 1 << 32, (9, 8, 40), dtype=np.uint32)
        self._noise = (noise & 0xBFFFFFFF).view(np.float32)  # finite
        self.layers = (LayerSpec("wide", (64, 64, 20)), LayerSpec("noise", (9, 8, 40)))

    def __call__(self, images):
        found = super().__call__(images)
        scale = 1 + images[:, :1, :1, :1]
        return Captured((self._ramp * scale, self._noise / scale), found.probability)


class HostileProbe(NumpyProbe):
    """A layer and a class of every hostile name."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = tuple(LayerSpec(name, (2, 2, 2)) for name in HOSTILE)

    def __call__(self, images):
        maps = [images[:, :2, place % 6 :][:, :, :2] - 0.5 for place in range(len(HOSTILE))]
        twice = tuple(np.concatenate([one, one * one], axis=3) for one in maps)
        scores = np.exp(images.reshape(len(images), -1)[:, : len(HOSTILE)])
        return Captured(twice, scores / scores.sum(axis=1, keepdims=True))


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """What a probe makes of the samples, and no reader of ours knows.

    Attributes:
        path: the store.
        paths: of the layers, by the names of their groups.
        maps: <float32>[sample, y, x, filter], by the same.
        samples: by the names in `BESIDE`.
        probability: <float32>[sample, class].
        images: as stored.
        class_names: of each class.
    """

    path: Path
    paths: Mapping[str, str]
    maps: Mapping[str, np.ndarray]
    samples: Mapping[str, np.ndarray]
    probability: np.ndarray
    images: np.ndarray
    class_names: Sequence[str]

    def pooled(self, group: str) -> dict[str, np.ndarray]:
        """The pooled tables, by their definition."""
        values = self.maps[group]
        n_samples, height, width, n_filters = values.shape
        flat = values.reshape(n_samples, height * width, n_filters)
        finite = np.isfinite(flat)
        seen, n_values = finite.any(axis=1), np.maximum(finite.sum(axis=1), 1)
        place = np.where(finite, flat, -np.inf).argmax(axis=1)
        mean = np.where(finite, flat, 0).sum(axis=1, dtype=np.float64) / n_values
        largest = np.take_along_axis(flat, place[:, np.newaxis], axis=1)[:, 0]
        return {
            "mean": np.where(seen, mean, np.nan).astype(np.float32),
            "max": np.where(seen, largest, np.float32(np.nan)),
            "max_y": (place // width).astype(np.int32),
            "max_x": (place % width).astype(np.int32),
            "zero_fraction": (flat == 0).mean(axis=1).astype(np.float32),
        }

    def statistics(self) -> Iterator[tuple[str, tuple[str, ...], np.ndarray, np.ndarray | None]]:
        """Group, name, value and chance level of each, as h5py finds them in the file."""
        with h5py.File(self.path) as file, open_store(self.path) as store:
            for one in STATISTICS.values():
                for group, path in (
                    [("similarity", "")]
                    if "layer" in one.axes
                    else [(f"layers/{group}", path) for group, path in self.paths.items()]
                ):
                    where = one.path if group == "similarity" else f"{group}/{one.path}"
                    if one.is_stored:
                        value = file[where][()]
                    else:  # a quantile, which the store does not hold
                        value = store.layers[path].statistic(one.name)
                    chance = file[f"{where}_chance"][()] if one.chance else None
                    yield group, one.name, value, chance


def made(path: Path, probe: NumpyProbe, n: int, *, class_names=CLASS_NAMES, ids=None) -> Truth:
    """A store by the real capture, and the truth of it."""
    labels = None if class_names is CLASS_NAMES else np.arange(n) % len(class_names)
    samples = make_samples(n, labels=labels)
    plan = plan_capture(
        probe,
        samples,
        class_names=class_names,
        model=ModelInfo("tiny"),
        dataset_name="random",
        dataset_source="random images",
        divide_by=255.0,
        batch_size=10,
    )
    if ids is not None:
        plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, ids=ids))
    capture(probe, samples, path, plan)
    found = probe(samples.images.astype(np.float32) / np.float32(255.0))
    with h5py.File(path) as file:
        attributes = {group: dict(node.attrs) for group, node in file["layers"].items()}
    groups = sorted(attributes, key=lambda group: attributes[group]["layer_index"])
    return Truth(
        path,
        {group: spec.path for group, spec in zip(groups, probe.layers, strict=True)},
        dict(zip(groups, found.activations, strict=True)),
        {
            "index": np.arange(n),
            "id": np.array(plan.store.ids),
            "label": samples.labels,
            "prediction": found.probability.argmax(axis=1),
        },
        found.probability,
        samples.images,
        class_names,
    )


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Truth:
    return made(tmp_path_factory.mktemp("odd") / "odd.h5", OddProbe(), 37)


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> Truth:
    return made(tmp_path_factory.mktemp("wide") / "wide.h5", WideProbe(), 3)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Truth:
    ids = [f"{name}{place}" for place, name in enumerate(HOSTILE * 2)]
    path = tmp_path_factory.mktemp("hostile") / "hostile.h5"
    return made(path, HostileProbe(), len(ids), class_names=HOSTILE, ids=ids)


def test_the_stores_hold_what_is_to_be_tried(odd, wide, hostile):
    def codec(truth, group):
        with h5py.File(truth.path) as file:
            array = file[f"layers/{group}/activation"]
            return array.compression, array.shuffle, array.fletcher32, array.chunks

    assert codec(odd, "block_conv_1") == ("gzip", False, True, (2, 9, 8, 20))
    assert codec(wide, "wide") == ("gzip", True, True, (1, 64, 64, 16))
    assert codec(wide, "noise")[:3] == (None, False, True)
    values = np.concatenate([each.reshape(-1) for each in odd.maps.values()])
    assert np.isnan(values).any()
    assert np.isposinf(values).any()
    assert np.isneginf(values).any()
    assert (np.signbit(values) & (values == 0)).any()
    assert list(hostile.paths.values()) == list(HOSTILE)
