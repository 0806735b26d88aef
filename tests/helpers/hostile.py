"""Seeded makers of stores and folders that nobody's capture would write."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fmcore.storage.file.seal import MAGIC, seal
from helpers.sharded import copy_store

TRACE = (
    "x" * 300,
    "line\nbreak",
    "\x1b[31mred",
    "<script>alert(1)</script>",
    "\u202egnp",
    "a" * 4000,
)


def unsealed(path: Path) -> None:
    """Cuts the seal of a store off, as any program does that changes it."""
    data = path.read_bytes()
    if data.endswith(MAGIC):
        size = int.from_bytes(data[-56:-48], "little")
        path.write_bytes(data[:size])


def sealed_anew(path: Path) -> None:
    """Seals a store as somebody would who means harm; in a fork, which HDF5 may end."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):  # where HDF5 cannot read it, it stays without
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            seal(path)
        os._exit(0)
    os.waitpid(pid, 0)


def damage(path: Path, rng: np.random.Generator, places: int) -> None:
    """Changes some bytes of a file, most of them where HDF5 keeps its metadata."""
    data = bytearray(path.read_bytes())
    for _ in range(places):
        at = int(rng.integers(len(data)))
        kind = rng.integers(4)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            data[at : at + 8] = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()[: len(data) - at]
        else:
            data[at : at + 4] = b"\xff\xff\xff\xff"[: len(data) - at]
    path.write_bytes(data)


def _arrays(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(
        lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None
    )
    return names


def _replace(file: h5py.File, name: str, **options) -> None:
    attributes = {key: file[name].attrs[key] for key in file[name].attrs if key == "CLASS"}
    del file[name]
    file.create_dataset(name, **options).attrs.update(attributes)


def _remove(file: h5py.File, rng: np.random.Generator) -> None:
    del file[str(rng.choice(_arrays(file)))]


def _reshape(file: h5py.File, rng: np.random.Generator) -> None:
    name = str(rng.choice(_arrays(file)))
    shape = tuple(rng.integers(1, 5, rng.integers(1, 5)).tolist())
    _replace(file, name, shape=shape, dtype=file[name].dtype, fletcher32=True, chunks=shape)


def _retype(file: h5py.File, rng: np.random.Generator) -> None:
    name = str(rng.choice(_arrays(file)))
    dtype = rng.choice(["i1", "u8", "f8", "S3", "f2", ">f4"])
    shape = file[name].shape
    _replace(file, name, shape=shape, dtype=dtype, fletcher32=True, chunks=shape)


def _huge(file: h5py.File, rng: np.random.Generator) -> None:
    name = str(rng.choice(_arrays(file)))
    ndim = max(1, file[name].ndim)
    _replace(file, name, shape=(1 << int(rng.integers(20, 40)),) * ndim, dtype="f4",
             chunks=(1 << 10,) + (1,) * (ndim - 1), fletcher32=True)  # fmt: skip


def _of_values(file: h5py.File, kinds: str) -> list[str]:
    """Arrays of numbers, but for maps: their bytes in the file are stated elsewhere."""
    names = [name for name in _arrays(file) if file[name].dtype.kind in kinds]
    return [name for name in names if not name.endswith("activation")]


def _values(file: h5py.File, rng: np.random.Generator) -> None:
    """Numbers that are indices, names or counts in other arrays, and here are none."""
    for name in rng.choice(_of_values(file, "iuf"), 5):
        array = file[str(name)]
        values = rng.choice([-(1 << 31), -1, 127, 1 << 31, 0], array.shape)
        with np.errstate(all="ignore"):
            array[...] = values.astype(array.dtype)


def _not_finite(file: h5py.File, rng: np.random.Generator) -> None:
    for name in _of_values(file, "f"):
        file[name][...] = rng.choice([np.nan, np.inf, -np.inf, 0])


def _attribute(file: h5py.File, rng: np.random.Generator) -> None:
    groups = ["/", *(name for name in ("model", "dataset", "capture") if name in file)]
    groups += [f"layers/{name}" for name in file["layers"]]
    group = file[str(rng.choice(groups))]
    name = str(rng.choice(list(group.attrs)))
    kind = rng.integers(5)
    if kind == 0:
        del group.attrs[name]
    else:
        odd = (str(rng.choice(TRACE)), -1, np.nan, np.zeros((3, 3)), np.bytes_(b"\xff\xfe\x00"))
        group.attrs[name] = odd[int(rng.integers(len(odd)))]


def _large_attribute(file: h5py.File, rng: np.random.Generator) -> None:
    where = file[str(rng.choice(["/", "model", "layers"]))]
    if rng.integers(2):
        where.attrs["note"] = np.zeros(60 << 20, np.uint8)
    else:
        where.attrs["note"] = "x" * (60 << 20)  # of variable length, outside the header


def _many_attributes(file: h5py.File, rng: np.random.Generator) -> None:
    where = file[str(rng.choice(["/", "dataset"]))]
    for n in range(65_000 // 8):
        where.attrs[f"note {n}"] = n


def _link(file: h5py.File, rng: np.random.Generator) -> None:
    name = str(rng.choice(_arrays(file)))
    del file[name]
    file[name] = [h5py.SoftLink("/class"), h5py.ExternalLink("/etc/passwd", "/x")][
        int(rng.integers(2))
    ]


def _external(file: h5py.File, rng: np.random.Generator) -> None:
    name = str(rng.choice(_arrays(file)))
    del file[name]
    file.create_dataset(name, (100,), "u1", external=[("/etc/passwd", 0, 100)])


def _nested(file: h5py.File, rng: np.random.Generator) -> None:
    group = file
    for _ in range(int(rng.integers(9, 400))):
        group = group.create_group("g")


def _names(file: h5py.File, rng: np.random.Generator) -> None:
    texts = [path for path in _arrays(file) if file[path].dtype.kind == "S"]
    name = str(rng.choice(texts))
    width = file[name].dtype.itemsize
    text = str(rng.choice(TRACE)).encode()[:width]
    array = file[name].id  # h5py would convert, and finds no way
    array.write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.full(array.shape, text, f"S{width}"), array.get_type()
    )


def _bomb(file: h5py.File, rng: np.random.Generator) -> None:
    """Tables of zeros that take a thousand times their bytes of the file in memory."""
    group = f"layers/{next(iter(file['layers']))}/pooled"
    name = f"{group}/{rng.choice(list(file[group]))}" if group in file else _arrays(file)[0]
    array = file[name]
    shape = (200_000, *array.shape[1:])
    _replace(file, name, shape=(shape[0], 800), dtype="f4", chunks=(2048, 800),
             compression="gzip", fletcher32=True, data=np.zeros((shape[0], 800), "f4")
             if rng.integers(4) == 0 else None)  # fmt: skip


HOSTILE: tuple[Callable[[h5py.File, np.random.Generator], None], ...] = (
    _remove,
    _reshape,
    _retype,
    _huge,
    _values,
    _not_finite,
    _attribute,
    _large_attribute,
    _many_attributes,
    _link,
    _external,
    _nested,
    _names,
    _bomb,
)


def make_hostile(path: Path, source: Path, seed: int) -> str:
    """Writes a store that is changed on purpose, half of them sealed again; says what was done."""
    rng = np.random.default_rng(seed)
    copy_store(source, path)
    unsealed(path)
    change = HOSTILE[seed % len(HOSTILE)]
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        change(file, rng)
    if rng.integers(2):
        sealed_anew(path)
    return change.__name__.strip("_")


def _odd_link(folder: Path, name: str, rng: np.random.Generator) -> None:
    targets = (name, "x" * 255 + ".h5", "y" * 300, "../" * 3 + "etc/passwd", "good.h5/below.h5",
               "/" + "z/" * 1000, "nowhere.h5", ".")  # fmt: skip
    (folder / name).symlink_to(targets[int(rng.integers(len(targets)))])


def _odd_pipe(folder: Path, name: str, rng: np.random.Generator) -> None:
    if rng.integers(2):
        os.mkfifo(folder / name)
        return
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as listening:
        try:
            os.chdir(folder)  # a socket's path has 108 bytes
            listening.bind(name)
        finally:
            os.chdir(here)


def _odd_depth(folder: Path, name: str, rng: np.random.Generator) -> None:
    """Folders so deep that their path is longer than the system takes."""
    parent = os.open(folder, os.O_RDONLY)
    for _ in range(int(rng.integers(20, 1200))):
        os.mkdir("deeper", dir_fd=parent)
        below = os.open("deeper", os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = below
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=parent))
    os.close(parent)


