"""Images in a folder, one subfolder for each class; decoded when they are asked for, never all."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import Dataset, LabelledImages
from fmcore.errors import DatasetError
from fmcore.optional import missing_library

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# By their content: other readers of Pillow, such as that of PostScript, run other programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
FITS = ("stretch", "crop", "pad")
SAID = 3  # names of bad images in one message


@dataclass(frozen=True, slots=True)
class Fitting:
    """How an image comes to the size that a model takes.

    Attributes:
        shape: (y, x, channel) of every image.
        fit: `stretch` to the size; `crop` what is beyond its proportions, centred; `pad` with
            black.
    """

    shape: tuple[int, int, int]
    fit: str = "stretch"


class FolderImages:
    """Images of files, as an array <uint8>[sample, image_y, image_x, image_channel] is asked.

    Slices are decoded by a thread for each core; Pillow lets go of the GIL meanwhile.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[Path], fitting: Fitting) -> None:
        self._files, self._fitting = files, fitting
        self.shape = (len(files), *fitting.shape)
        self._threads = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, rows: slice | int) -> NDArray[np.uint8]:
        """Some of the images; a file that cannot be decoded raises `DatasetError`."""
        if not isinstance(rows, slice):
            return decoded(self._files[rows], self._fitting)
        files = self._files[rows]
        found = np.empty((len(files), *self._fitting.shape), np.uint8)

        def fill(index: int) -> None:
            found[index] = decoded(files[index], self._fitting)

        for _ in self._threads.map(fill, range(len(files))):
            pass
        return found

    def digests(self) -> Iterator[bytes]:
        """SHA-256 of each file and of how it is fitted; nothing is decoded."""
        for file in self._files:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
            digest.update(repr(self._fitting).encode())
            yield digest.digest()


