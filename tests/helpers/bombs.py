"""Small files that declare, or inflate to, far more than they hold: thirty of ten kinds."""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

GIB = 1 << 30


def deflated_zeros(head: bytes, n_bytes: int) -> bytes:
    """A raw deflate stream of some bytes and then zeros, made of one piece again and again."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = squeeze.compress(head) + squeeze.flush(zlib.Z_FULL_FLUSH)
    piece = squeeze.compress(bytes(1 << 24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return first + piece * (n_bytes >> 24) + squeeze.flush()


def png(width: int, height: int, bits: int = 8, color: int = 2, *, rows: bool = True) -> bytes:
    """A black picture; without `rows`, one that is cut short after its first bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    size = (1 + width * channels * bits // 8) * height
    data = b"\x78\xda" + deflated_zeros(b"", size if rows else 0) + bytes(4)
    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def jpeg(width: int, height: int, *, progressive: bool = False) -> bytes:
    """A picture of 8x8 whose header declares another size."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "JPEG", progressive=progressive)
    data = bytearray(stream.getvalue())
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif(width: int, height: int) -> bytes:
    size = struct.pack("<HH", width, height)
    return b"GIF89a" + size + b"\x80\0\0" + bytes(6) + b",\0\0\0\0" + size + b"\0\x02\x02D\x01\0;"


def webp(width: int, height: int) -> bytes:
    """A picture of 8x8 in a canvas of another size."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "WEBP", lossless=True)
    body = stream.getvalue()[12:]
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas + body
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def tiff(width: int, height: int, *, tile: int = 0, compression: int = 8) -> bytes:
    """An RGB picture of a few bytes, in a strip or in tiles."""
    data = zlib.compress(bytes(1000))
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 2)]
    tags += [(277, 3, 3)]
    if tile:
        tags += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, len(data))]
    else:
        tags += [(273, 4, 8), (278, 4, height), (279, 4, len(data))]
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(tags)
    )
    at = 8 + len(data) + len(data) % 2
    head = b"II*\0" + struct.pack("<I", at) + data + bytes(len(data) % 2)
    return head + struct.pack("<H", len(tags)) + entries + bytes(4)


def bmp(width: int, height: int) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header + bytes(100)


def npy(shape: tuple[int, ...], dtype: str, n_bytes: int, *, header: int = 0) -> bytes:
    """A member of an npz file whose header declares a shape; `header` is its own length."""
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text = text.ljust(max(header, 117)) + b"\n"
    head = b"\x93NUMPY\x02\0" + struct.pack("<I", len(text)) + text
    return head + bytes(n_bytes)