def _odd_name(folder: Path, name: str, rng: np.random.Generator) -> None:
    names = (b"\xff\xfe.h5", b"line\nbreak.h5", b"\x1b[31m.h5", b"n" * 252 + b".h5", b" .h5",
             b"~2.h5", b"a:b.h5", b".h5", b"%2e%2e.h5", "\u202eh5.h5".encode())  # fmt: skip
    raw = os.fsencode(folder) + b"/" + names[int(rng.integers(len(names)))]
    os.close(os.open(raw, os.O_CREAT | os.O_WRONLY))


def _odd_folder(folder: Path, name: str, rng: np.random.Generator) -> None:
    closed = folder / (name if rng.integers(2) else "closed")
    closed.mkdir(exist_ok=True)
    (closed / "within.h5").write_bytes(b"x")
    closed.chmod((0o000, 0o400, 0o100)[int(rng.integers(3))])


def _odd_content(folder: Path, name: str, rng: np.random.Generator) -> None:
    (folder / name).write_bytes(rng.bytes(int(rng.integers(0, 3000))))
    if rng.integers(2):
        (folder / name).chmod(0)


def crash(descriptor: int, name: str) -> None:
    """Ends the process, as HDF5 does on some damaged files; what tests have called apart."""
    os.kill(os.getpid(), signal.SIGSEGV)


ODD = (_odd_link, _odd_pipe, _odd_depth, _odd_name, _odd_folder, _odd_content)


def make_odd_folder(folder: Path, good: Path, seed: int) -> None:
    """A folder with a good store, `good.h5`, and one to four odd entries beside it."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    copy_store(good, folder / "good.h5")
    for n in range(int(rng.integers(1, 5))):
        odd = ODD[(seed + n) % len(ODD)]
        with contextlib.suppress(FileExistsError):
            odd(folder, f"odd{n}.h5", rng)


def remove_odd_folder(folder: Path) -> None:
    """Removes what `make_odd_folder` has made, however deep."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            Path(entry.path).chmod(0o700)
    # Python's own has a bound of its depth.
    subprocess.run(["rm", "-rf", "--", str(folder)], check=True)
