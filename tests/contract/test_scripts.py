"""The dashboard's scripts: what pages, tests and styles say of them; their lock names no host."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.sharded import copy_store
from plotly import colors

from dashboard.app import _create_dash
from dashboard.figures import marks, theme
from dashboard.pages import PAGES, ids
from dashboard.pages.feature_maps.facts import WallFacts
from dashboard.pages.kernels.facts import KernelFacts
from dashboard.pages.page import Page
from dashboard.pages.state import COLORS, RANGES
from dashboard.stores.source import Source

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "dashboard/assets"
SCALES = ROOT / "tests/js/plotly_scales.json"
SCRIPTS = sorted(ASSETS.rglob("*.js"))
TEXTS = {path.name: path.read_text("utf-8") for path in SCRIPTS}
# How a script names a component: as what a function takes, or in a selector.
CALLED_ID = re.compile(
    r"(?:getElementById|element|set_props|tell|tellNews|click|field|store)\(\s*\"([\w-]+)\"|"
    r"target\.id [!=]== \"([\w-]+)\""
)
SELECTED_ID = re.compile(r"#([a-z]+(?:-[a-z]+)+)")
NO_NAMES = {"one", "found", "said", "told", "there", "known", "some"}
NO_NAMES |= {"each", "asked", "shown", "chosen", "given", "drawn", "made"}


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
    scales = {"sequential": theme.SEQUENTIAL, "diverging": theme.DIVERGING}
    others = {"brown_teal": "BrBG"}
    for kind in COLORS:
        if kind not in ("usual", "viridis", "red_blue"):
            scales[kind] = colors.get_colorscale(others.get(kind, kind))
    for kind, scale in scales.items():
        anchors = [color for _, color in scale]
        rgb = colors.convert_colors_to_same_type(anchors, "rgb")[0]
        expected[kind] = [[round(part) for part in colors.unlabel_rgb(color)] for color in rgb]
    assert json.loads(SCALES.read_text()) == expected


def test_marks_have_the_colors_and_forms_of_the_wall():
    palette = TEXTS["palette.js"].split("export const MARKS = {")[1].split("};")[0]
    for scale, fills in marks.FILLS.items():
        literal = palette.split(f"{scale}: {{")[1].split("}")[0]
        of_wall = dict(re.findall(r'(\w+): "(#\w+)"', literal))
        assert {kind: of_wall[kind] for kind in fills} == fills
    forms = re.findall(r'(\w+): \{ path: "([^"]+)", width: ([\d.]+) \}', TEXTS["forms.js"])
    of_wall = {kind: (path, float(width)) for kind, path, width in forms}
    assert {kind: of_wall[kind] for kind in marks.FORMS} == marks.FORMS


def test_every_script_that_another_imports_is_there():
    absent = {
        f"{path.name}: {address}"
        for path in SCRIPTS
        for address in re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', path.read_text("utf-8"))
        if not (path.parent / address).is_file() and address != "../../vendor/dagre.js"
    }
    assert absent == set()


def test_what_dash_calls_in_the_browser_is_in_a_script(store_path, tmp_path):
    # Dash keeps what it was made with, and so its store open: not one that others open.
    own = copy_store(store_path, tmp_path)
    scripts = "\n".join(path.read_text() for path in sorted(ASSETS.glob("*.js")))
    callbacks = _create_dash(Source(Path(own)))._callback_list
    functions = [callback["clientside_function"] for callback in callbacks]
    called = {
        (function["namespace"], function["function_name"]) for function in functions if function
    }
    assert called
    doors = {
        (namespace, name)
        for namespace, entry in re.findall(r"^ {4}(\w+): \{\n(.*?)^ {4}\}", scripts, re.M | re.S)
        for name in re.findall(r'"(\w+)"', entry)
    }
    for namespace, name in called - doors:
        begins = f"window.dash_clientside.{namespace} = "
        assert begins in scripts, namespace
        after = scripts.split(begins)[1]
        assert re.search(rf"\b{name}(\(|:)", after), f"{namespace}.{name}"


def component_ids() -> set[str]:
    """The ids of components that have callbacks: of the table, and of every panel."""
    panels = {
        f"{page.name}-{panel.name}{end}"
        for page in PAGES
        if isinstance(page, Page)
        for panel in page.panels
        for end, _ in panel.fills
    }
    return panels | {value for name, value in vars(ids).items() if name.isupper()}


def named_ids(script: str) -> set[str]:
    """The ids of components that a script, or a style sheet, names."""
    called = {first or second for first, second in CALLED_ID.findall(script)}
    return called | set(SELECTED_ID.findall(script))


@pytest.mark.parametrize(
    "path", [*SCRIPTS, *sorted(ASSETS.glob("*.css"))], ids=lambda path: path.name
)
def test_an_id_that_a_script_or_a_style_names_is_in_the_table(path):
    # What the index brings is no component.
    of_index = {"_dash-config", "first-layout", "grid-script"}
    is_of_snapshot = path.parent.name == "snapshot"
    of_page = snapshot_ids() if is_of_snapshot else component_ids() | of_index
    assert named_ids(path.read_text("utf-8")) - of_page == set()


def snapshot_ids() -> set[str]:
    """The ids of a snapshot's page, as its text and its scripts have them."""
    texts = [(ROOT / "dashboard/snapshot/page.html").read_text("utf-8")]
    texts += [path.read_text("utf-8") for path in SCRIPTS if path.parent.name == "snapshot"]
    making = re.compile(r'\bid="([\w-]+)"|\b(?:id|select)\(\s*"([\w-]+)"|\bid: "([\w-]+)"')
    return {"".join(names) for text in texts for names in making.findall(text)}


