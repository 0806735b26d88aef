"""A small file takes no more memory than a capture was allowed, and odd files are named."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers.bombs import BOMBS, GIB, outcome
from PIL import Image

import fmcore.model.inspect
import fmcore.sources
from fmcore.api import train
from fmcore.dataset import Fitting, from_folder
from fmcore.dataset.folder import decoding_bytes
from fmcore.dataset.room import Room
from fmcore.errors import DatasetError
from fmcore.sources import DataOptions, load

# What a refusal may take: a small part of the gibibyte that is allowed, and of a hang.
MOST_BYTES, MOST_SECONDS = GIB // 4, 30
FITTING = Fitting((28, 28, 3))


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What reading takes is imported, so that no process of a test has to."""
    Image.init()
    assert fmcore.sources
    assert fmcore.model.inspect


@pytest.mark.parametrize(("kind", "name"), BOMBS)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_by_its_header_and_named(kind, name, tmp_path):
    path = tmp_path / name
    BOMBS[kind, name](path)
    refused = outcome(path)
    print(f"{name}: {refused.seconds:.2f} s, {refused.peak_bytes / 1e6:.0f} MB")
    assert refused.message.startswith((str(path), f"cannot read {path}")), refused
    assert refused.peak_bytes < MOST_BYTES, refused
    assert refused.seconds < MOST_SECONDS, refused


def test_there_are_thirty_of_ten_kinds():
    assert len(BOMBS) >= 30
    assert len({kind for kind, _ in BOMBS}) >= 10


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", ["row.png", "column.png", "square.png"])
def test_a_bomb_is_left_out_where_bad_images_are(name, tmp_path, caplog):
    BOMBS["PNG", name](tmp_path / name)
    Image.new("RGB", (28, 28)).save(tmp_path / "good.png")
    dataset = from_folder(tmp_path, FITTING, skip_bad=True)
    assert dataset.test.images[:].shape == (1, 28, 28, 3)
    assert f"{tmp_path / name} has " in caplog.text


MODES = [
    *((mode, "PNG", {}) for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "I;16")),
    ("RGB", "JPEG", {}),
    ("CMYK", "JPEG", {}),
    ("L", "JPEG", {"progressive": True}),
    ("RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    ("P", "GIF", {}),
    ("RGB", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
    ("RGBA", "WEBP", {"lossless": True, "quality": 0, "method": 0}),
    ("RGB", "TIFF", {"compression": "tiff_deflate", "strip_size": 1 << 30}),
    ("I;16", "TIFF", {}),
    ("RGB", "BMP", {}),
]


@pytest.mark.parametrize(
    ("mode", "form", "options"), [pytest.param(*row, id=f"{row[0]} {row[1]}") for row in MODES]
)
@pytest.mark.parametrize("size", [(4_000, 3_000), (60_000, 200), (200, 60_000)])
def test_decoding_takes_no_more_than_was_reckoned(mode, form, options, size, tmp_path):
    if form == "WEBP" and max(size) > 16_383:
        pytest.skip("a WebP has at most 16,383 pixels across")
    path = tmp_path / f"x.{form.lower()}"
    Image.new(mode, size).save(path, form, **options)
    with Image.open(path) as image:
        reckoned = decoding_bytes(image, form, FITTING)
    taken = outcome(path)
    assert taken.message == ""
    # Beside it, the interpreter takes some for itself.
    assert taken.peak_bytes < reckoned + (12 << 20)


def test_images_are_decoded_at_a_time_as_far_as_they_fit():
    room, most, now = Room(100), [0], [0]
    lock, together = threading.Lock(), threading.Barrier(3, timeout=30)

    def decode(n_bytes: int, *, meets: bool) -> None:
        with room.taken(n_bytes):
            with lock:
                now[0] += n_bytes
                most[0] = max(most[0], now[0])
            if meets:
                together.wait()
            with lock:
                now[0] -= n_bytes

    for size, meets in ((30, True), (60, False)):
        threads = [
            threading.Thread(target=decode, args=(size,), kwargs={"meets": meets}) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
    assert most[0] == 90


@pytest.mark.parametrize("memory", [1 << 20, 1 << 30])
def test_what_may_be_inflated_is_what_was_allowed(memory, tmp_path):
    path = tmp_path / "d.npz"
    images = np.zeros((9_000, 28, 28), np.uint8)
    np.savez_compressed(path, x_test=images, y_test=np.zeros(9_000, np.uint8))
    options = DataOptions(memory=memory)
    if memory > images.nbytes:
        assert len(load(str(path), options).test) == 9_000
    else:
        with pytest.raises(DatasetError, match=r"inflates .* to 7,065,000, .*more --memory"):
            load(str(path), options)
    np.savez(path, x_test=images, y_test=np.zeros(9_000, np.uint8))  # its bytes bear it out
    assert len(load(str(path), options).test) == 9_000


def test_a_larger_memory_takes_a_larger_image(tmp_path):
    path = tmp_path / "x.png"
    Image.new("RGB", (2_000, 2_000)).save(path)
    with pytest.raises(DatasetError, match="has 2000x2000 pixels, and decoding it would take"):
        from_folder(path, FITTING, memory=8 << 20).test.images[:]
    assert from_folder(path, FITTING, memory=64 << 20).test.images[:].shape == (1, 28, 28, 3)


def test_one_large_label_makes_no_network_of_that_size(tmp_path):
    images = np.zeros((2, 28, 28), np.uint8)
    labels = np.array([0, 1 << 31])
    np.savez(tmp_path / "d.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    dataset = load(str(tmp_path / "d.npz"), DataOptions())
    with pytest.raises(DatasetError, match="label 2147483648 of sample 1 is not a class index"):
        train(dataset, tmp_path / "m.keras")


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


ODD = {
    "a pipe": lambda folder: fifo(folder / "d.npz"),
    "a pipe of images": lambda folder: fifo(folder / "t10k-images-idx3-ubyte"),
    "a pipe that is an image": lambda folder: fifo(folder / "x.png"),
    "arrays in a pipe": lambda folder: f"{fifo(folder / 'd.npz')}::x,y",
    "a device": lambda folder: "/dev/zero",
    "arrays in a device": lambda folder: "/dev/zero::x,y",
    "arrays in a folder": lambda folder: f"{folder}::x,y",
    "nothing": lambda folder: "/dev/null",
    "a link to itself": lambda folder: loop(folder / "loop"),
    "a name that is too long": lambda folder: folder / ("x" * 300),
}


def loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


@pytest.mark.parametrize("odd", ODD)
def test_odd_files_are_refused_by_name(odd, tmp_path):
    data = str(ODD[odd](tmp_path))
    refused = outcome(Path(data), lambda _: load(data, DataOptions()))
    assert refused.message, odd
    assert "NOT REFUSED" not in refused.message, refused
    assert data.partition("::")[0] in refused.message
    assert refused.peak_bytes < MOST_BYTES
