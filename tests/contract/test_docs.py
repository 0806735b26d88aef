"""Docs cannot lie: verbs, pages, formats, paths and attributes are named where people look."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from dashboard.cli import _parser as fmdash_parser
from dashboard.views import VIEWS
from fmcore.cli import _parser as fmcore_parser
from fmcore.export import FORMATS, TABLE_FORMATS
from fmcore.statistics import STATISTICS
from fmcore.storage import FORMAT_VERSION, SCHEMA
from fmcore.storage.format.schema import ATTRIBUTES
from tools.docs import page as statistics_page

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
JAPANESE = (ROOT / "README.ja.md").read_text()
SPECIFICATION = (ROOT / "fmcore/storage/FORMAT.md").read_text()
REQUIRED_VERBS = "help setup demo train capture export serve figures test check bench clean"
MAKE_VERBS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def verbs(parser) -> list[str]:
    return list(parser._subparsers._group_actions[0].choices)


def test_the_readme_names_every_verb_page_and_format():
    for name in verbs(fmcore_parser()):
        assert f"fmcore {name}" in README, name
    for name in verbs(fmdash_parser()):
        assert f"fmdash {name}" in README, name
    for view in VIEWS:
        assert view.title in README
    for name in (*FORMATS, *TABLE_FORMATS):
        assert f"`{name}`" in README
    for name in MAKE_VERBS:
        assert f"make {name}" in README, name


def test_both_readmes_begin_with_the_two_commands():
    for text in (README, JAPANESE):
        first = re.search(r"```\w*\n(.*?)```", text, re.DOTALL).group(1)
        assert [line.split("#")[0].strip() for line in first.splitlines()] == [
            "make demo",
            "make test",
        ]


def test_the_specification_names_every_array_axis_and_attribute():
    assert f"version {FORMAT_VERSION}" in SPECIFICATION
    lines = SPECIFICATION.splitlines()
    for spec in SCHEMA:
        types, axes = " or ".join(spec.dtypes), ", ".join(spec.axes)
        presence = f"MAY: {spec.absent}" if spec.optional else "MUST"
        row = f"| `/{spec.path}` | {types} | [{axes}] | {presence} | {spec.meaning} |"
        assert row in lines
    for place, attributes in ATTRIBUTES.items():
        section = SPECIFICATION.split(f"### `{place}`\n")[1].split("###")[0]
        for name, attribute in attributes.items():
            presence = f" (MAY: {attribute.absent})" if attribute.optional else ""
            assert f"- `{name}`{presence}: {attribute.meaning}\n" in section


def test_the_specification_explains_when_a_part_may_be_absent():
    for reason in {spec.absent for spec in SCHEMA if spec.absent.startswith("no ")}:
        assert f"- *{reason}*: " in SPECIFICATION


def test_make_help_says_what_each_verb_does():
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for name in REQUIRED_VERBS.split():
        assert re.search(rf"^  {name} +\w", said, re.MULTILINE), name


def test_files_that_the_docs_name_are_there():
    pages = [ROOT / name for name in ("README.md", "README.ja.md", "CHANGELOG.md")]
    for page in [*pages, *(ROOT / "docs").glob("*.md"), ROOT / "fmcore/storage/FORMAT.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_of_statistics_is_made_of_the_registry():
    assert (ROOT / "docs/statistics.md").read_text() == statistics_page()
    for name in STATISTICS:
        assert f"`{name}`" in statistics_page()


@pytest.mark.parametrize("pattern", [r"\bTODO\b", r"\bFIXME\b", "pickle.load", "allow_pickle=True"])
def test_nothing_is_left_for_later(pattern):
    for folder in ("fmcore", "dashboard"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(pattern, path.read_text()), path
