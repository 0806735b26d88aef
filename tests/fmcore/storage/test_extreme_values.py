"""What a store says of values of any size, and of maps that are not finite, against numpy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.factories import NumpyProbe, make_plan, make_samples
from numpy.testing import assert_allclose, assert_array_equal

from fmcore.capture import capture
from fmcore.cli import main
from fmcore.records import Captured
from fmcore.statistics import STATISTICS, Defined
from fmcore.storage import open_store, problems

N, LAYER = 37, "block/conv 1"
# The smallest normal float32: below it, values have fewer digits.
TINY = float(np.finfo(np.float32).tiny)
# Filters of each kind, see `Changed`.
WIDE, SOFTMAX, SMALL, LARGE, SUBNORMAL, ORDINARY = (slice(at, at + 3) for at in range(0, 18, 3))


class Changed(NumpyProbe):
    """Its first layer has values of every size, and keeps what it puts out."""

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[np.ndarray] = []
        self._rng = np.random.default_rng(3)

    def __call__(self, images, others=None) -> Captured:
        captured = super().__call__(images, others)
        first = captured.activations[0].astype(np.float64)
        noise = self._rng.normal(size=first.shape)
        first[..., WIDE] = (np.sign(noise) * 10 ** (30 * np.tanh(noise)))[..., WIDE]
        scores = 40 * noise[..., SOFTMAX]
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        first[..., SOFTMAX] = powers / powers.sum(axis=-1, keepdims=True)
        first[..., SMALL] *= 1e-30
        first[..., LARGE] = noise[..., LARGE] * 1e30
        first[..., SUBNORMAL] = noise[..., SUBNORMAL] * 1e-40
        first[..., ORDINARY] = noise[..., ORDINARY]
        self.change(first)
        changed = first.astype(np.float32)
        self.maps.append(changed)
        return dataclasses.replace(captured, activations=(changed, captured.activations[1]))

    def change(self, maps: np.ndarray) -> None:
        """Changes maps [sample, y, x, filter] in place."""


class Broken(Changed):
    """In each batch some pixels of filter 15 are not finite, and all of a map of filter 16."""

    def change(self, maps: np.ndarray) -> None:
        maps[:, 1, 2, 15] = np.nan
        maps[::2, 0, 0, 15] = np.inf
        maps[1, 3, 3, 15] = -np.inf
        maps[2, :, :, 16] = np.where(np.arange(8) % 2, np.nan, np.inf)


def captured_by(probe: Changed, path, **options) -> tuple:
    """The store that a probe was captured to, and its maps, <float32>[sample, y, x, filter]."""
    store = open_store(capture(probe, make_samples(N), path, make_plan(N, **options)))
    return store, np.concatenate(probe.maps)[:N]


@pytest.mark.parametrize("policy", ["float32", "float16", "pooled"])
def test_statistics_of_values_of_any_size_are_numpys(tmp_path, policy):
    store, maps = captured_by(Changed(), tmp_path / "s.h5", policy=f"*={policy}")
    with store:
        layer = store.layers[LAYER]
        assert "quantiles within 3.125% of their value" in layer.attributes["histogram"]
        for index in np.unique(store.labels):
            flat = maps[store.labels == index].reshape(-1, maps.shape[3]).astype(np.float64)
            for name, expected in (
                ("mean", flat.mean(axis=0)),
                ("std", flat.std(axis=0)),
                ("zero_fraction", (flat == 0).mean(axis=0)),
            ):
                scale = np.abs(flat).max(axis=0) if name == "mean" else 0
                found = layer.statistic(name)[index]
                assert (np.abs(found - expected) <= 1e-10 * np.maximum(scale, expected)).all()
            assert_array_equal(layer.statistic("min")[index], flat.min(axis=0))
            assert_array_equal(layer.statistic("max")[index], flat.max(axis=0))
            for level in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
                expected = np.quantile(flat, level, axis=0, method="inverted_cdf")
                found = layer.statistic(f"q{round(100 * level):02}")[index]
                error = np.abs(found - expected) / np.maximum(np.abs(expected), TINY)
                assert error.max() <= 0.03125
        assert_array_equal(layer.pooled("max")[...], maps.max(axis=(1, 2)))
        wide = maps.astype(np.float64)
        means = wide.mean(axis=(1, 2))
        unsure = 1e-7 * np.abs(wide).max(axis=(1, 2)) + 1e-45
        assert (np.abs(layer.pooled("mean")[...] - means) <= unsure).all()


def test_where_bins_are_wider_the_store_and_the_table_say_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fmcore.statistics.streaming.histogram.SMALL_BYTES", 0)
    store, maps = captured_by(Changed(), tmp_path / "s.h5")
    words = "2 bins an octave; quantiles within 25.000% of their value, or of 1.2e-38"
    assert list(problems(tmp_path / "s.h5")) == []
    with store:
        layer = store.layers[LAYER]
        assert layer.bin_words.startswith(words)
        assert "16 bins an octave" in store.layers["conv2"].bin_words
        for index in np.unique(store.labels):
            flat = maps[store.labels == index].reshape(-1, maps.shape[3]).astype(np.float64)
            expected = np.quantile(flat, 0.25, axis=0, method="inverted_cdf")
            found = layer.statistic("q25")[index]
            assert (np.abs(found - expected) / np.maximum(np.abs(expected), TINY)).max() <= 0.25
    for statistic, noted in (("q25,mean", True), ("mean", False)):
        assert main(["stats", str(tmp_path / "s.h5"), "--statistic", statistic]) == 0
        said = capsys.readouterr().err
        assert (f"fmcore: {LAYER}: {words}" in said) == noted
        assert "conv2" not in said


def test_a_subnormal_value_is_no_zero(tmp_path):
    store, maps = captured_by(Changed(), tmp_path / "s.h5")
    assert (np.abs(maps[..., SUBNORMAL]) < TINY).all()
    assert (maps[..., SUBNORMAL] != 0).any()
    with store:
        share = store.layers[LAYER].statistic("apoz")
        assert_allclose(share, (maps == 0).mean(axis=(0, 1, 2)), rtol=1e-12)
        counts, (low, high) = store.layers[LAYER].histogram()
        zeros = counts[...].sum(axis=0)[:, (low == 0) & (high == 0)][:, 0]
        assert_array_equal(zeros, (maps == 0).sum(axis=(0, 1, 2)))


def test_what_is_not_finite_is_left_out_of_pooled_values_and_only_a_whole_map_has_none(tmp_path):
    store, maps = captured_by(Broken(), tmp_path / "s.h5")
    finite = np.where(np.isfinite(maps), maps, np.nan).astype(np.float64)
    with np.errstate(invalid="ignore"), store:
        layer = store.layers[LAYER]
        whole = np.isnan(finite).all(axis=(1, 2))
        assert np.argwhere(whole).tolist() == [[sample, 16] for sample in (2, 12, 22, 32)]
        filled = np.where(whole[:, None, None, :], 0, finite)
        for name, expected in (
            ("mean", np.nanmean(filled, axis=(1, 2))),
            ("max", np.nanmax(filled, axis=(1, 2))),
        ):
            table = layer.pooled(name)[:, 15:17].astype(np.float64)
            assert_array_equal(np.isnan(table), whole[:, 15:17])
            there = ~whole[:, 15:17]
            assert_allclose(table[there], expected[:, 15:17][there], rtol=1e-6)
        place = np.nanargmax(filled.reshape(N, -1, filled.shape[3]), axis=1)[:, 15:17]
        assert_array_equal(layer.pooled("max_y")[:, 15:17], place // 8)
        assert_array_equal(layer.pooled("max_x")[:, 15:17], place % 8)
        assert_allclose(layer.pooled("zero_fraction")[...], (maps == 0).mean((1, 2)), rtol=1e-6)
        assert_array_equal(
            layer.statistic("n_nonfinite").sum(axis=0), (~np.isfinite(maps)).sum(axis=(0, 1, 2))
        )
        for pooling in ("mean", "max"):
            codes = layer.undefined(pooling)
            assert (codes[15], codes[16]) == (Defined.YES, Defined.NONFINITE)
            assert not np.isnan(layer.statistic("auc", pooling=pooling)[store.labels[0], 15])
            assert np.isnan(layer.statistic("auc", pooling=pooling)[:, 16]).all()
        for index in np.unique(store.labels):
            flat = finite[store.labels == index].reshape(-1, maps.shape[3])[:, 15:17]
            for name, expected in (
                ("mean", np.nanmean(flat, axis=0)),
                ("std", np.nanstd(flat, axis=0)),
                ("min", np.nanmin(flat, axis=0)),
                ("max", np.nanmax(flat, axis=0)),
            ):
                assert_allclose(layer.statistic(name)[index, 15:17], expected, rtol=1e-6)
        assert layer.health().findings["nonfinite"].tolist() == (
            (~np.isfinite(maps)).any(axis=(0, 1, 2)).tolist()
        )
        assert layer.top("sample")[15].min() >= 0
        assert not set(layer.top("sample")[16].tolist()) & {2, 12, 22, 32}


def test_the_words_on_what_is_not_finite_are_those_that_hold():
    assert "pooled values leave them out" in STATISTICS["n_nonfinite"].definition
    for name in ("mean", "std", "min", "max", "q50"):
        assert "finite activation" in STATISTICS[name].definition
    assert "centered columns" in STATISTICS["effective_rank_mean"].definition


@pytest.mark.parametrize("power", [-90, 90])
def test_scores_do_not_depend_on_the_scale_of_a_layer(tmp_path, power):
    class Scaled(NumpyProbe):
        def __call__(self, images, others=None) -> Captured:
            captured = super().__call__(images, others)
            first, second = captured.activations
            scaled = first * np.float32(2.0**power), second
            return dataclasses.replace(captured, activations=scaled)

    paths = [
        capture(probe, make_samples(N), tmp_path / name, make_plan(N))
        for probe, name in ((NumpyProbe(), "plain.h5"), (Scaled(), "scaled.h5"))
    ]
    with open_store(paths[0]) as plain, open_store(paths[1]) as scaled:
        for name, statistic in STATISTICS.items():
            if statistic.origin == "pooled" and statistic.axes[0] in ("class", "filter"):
                expected = plain.layers[LAYER].statistic(name)
                found = scaled.layers[LAYER].statistic(name)
                assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=name)
        for name in ("effective_rank_mean", "cka_max"):
            expected, found = plain.similarity(name), scaled.similarity(name)
            assert_allclose(found, expected, rtol=1e-6, err_msg=name)
