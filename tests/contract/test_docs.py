"""Docs cannot lie: verbs, pages, formats, paths and attributes are named where people look."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from dashboard.cli import _parser as fmdash_parser
from dashboard.pages import PAGES as DASHBOARD_PAGES
from dashboard.server.bounds import Bounds
from fmcore.cli import _parser as fmcore_parser
from fmcore.export import FORMATS
from fmcore.statistics import STATISTICS
from fmcore.storage import FORMAT_VERSION, SCHEMA
from fmcore.storage.format.schema import ATTRIBUTES
from tools import docs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
# What a reader is sent to from there; docs/decisions/ tells why, not how.
GUIDES = [ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
DECISIONS = [page for page in (ROOT / "docs/decisions").glob("*.md") if page.name != "README.md"]
MANUAL = "\n".join([README, *(page.read_text() for page in GUIDES)])
JAPANESE = (ROOT / "README.ja.md").read_text()
FOLDERS = (".", "data", "deploy", "docs", "docs/decisions", "fmcore/storage")
PAGES = [page for folder in FOLDERS for page in (ROOT / folder).glob("*.md")]
SPECIFICATION = (ROOT / "fmcore/storage/FORMAT.md").read_text()
# Not tests/js, which may hold thousands of files of others.
TESTS = ("benchmarks", "contract", "dashboard", "e2e", "fmcore", "helpers", "soak")
CODE = ("fmcore", "dashboard", "tools", *(f"tests/{name}" for name in TESTS))
EXPORT = (ROOT / "docs/export.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
REQUIRED_VERBS = "help setup demo train capture export serve figures test check bench clean"
MAKE_VERBS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def verbs(parser) -> list[str]:
    return list(parser._subparsers._group_actions[0].choices)


def test_the_readme_or_the_docs_name_every_verb_page_and_format():
    for name in verbs(fmcore_parser()):
        assert f"fmcore {name}" in MANUAL, name
    for name in verbs(fmdash_parser()):
        assert f"fmdash {name}" in MANUAL, name
    for page in DASHBOARD_PAGES:
        assert f"*{page.title}*" in MANUAL
    for name in FORMATS:
        assert f"\n| `{name}` | " in EXPORT, name
    for name in MAKE_VERBS:
        assert f"make {name}" in MANUAL, name


def test_both_readmes_begin_with_the_two_commands():
    for text in (README, JAPANESE):
        first = re.search(r"```\w*\n(.*?)```", text, re.DOTALL).group(1)
        assert [line.split("#")[0].strip() for line in first.splitlines()] == [
            "make demo",
            "make test",
        ]


def test_the_specification_lists_every_array_axis_and_attribute():
    assert f"version {FORMAT_VERSION}" in SPECIFICATION
    assert docs.format_page(SPECIFICATION) == SPECIFICATION, "make docs"
    for spec in SCHEMA:
        assert f"| `/{spec.path}` | {' or '.join(spec.dtypes)} | [{', '.join(spec.axes)}] |" in (
            SPECIFICATION
        )
    for place, attributes in ATTRIBUTES.items():
        section = SPECIFICATION.split(f"### `{place}`\n")[1].split("###")[0]
        for name, attribute in attributes.items():
            assert re.search(rf"- `{name}`.*: {re.escape(attribute.meaning)}\n", section)


def test_the_specification_explains_when_a_part_may_be_absent():
    for reason in {spec.absent for spec in SCHEMA if spec.absent.startswith("no ")}:
        assert f"- *{reason}*: " in SPECIFICATION


def test_make_help_says_what_each_verb_does():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in REQUIRED_VERBS.split():
        assert re.search(rf"^  {name} +\w", said, re.MULTILINE), name


def test_files_that_the_docs_name_are_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_modules_that_the_docs_name_are_there():
    paths = [str(path) for folder in CODE for path in (ROOT / folder).rglob("*.*")]
    for page in PAGES:
        for name in re.findall(r"`([\w/.-]+\.(?:py|js))`", page.read_text()):
            assert any(path.endswith(f"/{name}") for path in paths), f"{page.name}: {name}"


def section(package: str) -> str:
    return ARCHITECTURE.split(f"\n## `{package}`\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("package", ["fmcore", "fmcore/storage", "dashboard"])
def test_the_architecture_names_every_module(package):
    for path in (ROOT / package).iterdir():
        is_package = path.is_dir() and any(path.rglob("*.py"))
        if is_package or (path.suffix == ".py" and path.stem != "__init__"):
            name = f"{path.name}/" if is_package else path.stem
            assert f"`{name}`" in section(package), name


@pytest.mark.parametrize("package", ["fmcore", "fmcore/storage", "dashboard"])
def test_the_architecture_has_the_layers_that_are_held(package):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (layers,) = (
        contract["layers"]
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == [package.replace("/", ".")]
    )
    assert section(package).split("```text\n")[1].split("\n```")[0].splitlines() == layers


def test_functions_that_the_architecture_names_are_there():
    paths = [path for folder in ("fmcore", "dashboard") for path in (ROOT / folder).rglob("*")]
    texts = [path.read_text() for path in paths if path.suffix in (".py", ".js")]
    for owner, name in re.findall(r"`(?:(\w+)\.)?(\w+)\(\)`", ARCHITECTURE):
        function = re.compile(rf"\b(def|function) {name}\(")
        places = [text for text in texts if not owner or f"class {owner}" in text]
        assert any(map(function.search, places)), name


def test_every_decision_has_a_status_and_one_line_in_the_index():
    index = (ROOT / "docs/decisions/README.md").read_text()
    linked = re.findall(r"^- \[[^]]+\]\(([\w-]+\.md)\): \S", index, re.MULTILINE)
    assert sorted(linked) == sorted(page.name for page in DECISIONS)
    for page in DECISIONS:
        title, _, status, *_ = page.read_text().splitlines()
        assert title.startswith("# "), page.name
        form = r"Status: (in force|replaced by \[.+\]\(.+\))(, decided \d{4}-\d{2})?"
        assert re.fullmatch(form, status), page.name


def test_the_page_of_statistics_is_made_of_the_registry():
    page = docs.STATISTICS_PAGE.read_text()
    assert page == docs.statistics_page(), "make docs"

    for name in STATISTICS:
        assert f"`{name}`" in page


@pytest.mark.parametrize("pattern", [r"\bTODO\b", r"\bFIXME\b", "pickle.load", "allow_pickle=True"])
def test_nothing_is_left_for_later(pattern):
    for folder in ("fmcore", "dashboard"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(pattern, path.read_text()), path


def test_the_bounds_of_the_server_are_listed_as_it_has_them():
    page = docs.DEPLOY_PAGE.read_text()
    assert page == docs.deploy_page(page), "make docs"
    assert page.count("\n| ") == len(dataclasses.fields(Bounds)) + 1
