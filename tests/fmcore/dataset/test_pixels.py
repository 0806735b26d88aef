"""Input images are pictures that a person recognizes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fmcore.dataset import as_pixels


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-2, 3), (5, 5)])
def test_an_input_image_of_floats_is_shown_from_black_to_white(low, high):
    image = np.linspace(low, high, 12).reshape(4, 3, 1)
    pixels = as_pixels(image)
    assert pixels.dtype == np.uint8
    # 0 to 1 is what networks are fed, and means itself; all else is stretched.
    expected = (0, 255) if high > low else (0, 0)
    assert (pixels.min(), pixels.max()) == expected


def test_an_input_image_of_pixels_is_shown_as_it_is():
    rng = np.random.default_rng(0)
    for channels, shape in ((1, (4, 3)), (2, (4, 3)), (3, (4, 3, 3))):
        image = rng.integers(0, 256, (4, 3, channels), np.uint8)
        pixels = as_pixels(image)
        assert pixels.shape == shape
        assert_array_equal(pixels, image if channels == 3 else image[..., 0])
