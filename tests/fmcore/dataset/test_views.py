"""Arrays with their bytes in another order, as NumPy views have, are captured as copies are."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.factories import CLASS_NAMES, NumpyProbe
from numpy.testing import assert_array_equal

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import labelled_images
from fmcore.records import ModelInfo
from fmcore.storage import open_store, problems

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (300, 9, 8, 3), dtype=np.uint8)
LABELS = np.arange(300) % 3
VIEWS = {
    "reversed channels": IMAGES[..., ::-1],  # what resnet50.preprocess_input returns
    "channels moved": np.moveaxis(np.ascontiguousarray(np.moveaxis(IMAGES, 3, 1)), 1, 3),
    "Fortran's order": np.asfortranarray(IMAGES),
    "reversed samples": IMAGES[::-1],
    "every second": np.repeat(IMAGES, 2, axis=0)[::2],
    "one image, again and again": np.broadcast_to(IMAGES[:1], IMAGES.shape),
    "a part of larger ones": np.pad(IMAGES, ((0, 0), (2, 2), (2, 2), (0, 0)))[:, 2:-2, 2:-2],
}


def captured(images, path, **options):
    samples = labelled_images(images, LABELS, where="here")
    record = CaptureOptions(batch_size=16, **options)
    probe = NumpyProbe((9, 8, 3))
    plan = plan_capture(
        probe,
        samples,
        record,
        class_names=CLASS_NAMES,
        model=ModelInfo("tiny", digest="0" * 64, architecture="{}"),
        dataset_name="views",
        dataset_source="views",
    )
    capture(probe, samples, path, plan, record)
    return -(-len(samples) // plan.store.batch_size)


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_captured_as_its_copy_is(name, tmp_path):
    view = VIEWS[name]
    assert captured(view, tmp_path / "view.h5", memory=1 << 20) > 1
    captured(np.array(view, order="C"), tmp_path / "copy.h5", memory=1 << 20)
    assert list(problems(tmp_path / "view.h5")) == []
    with open_store(tmp_path / "view.h5") as one, open_store(tmp_path / "copy.h5") as other:
        assert_array_equal(one.images[:], view)
        assert one.about()["dataset"] == other.about()["dataset"]  # with the fingerprint
        for path in other.layers:
            assert_array_equal(one.layers[path].activation[:], other.layers[path].activation[:])
