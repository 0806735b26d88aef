"""Small, seeded parts for tests: a probe without Keras, images, a real store; and outside tools."""

from __future__ import annotations

import dataclasses
import fcntl
import itertools
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from fmcore.capture import CaptureOptions, plan_capture, with_labels
from fmcore.capture import capture as capture_whole
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import (
    Captured,
    GraphNode,
    LayerSpec,
    ModelGraph,
    ModelInfo,
    ModelOutput,
    OutputPlan,
    Target,
    Truth,
)
from helpers import sharded

ROOT = Path(__file__).parents[2]
# Of conv2 in the store of real digits: its bias is so low that no activation is above zero.
DEAD_FILTER = 5
# What the layers of `NumpyProbe` might be in a model.
GRAPH = ModelGraph(
    (
        GraphNode("image", "InputLayer", (9, 8, 1), 0),
        GraphNode("block/conv 1", "Conv2D", (9, 8, 20), 40, "block/conv 1"),
        GraphNode("pool", "MaxPooling2D", (4, 4, 1), 0),
        GraphNode("conv2", "Conv2D", (4, 4, 3), 30, "conv2"),
        GraphNode("mean", "GlobalAveragePooling2D", (20,), 0),
        GraphNode("scores", "Dense", (4,), 84),
    ),
    ((0, 1), (0, 2), (1, 4), (2, 3), (4, 5)),
)
CLASS_NAMES = ("zero", "one", "zwei ②", "<b>three</b>")
# Of several labels, the last of which nobody has; and of numbers.
TARGET_NAMES = {Target.LABELS: ("cat", "dog/wolf", "<b>bird</b>"), Target.NUMBER: ("x", "y")}


# With `SHARDED=1` in the environment every store of these factories leaves its samples in shards.
capture = sharded.capture_in_shards if os.environ.get("SHARDED") else capture_whole


def count(few: int, many: int) -> int:
    """How often to try: few times, or with `SOAK=1` in the environment many."""
    return many if os.environ.get("SOAK") else few


def sampled(few: int, *choices: Collection[Any], seed: int = 0) -> list[Any]:
    """Some of what can be tried, drawn by a seed, or with `SOAK=1` in the environment all of it.

    Args:
        few: how many, at most.
        choices: of several, every combination is one, as a tuple.
        seed: of which they are drawn; another one for a test beside one of the same choices.
    """
    cases = list(choices[0]) if len(choices) == 1 else list(itertools.product(*choices))
    return random.Random(seed).sample(cases, min(count(few, len(cases)), len(cases)))


