"""Images in a folder with a subfolder for each class; decoded on access, never all at once."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import ALL, Dataset, LabelledImages
from fmcore.dataset.room import DEFAULT_MEMORY, Room
from fmcore.errors import DatasetError
from fmcore.files import size_text
from fmcore.optional import missing_library
from fmcore.records import Target, Truth

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# Formats by content. Other readers of Pillow, such as the one for PostScript, run other programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
FITS = ("stretch", "crop", "pad")
MOST_NAMED = 3  # names of bad images in one message
# Names of folders that hold a part of a data set, not a class; in order of what is captured first.
SPLITS = (
    *("test", "testing", "tst", "validation", "val", "valid", "eval", "evaluation", "holdout"),
    *("dev", "development", "train", "training", "trn"),
)
# What such a name may be made of besides, as in `test_set`, `val2017` and `seg_train`.
AROUND_SPLITS = ("set", "data", "dataset", "images", "image", "imgs", "img", "split", "seg")
_AROUND = f"(?:{'|'.join(AROUND_SPLITS)})*"
_SPLIT = re.compile(f"{_AROUND}({'|'.join(SPLITS)}){_AROUND}")
ORIENTATION = 0x0112  # the number of this EXIF tag
# What Pillow raises for files that are cut short, damaged or odd.
BAD_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    TypeError,
    LookupError,
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
# Bytes for each pixel that decoding takes beside the image: WebP keeps two canvases and a copy,
# TIFF may hold the image in a strip, a progressive JPEG keeps its coefficients.
FORMAT_BYTES = {"WEBP": 12, "TIFF": 8}
PROGRESSIVE_BYTES = 6
# For 16 bits that become 8: two copies of 2, two of 4 and one of 1.
WIDE_BYTES = 14


@dataclass(frozen=True, slots=True)
class Fitting:
    """How images of any size are fitted to the input of a model.

    Attributes:
        shape: (y, x, channel) of every fitted image.
        fit: `stretch` to the size, `crop` the center to its proportions, or `pad` with black.
    """

    shape: tuple[int, int, int]
    fit: str = "stretch"


class FolderImages:
    """Images in files, indexed as an array <uint8>[sample, image_y, image_x, image_channel].

    One thread for each core decodes the images of a slice; Pillow releases the GIL meanwhile.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self, files: Sequence[Path], fitting: Fitting, *, memory: int = DEFAULT_MEMORY
    ) -> None:
        self._files, self._fitting = files, fitting
        self._room = Room(memory)
        self._noted: set[str] = set()
        self.shape = (len(files), *fitting.shape)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: slice | int) -> NDArray[np.uint8]:
        """Decodes a slice of the images, or one image.

        Raises:
            DatasetError: naming the file, if it cannot be decoded.
        """
        if not isinstance(rows, slice):
            return decode_image(self._files[rows], self._fitting, self._room, self._note)
        files = self._files[rows]
        images = np.empty((len(files), *self._fitting.shape), np.uint8)

        def fill(index: int) -> None:
            images[index] = decode_image(files[index], self._fitting, self._room, self._note)

        for _ in self._threads.map(fill, range(len(files))):
            pass
        return images

    def _note(self, file: Path, what: str) -> None:
        """Says once for all files that an image is not taken as a person sees it."""
        if what not in self._noted:
            self._noted.add(what)
            log.warning("%s %s; the same holds for all such images", file, what)

    def digests(self, rows: slice = ALL) -> Iterator[bytes]:
        """SHA-256 of each of these files and of the fitting; nothing is decoded."""
        for file in self._files[rows]:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
            digest.update(repr(self._fitting).encode())
            yield digest.digest()