def decoded(file: Path, fitting: Fitting) -> NDArray[np.uint8]:
    """One image, <uint8>[image_y, image_x, image_channel]; grey, colour or with alpha, as asked.

    Orientation that a camera noted is heeded; alpha is laid over black.

    Raises:
        DatasetError: naming the file, if it is no whole image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError  # not needed to read a store

    height, width, channels = fitting.shape
    mode = {1: "L", 3: "RGB", 4: "RGBA"}.get(channels)
    if mode is None:
        raise DatasetError(f"images of {channels} channels cannot be made of {file}; expected 1-4")
    try:
        with Image.open(file, formats=FORMATS) as opened:
            image = _eight_bits(ImageOps.exif_transpose(opened), opened.format or "", file)
            if mode != "RGBA" and image.has_transparency_data:
                image = image.convert("RGBA")
                black = Image.new("RGBA", image.size, (0, 0, 0, 255))
                image = Image.alpha_composite(black, image)
            image = image.convert(mode)
            if image.size != (width, height):
                image = _fitted(image, (width, height), fitting.fit)
            pixels = np.asarray(image, np.uint8)
    except DatasetError:
        raise
    except UnidentifiedImageError as error:
        raise DatasetError(f"{file} is no image that Pillow knows") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{file} is no whole image: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]


def _eight_bits(image: Image, file_format: str, file: Path) -> Image:
    """16 bits a pixel become 8, which Pillow itself would cut off at 255.

    Raises:
        DatasetError: if nobody can say which values are black and white.
    """
    from PIL.Image import fromarray

    if image.mode.startswith("I;16") or (image.mode == "I" and file_format == "PNG"):
        return fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise DatasetError(
            f"{file} holds {'32-bit integers' if image.mode == 'I' else 'floats'}; expected 8 or "
            "16 bits a pixel: give such images as arrays"
        )
    return image


def _fitted(image: Image, size: tuple[int, int], fit: str) -> Image:
    from PIL import ImageOps
    from PIL.Image import Resampling

    bilinear = Resampling.BILINEAR
    if fit == "crop":
        return ImageOps.fit(image, size, bilinear)
    if fit == "pad":
        return ImageOps.pad(image, size, bilinear)
    return image.resize(size, bilinear)


def from_folder(path: Path, fitting: Fitting, *, skip_bad: bool = False) -> Dataset:
    """The images in a folder and its subfolders, or one image.

    Args:
        path: a folder with a subfolder for each class, a folder of images, or an image. Classes
            are numbered in the order of their names; images without a subfolder have no class.
        fitting: what comes of each image.
        skip_bad: leave out images that cannot be decoded; each is tried, which takes its time.

    Raises:
        DatasetError: if there are no images, or a file or a link is none that can be taken.
    """
    _need_pillow(path)
    names, files, labels = _found(path)
    if not files:
        raise DatasetError(
            f"{path} holds no images ({', '.join(SUFFIXES)}), neither itself nor in subfolders"
        )
    bad: list[str] = []
    if skip_bad:
        files, labels, bad = _without_bad(files, labels, fitting)
    source = f"{len(files):,} images in {path.name or path}"
    if bad:
        source += f"; {len(bad):,} that cannot be decoded were left out"
        log.warning(
            "%d of %d images cannot be decoded and are left out: %s%s",
            len(bad),
            len(files) + len(bad),
            "; ".join(bad[:SAID]),
            " …" if len(bad) > SAID else "",
        )
        if not files:
            raise DatasetError(f"{path}: none of {len(bad):,} images can be decoded")
    images = FolderImages(files, fitting)
    classes = np.asarray(labels, np.int64) if names else None
    return Dataset(path.stem, source, names, LabelledImages(images, classes), None)


def _found(path: Path) -> tuple[tuple[str, ...], list[Path], list[int]]:
    """Class names, files and the class of each, in order."""
    if path.is_file():
        return (), [path], [0]
    path = root = path.resolve()
    folders = sorted(one for one in path.iterdir() if one.is_dir() and not _is_hidden(one))
    flat = [one for one in sorted(path.iterdir()) if _is_taken(one, root)]
    if flat and folders:
        raise DatasetError(
            f"{path} holds images ({flat[0].name}) and subfolders ({folders[0].name}); expected a "
            "subfolder for each class, or images alone"
        )
    if not folders:
        return (), flat, [0] * len(flat)
    files: list[Path] = []
    labels: list[int] = []
    for index, folder in enumerate(folders):
        inside = [one for one in sorted(folder.rglob("*")) if _is_taken(one, root)]
        if not inside:
            log.warning("the class folder %s holds no images", folder)
        files += inside
        labels += [index] * len(inside)
    return tuple(folder.name for folder in folders), files, labels


def is_image(path: Path) -> bool:
    """Whether a file is named as images are."""
    return path.suffix.lower() in SUFFIXES


def _is_hidden(path: Path) -> bool:
    return path.name.startswith((".", "__"))


def _is_taken(path: Path, root: Path) -> bool:
    """Whether a file is taken: other kinds, such as Thumbs.db, are passed over."""
    if any(_is_hidden(one) for one in (path, *path.parents) if one.is_relative_to(root)):
        return False
    if path.is_dir():
        if path.is_symlink():
            raise DatasetError(f"{path} is a link to a folder; expected folders of images")
        return False
    if not is_image(path) or not path.is_file():
        return False
    if not path.resolve().is_relative_to(root):
        raise DatasetError(f"{path} is a link that leaves the folder, to {path.resolve()}")
    return True


def _without_bad(
    files: list[Path], labels: list[int], fitting: Fitting
) -> tuple[list[Path], list[int], list[str]]:
    def problem(file: Path) -> str:
        try:
            decoded(file, fitting)
        except DatasetError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        problems = list(threads.map(problem, files))
    good = [index for index, said in enumerate(problems) if not said]
    bad = [said for said in problems if said]
    return [files[index] for index in good], [labels[index] for index in good], bad


def _need_pillow(path: Path) -> None:
    try:
        from PIL import Image
    except ImportError as error:
        purpose = f"reading images as in {path}"
        raise missing_library("Pillow", extra="train", purpose=purpose, cause=error) from error
    Image.init()  # all readers at once, and not by several threads