def npz(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def npz_of_zeros(path: Path, n_bytes: int, dtype: str = "|u1") -> None:
    """What `np.savez_compressed` makes of black images, but for the CRC: a thousandth."""
    head = npy((n_bytes // 784 // np.dtype(dtype).itemsize, 28, 28), dtype, 0)
    data, name = deflated_zeros(head, n_bytes), b"x_test.npy"
    sizes = struct.pack("<LLL2H", 0, len(data), n_bytes + len(head), len(name), 0)
    local = struct.pack("<4s5H", b"PK\3\4", 20, 0, 8, 0, 33) + sizes + name + data
    table = struct.pack("<4s6H", b"PK\1\2", 20, 20, 0, 8, 0, 33) + sizes
    table += struct.pack("<3H2L", 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(table), len(local), 0)
    path.write_bytes(local + table + end)


def overlapping(path: Path) -> None:
    """Many names of one member, each with all of its bytes."""
    npz(path, x_test=npy((3, 28, 28), "|u1", 784 * 3) + bytes(30_000_000))
    data = path.read_bytes()
    end = data.index(b"PK\5\6")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    entry = data[start:end]
    many = b"".join(entry.replace(b"x_test", b"x%05d" % n) for n in range(1000))
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1000, 1000, len(many), start, 0)
    path.write_bytes(data[:start] + entry + many + tail)


def endless_table(path: Path) -> None:
    """A table of contents of 34 MB, of half a million members that are not there."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, *[0] * 5, *[0] * 3, 20, *[0] * 6)
    table = (entry + b"x" * 20) * 520_000
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0, 0, len(table), 0, 0)
    path.write_bytes(table + tail)


def bzipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("x_test.npy", npy((50_000_000 // 784, 28, 28), "|u1", 50_000_000))


def idx(sizes: tuple[int, ...], data: bytes = b"") -> bytes:
    return struct.pack(f">HBB{len(sizes)}I", 0, 8, len(sizes), *sizes) + data


def gz(data: bytes, zeros: int = 0) -> bytes:
    head = b"\x1f\x8b\x08\0\0\0\0\0\2\xff"
    n_bytes = len(data) + zeros
    return head + deflated_zeros(data, zeros) + struct.pack("<LL", 0, n_bytes % (1 << 32))


def keras_file(path: Path, *, config: bytes = b"{}", **members: bytes) -> None:
    """A `.keras` file; the names of further members have `__` for a dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def file(data: Callable[[], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data())


# What makes each, by kind and by the name of the file.
BOMBS: dict[tuple[str, str], Callable[[Path], object]] = {
    ("PNG", "square.png"): file(lambda: png(13_000, 13_000, color=6)),
    ("PNG", "sixteen-bits.png"): file(lambda: png(9_400, 9_400, bits=16, color=0)),
    ("PNG", "row.png"): file(lambda: png(170_000_000, 1, color=0)),
    ("PNG", "column.png"): file(lambda: png(1, 170_000_000, color=0, rows=False)),
    ("PNG", "larger-than-pillow-takes.png"): file(lambda: png(1 << 30, 1 << 30, rows=False)),
    ("JPEG", "declared.jpg"): file(lambda: jpeg(13_000, 13_000)),
    ("JPEG", "progressive.jpg"): file(lambda: jpeg(10_000, 9_000, progressive=True)),
    ("JPEG", "largest.jpg"): file(lambda: jpeg(65_535, 65_535)),
    ("GIF", "declared.gif"): file(lambda: gif(15_000, 11_900)),
    ("GIF", "largest.gif"): file(lambda: gif(65_535, 65_535)),
    ("WebP", "declared.webp"): file(lambda: webp(13_000, 13_000)),
    ("WebP", "largest.webp"): file(lambda: webp(1 << 24, 255)),
    ("TIFF", "strip.tif"): file(lambda: tiff(13_000, 13_000)),
    ("TIFF", "tiles.tif"): file(lambda: tiff(13_000, 13_000, tile=13_008)),
    ("TIFF", "tile-beyond.tif"): file(lambda: tiff(28, 28, tile=40_000)),
    ("BMP", "declared.bmp"): file(lambda: bmp(13_000, 13_000)),
    ("BMP", "column.bmp"): file(lambda: bmp(1, 170_000_000)),
    ("npz", "zeros.npz"): lambda path: npz_of_zeros(path, 3 * GIB),
    ("npz", "floats.npz"): lambda path: npz_of_zeros(path, 2 * GIB, "<f8"),
    ("npz", "header.npz"): lambda path: npz(path, x_test=npy((1 << 40,), "|u1", 9), y_test=b""),
    ("npz", "text.npz"): lambda path: npz(
        path, x_test=npy((1, 28, 28), "|u1", 784), y_test=npy((1,), "<U400000000", 100)
    ),
    ("npz", "long-header.npz"): lambda path: npz(path, x_test=npy((1,), "|u1", 1, header=1 << 25)),
    ("npz", "overlapping.npz"): overlapping,
    ("npz", "endless-table.npz"): endless_table,
    ("npz", "bzip2.npz"): bzipped,
    ("idx", "t10k-images-idx3-ubyte"): file(lambda: idx((3_000_000, 32, 32))),
    ("idx", "images-idx3-short.gz"): file(lambda: gz(idx((15_000_000, 32, 32), bytes(99)))),
    ("idx", "images-idx3-whole.gz"): file(lambda: gz(idx((3 << 20, 32, 32)), 3 * GIB)),
    (".keras", "weights.keras"): lambda path: keras_file(
        path, model__weights__h5=bytes(1 << 27)
    ),
    (".keras", "config.keras"): lambda path: keras_file(
        path, config=b"[" + b"[]," * 20_000_000 + b"1]"
    ),
    (".keras", "npz-weights.keras"): lambda path: keras_file(
        path, model__weights__npz=zipped(x=npy((1 << 25,), "|u1", 1 << 25))
    ),
    ("names", "classes.txt"): file(lambda: b"a\n" * 100_000_000),
}  # fmt: skip


# Far more than is allowed: the machine lives where a bound is lost.
MOST_ADDRESSES = 12 * GIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of reading a file.

    Attributes:
        message: what it was refused with; empty where it was not refused.
        seconds: the time until then.
        peak_bytes: the memory that was taken meanwhile, beyond what there was before.
    """

    message: str
    seconds: float
    peak_bytes: int


def read(path: Path) -> None:
    """Reads a file as a capture of images of 28x28 does."""
    from fmcore.dataset import Fitting, from_folder, is_image
    from fmcore.model.inspect import inspect_model_file
    from fmcore.sources import DataOptions, _with_class_names, load

    if path.suffix == ".keras":
        inspect_model_file(path)
    elif is_image(path):
        len(from_folder(path, Fitting((28, 28, 3))).test.images[:])
    elif path.suffix == ".txt":
        _with_class_names(None, path)  # type: ignore[arg-type]
    else:
        load(str(path), DataOptions())


def outcome(path: Path, act: Callable[[Path], object] = read) -> Outcome:
    """Reads a file in a process of its own; what it imports should be imported before."""
    from fmcore.errors import FmcoreError

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, message = time.perf_counter(), ""
        try:
            act(path)
        except FmcoreError as error:
            message = str(error)
        except BaseException as error:
            message = f"NOT REFUSED BUT {type(error).__name__}: {error}"
        seconds = time.perf_counter() - began
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        os.write(writer, json.dumps([message[:2000], seconds, peak]).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return Outcome(*json.loads(text)) if text else Outcome("NOT REFUSED BUT KILLED", 0, 0)
