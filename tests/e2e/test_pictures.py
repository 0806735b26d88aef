"""The pictures of README and docs can be taken anew."""

from __future__ import annotations

import shutil

import pytest
from helpers.factories import sampled, tool
from PIL import Image

from dashboard.pages import PAGES
from tools import pictures

pytestmark = pytest.mark.browser


def test_a_picture_shows_the_page_as_it_is_looked_at(store_path, tmp_path):
    pytest.importorskip("playwright")
    tool("chromium", debian="chromium")
    stores = [shutil.copy(store_path, tmp_path / name) for name in ("a.h5", "b.h5")]
    looks = sampled(2, pictures.LOOKS)
    stops = sampled(
        1, [pictures.Stop("new", "overview", is_new=True), pictures.Stop("stores", None)]
    )
    folder = tmp_path / "new"
    pictures.main(
        *map(str, stores), query="", folder=folder, pages=PAGES[:1], looks=looks, tour=stops
    )
    for stop in stops:
        with Image.open(folder / f"tour-{stop.name}.png") as picture:
            assert picture.size == (pictures.TOUR_WIDTH, stop.height)
    for look in looks:
        with Image.open(folder / f"{PAGES[0].name}-{look.name}.png") as picture:
            assert picture.width == look.width * (2 if look.is_phone else 1)
            brightness = sorted(picture.convert("L").tobytes())[picture.width * picture.height // 2]
            assert (brightness < 100) == (look.scheme == "dark")
