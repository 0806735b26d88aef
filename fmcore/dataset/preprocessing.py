"""The preprocessing of pixels for a model: declared and recorded, its result never stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fmcore.dataset.images import Images
from fmcore.errors import SelectionError

# Pixels up to here are looked at one by one: a set that is brighter uses all 256 values.
BRIGHT = 128


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """`(pixels / scale - mean) / std`, channel by channel.

    Attributes:
        scale: the number that pixels are divided by.
        mean: the mean of each channel, subtracted after scaling; one number for all channels, or
            empty for none.
        std: the standard deviation of each channel, divided by at the end; one number for all
            channels, or empty for none.
        reverse: whether channels are reversed, from RGB to BGR.
        name: the module in `keras.applications` that preprocesses so; empty for none.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reverse: bool = False
    name: str = ""

    def __call__(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """Preprocesses images, <float32>[sample, image_y, image_x, image_channel].

        Args:
            images: <uint8 or float32>[sample, image_y, image_x, image_channel].

        Raises:
            SelectionError: if the number of means or standard deviations does not fit the channels.
        """
        channels = images.shape[-1]
        for option, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (0, 1, channels):
                raise SelectionError(
                    f"{option} has {len(values)} numbers, but images have {channels} channels; "
                    f"expected 1 or {channels}"
                )
        pixels = images.astype(np.float32)
        if self.scale != 1.0:
            pixels /= np.float32(self.scale)
        if self.reverse:
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        if self.mean:
            pixels -= np.asarray(self.mean, np.float32)
        if self.std:
            pixels /= np.asarray(self.std, np.float32)
        return pixels

    @property
    def words(self) -> str:
        """A description, which a store records."""
        words = self.steps or "none: images as given"
        return f"{self.name} of keras.applications: {words}" if self.name else words

    @property
    def steps(self) -> str:
        """What is done, step by step; empty where nothing is done."""
        parts = []
        if self.scale != 1.0:
            parts.append(f"pixels / {_number_text(self.scale)}")
        if self.reverse:
            parts.append("channels reversed")
        if self.mean:
            parts.append(f"minus {', '.join(map(_number_text, self.mean))}")
        if self.std:
            parts.append(f"divided by {', '.join(map(_number_text, self.std))}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class Decision:
    """The preprocessing of a capture, why it was taken, and what was measured.

    Attributes:
        preprocessing: what is done to pixels.
        reason: why; empty where a person declared it.
        sight: what the model's first layer with weights will see, in words.
        warning: what a person should look at, and what to do; empty where nothing is doubtful.
    """

    preprocessing: Preprocessing
    reason: str = ""
    sight: str = ""
    warning: str = ""

    @property
    def words(self) -> str:
        """The preprocessing and the reason for it, which a store records."""
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.preprocessing.words}{because}"


def without_reason(words: str) -> str:
    """The words of a preprocessing in those of a decision, which may have a reason after them."""
    return words.partition(" (")[0]


def _number_text(value: float) -> str:
    """A number with the digits that it needs: what a store records must be repeatable."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


AS_GIVEN = Preprocessing()
UNIT = Preprocessing(scale=255.0)
# The modes of keras.src.applications.imagenet_utils.preprocess_input, for RGB images, each with the
# modules that use it.
_MODES = (
    (
        Preprocessing(scale=127.5, mean=(1.0,)),
        "inception_v3 inception_resnet_v2 mobilenet mobilenet_v2 nasnet resnet_v2 xception",
    ),
    (
        Preprocessing(scale=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        "densenet",
    ),
    (Preprocessing(mean=(103.939, 116.779, 123.68), reverse=True), "resnet vgg16 vgg19"),
    (AS_GIVEN, "convnext efficientnet efficientnet_v2 mobilenet_v3"),
)
_BY_NAME = {name: replace(mode, name=name) for mode, names in _MODES for name in names.split()}
NAMES = tuple(sorted(_BY_NAME))


def preprocessing_named(name: str) -> Preprocessing:
    """The preprocessing of `keras.applications.NAME.preprocess_input`, one of `NAMES`.

    Raises:
        SelectionError: if the name is unknown.
    """
    if name not in _BY_NAME:
        raise SelectionError(f"--preprocess {name!r}; expected one of {', '.join(NAMES)}")
    return _BY_NAME[name]


def preprocessing_of_words(words: str) -> Preprocessing:
    """The preprocessing that has these `words`, as a store records them, with or without a reason.

    Raises:
        SelectionError: if no preprocessing of this version has them.
    """
    words = without_reason(words)
    name, _, steps = words.rpartition(" of keras.applications: ")
    preprocessing = _BY_NAME.get(name) if name else _parsed(steps)
    if preprocessing is None or preprocessing.words != words:
        raise SelectionError(
            f"the preprocessing {words!r} cannot be repeated; expected words of this version, such "
            f"as {UNIT.words!r}"
        )
    return preprocessing


def _parsed(steps: str) -> Preprocessing | None:
    if steps == AS_GIVEN.words:
        return AS_GIVEN
    fields: dict[str, Any] = {}
    for step in steps.split("; "):
        try:
            if step == "channels reversed":
                fields["reverse"] = True
            elif step.startswith("pixels / "):
                fields["scale"] = float(step.removeprefix("pixels / "))
            elif step.startswith("minus "):
                fields["mean"] = tuple(map(float, step.removeprefix("minus ").split(", ")))
            elif step.startswith("divided by "):
                fields["std"] = tuple(map(float, step.removeprefix("divided by ").split(", ")))
            else:
                return None
        except ValueError:
            return None
    return Preprocessing(**fields)


def default_preprocessing(images: Images) -> Preprocessing:
    """The default: uint8 pixels are divided by 255; floats, and uint8 of 0 and 1, stay as they are.

    Args:
        images: <uint8 or float32>[sample, image_y, image_x, image_channel].
    """
    if images.dtype != np.uint8 or largest_pixel(images) <= 1:
        return AS_GIVEN
    return UNIT


def largest_pixel(images: Images) -> float:
    """The largest pixel, by magnitude.

    Once a pixel is bright, the rest is not read; of files that are decoded on access, not even as
    much: one pixel above 1 is enough.
    """
    is_array = isinstance(images, np.ndarray)
    enough, step = (BRIGHT, 256) if is_array else (2, 16)
    largest = 0.0
    for start in range(0, len(images), step):
        block = images[start : start + step]
        largest = max(largest, float(block.max()), -float(block.min()))
        if largest >= enough:
            break
    return largest
