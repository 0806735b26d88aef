"""Which layers a capture compresses follows from their values, and from what was asked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers.factories import NumpyProbe, make_plan, make_samples

from fmcore.capture.plan import identity
from fmcore.records import LayerSpec

SHAPE = (64, 64, 40)  # 640 KiB a sample, in chunks of 16 filters: the third is half empty


def planned(monkeypatch, maps, **options):
    """The plan of a capture whose first layer puts out these maps, [sample, y, x, filter]."""
    as_it_is, begin = NumpyProbe.__call__, NumpyProbe.__init__

    def large(probe):
        begin(probe)
        probe.layers = (LayerSpec("large", SHAPE), probe.layers[1])

    def put_out(probe, images, others=None):
        captured = as_it_is(probe, images)
        first = maps[: len(images)]
        return dataclasses.replace(captured, activations=(first, captured.activations[1]))

    with monkeypatch.context() as patched:
        patched.setattr(NumpyProbe, "__init__", large)
        patched.setattr(NumpyProbe, "__call__", put_out)
        return make_plan(batch_size=10, **options)


def noise(n=10):
    return np.random.default_rng(0).normal(size=(n, *SHAPE)).astype(np.float32)


def test_the_first_sample_alone_does_not_decide(monkeypatch):
    maps = noise()
    maps[0] = 0
    layer = planned(monkeypatch, maps).store.layers[0]
    assert layer.compression.startswith("none: ")
    maps[0], maps[1:] = maps[1], 0
    layer = planned(monkeypatch, maps).store.layers[0]
    assert layer.compression.startswith("deflate: ")


def test_the_empty_part_of_the_last_chunks_does_not_count(monkeypatch):
    plan = planned(monkeypatch, noise(), compression="deflate")
    words = plan.store.layers[0].compression
    left = int(words.removesuffix("% of the bytes").rpartition(" ")[2])
    assert left > 85  # of noise; with the empty part it would be near 80


@pytest.mark.parametrize("compression", ["auto", "deflate", "none"])
def test_the_same_samples_give_the_same_choice(monkeypatch, compression):
    first, second = (planned(monkeypatch, noise(), compression=compression) for _ in range(2))
    for one, other in zip(first.store.layers, second.store.layers, strict=True):
        assert (one.codec, one.compression) == (other.codec, other.compression)


def test_a_part_of_other_compression_is_not_taken_up(monkeypatch):
    auto, deflate = (
        identity(planned(monkeypatch, noise(), compression=compression), make_samples(37))
        for compression in ("auto", "deflate")
    )
    assert [name for name in auto if auto[name] != deflate[name]] == ["codec"]
