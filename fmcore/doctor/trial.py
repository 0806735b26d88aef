"""Tries the parts of a capture: compression, Keras, a small capture, and its store."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fmcore.api import capture_activations
from fmcore.command import DEBUG
from fmcore.doctor.installation import Facts
from fmcore.errors import FmcoreError
from fmcore.files import size_text
from fmcore.model.opening import need_keras, without_startup_notes
from fmcore.storage import choose, problems
from fmcore.storage.codec import apply_filters, undo_filters

WELL, IMPOSSIBLE, FAILED = "well", "impossible", "failed"

_CAPTURE_NEEDS = ("Keras", "TensorFlow")
# A batch of the tutorial's first layer. Its chunks hold one sample each.
_MAPS = (512, 26, 26, 16)
_ROUNDS = 3
_IMAGES = (32, 28, 28, 1)


@dataclass(frozen=True, slots=True)
class Part:
    """The result of trying one part of a capture.

    Attributes:
        name: the part's name.
        state: `well`, `failed`, or `impossible` where an optional library is not installed.
        words: the result in words; after a failure, what is wrong and what to do.
        values: numbers and names in the result, for programs.
    """

    name: str
    state: str
    words: str
    values: Mapping[str, Any] = field(default_factory=dict)


def parts(installation: Facts) -> Iterator[Part]:
    """Tries one part after the other, up to the first that fails.

    Yields:
        The results for compression and, where Keras is installed, for its start, a small capture,
        and the validation of its store. The trials take some seconds.
    """
    yield _try("compression", _compression)
    absent = [
        library
        for library in installation.libraries
        if library.name in _CAPTURE_NEEDS and not library.version
    ]
    if absent:
        names = " and ".join(library.name for library in absent)
        verb = "is" if len(absent) == 1 else "are"
        yield Part("capture", IMPOSSIBLE, f"{names} {verb} not installed here; {absent[0].remedy}")
        return
    start = _try("Keras start", _start_keras)
    yield start
    if start.state != WELL:
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="fmcore-doctor-", ignore_cleanup_errors=True)
    except OSError as error:
        yield _failure("capture", error)
        return
    with folder as name:
        store = Path(name) / "store.h5"
        capture = _try("capture", partial(_capture, store))
        yield capture
        if capture.state == WELL:
            yield _try("store", partial(_validate, store))


def _try(name: str, work: Callable[[], tuple[str, dict[str, Any]]]) -> Part:
    try:
        words, values = work()
    except Exception as error:
        # A broken installation may raise anything; what it raises is the result.
        if os.environ.get(DEBUG):
            raise
        return _failure(name, error)
    return Part(name, WELL, words, values)


def _failure(name: str, error: Exception) -> Part:
    if isinstance(error, FmcoreError):
        return Part(name, FAILED, str(error))
    return Part(name, FAILED, f"{type(error).__name__}: {error} ({DEBUG}=1 shows where)")


def _compression() -> tuple[str, dict[str, Any]]:
    """Compresses random ReLU maps as a capture does, on one core, and reads them back."""
    rng = np.random.default_rng(0)
    maps = np.maximum(rng.standard_normal(_MAPS, np.float32), 0)
    blocks = [maps[index : index + 1] for index in range(len(maps))]
    choice = choose(blocks[:16])
    codec, share = choice.codec, choice.ratio
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        chunks = [apply_filters(block, codec) for block in blocks]
        seconds.append(time.perf_counter() - began)
    for block, chunk in zip(blocks, chunks, strict=True):
        if not np.array_equal(undo_filters(chunk, block.dtype, block.shape, codec), block):
            raise FmcoreError(
                "values differ after they were compressed and read back; "
                "pip install --force-reinstall isal numcodecs"
            )
    speed = maps.nbytes / 1e6 / min(seconds)
    return (
        f"{speed:,.0f} MB/s on one core ({codec.name}, random ReLU maps to {share:.0%})",
        {"megabytes_per_second": round(speed, 1), "codec": codec.name, "share": round(share, 4)},
    )


def _start_keras() -> tuple[str, dict[str, Any]]:
    began = time.perf_counter()
    need_keras()
    from fmcore.model.opening import gpus

    seconds = time.perf_counter() - began
    with without_startup_notes():
        gpu_names = gpus()
    return (
        f"{seconds:.1f} s; GPUs: {', '.join(gpu_names) or 'none'}",
        {"seconds": round(seconds, 2), "gpus": list(gpu_names)},
    )


def _capture(store: Path) -> tuple[str, dict[str, Any]]:
    from fmcore.model.tutorial import tutorial_network

    rng = np.random.default_rng(0)
    images, labels = rng.random(_IMAGES, np.float32), rng.integers(0, 10, _IMAGES[0])
    began = time.perf_counter()
    capture_activations(tutorial_network(_IMAGES[1:], n_classes=10), images, labels, store)
    seconds = time.perf_counter() - began
    size = store.stat().st_size
    return (
        f"{_IMAGES[0]} images in {seconds:.1f} s, {size_text(size)}",
        {"seconds": round(seconds, 2), "store_bytes": size},
    )


def _validate(store: Path) -> tuple[str, dict[str, Any]]:
    messages = list(problems(store))
    if messages:
        raise FmcoreError("; ".join(messages))
    return "no problem found", {}
