"""Names say what they hold, and docstrings can be read alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What each file of a package is held to.
PACKAGES = ("dashboard", "fmcore", "tools")
NO_NAMES = {"one", "found", "said", "told", "there", "known", "some"}
NO_NAMES |= {"each", "asked", "shown", "chosen", "given", "drawn", "made"}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
# Such a docstring needs the one above it.
NOT_ALONE = re.compile(r"(The same|Of|Those|That of)\b")


def bound_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a module binds, with its line; comprehensions on one line are free."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, COMPREHENSIONS) and child.lineno == child.end_lineno:
            continue
        match child:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, child.lineno
            case ast.arg(arg=name):
                yield name, child.lineno
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, child.lineno
            case ast.ExceptHandler(name=str(name)) | ast.alias(asname=str(name)):
                yield name, child.lineno
        yield from bound_names(child)


# Of a package, not of each of 400 files: to report a test takes longer than to read a file.
@pytest.fixture(scope="module", params=PACKAGES)
def trees(request) -> dict[Path, ast.Module]:
    """What each file of a package says, by its place in the project."""
    paths = sorted((ROOT / request.param).rglob("*.py"))
    trees = {path.relative_to(ROOT): ast.parse(path.read_text("utf-8")) for path in paths}
    assert trees
    return trees


def test_names_are_nouns(trees):
    pronouns = [f"{path}:{line}: {name}" for path, tree in trees.items()
                for name, line in bound_names(tree) if name.strip("_") in NO_NAMES]  # fmt: skip
    assert pronouns == []


def test_docstrings_read_alone(trees):
    texts = [
        f"{path}:{node.body[0].lineno}: {text.splitlines()[0]}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, DOCUMENTED)
        and (text := ast.get_docstring(node))
        and NOT_ALONE.match(text)
    ]
    assert texts == []


@pytest.mark.parametrize(
    "code", ["one = 1", "def f(found): pass", "for _said in x: pass", "with x as told: pass",
             "self.given = 1", "class A:\n    known: int", "[a\n for each in b]"],
)  # fmt: skip
def test_a_pronoun_is_noticed(code):
    assert [name for name, _ in bound_names(ast.parse(code)) if name.strip("_") in NO_NAMES]


def test_a_comprehension_on_one_line_is_free():
    assert list(bound_names(ast.parse("{one for one in x if one}"))) == []
