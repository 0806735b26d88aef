"""A store of what goes wrong with values: NaN, infinities, constants, float16, only negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo
from fmcore.statistics import FilterValues
from helpers.factories import CLASS_NAMES

N, SHAPE = 40, (5, 4)
# What is wrong with each filter of the layer `broken`.
BROKEN = ("nothing", "all NaN", "one +inf", "NaN in class zero", "always 3", "one -inf", "zero")
# Beyond the range of float16.
LARGE = 70_000.0


class OddProbe:
    """Layers of one odd thing each; the class of a sample is what its first pixel says."""

    def __init__(self, channels: int = 1) -> None:
        height, width = SHAPE
        broken = (height, width, len(BROKEN))
        self.layers = (
            LayerSpec("broken", broken, kind="Conv2D", activation="relu"),
            LayerSpec("linear", (height, width, 3), kind="Conv2D", activation="linear"),
            LayerSpec("nothing finite", (height, width, 2), kind="Conv2D", activation="relu"),
            LayerSpec("half", (height, width, 2), kind="Conv2D", activation="relu"),
            LayerSpec("negative", (height, width, 2), kind="Conv2D", activation="linear"),
            LayerSpec("tiny", (height, width, 2), kind="Conv2D", activation="relu"),
        )
        self._output = np.random.default_rng(0).normal(size=(channels, 4)).astype(np.float32)

    def __call__(self, images, others=None) -> Captured:
        pixels = images[..., :1]
        broken = np.repeat(pixels, len(BROKEN), axis=3)
        is_first = images[:, 0, 0, 0] == 0
        broken[..., 1] = np.nan
        broken[is_first, 1, 2, 2] = np.inf
        broken[is_first, 0, 0, 3] = np.nan
        broken[..., 4] = 3
        broken[is_first, 1, 2, 5] = -np.inf
        broken[..., 6] = 0
        linear = np.concatenate([pixels - 0.5, pixels * 0 + 3, pixels * 0], axis=3)
        half = np.concatenate([pixels + np.float32(1e-4), pixels * LARGE], axis=3)
        negative = np.concatenate([-1 - pixels, -2 - pixels], axis=3)
        tiny = np.concatenate([pixels * 1e-12, pixels * 2e-5], axis=3)
        scores = np.exp(images.mean(axis=(1, 2)) @ self._output)
        probability = scores / scores.sum(axis=1, keepdims=True)
        none = np.full_like(pixels.repeat(2, axis=3), np.nan)
        maps = (broken, linear, none, half, negative, tiny)
        return Captured(tuple(map(np.float32, maps)), probability.astype(np.float32))


def odd_samples(channels: int = 1) -> LabelledImages:
    """Images of which the first pixel is the class, a third of the brightest; none of the last."""
    rng = np.random.default_rng(0)
    images = rng.integers(1, 256, size=(N, *SHAPE, channels), dtype=np.uint8)
    labels = np.arange(N) % 3
    images[:, 0, 0, 0] = labels * 100
    return LabelledImages(images, labels)


def make_odd_store(path: Path, *, policy: str = "half=float16", statistics: str = "all") -> Path:
    """A store of `OddProbe`; its class 3 has no sample."""
    probe, samples = OddProbe(), odd_samples()
    preprocessing = Preprocessing(scale=255.0)
    options = CaptureOptions(batch_size=16, policy=policy, statistics=statistics)
    plan = plan_capture(
        probe,
        samples,
        options,
        class_names=CLASS_NAMES,
        model=ModelInfo("odd", digest="2" * 64, architecture='{"layers": []}'),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=preprocessing,
    )
    return capture(probe, samples, path, plan, options)


def ordinary_values(n_filters: int, n_classes: int = 1) -> FilterValues:
    """Filters of which each has 0 alone, all of it finite."""
    ends, counts = np.zeros(n_filters), np.full((n_classes, n_filters), 5)
    return FilterValues(ends, ends, counts, np.zeros_like(counts))
