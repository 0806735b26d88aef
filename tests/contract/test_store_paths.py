"""One file spells where things lie in a store; everything else calls arrays by their names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fmcore.storage.format.schema import ATTRIBUTES, SCHEMA

ROOT = Path(__file__).parents[2]
SPELLER = ROOT / "fmcore" / "storage" / "format" / "schema.py"
GROUPS = {spec.path.split("/")[0] for spec in SCHEMA}
GROUPS |= {place.strip("/").split("/")[0] for place in ATTRIBUTES if place != "/"}
OF_LAYER = {
    spec.path.removeprefix("layers/{layer}/").split("/")[0]
    for spec in SCHEMA
    if spec.path.count("/") > 2
}
PATH = re.compile(rf"(/?({'|'.join(GROUPS)})|{'|'.join(OF_LAYER)})/(?!v1|stores)")


def spelled_paths(source: str) -> list[str]:
    """The texts of a module that are paths of a store, or groups in which something is looked up.

    Docstrings are free: they are for people.
    """
    tree = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    paths = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and PATH.match(node.value)
    ]
    if "h5py" in source or "hdf5" in source:
        paths += [
            node.slice.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and node.slice.value in GROUPS
        ]
    return paths


def test_a_module_that_spells_a_path_is_noticed():
    wrong = 'import h5py\nfile["samples"]\nfile["layers/conv1/kernel"]\nf"pooled/{name}"'
    assert len(spelled_paths(wrong)) == 3


@pytest.mark.parametrize("package", ["fmcore", "dashboard"])
def test_only_the_schema_spells_a_path_of_the_store(package):
    paths = {path for path in (ROOT / package).rglob("*.py") if path != SPELLER}
    assert paths
    spelled = {
        str(path.relative_to(ROOT)): spelled_paths(path.read_text("utf-8")) for path in paths
    }
    assert {path: texts for path, texts in spelled.items() if texts} == {}
