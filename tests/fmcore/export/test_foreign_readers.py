"""Exports and stores are read by others bit for bit, and indexed as numpy indexes arrays."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet
import pytest
import xarray
import zarr
from helpers.factories import CLASS_NAMES, NumpyProbe, absent, make_samples, tool
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import Preprocessing
from fmcore.errors import ArrayIndexError
from fmcore.export import FORMATS, check_folder, export_store
from fmcore.records import Captured, LayerSpec, ModelInfo, Target
from fmcore.selection import parse_query
from fmcore.statistics import STATISTICS, Statistic
from fmcore.storage import Store, open_store
from fmcore.storage.chunks.stored_array import ChunkIndex
from fmcore.storage.format.columns import NUMBERS

# What a store holds whose model gives classes.
# The probe has no weights, so that its stores have no statistics of them.
OF_CLASSES = tuple(
    name
    for name, statistic in STATISTICS.items()
    if statistic.target == Target.CLASS and statistic.made_of != "kernel"
)

pytestmark = pytest.mark.slow  # many programs read many exports
AXES = ("sample", "y", "x", "filter")
BESIDE = ("index", "id", "label", "prediction", *NUMBERS)
ODD_NAN = np.uint32(0xFFC12345).view(np.float32)  # negative, and with a payload

# What a spreadsheet takes for the begin of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
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
    "②, naïve",
)

# --- stores, and what numpy knows of them ---------------------------------------------------------


class OddProbe(NumpyProbe):
    """Maps with NaN, infinities, -0.0, the smallest float32, and values beyond float16."""

    def __call__(self, images, others=None):
        found = super().__call__(images)
        first, second = (values.copy() for values in found.activations)
        first[:, 0, 0, ::3], first[:, 8, 7, 1] = -0.0, 1e-45
        first[:, 3, 3, 2], first[:, 3, 4, 2] = 7e4, -1e30
        second[:, 0, 1, 0], second[:, 1, 0, 0] = np.inf, -np.inf
        second[:, 2, 2, 0] = ODD_NAN
        second[images[:, 0, 0, 0] > 0.5, :, :, 2] = np.nan  # whole maps
        return Captured((first, second), found.probability)


class WideProbe(NumpyProbe):
    """Maps of which a sample takes two chunks, the last one padded; noise that cannot shrink."""

    def __init__(self) -> None:
        super().__init__()
        self._ramp = np.arange(64 * 64 * 21, dtype=np.float32).reshape(64, 64, 21) / 7
        noise = np.random.default_rng(2).integers(0, 1 << 32, (9, 8, 40), dtype=np.uint32)
        self._noise = (noise & 0xBFFFFFFF).view(np.float32)  # finite
        self.layers = (LayerSpec("wide", (64, 64, 21)), LayerSpec("noise", (9, 8, 40)))

    def __call__(self, images, others=None):
        found = super().__call__(images)
        scale = 1 + images[:, :1, :1, :1]
        return Captured((self._ramp * scale, self._noise / scale), found.probability)


class HostileProbe(NumpyProbe):
    """A layer and a class of every hostile name."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = tuple(LayerSpec(name, (2, 2, 2)) for name in HOSTILE)

    def __call__(self, images, others=None):
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
        # The last bit of a mean may differ where it lies between two float32.
        stored = self.stored[f"layers/{group}/pooled/mean"]
        assert_allclose(stored, np.where(seen, mean, np.nan), rtol=2**-23, atol=1e-45)
        largest = np.take_along_axis(flat, place[:, np.newaxis], axis=1)[:, 0]
        return {
            "mean": stored,
            "max": np.where(seen, largest, np.float32(np.nan)),
            "max_y": (place // width).astype(np.int32),
            "max_x": (place % width).astype(np.int32),
            "zero_fraction": (flat == 0).mean(axis=1).astype(np.float32),
        }

    @functools.cached_property
    def stored(self) -> dict[str, np.ndarray]:
        """Every array of the file but the maps, as h5py reads it; rows of tables by their names."""
        found: dict[str, np.ndarray] = {}

        def add(path: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset) and not path.endswith("/activation"):
                found[path] = node[()]

        with h5py.File(self.path, locking=False) as file:
            file.visititems(add)
        for axis, table in (
            ("moment", "class/moments"),
            ("count", "class/counts"),
            ("class_score", "class/scores"),
            ("filter_score", "filters/scores"),
        ):
            names = [name.decode() for name in found.get(f"names/{axis}", [])]
            for path in [path for path in found if path.endswith(f"/{table}")]:
                group = path.rpartition("/")[0]
                for name, row in zip(names, found[path], strict=True):
                    found[f"{group}/{name}"] = row[0] if "score" in axis else row
                    if "score" in axis:
                        found[f"{group}/{name}_chance"] = row[1:]
        return found

    @functools.cached_property
    def statistics(self) -> list[tuple[str, str, np.ndarray, np.ndarray | None]]:
        """Group, name, value and chance level of each, as they lie in the file."""
        found = []
        with open_store(self.path) as store:
            for statistic in map(STATISTICS.get, OF_CLASSES):
                of_layers = "layer" in statistic.axes
                for group in (
                    ["similarity"] if of_layers else [f"layers/{each}" for each in self.maps]
                ):
                    path = (
                        f"{group}/{statistic.name}"
                        if of_layers
                        else f"{group}/{_inside(statistic)}"
                    )
                    if statistic.is_stored:
                        value = self.stored[path]
                    else:  # the file holds histograms and kernels only
                        layer = store.layers[self.paths[group.split("/")[1]]]
                        if statistic.name not in layer.statistics:
                            continue  # a layer without a kernel
                        value = layer.statistic(statistic.name)
                    chance = self.stored[f"{path}_chance"] if statistic.chance else None
                    found.append((group, statistic.name, value, chance))
        return found


def _inside(statistic: Statistic) -> str:
    """Where a statistic of filters lies in the group of its layer, as FORMAT.md has it."""
    return f"{'class' if statistic.axes[0] == 'class' else 'filters'}/{statistic.name}"


def made(
    path: Path, probe: NumpyProbe, n: int, *, class_names=CLASS_NAMES, ids=None, **options
) -> Truth:
    """A store by the real capture, and the truth of it."""
    labels = None if class_names is CLASS_NAMES else np.arange(n) % len(class_names)
    samples = make_samples(n, labels=labels)
    plan = plan_capture(
        probe,
        samples,
        CaptureOptions(batch_size=10, **options),
        class_names=class_names,
        model=ModelInfo("tiny"),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    if ids is not None:
        plan = dataclasses.replace(plan, store=dataclasses.replace(plan.store, ids=ids))
    capture(probe, samples, path, plan)
    found = probe(samples.images.astype(np.float32) / np.float32(255.0))
    with h5py.File(path, locking=False) as file:
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
def half(tmp_path_factory) -> Truth:
    """Maps that are kept as float16, of a probe that makes float32."""
    path = tmp_path_factory.mktemp("half") / "half.h5"
    truth = made(path, NumpyProbe(), 7, policy="*=float16")
    rounded = {group: values.astype(np.float16) for group, values in truth.maps.items()}
    return dataclasses.replace(truth, maps=rounded)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Truth:
    ids = [f"{name}{place}" for place, name in enumerate(HOSTILE * 2)]
    path = tmp_path_factory.mktemp("hostile") / "hostile.h5"
    return made(path, HostileProbe(), len(ids), class_names=HOSTILE, ids=ids)


@pytest.fixture(scope="module")
def truths(odd, wide, half, hostile) -> dict[str, Truth]:
    return {"odd": odd, "wide": wide, "half": half, "hostile": hostile}


@pytest.fixture(scope="module")
def stores(truths) -> Iterator[dict[str, Store]]:
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(open_store(one.path)) for name, one in truths.items()}


@pytest.fixture(scope="module")
def tree(stores) -> xarray.DataTree:
    return stores["odd"].to_xarray()


def test_the_stores_hold_what_is_to_be_tried(odd, wide, hostile):
    def codec(truth, group):
        with h5py.File(truth.path, locking=False) as file:
            array = file[f"layers/{group}/activation"]
            return array.compression, array.shuffle, array.fletcher32, array.chunks

    assert codec(odd, "block_conv_1") == ("gzip", False, True, (2, 9, 8, 20))
    assert codec(wide, "wide") == ("gzip", True, True, (1, 64, 64, 11))
    assert codec(wide, "noise")[:3] == (None, False, True)
    values = np.concatenate([each.reshape(-1) for each in odd.maps.values()])
    assert np.isnan(values).any()
    assert np.isposinf(values).any()
    assert np.isneginf(values).any()
    assert (np.signbit(values) & (values == 0)).any()
    assert list(hostile.paths.values()) == list(HOSTILE)


# --- what is chosen, in words and in numpy --------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """A query, and the same as numpy's indices."""

    query: Mapping[str, str]
    filters: Any = ...
    samples: Any = ...
    classes: tuple[int, ...] | None = None
    statistics: Sequence[str] = OF_CLASSES

    def text(self, what: str) -> dict[str, str]:
        """The query; of statistics nobody can choose samples or a dtype."""
        if what != "statistics":
            return {**self.query, "what": what}
        known = {name: self.query[name] for name in ("filter", "class") if name in self.query}
        return {**known, "what": what, "statistic": ",".join(self.statistics)}

    def rows(self, truth: Truth) -> np.ndarray:
        rows = truth.samples["index"][self.samples]
        kept = slice(None)
        if self.classes is not None:
            kept = np.isin(truth.samples["label"][rows], self.classes)
        return rows[kept]

    def of(self, truth: Truth, axes: Sequence[str], values: np.ndarray) -> np.ndarray:
        """The part of an array that is chosen, floats in the dtype that is."""
        picks = {"sample": self.rows(truth), "filter": self.filters, "other_filter": self.filters}
        if self.classes is not None:
            picks["class"] = list(self.classes)
        places = [
            np.arange(size)[picks.get(axis, ...)]
            for axis, size in zip(axes, values.shape, strict=True)
        ]
        chosen = values[np.ix_(*places)]
        if "sample" not in axes or values.dtype.kind != "f":
            return chosen
        with np.errstate(over="ignore"):
            return chosen.astype(self.query.get("dtype", "float32"))


CHOICES = {
    "everything": Choice({}),
    "lists in their order": Choice({"filter": "2,0:2", "sample": "3,1,2"}, [2, 0, 1], [3, 1, 2]),
    "some twice": Choice(
        {"filter": "0:2,1", "sample": "30:37:3,5,5", "dtype": "float16"},
        [0, 1, 1],
        [30, 33, 36, 5, 5],
    ),
    "classes": Choice({"class": "one,0", "filter": "::2"}, slice(0, None, 2), classes=(1, 0)),
    "float16": Choice({"dtype": "float16"}),
    "few statistics": Choice({}, statistics=("mean", "auc_max", "correlation_max", "cka_max")),
    "across chunks": Choice({"filter": "17,2:4", "sample": "2,0"}, [17, 2, 3], [2, 0]),
}


@functools.cache
def arrays_of(truth: Truth, what: str, choice: Choice) -> dict[str, dict[str, Any]]:
    """Axes and values of each array that is chosen, by group and name."""
    found: dict[str, dict[str, Any]] = {}

    def add(group: str, name: str, axes: Sequence[str], values: np.ndarray) -> None:
        found.setdefault(group, {})[name] = (tuple(axes), choice.of(truth, axes, values))

    if what == "statistics":
        for group, name, value, chance in truth.statistics:
            if name not in choice.statistics:
                continue
            one = STATISTICS[name]
            name = name if group == "similarity" else _inside(one).replace("/", "_")
            add(group, name, one.axes, value)
            if chance is not None:
                add(group, f"{name}_chance", ("bound", *one.axes), chance)
        return found
    for group, values in truth.maps.items():
        if what == "maps":
            add(f"layers/{group}", "activation", AXES, values)
        else:
            for name, table in truth.pooled(group).items():
                add(f"layers/{group}", f"pooled_{name}", ("sample", "filter"), table)
    return found


@functools.cache
def tables_of(truth: Truth, what: str, choice: Choice) -> dict[str, dict[str, np.ndarray]]:
    """The columns of each table that is chosen, by the path of its file; no text is empty."""
    if what == "statistics":
        return {"statistics": _statistics_table(truth, choice)}
    rows = choice.rows(truth)
    samples = {name: values[rows] for name, values in truth.samples.items()}
    found = {"samples": samples}
    for group, arrays in arrays_of(truth, what, choice).items():
        filters = np.arange(truth.maps[group.split("/")[1]].shape[3])[choice.filters]
        if what == "maps":
            values = arrays["activation"][1]
            _, height, width, _ = values.shape
            places = np.meshgrid(rows, np.arange(height), np.arange(width), filters, indexing="ij")
            columns = dict(zip(AXES, places, strict=True)) | {"value": values}
        else:
            shape = (len(rows), len(filters))
            index = {"sample": samples["index"], **samples}
            del index["index"]
            columns = {
                name: np.broadcast_to(one[:, np.newaxis], shape) for name, one in index.items()
            }
            columns["filter"] = np.broadcast_to(filters, shape)
            columns |= {name.removeprefix("pooled_"): one for name, (_, one) in arrays.items()}
        found[f"{group}.{what}"] = {name: one.reshape(-1) for name, one in columns.items()}
    return found


def _statistics_table(truth: Truth, choice: Choice) -> dict[str, np.ndarray]:
    """A row for each value, in the order of the choice."""
    sizes = np.bincount(truth.samples["label"], minlength=len(truth.class_names))
    paths = list(truth.paths.values())
    parts: list[tuple[tuple[int, int], pd.DataFrame]] = []
    for at, (group, name, value, chance) in enumerate(truth.statistics):
        if name not in choice.statistics:
            continue
        one = STATISTICS[name]
        places = dict(zip(one.axes, np.indices(value.shape).reshape(value.ndim, -1), strict=True))
        frame = pd.DataFrame({"value": value.reshape(-1).astype(np.float64)})
        low, high = (np.nan, np.nan) if chance is None else chance.reshape(2, -1)
        frame["chance_low"], frame["chance_high"] = low, high
        frame["n"] = sizes[places["class"]] if "class" in places else len(truth.samples["label"])
        frame["statistic"], frame["pooling"] = one.family, one.pooling
        frame["class"] = frame["target"] = frame["other"] = ""
        frame["filter"] = np.nan
        if group == "similarity":
            frame["layer"] = [paths[place] for place in places["layer"]]
            if "other_layer" in places:
                frame["other"] = [paths[place] for place in places["other_layer"]]
        else:
            frame["layer"] = truth.paths[group.split("/")[1]]
            frame["filter"] = places["filter"].astype(np.float64)
            if "other_filter" in places:
                frame["other"] = places["other_filter"].astype(str)
        if "class" in places:
            frame["class"] = [truth.class_names[place] for place in places["class"]]
        layer = -1 if group == "similarity" else list(truth.paths).index(group.split("/")[1])
        rows = choice.of(truth, one.axes, np.arange(value.size).reshape(value.shape))
        parts.append(((layer, at), frame.iloc[rows.reshape(-1)]))
    whole = pd.concat([frame for _, frame in sorted(parts, key=lambda part: part[0])])
    return {name: whole[name].to_numpy() for name in whole}


# --- foreign readers ------------------------------------------------------------------------------

# Group, name, values and axes of every array in a folder; no axes where the format has none.
Arrays = Iterator[tuple[str, str, Any, tuple[str, ...] | None]]


def by_numpy_mapped(out: Path) -> Arrays:
    for path in out.rglob("*.npy"):
        parts = path.relative_to(out).with_suffix("").parts
        n_group = 2 if parts[0] == "layers" else 1
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        yield "/".join(parts[:n_group]), "_".join(parts[n_group:]), array, None


def by_numpy_archive(out: Path) -> Arrays:
    for path in out.rglob("*.npz"):
        group = path.relative_to(out).with_suffix("").as_posix()
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                yield group, name, archive[name], None


def by_zarr(out: Path) -> Arrays:
    for path in out.rglob("*.zarr"):
        group = path.relative_to(out).with_suffix("").as_posix()
        for name, array in zarr.open_group(path, mode="r").arrays():
            yield group, name, array[...], array.metadata.dimension_names


def by_xarray(out: Path) -> Arrays:
    for path in out.rglob("*.zarr"):
        group = path.relative_to(out).with_suffix("").as_posix()
        with xarray.open_zarr(path, consolidated=False) as found:
            for name, array in found.variables.items():
                yield group, str(name), array.values, array.dims


TEXTS = ("id", "layer", "class", "target", "other", "statistic", "pooling", "reason")
# Path without its suffix, and columns, of every table in a folder.
Frames = Iterator[tuple[str, Mapping[str, np.ndarray]]]


def by_pyarrow(out: Path) -> Frames:
    for path in out.rglob("*.parquet"):
        table = pyarrow.parquet.read_table(path)
        columns = {name: table[name].to_numpy() for name in table.column_names}
        yield path.relative_to(out).with_suffix("").as_posix(), columns


def by_pandas_parquet(out: Path) -> Frames:
    for path in out.rglob("*.parquet"):
        frame = pd.read_parquet(path)
        columns = {name: frame[name].to_numpy() for name in frame}
        yield path.relative_to(out).with_suffix("").as_posix(), columns


def by_pandas_csv(out: Path) -> Frames:
    for path in out.rglob("*.csv"):
        frame = read_csv(path)
        columns = {name: frame[name].to_numpy() for name in frame}
        yield path.relative_to(out).with_suffix("").as_posix(), columns


def by_orjson(out: Path) -> Frames:
    for path in out.rglob("*.json"):
        if path.name != "manifest.json":
            frame = pd.DataFrame(orjson.loads(path.read_bytes()))
            columns = {  # a column of nulls has no type
                name: (frame[name] if name in TEXTS else pd.to_numeric(frame[name])).to_numpy()
                for name in frame
            }
            yield path.relative_to(out).with_suffix("").as_posix(), columns


# From pandas 3 on, floats are read to the last bit anyway.
EXACT = {"float_precision": "round_trip"} if pd.__version__ < "3" else {}


def read_csv(path: Path) -> pd.DataFrame:
    """Texts as texts, and empty numbers as NaN."""
    with path.open() as stream:
        header = stream.readline().rstrip().split(",")
    return pd.read_csv(
        path,
        **EXACT,
        dtype=dict.fromkeys(TEXTS, "object"),
        keep_default_na=False,
        na_values={name: [""] for name in header if name not in TEXTS},
    )


ARRAY_READERS: dict[str, list[Callable[[Path], Arrays]]] = {
    "npy": [by_numpy_mapped],
    "npz": [by_numpy_archive],
    "zarr": [by_zarr, by_xarray],
}
TABLE_READERS: dict[str, list[Callable[[Path], Frames]]] = {
    "csv": [by_pandas_csv],
    "json": [by_orjson],
    "parquet": [by_pyarrow, by_pandas_parquet],
}


# What would try nothing new.
NOT_TRIED = {
    "maps": ("few statistics",),
    "pooled": ("float16", "few statistics", "across chunks"),
    "statistics": ("everything", "some twice", "float16", "few statistics", "across chunks"),
}


def cases(readers: Mapping[str, Sequence[Callable]]) -> list[Any]:
    """What is read by whom."""
    found = []
    for name, each in readers.items():
        for what in FORMATS[name].takes:
            for chosen in CHOICES:
                if chosen in NOT_TRIED.get(what, ()):
                    continue
                truth = "wide" if chosen == "across chunks" else "odd"
                found += [
                    pytest.param(
                        name, truth, what, chosen, reader, id=f"{what}-{chosen}-{reader.__name__}"
                    )
                    for reader in each
                ]
    return found


@pytest.fixture(scope="module")
def exported(truths, tmp_path_factory):
    """Exports into a folder, each once."""
    done: dict[tuple[str, ...], Path] = {}

    def export(form: str, truth: str, what: str, chosen: str) -> Path:
        key = (form, truth, what, chosen)
        if key not in done:
            out = tmp_path_factory.mktemp("exports") / "out"
            with open_store(truths[truth].path) as store:
                query = parse_query(CHOICES[chosen].text(what))
                export_store(store, out, query, format_name=form)
            done[key] = out
        return done[key]

    return export


def assert_same(found: Any, expected: np.ndarray, said: str = "") -> None:
    """Equal shapes, dtypes and bits; where float16 was made of a NaN, it is some NaN."""
    found = np.ascontiguousarray(found)
    expected = np.ascontiguousarray(expected)
    assert found.shape == expected.shape, said
    if expected.dtype.kind in "UO":
        assert found.tolist() == expected.tolist(), said
        return
    assert found.dtype == expected.dtype, said
    if expected.dtype == np.float16:
        missing = np.isnan(expected)
        assert_array_equal(np.isnan(found), missing, err_msg=said)
        found, expected = found[~missing], expected[~missing]
    bits = f"u{expected.dtype.itemsize}"
    assert_array_equal(found.view(bits), expected.view(bits), err_msg=said)


def assert_same_column(found: np.ndarray, expected: np.ndarray, said: str) -> None:
    """Equal but for what a text of numbers does not hold: their dtype, and the bits of NaN."""
    if expected.dtype.kind in "UO":
        found = ["" if pd.isna(one) else one for one in found]
        assert found == expected.tolist(), said
        return
    assert found.dtype.kind == expected.dtype.kind, said
    assert len(found) == len(expected), said
    found = found.astype(expected.dtype)
    if expected.dtype.kind == "f":
        assert_array_equal(np.isnan(found), np.isnan(expected), err_msg=said)
        found, expected = (one[~np.isnan(expected)] for one in (found, expected))
    assert_same(found, expected, said)


def test_every_format_has_a_foreign_reader():
    assert set(FORMATS) == {*ARRAY_READERS, *TABLE_READERS}


@pytest.mark.parametrize(("form", "truth", "what", "chosen", "reader"), cases(ARRAY_READERS))
def test_arrays_have_the_bits_shapes_and_axes_of_numpy(
    truths, exported, form, truth, what, chosen, reader
):
    expected = arrays_of(truths[truth], what, CHOICES[chosen])
    rows = CHOICES[chosen].rows(truths[truth])
    found: dict[str, dict[str, Any]] = {}
    for group, name, values, axes in reader(exported(form, truth, what, chosen)):
        if what != "statistics" and name in BESIDE:
            assert_same(values, truths[truth].samples[name][rows], f"{group}/{name}")
            assert axes in (None, ("sample",))
            found.setdefault(group, {})
            found[group].setdefault("beside", set()).add(name)
            continue
        axes_of, values_of = expected[group][name]
        assert_same(values, values_of, f"{group}/{name}")
        assert axes in (None, axes_of)
        found.setdefault(group, {})[name] = ...
    labelled = [each.pop("beside") for each in found.values() if "beside" in each]
    n_labelled = 0 if what == "statistics" else 1 if form == "npy" else len(expected)
    assert labelled == [set(BESIDE)] * n_labelled
    assert {group: set(each) for group, each in found.items() if each} == {
        group: set(each) for group, each in expected.items()
    }


@pytest.mark.parametrize(("form", "truth", "what", "chosen", "reader"), cases(TABLE_READERS))
def test_tables_have_the_rows_and_numbers_of_numpy(
    truths, exported, form, truth, what, chosen, reader
):
    expected = tables_of(truths[truth], what, CHOICES[chosen])
    tables = dict(reader(exported(form, truth, what, chosen)))
    assert set(tables) == set(expected)
    for path, columns in tables.items():
        wanted = expected[path]
        if what == "statistics":
            reasons = np.array(["" if pd.isna(one) else one for one in columns["reason"]])
            assert_array_equal(reasons == "", np.isfinite(wanted["value"]))
            columns = {name: one for name, one in columns.items() if name != "reason"}
        assert set(columns) == set(wanted)
        for name, values in columns.items():
            if form == "parquet" and wanted[name].dtype.kind == "f" and what != "statistics":
                assert values.dtype == wanted[name].dtype
            assert_same_column(values, wanted[name], f"{path}: {name}")


# --- the manifest ---------------------------------------------------------------------------------

OPEN: dict[str, Callable[[Path, str | None], tuple[Any, tuple[str, ...] | None]]] = {
    "npy": lambda path, _: (np.load(path, mmap_mode="r", allow_pickle=False), None),
    "npz": lambda path, member: (np.load(path, allow_pickle=False)[member], None),
    "zarr": lambda path, member: (
        (array := zarr.open_group(path, mode="r")[member]),
        array.metadata.dimension_names,
    ),
}


@pytest.mark.parametrize(
    ("form", "what"), [(name, what) for name, form in FORMATS.items() for what in form.takes]
)
def test_the_manifest_says_of_each_file_and_array_what_others_find(truths, exported, form, what):
    chosen = "classes" if what == "statistics" else "some twice"
    out, expected = (
        exported(form, "odd", what, chosen),
        arrays_of(truths["odd"], what, CHOICES[chosen]),
    )
    manifest = json.loads((out / "manifest.json").read_text())
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    del files["manifest.json"]
    notes = {"largest_error", "n_overflow"}
    said = manifest["files"].items()
    if form in TABLE_READERS and CHOICES[chosen].query.get("dtype") == "float16":
        assert all(notes <= entry.keys() for name, entry in said if name.startswith("layers/"))
    assert {name: {key: entry[key] for key in entry.keys() - notes} for name, entry in said} == {
        name: {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for name, path in files.items()
    }
    assert list(check_folder(out)) == []
    for group, values in truths["odd"].maps.items():
        told = manifest["layers"][truths["odd"].paths[group]]
        filters = np.arange(values.shape[3])[CHOICES[chosen].filters]
        assert told == {"path": f"layers/{group}", "filters": filters.tolist()}
    axes_by_path = {
        f"{group}/{name}": axes
        for group, each in expected.items()
        for name, (axes, _) in each.items()
    }
    n_labels = 0
    for path, entry in manifest["arrays"].items():
        array, axes = OPEN[form](out / entry["file"], entry.get("member"))
        assert entry["shape"] == list(array.shape)
        assert entry["dtype"] == array.dtype.str or array.dtype.kind == "T"
        assert axes in (None, tuple(entry["axes"]))
        name = path.replace(f".{form}/", "/")
        group = name.rsplit("/", 1)[0] if form != "npy" else "/".join(name.split("/")[:2])
        member = name.removeprefix(f"{group}/").replace("/", "_")
        if what != "statistics" and name.rsplit("/", 1)[-1] in BESIDE:
            assert entry["axes"] == ["sample"]
            n_labels += 1
            continue
        if name.startswith("similarity/"):
            group, member = name.split("/")
        assert tuple(entry["axes"]) == axes_by_path.pop(f"{group}/{member}")
    if form in ARRAY_READERS:
        assert axes_by_path == {}
        assert n_labels > 0 or what == "statistics"
    else:
        assert manifest["arrays"] == {}, "tables name their columns themselves"


@pytest.mark.parametrize("form", ARRAY_READERS)
def test_the_manifest_says_what_float16_cost(truths, exported, form):
    manifest = json.loads((exported(form, "odd", "maps", "float16") / "manifest.json").read_text())
    maps = [one for name, one in manifest["arrays"].items() if name.endswith("/activation")]
    for entry, values in zip(maps, truths["odd"].maps.values(), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.abs(values.astype(np.float16).astype(np.float64) - values)
        assert entry["n_overflow"] == (np.isinf(error) & np.isfinite(values)).sum()
        assert entry["largest_error"] == pytest.approx(error[np.isfinite(error)].max(), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("reader", [one for some in ARRAY_READERS.values() for one in some])
def test_maps_that_are_stored_as_float16_are_the_same_numbers_in_any_dtype(
    half, tmp_path, reader, dtype
):
    form = next(name for name, some in ARRAY_READERS.items() if reader in some)
    with open_store(half.path) as store:
        export_store(store, tmp_path / "out", parse_query({"dtype": dtype}), format_name=form)
    found = {
        group.removeprefix("layers/"): values
        for group, name, values, _ in reader(tmp_path / "out")
        if name == "activation"
    }
    assert set(found) == set(half.maps)
    for group, values in half.maps.items():
        assert_same(found[group], values.astype(dtype))


@pytest.mark.parametrize(
    ("form", "what"),
    [(name, what) for name, form in FORMATS.items() for what in form.takes if what != "statistics"],
)
def test_values_beyond_float16_make_no_warning(odd, tmp_path, form, what):
    query = parse_query({"dtype": "float16", "what": what, "sample": "0:3"})
    with open_store(odd.path) as store, warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        export_store(store, tmp_path / "out", query, format_name=form)


# --- the store itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["odd", "wide", "half"])
def test_xarray_reads_maps_tables_and_samples_of_a_store(truths, tmp_path, which):
    truth = truths[which]
    # HDF5 opens no file twice in one process, once with locks and once without.
    path = shutil.copy(truth.path, tmp_path)

    def opened(group: str) -> xarray.Dataset:
        return xarray.open_dataset(path, engine="h5netcdf", group=group)

    for group, values in truth.maps.items():
        with opened(f"layers/{group}") as layer:
            assert layer["activation"].dims == AXES
            assert_same(layer["activation"].values, values)
        if which == "half":  # whose tables are of what was not rounded
            continue
        with opened(f"layers/{group}/pooled") as pooled:
            for name, table in truth.pooled(group).items():
                assert pooled[name].dims == ("sample", "filter")
                assert_same(pooled[name].values, table)
    with opened("samples") as samples:
        for name in ("label", "prediction"):
            assert_same(samples[name].values, truth.samples[name])
        assert_same(samples["probability"].values, truth.probability)
        assert_same(samples["image"].values, truth.images)
        assert samples["probability"].dims == ("sample", "class")


R_READS = {
    "hdf5r": """
read <- function(path, name) {
  list(values = hdf5r::H5File$new(path, "r")[[name]]$read(), axes = "")
}
""",
    "ncdf4": """
read <- function(path, name) {
  file <- ncdf4::nc_open(path)
  values <- ncdf4::ncvar_get(file, name, collapse_degen = FALSE, raw_datavals = TRUE)
  list(values = values, axes = sapply(file$var[[name]]$dim, function(one) one$name))
}
""",
}
# Of a store, an array and a file each: the values into the file, shape and axes as two lines.
R_TELLS = """
if (!requireNamespace("{package}", quietly = TRUE)) quit(status = 9)
arguments <- matrix(commandArgs(TRUE), 3)
for (column in seq_len(ncol(arguments))) {{
  found <- read(arguments[1, column], arguments[2, column])
  raw <- file(arguments[3, column], "wb")
  writeBin(as.vector(found$values), raw, size = 4, endian = "little")
  close(raw)
  cat(dim(found$values), "\\n")
  cat(found$axes, "\\n")
}}
"""


@pytest.mark.parametrize("package", R_READS)
def test_r_reads_the_maps_of_a_store_to_the_last_bit(truths, tmp_path, package):
    program = tool("Rscript", debian=f"r-cran-{package}")
    script = tmp_path / "read.R"
    script.write_text(R_READS[package] + R_TELLS.format(package=package))
    wanted = [
        (truth, group)
        for truth in (truths["odd"], truths["wide"], truths["half"])
        for group in truth.maps
    ]
    arguments: list[str] = []
    for at, (truth, group) in enumerate(wanted):
        arguments += [str(truth.path), f"layers/{group}/activation", str(tmp_path / f"{at}.raw")]
    ran = subprocess.run(
        [program, "--vanilla", str(script), *arguments], capture_output=True, text=True
    )
    if ran.returncode == 9:
        absent(f"R's {package} is not installed (Debian: apt install r-cran-{package})")
    assert ran.returncode == 0, ran.stderr
    lines = iter(ran.stdout.splitlines())
    for at, (truth, group) in enumerate(wanted):
        # R counts its axes from the fastest one.
        shape, axes = next(lines).split()[::-1], next(lines).split()[::-1]
        expected = truth.maps[group]
        assert tuple(map(int, shape)) == expected.shape
        assert package == "hdf5r" or tuple(one.rsplit("/", 1)[-1] for one in axes) == AXES
        found = np.fromfile(tmp_path / f"{at}.raw", "<f4").reshape(expected.shape)
        assert_same(found, expected.astype(np.float32), group)


# --- as numpy indexes -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def indexed(truths, stores) -> list[tuple[Any, np.ndarray]]:
    """Arrays of open stores, and the same in memory."""
    odd, wide, half = truths["odd"], truths["wide"], truths["half"]
    return [
        (stores["odd"].layers["block/conv 1"].activation, odd.maps["block_conv_1"]),
        (stores["odd"].layers["conv2"].activation, odd.maps["conv2"]),
        (stores["wide"].layers["wide"].activation, wide.maps["wide"]),
        (stores["half"].layers["conv2"].activation, half.maps["conv2"].astype(np.float32)),
        (stores["odd"].images, odd.images),
        (stores["odd"].layers["conv2"].pooled("max"), odd.pooled("conv2")["max"]),
    ]


def slices(size: int) -> st.SearchStrategy[slice]:
    ends = st.none() | st.integers(-size - 3, size + 3)
    return st.builds(slice, ends, ends, st.none() | st.sampled_from([1, 2, 5, -1, -2, -7]))


def lists(size: int) -> st.SearchStrategy[Any]:
    numbers = st.lists(st.integers(-size, size - 1), max_size=5)
    masks = st.lists(st.booleans(), min_size=size, max_size=size)
    return st.one_of(
        numbers,
        numbers.map(lambda some: np.array(some, dtype=np.int32)),
        numbers.map(lambda some: np.array([some, some[::-1]], dtype=np.int64)),
        masks,
        masks.map(np.array),
    )


@st.composite
def keys(draw, shape: tuple[int, ...]) -> Any:
    """Numbers and slices of the first and the last axes, at most one list, perhaps an ellipsis."""
    n_first = draw(st.integers(0, len(shape)))
    n_last = draw(st.integers(0, len(shape) - n_first))
    given_axes = [*range(n_first), *range(len(shape) - n_last, len(shape))]
    listed = draw(st.sampled_from([None, *given_axes]))

    def one(axis: int) -> Any:
        size = shape[axis]
        if axis == listed:
            return draw(lists(size))
        numbers = st.integers(-size, size - 1)
        return draw(numbers | numbers.map(np.int64) | slices(size))

    found = [one(axis) for axis in given_axes]
    if n_last or draw(st.booleans()):
        found.insert(n_first, Ellipsis)
    return found[0] if len(found) == 1 and draw(st.booleans()) else tuple(found)


@given(st.data(), st.integers(0, 5))
def test_an_array_is_indexed_as_numpy_indexes_it(indexed, data, which):
    array, values = indexed[which]
    key = data.draw(keys(values.shape))
    found, expected = array[key], values[key]
    assert np.shape(found) == np.shape(expected)
    assert_same(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize(
    "key",
    [
        (slice(None), [0, 1], 0, ..., 0),
        (slice(None), [0, 1], 0, 0, ...),
        (slice(None), [0, 1], slice(None), [2, 0]),
        ([[1], [2]], ..., [0, 2]),
        (slice(None), np.array([True, False, True, False]), 0),
        (..., np.array([True, False, True])),
        (),
        np.array(3),
    ],
    ids=repr,
)
def test_lists_and_ellipses_put_their_axes_where_numpy_puts_them(indexed, key):
    array, values = indexed[1]
    assert np.shape(array[key]) == np.shape(values[key])
    assert_same(array[key], values[key])


@given(st.data(), st.integers(0, 5))
def test_an_index_out_of_range_is_refused_as_by_numpy(indexed, data, which):
    array, values = indexed[which]
    axis = data.draw(st.integers(0, values.ndim - 1))
    size = values.shape[axis]
    beyond = data.draw(st.integers(size, size + 50) | st.integers(-size - 50, -size - 1))
    one = data.draw(st.sampled_from([beyond, [0, beyond], np.array([beyond, 0, 0])]))
    key = (*[slice(None)] * axis, one)
    with pytest.raises(IndexError):
        values[key]
    with pytest.raises(ArrayIndexError):
        array[key]


@pytest.mark.parametrize(
    "key",
    [
        (0, 0, 0, 0, 0),
        (0, ..., 0, 0, 0, 0),
        (..., 0, ...),
        1.5,
        "x",
        [0.5],
        np.zeros(36, dtype=bool),
        np.zeros((37, 1), dtype=bool),
        np.zeros(0),
        (slice(None), [True] * 5),
    ],
    ids=repr,
)
def test_what_numpy_takes_for_no_index_is_none(indexed, key):
    array, values = indexed[1]
    with pytest.raises(IndexError):
        values[key]
    with pytest.raises(ArrayIndexError):
        array[key]


def test_an_array_becomes_numpys_by_asarray_and_by_iteration(indexed):
    for array, values in indexed:
        assert_same(np.asarray(array), values)
        assert_same(np.asarray(array, dtype=np.float64), values.astype(np.float64))
        assert (len(array), array.shape, array.ndim) == (len(values), values.shape, values.ndim)
        assert (array.size, array.nbytes, array.dtype) == (values.size, values.nbytes, values.dtype)
        assert_same(np.stack(list(array)), values)
        with pytest.raises(ValueError, match="copy"):
            np.asarray(array, copy=False)


# --- in the words of xarray and pandas ------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch) -> list[tuple[str, tuple[int, ...]]]:
    """Every chunk that is decoded from now on, by its array and its place."""
    found: list[tuple[str, tuple[int, ...]]] = []
    really = ChunkIndex._decode_chunks

    def counted(self, positions):
        found.extend((self.name, tuple(map(int, position))) for position in positions)
        return really(self, positions)

    monkeypatch.setattr(ChunkIndex, "_decode_chunks", counted)
    return found


def test_xarray_reads_no_chunk_before_values_are_asked_for(stores, truths, decoded):
    tree = stores["odd"].to_xarray()
    maps = tree["block_conv_1/activation"]
    part = maps.isel(sample=[3, 2, 30], filter=slice(0, 4))
    pooled = tree["conv2/pooled_max"].isel(filter=1)
    image = tree["image"].sel(sample=5)
    large = [name for name, _ in decoded if name.rsplit("/", 2)[1] == "pooled" or "image" in name]
    assert large + [name for name, _ in decoded if "activation" in name] == []
    decoded.clear()
    assert_same(part.values, truths["odd"].maps["block_conv_1"][[3, 2, 30], :, :, :4])
    assert sorted(decoded) == [
        ("/layers/block_conv_1/activation", (place, 0, 0, 0)) for place in (1, 15)
    ]
    assert_same(pooled.values, truths["odd"].pooled("conv2")["max"][:, 1])
    assert_same(image.values, truths["odd"].images[5])


def test_xarray_has_the_axes_and_labels_of_the_store(tree, truths):
    truth = truths["odd"]
    for name in ("label", "prediction"):
        assert_same(tree[name].values, truth.samples[name])
    assert_same(tree["probability"].values, truth.probability)
    assert tree["id"].values.tolist() == truth.samples["id"].tolist()
    assert tree["class"].values.tolist() == list(truth.class_names)
    for group, values in truth.maps.items():
        layer = tree[group]
        assert layer["activation"].dims == AXES
        assert_same(layer["activation"].values, values)
        for name, table in truth.pooled(group).items():
            assert layer[f"pooled_{name}"].dims == ("sample", "filter")
            assert_same(layer[f"pooled_{name}"].values, table)
        assert_same(layer["label"].values, truth.samples["label"])
    for group, name, value, _ in truth.statistics:
        if group != "similarity":
            array = tree[group.split("/")[1]][name]
            assert array.dims == STATISTICS[name].axes
            assert_same(array.values, value)


@given(st.data())
def test_xarray_picks_each_axis_as_numpy_does(tree, truths, data):
    group = data.draw(st.sampled_from(["block_conv_1", "conv2"]))
    values = truths["odd"].maps[group]
    array = tree[f"{group}/activation"]
    expected, picks = values, {}
    for axis in data.draw(st.permutations(range(4)).map(lambda some: some[:2])):
        size = values.shape[axis]
        some = st.lists(st.integers(-size, size - 1), max_size=5)
        # xarray itself fails on slices that go backwards and hold nothing.
        forward = slices(size).filter(lambda one, size=size: range(*one.indices(size)))
        picks[AXES[axis]] = key = data.draw(some | forward | st.integers(-size, size - 1))
        # Of a number the axis goes at the end, so that the others keep their places.
        one = [key] if isinstance(key, int) else key
        expected = expected[(*[slice(None)] * axis, one)]
    gone = tuple(AXES.index(name) for name, key in picks.items() if isinstance(key, int))
    assert_same(array.isel(picks).values, expected.squeeze(gone))
    assert_same(array.isel(sample=slice(4, 30)).isel(sample=[5, -1, 0]).values, values[[9, 29, 4]])


def test_xarray_picks_by_labels_and_by_points(tree, truths):
    values = truths["odd"].maps["conv2"]
    array = tree["conv2/activation"]
    assert_same(array.sel(sample=7).values, values[7])
    assert_same(array.sel(sample=[9, 2, 9], filter=1).values, values[[9, 2, 9], ..., 1])
    assert_same(array.sel(sample=slice(3, 5)).values, values[3:6])
    assert_same(
        array.where(array.label == 1, drop=True).values, values[truths["odd"].samples["label"] == 1]
    )
    points = {
        axis: xarray.DataArray(some, dims="point") for axis, some in (("y", [0, 3]), ("x", [2, 1]))
    }
    assert_same(
        array.isel(points).transpose("sample", "point", "filter").values, values[:, [0, 3], [2, 1]]
    )


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("beyond", [37, -38, [0, 37], [0, -38]], ids=str)
def test_xarray_refuses_an_index_out_of_range(tree, axis, beyond):
    array = tree["conv2/activation"]
    with pytest.raises(IndexError):
        _ = array.isel({axis: beyond}).values


def test_samples_as_a_table_are_labels_predictions_ids_and_probabilities(stores, truths):
    for which in ("odd", "hostile"):
        truth, table = truths[which], stores[which].samples
        names, rows = np.array(truth.class_names, dtype=object), truth.samples["index"]
        labels, predictions = truth.samples["label"], truth.samples["prediction"]
        assert table.index.name == "sample"
        assert_same(table.index.to_numpy(), rows)
        assert table["id"].tolist() == truth.samples["id"].tolist()
        assert_same(table["label"].to_numpy(), labels)
        assert_same(table["prediction"].to_numpy(), predictions)
        assert table["label_name"].tolist() == names[labels].tolist()
        assert table["prediction_name"].tolist() == names[predictions].tolist()
        assert_same(table["correct"].to_numpy(), labels == predictions)
        assert_same(table["probability"].to_numpy(), truth.probability[rows, predictions])


# --- hostile names --------------------------------------------------------------------------------


@pytest.mark.parametrize("what", FORMATS["csv"].takes)
def test_no_cell_of_csv_is_a_formula_and_no_row_is_lost(truths, exported, what):
    truth, out = truths["hostile"], exported("csv", "hostile", what, "few statistics")
    expected = tables_of(truth, what, CHOICES["few statistics"])
    paths = {path.relative_to(out).with_suffix("").as_posix(): path for path in out.rglob("*.csv")}
    assert set(paths) == set(expected)
    for name, path in paths.items():
        frame = read_csv(path)
        assert len(frame) == len(next(iter(expected[name].values()))), name
        for column in set(frame) & set(TEXTS):
            cells = frame[column].tolist()
            assert [one for one in cells if one.startswith(FORMULA)] == []
            if column != "reason":  # an apostrophe is all that was added
                bare = [one[1:] if one[1:].startswith(FORMULA) else one for one in cells]
                assert bare == expected[name][column].tolist(), (name, column)


@pytest.mark.parametrize("form", FORMATS)
def test_every_file_of_hostile_layers_lies_in_the_folder(exported, form):
    out = exported(form, "hostile", FORMATS[form].takes[0], "few statistics")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    paths = [path.relative_to(out) for path in out.rglob("*")]
    assert all((out / path).resolve().is_relative_to(out.resolve()) for path in paths)
    assert len({path.as_posix().casefold() for path in paths}) == len(paths)
    for part in {part for path in paths for part in path.parts}:
        assert part.isascii()
        assert part.isprintable()
        assert not set(part) & set('<>:"/\\|?*')
        assert not part.endswith((".", " "))
        assert part.split(".")[0].upper() not in ("CON", "PRN", "AUX", "NUL", "")
    manifest = json.loads((out / "manifest.json").read_text())
    assert list(manifest["layers"]) == list(HOSTILE)
    assert manifest["class_names"] == list(HOSTILE)


@pytest.mark.parametrize("reader", TABLE_READERS["parquet"])
@pytest.mark.parametrize("what", FORMATS["parquet"].takes)
def test_parquet_keeps_hostile_names_as_they_are(truths, exported, what, reader):
    expected = tables_of(truths["hostile"], what, CHOICES["few statistics"])
    for path, columns in reader(exported("parquet", "hostile", what, "few statistics")):
        for name in set(columns) & set(TEXTS) - {"reason"}:
            assert_same_column(columns[name], expected[path][name], f"{path}: {name}")