def decode_image(
    file: Path,
    fitting: Fitting,
    room: Room,
    note: Callable[[Path, str], object] = lambda *_: None,
) -> NDArray[np.uint8]:
    """Decodes and fits one image, <uint8>[image_y, image_x, image_channel].

    The number of channels of the fitting decides between gray, color, and color with alpha. As
    `keras.utils.load_img` does it, the image is not turned by its EXIF orientation, and alpha is
    left out unless the fitting has it: a model sees what it was trained on.

    Args:
        file: an image.
        fitting: how the image is fitted to the input of a model.
        room: the memory for all images that are decoded at a time; a larger image is refused.
        note: called with the file and, in words, what is not as a person sees it.

    Raises:
        DatasetError: naming the file, if it is not a complete image, or too large for the memory.
    """
    from PIL import Image, UnidentifiedImageError  # not needed to read a store

    height, width, channels = fitting.shape
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels)
    if mode is None:
        raise DatasetError(
            f"{file} cannot be made an image of {channels} channels; expected 1, 3 or 4"
        )
    try:
        with Image.open(file, formats=FORMATS) as opened:
            n_bytes = decoding_bytes(opened, opened.format or "", fitting)
            if n_bytes > room.n_bytes:
                size = "x".join(map(str, opened.size))
                raise DatasetError(  # noqa: TRY301
                    f"{file} has {size} pixels, and decoding it would take {size_text(n_bytes)} of "
                    f"memory; {size_text(room.n_bytes)} are allowed: make it smaller, or give more "
                    "--memory"
                )
            with room.taken(n_bytes):
                image = _to_eight_bits(opened, opened.format or "", file).convert(mode)
                # Asked now: Pillow turns TIFFs while it decodes them.
                if opened.getexif().get(ORIENTATION, 1) != 1:
                    note(file, "has an EXIF orientation and is not turned, as in Keras' loaders")
                if mode != "RGBA" and opened.has_transparency_data:
                    note(file, "is transparent and its alpha is left out, as in Keras' loaders")
                if image.size != (width, height):
                    image = _resize(image, (width, height), fitting.fit)
                pixels = np.asarray(image, np.uint8)
    except DatasetError:
        raise
    except UnidentifiedImageError as error:
        raise DatasetError(f"{file} is not an image that Pillow can read") from error
    except BAD_IMAGE as error:
        raise DatasetError(
            f"{file} is not a complete image: {error or type(error).__name__}"
        ) from error
    except Image.DecompressionBombError as error:
        raise DatasetError(f"{file} is not a complete image: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def decoding_bytes(image: Image, file_format: str, fitting: Fitting) -> int:
    """The memory that decoding and fitting an image takes at most, by its header."""
    width, height = image.size
    base = image.mode.split(";")[0]
    source = {"1": 1, "L": 1, "P": 1}.get(base, 4)
    # The image as it is stored, what it is converted to, and what its format takes meanwhile.
    for_pixel = source + 4 + FORMAT_BYTES.get(file_format, 0)
    if base == "I":
        for_pixel += WIDE_BYTES
    if file_format == "JPEG" and image.info.get("progressive"):
        for_pixel += PROGRESSIVE_BYTES
    # Pillow resizes rows first, to the new width, with a weight or two of 8 bytes for each pixel.
    resizing = 4 * fitting.shape[1] * height + 16 * (width + height)
    return width * height * for_pixel + resizing


def _to_eight_bits(image: Image, file_format: str, file: Path) -> Image:
    """Converts 16 bits per pixel to 8; Pillow itself would clip at 255.

    Raises:
        DatasetError: if the format does not define which values are black and white.
    """
    from PIL.Image import fromarray

    if image.mode.startswith("I;16") or (image.mode == "I" and file_format == "PNG"):
        return fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DatasetError(
            f"{file} holds {'32-bit integers' if image.mode == 'I' else 'floats'}; expected 8 or "
            "16 bits per pixel; pass such images as arrays"
        )
    return image


def _resize(image: Image, size: tuple[int, int], fit: str) -> Image:
    from PIL import ImageOps
    from PIL.Image import Resampling

    bilinear = Resampling.BILINEAR
    if fit == "crop":
        return ImageOps.fit(image, size, bilinear)
    if fit == "pad":
        return ImageOps.pad(image, size, bilinear)
    return image.resize(size, bilinear)


def from_folder(
    path: Path, fitting: Fitting, *, skip_bad: bool = False, memory: int = DEFAULT_MEMORY
) -> Dataset:
    """Reads a data set from the images in a folder and its subfolders, or from one image.

    Args:
        path: a folder with a subfolder for each class, a folder of images, or an image. Classes
            are numbered in the order of their names; images without a subfolder have no class.
        fitting: how images are fitted to the input of the model.
        skip_bad: leave out images that cannot be decoded; this decodes every image once more.
        memory: the bytes that decoding may take, for all images that are decoded at a time.

    Raises:
        DatasetError: if there are no images, images and subfolders are mixed, subfolders are parts
            of a data set such as `train` and `test`, or a link leads out of the folder.
    """
    _require_pillow(path)
    names, files, labels = _list_images(path)
    if not files:
        raise DatasetError(
            f"{path} holds no images ({', '.join(SUFFIXES)}), neither directly nor in subfolders"
        )
    bad: list[str] = []
    if skip_bad:
        files, labels, bad = _drop_undecodable(files, labels, fitting, Room(memory))
    source = f"{len(files):,} images in {path.name or path}"
    if bad:
        source += f"; {len(bad):,} that cannot be decoded were left out"
        log.warning(
            "%d of %d images cannot be decoded and are left out: %s%s",
            len(bad),
            len(files) + len(bad),
            "; ".join(bad[:MOST_NAMED]),
            " …" if len(bad) > MOST_NAMED else "",
        )
        if not files:
            raise DatasetError(f"{path}: none of {len(bad):,} images can be decoded")
    images = FolderImages(files, fitting, memory=memory)
    if not names:
        return Dataset(path.stem, source, names, LabelledImages(images, None), None)
    classes = np.asarray(labels, np.int64)
    targets = Truth(Target.CLASS, classes, names, "names of folders", by_name=True)
    return Dataset(path.stem, source, names, LabelledImages(images, classes, targets=targets), None)


def _list_images(path: Path) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """The class names, the image files, and the class index of each file."""
    if path.is_file():
        return (), [path], [0]
    path = root = path.resolve()
    folders = _subfolders(path)
    flat = [item for item in sorted(path.iterdir()) if _is_used(item, root)]
    if flat and folders:
        raise DatasetError(
            f"{path} holds images ({flat[0].name}) and subfolders ({folders[0].name}); expected a "
            "subfolder for each class, or images only"
        )
    if not folders:
        return (), flat, [0] * len(flat)
    files: list[Path] = []
    labels: list[int] = []
    for index, folder in enumerate(folders):
        images = [file for file in sorted(folder.rglob("*")) if _is_used(file, root)]
        files += images
        labels += [index] * len(images)
    _refuse_splits(path, [folders[index] for index in sorted(set(labels))])
    for index, folder in enumerate(folders):
        if index not in labels:
            log.warning("the class folder %s holds no images", folder)
    return tuple(folder.name for folder in folders), files, labels


def _refuse_splits(path: Path, folders: Sequence[Path]) -> None:
    """Refuses folders that are parts of a data set: they would become its classes.

    Args:
        path: the folder that was named.
        folders: the subfolders of it that hold images.

    Raises:
        DatasetError: naming what could be meant.
    """
    inner = [_subfolders(folder) for folder in folders]
    if len(folders) == 1 and _are_splits(inner[0]):  # a folder around the data set
        folders = inner[0]
    if _are_splits(folders):
        test_first = sorted(folders, key=lambda folder: (split_order(folder.name), folder.name))
        commands = " or ".join(f"--data {folder}" for folder in test_first)
        raise DatasetError(
            f"{path} holds {', '.join(folder.name for folder in folders)}: parts of a data set, "
            f"not classes; give {commands}; if these are your classes, rename the folders"
        )
    for folder, subfolders in zip(folders, inner, strict=True):
        if _are_splits(subfolders):
            parts = " and ".join(part.name for part in subfolders)
            log.warning("the class folder %s holds %s; the images of all are taken", folder, parts)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(item for item in folder.iterdir() if item.is_dir() and not _is_hidden(item))


def _are_splits(folders: Sequence[Path]) -> bool:
    return bool(folders) and all(split_order(folder.name) < len(SPLITS) for folder in folders)


def split_order(name: str) -> int:
    """The place in `SPLITS` of a folder's name, such as `Val` or `test_set2`; else their number."""
    letters = re.sub("[^a-z]", "", name.lower())
    match = _SPLIT.fullmatch(letters)
    return SPLITS.index(match[1]) if match else len(SPLITS)


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _is_used(path: Path, root: Path) -> bool:
    """Whether a file is an image to read; others, such as Thumbs.db, are ignored.

    Raises:
        DatasetError: if a link leads to a folder, or out of `root`.
    """
    if any(_is_hidden(item) for item in (path, *path.parents) if item.is_relative_to(root)):
        return False
    if path.is_dir():
        if path.is_symlink():
            raise DatasetError(f"{path} is a link to a folder; expected real folders of images")
        return False
    if not is_image(path) or not path.is_file():
        return False
    if not path.resolve().is_relative_to(root):
        raise DatasetError(f"{path} is a link that leaves the folder, to {path.resolve()}")
    return True


def _drop_undecodable(
    files: list[Path], labels: list[int], fitting: Fitting, room: Room
) -> tuple[list[Path], list[int], list[str]]:
    """The files that can be decoded, their labels, and a message for each of the others."""

    def problem(file: Path) -> str:
        try:
            decode_image(file, fitting, room)
        except DatasetError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        problems = list(threads.map(problem, files))
    good = [index for index, message in enumerate(problems) if not message]
    bad = [message for message in problems if message]
    return [files[index] for index in good], [labels[index] for index in good], bad


def _require_pillow(path: Path) -> None:
    try:
        from PIL import Image
    except ImportError as error:
        purpose = f"reading the images in {path}"
        raise missing_library("Pillow", extra="train", purpose=purpose, cause=error) from error
    Image.init()  # registers all readers, before several threads decode