class NumpyProbe:
    """Two layers of ReLU maps; filter 1 of the second is dead, and its chunks hold many samples."""

    def __init__(self, image_shape: tuple[int, int, int] = (9, 8, 1)) -> None:
        height, width, channels = image_shape
        rng = np.random.default_rng(0)
        self._first = rng.normal(size=(channels, 20)).astype(np.float32)
        self._second = rng.normal(size=(channels, 3)).astype(np.float32)
        self._second[:, 1] = -1000.0
        self._output = rng.normal(size=(20, len(CLASS_NAMES))).astype(np.float32)
        kernel = rng.normal(size=(3, 3, channels, 3)).astype(np.float32)
        self.layers = (
            LayerSpec("block/conv 1", (height, width, 20), kind="Conv2D", activation="relu"),
            LayerSpec("conv2", (height // 2, width // 2, 3), kernel=kernel, bias=np.ones(3, "f4")),
        )

    def __call__(self, images: NDArray[np.float32], others=None) -> Captured:
        first = np.maximum(images @ self._first - 0.2, 0)
        half = images[:, : images.shape[1] // 2 * 2 : 2, : images.shape[2] // 2 * 2 : 2]
        second = np.maximum(half @ self._second - 0.1, 0)
        scores = np.exp(first.mean(axis=(1, 2)) @ self._output)
        return Captured((first, second), (scores / scores.sum(axis=1, keepdims=True)))


class OddProbe(NumpyProbe):
    """Maps in which each kind of cell occurs: relu in the first layer, signed in the second.

    Of every filter the first row holds NaN, +∞, −∞ (0 in the first layer) and 0.
    """

    def __call__(self, images: NDArray[np.float32], others=None) -> Captured:
        captured = super().__call__(images, others)
        first = captured.activations[0].copy()
        half = images[:, : images.shape[1] // 2 * 2 : 2, : images.shape[2] // 2 * 2 : 2]
        second = (half @ self._second[:, ::-1]).copy() - np.float32(0.3)
        first[:, 0, :4] = np.array([np.nan, np.inf, 0, 0], np.float32)[:, None]
        second[:, 0, :4] = np.array([np.nan, np.inf, -np.inf, 0], np.float32)[:, None]
        return dataclasses.replace(captured, activations=(first, second))


class DyingProbe(NumpyProbe):
    """Fails at its nth batch."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def __call__(self, images, others=None):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the model failed")
        return super().__call__(images)


class NumpyEncoder(NumpyProbe):
    """The same without an output that names classes."""

    output = OutputPlan(
        Target.NONE, "no class distribution: the model puts out (4, 4, 3) for each image"
    )
    info = ModelInfo(
        "encoder", digest="1" * 64, architecture='{"layers": []}', output=output.record
    )

    def __call__(self, images: NDArray[np.float32], others=None) -> Captured:
        return dataclasses.replace(super().__call__(images, others), probability=None)


class NumpyAnswers(NumpyEncoder):
    """A probe whose answers are several labels, or numbers."""

    def __init__(self, target: Target, *, has_truth: bool = True) -> None:
        super().__init__()
        n = len(TARGET_NAMES[target])
        self._answers = np.random.default_rng(1).normal(size=(20, n)).astype(np.float32) * 9
        self._target = target
        words = {Target.LABELS: f"{n} labels", Target.NUMBER: f"{n} numbers"}[target]
        output = ModelOutput("out", 0, (n,))
        self.output = OutputPlan(target, words, output=output, has_truth=has_truth)

    def __call__(self, images: NDArray[np.float32], others=None) -> Captured:
        captured = super().__call__(images, others)
        answers = captured.activations[0].mean(axis=(1, 2)) @ self._answers
        if self._target == Target.LABELS:
            answers = 1 / (1 + np.exp(1 - answers))
        return dataclasses.replace(captured, output=answers.astype(np.float32))


def target_filter(n: int = 300) -> int:
    """A filter of the first layer whose mean differs between samples: answers are made of it."""
    return int(_pooled_means(n).std(axis=0).argmax())


def make_truth(target: Target, n: int = 300) -> Truth:
    """Labels or numbers of samples; the first of them follows `target_filter`."""
    rng, first, at = np.random.default_rng(2), _pooled_means(n), target_filter(n)
    if target == Target.NUMBER:
        values = (first[:, [at, 0]] + 0.01 * rng.normal(size=(n, 2))).astype(np.float32)
    else:
        values = rng.random((n, 3)) < [0.5, 0.1, 0.0]
        values[:, 0] = first[:, at] > np.median(first[:, at])
    words = {Target.LABELS: "several labels", Target.NUMBER: "numbers"}[target]
    return Truth(target, values, TARGET_NAMES[target], words)


def _pooled_means(n: int) -> NDArray[np.float32]:
    images = Preprocessing(scale=255.0)(make_samples(n).images)
    return NumpyEncoder()(images).activations[0].mean(axis=(1, 2))


def make_target_store(
    path: Path, target: Target, n: int = 300, *, of_classes: bool = False, seed: int = 0, **options
) -> Path:
    """A real store of several labels or numbers; `of_classes`: the images came with classes."""
    probe, preprocessing = (
        NumpyAnswers(target, has_truth=not of_classes),
        Preprocessing(scale=255.0),
    )
    samples = make_samples(n, seed=seed)
    if not of_classes:
        samples = dataclasses.replace(samples, labels=None, targets=make_truth(target, n))
    samples, names = with_labels(
        probe,
        samples,
        CLASS_NAMES if of_classes else (),
        all_named=False,
        preprocessing=preprocessing,
        where="here",
    )
    chosen = CaptureOptions(**({"batch_size": 64} | options))
    plan = plan_capture(
        probe,
        samples,
        chosen,
        class_names=names,
        model=dataclasses.replace(NumpyEncoder.info, output=probe.output.record),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=preprocessing,
        output=probe.output,
    )
    return capture(probe, samples, path, plan, chosen)


def encoded_plan(n: int = 37, *, labelled: bool = True, batch_size: int = 10, **options):
    """The encoder's samples, and how its capture is made; without labels one class is left."""
    samples, preprocessing = make_samples(n), Preprocessing(scale=255.0)
    if not labelled:
        samples = dataclasses.replace(samples, labels=None)
    samples, names = with_labels(
        NumpyEncoder(),
        samples,
        CLASS_NAMES if labelled else (),
        all_named=False,
        preprocessing=preprocessing,
        where="here",
    )
    plan = plan_capture(
        NumpyEncoder(),
        samples,
        CaptureOptions(batch_size=batch_size, **options),
        class_names=names,
        model=NumpyEncoder.info,
        dataset_name="random",
        dataset_source="random images",
        preprocessing=preprocessing,
    )
    return samples, plan


def make_encoded_store(path: Path, n: int = 37, **options) -> Path:
    """A real store without predictions."""
    samples, plan = encoded_plan(n, **options)
    return capture(NumpyEncoder(), samples, path, plan)


def make_samples(
    n: int, *, seed: int = 0, labels: NDArray[np.int64] | None = None
) -> LabelledImages:
    """Random uint8 images; class 3 has no sample, unless labels are given."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(n, 9, 8, 1), dtype=np.uint8)
    return LabelledImages(images, rng.integers(0, 3, size=n) if labels is None else labels)


def make_plan(n: int = 37, *, batch_size: int = 10, checkpoint_rows: int = 0, **options):
    """How the probe's capture of `n` samples is made; with a checkpoint after so many, if any."""
    plan = plan_capture(
        NumpyProbe(),
        make_samples(n),
        CaptureOptions(batch_size=batch_size, **options),
        class_names=CLASS_NAMES,
        model=ModelInfo(
            "tiny",
            digest="0" * 64,
            architecture='{"layers": []}',
            graph=GRAPH,
            graph_words="as the model called its layers",
        ),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return dataclasses.replace(plan, checkpoint_rows=checkpoint_rows) if checkpoint_rows else plan


def make_large_store(path: Path) -> Path:
    """A real store of three samples whose maps, 300 by 300 of 20 filters, do not travel whole."""
    probe, rng = NumpyProbe((300, 300, 1)), np.random.default_rng(0)
    images = LabelledImages(rng.integers(0, 256, (3, 300, 300, 1), np.uint8), np.arange(3))
    plan = plan_capture(
        probe,
        images,
        CaptureOptions(statistics="basic"),
        class_names=CLASS_NAMES,
        model=ModelInfo("large", digest="0" * 64, architecture="{}"),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, images, path, plan)


def make_store(
    path: Path,
    n: int = 37,
    *,
    batch_size: int = 10,
    overwrite: bool = False,
    restart: bool = False,
    probe: NumpyProbe | None = None,
    **options,
) -> Path:
    """A real store of `n` samples, written by the real capture."""
    plan = make_plan(n, batch_size=batch_size, **options)
    record = CaptureOptions(overwrite=overwrite, restart=restart)
    return capture(probe or NumpyProbe(), make_samples(n), path, plan, record)


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a store, by path."""
    arrays = {}
    with h5py.File(path, locking=False) as file:
        file.visititems(
            lambda name, node: arrays.update({name: node[()]} if hasattr(node, "shape") else {})
        )
    return arrays


def reference(n: int = 37) -> Captured:
    """What the probe makes of the same samples in one go."""
    return NumpyProbe()(make_samples(n).images.astype(np.float32) / np.float32(255.0))


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that one process of all that run tests makes, and the others wait for."""
    of_all = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_all = of_all.parent
    folder = of_all / name
    with (of_all / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_name(f"{name}.making")
            making.mkdir(exist_ok=True)
            make(making)
            making.rename(folder)
    return folder


def run_fmcore(*arguments: str | Path) -> None:
    """Runs a command of fmcore's in a process of its own."""
    subprocess.run([sys.executable, "-m", "fmcore.cli", *map(str, arguments)], check=True)


def tool(name: str, *, debian: str) -> str:
    """The path of an outside program; without it a test skips loudly, and fails in CI."""
    found = shutil.which(name)
    if found is None:
        absent(f"{name} is not installed (Debian: apt install {debian})")
    return str(found)


def absent(reason: str) -> None:
    """Ends a test whose tool is not there."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have it: {reason}")
    pytest.skip(f"NOT TESTED: {reason}")
