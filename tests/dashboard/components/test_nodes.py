"""Nodes against the classes of Dash, whose names and arguments they have."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import dash_ag_grid as dag
import dash_mantine_components as dmc
import pytest
from dash import dcc, html
from helpers.drawing import nodes_in

import dashboard
from dashboard.components import mantine, nodes
from dashboard.pages import PAGES
from dashboard.pages.state import parse_query
from dashboard.stores.source import Source

# What some classes want to be given.
REQUIRED = {"id", "children", "data", "href", "label", "minWidth", "total", "value"}


def kinds_used() -> list[str]:
    """The components that the dashboard is made of, such as `html.Div`."""
    modules = Path(dashboard.__file__).parent.rglob("*.py")
    texts = [one.read_text(encoding="utf-8") for one in modules]
    used = re.compile(r"\b((?:html|dcc|dmc|dag)\.[A-Z]\w+)\(")
    return sorted({name for text in texts for name in used.findall(text)})


@pytest.mark.parametrize("name", kinds_used())
def test_a_node_is_what_dashs_own_class_makes_of_the_same(name):
    library, kind = name.split(".")
    own = getattr({"html": html, "dcc": dcc, "dmc": dmc, "dag": dag}[library], kind)
    make = getattr(getattr(nodes, library), kind)
    parameters = inspect.signature(own.__init__).parameters
    given = {one: "x" for one in parameters if one in REQUIRED}
    assert make(**given) == own(**given).to_plotly_json()
    with pytest.raises(TypeError, match="has no property colour"):
        make(**given, colour="red")
    if "data-*" in own(**given)._prop_names:
        given |= {"data-one": "1", "aria-label": "two"}
        assert make(**given) == own(**given).to_plotly_json()


def test_there_is_no_component_that_dash_does_not_have():
    with pytest.raises(AttributeError):
        nodes.html.Duv("x")


@pytest.mark.parametrize("view", PAGES, ids=lambda view: view.name)
def test_dashs_own_classes_take_every_node_of_a_page(view, store_path):
    snapshot = Source(store_path).snapshot()
    libraries = {
        "dash_html_components": html,
        "dash_core_components": dcc,
        "dash_mantine_components": dmc,
        "dash_ag_grid": dag,
    }
    for one in nodes_in(view.layout(snapshot, parse_query("", snapshot.catalog)[0])):
        kind = getattr(libraries[one["namespace"]], one["type"])
        assert kind(**one["props"]).to_plotly_json() == one


def test_what_pages_use_of_mantine_is_imported_at_the_start():
    names = {name.removeprefix("dmc.") for name in kinds_used() if name.startswith("dmc.")}
    assert set(mantine.USED) == names | {"MantineProvider"}


def test_mantine_is_imported_by_the_component_and_serves_whoever_imports_it_too():
    code = (
        "import sys, dashboard.app\n"
        "loaded = [name for name in sys.modules if name.startswith('dash_mantine_components.')]\n"
        "assert 'dash_mantine_components.Heatmap' not in loaded and len(loaded) < 60, len(loaded)\n"
        "from dash_mantine_components import Heatmap\n"
        "assert Heatmap(data={})._type == 'Heatmap'\n"
        "import dash_mantine_components as package\n"
        "assert not hasattr(package, 'Duv')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_that_first_use_a_component_at_once_all_get_it():
    code = (
        "import sys\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Barrier\n"
        "from dashboard.components.nodes import dmc\n"
        "sys.setswitchinterval(1e-6)\n"
        "barrier = Barrier(8)\n"
        "def make(_):\n"
        "    for name in ('Affix', 'Anchor', 'Blockquote', 'Box', 'Center', 'Code', 'Flex'):\n"
        "        barrier.wait(20)\n"
        "        assert getattr(dmc, name)('x')['type'] == name\n"
        "with ThreadPoolExecutor(8) as pool:\n"
        "    list(pool.map(make, range(8)))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
