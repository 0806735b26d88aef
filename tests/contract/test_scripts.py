"""The dashboard's scripts: what their tests and the app say of them; their lock names no host."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from plotly import colors

from dashboard.app import _create_dash
from dashboard.figures import theme
from dashboard.stores.source import Source

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "dashboard/assets"
SCALES = ROOT / "tests/js/plotly_scales.json"


def test_the_lock_names_versions_and_checksums_and_no_host():
    text = (ROOT / "tests/js/package-lock.json").read_text()
    assert "://" not in text, "run `npm run relock` beside it"
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    for name, entry in packages.items():
        assert "resolved" not in entry, name
        assert entry["version"], name
        assert entry["integrity"].startswith("sha512-"), name


def test_the_scales_that_scripts_are_tested_against_are_plotlys():
    expected = {}
    for kind, scale in (("sequential", theme.SEQUENTIAL), ("diverging", theme.DIVERGING)):
        anchors = [colour for _, colour in scale]
        rgb = colors.convert_colors_to_same_type(anchors, "rgb")[0]
        expected[kind] = [[round(part) for part in colors.unlabel_rgb(one)] for one in rgb]
    assert json.loads(SCALES.read_text()) == expected


def test_what_dash_calls_in_the_browser_is_in_a_script(store_path, tmp_path):
    # Dash keeps what it was made with, and so its store open: not one that others open.
    own = shutil.copy(store_path, tmp_path)
    scripts = "\n".join(path.read_text() for path in sorted(ASSETS.glob("*.js")))
    called = {
        (one["clientside_function"]["namespace"], one["clientside_function"]["function_name"])
        for one in _create_dash(Source(Path(own)))._callback_list
        if one["clientside_function"]
    }
    assert called
    for namespace, name in called:
        begins = f"window.dash_clientside.{namespace} = "
        assert begins in scripts, namespace
        after = scripts.split(begins)[1]
        assert re.search(rf"\b{name}(\(|:)", after), f"{namespace}.{name}"
