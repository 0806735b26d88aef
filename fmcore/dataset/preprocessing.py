"""What is done to pixels before a model sees them: declared, recorded, and never stored."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import SelectionError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """`(pixels / scale - mean) / std`, channel by channel.

    Attributes:
        scale: what pixels are divided by.
        mean: of each channel, after that; one number for all of them, or none.
        std: the same.
        reverse: whether red, green and blue come in the order blue, green, red.
        name: of the preprocessing in `keras.applications`, where it is one of these.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    reverse: bool = False
    name: str = ""

    def __call__(self, images: NDArray[np.generic]) -> NDArray[np.float32]:
        """What a model is fed.

        Args:
            images: <uint8 or float32>[sample, image_y, image_x, image_channel].

        Raises:
            SelectionError: if there are means or deviations for another number of channels.
        """
        channels = images.shape[-1]
        for what, values in (("--mean", self.mean), ("--std", self.std)):
            if len(values) not in (0, 1, channels):
                raise SelectionError(
                    f"{what} has {len(values)} numbers, images have {channels} channels"
                )
        found = images.astype(np.float32)
        if self.scale != 1.0:
            found /= np.float32(self.scale)
        if self.reverse:
            found = np.ascontiguousarray(found[..., ::-1])
        if self.mean:
            found -= np.asarray(self.mean, np.float32)
        if self.std:
            found /= np.asarray(self.std, np.float32)
        return found

    @property
    def words(self) -> str:
        """As a store records it."""
        parts = []
        if self.scale != 1.0:
            parts.append(f"pixels / {self.scale:g}")
        if self.reverse:
            parts.append("channels reversed")
        if self.mean:
            parts.append(f"minus {', '.join(f'{one:g}' for one in self.mean)}")
        if self.std:
            parts.append(f"divided by {', '.join(f'{one:g}' for one in self.std)}")
        words = "; ".join(parts) or "none: images as given"
        return f"{self.name} of keras.applications: {words}" if self.name else words


AS_GIVEN = Preprocessing()
# The modes of keras.src.applications.imagenet_utils.preprocess_input, of red, green and blue, and
# the modules that have each.
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
_NAMED = {name: replace(mode, name=name) for mode, names in _MODES for name in names.split()}
NAMES = tuple(sorted(_NAMED))


def preprocessing_named(name: str) -> Preprocessing:
    """That of `keras.applications.NAME.preprocess_input`; its modules have `NAMES`.

    Raises:
        SelectionError: if there is none of the name.
    """
    if name not in _NAMED:
        raise SelectionError(f"--preprocess {name!r}; expected one of {', '.join(NAMES)}")
    return _NAMED[name]


def default_preprocessing(images_dtype: np.dtype[np.generic]) -> Preprocessing:
    """What is done where nothing is said: uint8 pixels are divided by 255."""
    return Preprocessing(scale=255.0) if images_dtype == np.uint8 else AS_GIVEN
