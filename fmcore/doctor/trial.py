"""What a capture takes, tried part by part: compression, Keras, a small capture, its store."""

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
from fmcore.model.opening import need_keras, without_startup_notes
from fmcore.storage import choose, problems
from fmcore.storage.chunks.codec import decode, encode

WELL, IMPOSSIBLE, FAILED = "well", "impossible", "failed"

_CAPTURE_NEEDS = ("Keras", "TensorFlow")
# A batch of the tutorial's first layer. Its chunks hold one sample each.
_MAPS = (512, 26, 26, 16)
_ROUNDS = 3
_IMAGES = (32, 28, 28, 1)


@dataclass(frozen=True, slots=True)
class Part:
    """Something that was tried.

    Attributes:
        name: what it is.
        state: `well`, `impossible` where something is not installed that not all need, `failed`.
        words: what was found, or what is wrong and what to do.
        values: the same for programs, as far as it is numbers and names.
    """

    name: str
    state: str
    words: str
    values: Mapping[str, Any] = field(default_factory=dict)


def parts(known: Facts) -> Iterator[Part]:
    """Tries one part after the other, up to the first that does not work.

    Yields:
        Compression; then, where Keras is installed, its start, a small capture, and the check of
        its store. They take some seconds.
    """
    yield _tried("compression", _compression)
    absent = [one for one in known.libraries if one.name in _CAPTURE_NEEDS and not one.version]
    if absent:
        names = " and ".join(one.name for one in absent)
        verb = "is" if len(absent) == 1 else "are"
        yield Part("capture", IMPOSSIBLE, f"{names} {verb} not installed here; {absent[0].remedy}")
        return
    started = _tried("Keras start", _keras)
    yield started
    if started.state != WELL:
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="fmcore-doctor-", ignore_cleanup_errors=True)
    except OSError as error:
        yield _failed("capture", error)
        return
    with folder as name:
        store = Path(name) / "store.h5"
        captured = _tried("capture", partial(_capture, store))
        yield captured
        if captured.state == WELL:
            yield _tried("store", partial(_validate, store))


def _tried(name: str, work: Callable[[], tuple[str, dict[str, Any]]]) -> Part:
    try:
        words, values = work()
    except Exception as error:
        # A broken installation raises anything; that it does, and what, is the finding.
        if os.environ.get(DEBUG):
            raise
        return _failed(name, error)
    return Part(name, WELL, words, values)


def _failed(name: str, error: Exception) -> Part:
    if isinstance(error, FmcoreError):
        return Part(name, FAILED, str(error))
    return Part(name, FAILED, f"{type(error).__name__}: {error} ({DEBUG}=1 shows where)")


def _compression() -> tuple[str, dict[str, Any]]:
    """Packs random ReLU maps as a capture does, on one core, and reads them back."""
    rng = np.random.default_rng(0)
    maps = np.maximum(rng.standard_normal(_MAPS, np.float32), 0)
    blocks = [maps[index : index + 1] for index in range(len(maps))]
    codec, share = choose(blocks[:16])
    seconds = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        chunks = encode(blocks, codec)
        seconds.append(time.perf_counter() - began)
    for block, chunk in zip(blocks, chunks, strict=True):
        if not np.array_equal(decode(chunk, block.dtype, block.shape, codec), block):
            raise FmcoreError(
                "values that were compressed and read back are not the same; "
                "pip install --force-reinstall isal numcodecs"
            )
    speed = maps.nbytes / 1e6 / min(seconds)
    return (
        f"{speed:,.0f} MB/s on one core ({codec.name}, random ReLU maps to {share:.0%})",
        {"megabytes_per_second": round(speed, 1), "codec": codec.name, "share": round(share, 4)},
    )


def _keras() -> tuple[str, dict[str, Any]]:
    began = time.perf_counter()
    need_keras()
    from fmcore.model.opening import gpus

    seconds = time.perf_counter() - began
    with without_startup_notes():
        found = gpus()
    return (
        f"{seconds:.1f} s; GPUs: {', '.join(found) or 'none'}",
        {"seconds": round(seconds, 2), "gpus": list(found)},
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
        f"{_IMAGES[0]} images in {seconds:.1f} s, {size / 1e6:,.1f} MB",
        {"seconds": round(seconds, 2), "store_bytes": size},
    )


def _validate(store: Path) -> tuple[str, dict[str, Any]]:
    found = list(problems(store))
    if found:
        raise FmcoreError("; ".join(found))
    return "no problem found", {}