def test_ids_in_scripts_are_found():
    every = set().union(*map(named_ids, TEXTS.values()))
    assert {"maps-wall", "maps-settled", "maps-thumbnails", "maps-next", "goto", "page"} <= every


@pytest.mark.parametrize(
    ("record", "script", "is_own"),
    [
        (WallFacts, "session.js", lambda path: "feature_maps" in path.parts),
        (KernelFacts, "kernel_wall.js", lambda path: path.parent.name == "kernels"),
    ],
)
def test_what_scripts_know_of_a_layer_is_what_python_says(record, script, is_own):
    fields = {field.name for field in dataclasses.fields(record)}
    typedef = TEXTS[script].split(f"@typedef {{object}} {record.__name__}")[1].split("*/")[0]
    assert set(re.findall(r"@property \{.*\} (\w+)", typedef)) == fields
    texts = {path.name: TEXTS[path.name] for path in SCRIPTS if is_own(path)}
    used = {name for text in texts.values() for name in re.findall(r"\bfacts\.(\w+)", text)}
    assert used == fields
    unpacked = [
        name for name, text in texts.items() if re.search(r"\}\s*=\s*(\w+\.)*facts\b", text)
    ]
    assert unpacked == [], "written out, so that the names can be compared"


def test_each_choice_of_what_colors_span_has_its_words():
    for name, table in (("legend.js", "RANGES"), ("bar.js", "TITLES")):
        literal = TEXTS[name].split(f"const {table} = {{")[1].split("};")[0]
        assert set(re.findall(r"(\w+): \"", literal)) == set(RANGES)


def bindings(script: str) -> Iterator[str]:
    """The names that a script binds, but for the parameters of functions on one line."""
    for target in re.findall(
        r"\b(?:const|let|var|class|function\*?)\s+([\[{][^=]*[\]}]|\w+)", script
    ):
        yield from re.findall(r"\w+(?=\s*[,\]}=]|$)", target)
    yield from re.findall(r"^\s*(?:async |static |get )*#?(\w+)\([^()]*\) \{", script, re.MULTILINE)
    yield from re.findall(r"^\s*(\w+):", script, re.MULTILINE)
    for parameters in re.findall(r"\(([^()]*)\) (?:=> )?\{$", script, re.MULTILINE):
        yield from re.findall(r"\w+", parameters)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_names_in_scripts_are_nouns(path):
    assert [name for name in bindings(path.read_text("utf-8")) if name in NO_NAMES] == []


@pytest.mark.parametrize(
    "code",
    ["const one = 1;", "let { a, found } = b;", "  said() {", "  told: 3,", "f((shown, b) => {",
     "for (const [known, x] of y) {", "function made() {"],
)  # fmt: skip
def test_a_pronoun_in_a_script_is_noticed(code):
    assert [name for name in bindings(code) if name in NO_NAMES]
