"""The notebooks of the tutorial as they are stored: the same cells, in two languages."""

from __future__ import annotations

import ast
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from fmcore.capture import CaptureOptions
from fmcore.selection import policies_for
from tools.tutorial import DOCS, NOTEBOOKS, notebook

JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def cells(language: str, cell_type: str) -> dict[str, str]:
    stored = nbformat.read(NOTEBOOKS[language], as_version=4)
    return {cell.id: cell.source for cell in stored.cells if cell.cell_type == cell_type}


@pytest.mark.parametrize("language", NOTEBOOKS)
def test_a_notebook_is_what_make_docs_writes(language):
    assert NOTEBOOKS[language].read_text("utf-8") == notebook(language), "make docs"


@pytest.mark.parametrize("language", NOTEBOOKS)
def test_a_notebook_is_valid_and_without_outputs(language):
    stored = nbformat.read(NOTEBOOKS[language], as_version=nbformat.NO_CONVERT)
    nbformat.validate(stored)
    assert stored.metadata.kernelspec.name == "python3"
    assert len({cell.id for cell in stored.cells}) == len(stored.cells)
    for cell in stored.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_both_languages_have_the_same_code_and_words_for_the_same_cells():
    assert cells("english", "code") == cells("japanese", "code")
    english, japanese = cells("english", "markdown"), cells("japanese", "markdown")
    assert list(english) == list(japanese)
    for cell in english:
        # A link to the other language is in that language.
        assert not JAPANESE.search(re.sub("日本語版", "", english[cell])), cell
        assert JAPANESE.search(japanese[cell]), cell
        for part in (r"^#+ ", r"^(?:-|\d\.) ", r"\]\(([^)]+)\)", r"`([^`]+)`"):
            english_parts = re.findall(part, english[cell], re.MULTILINE)
            japanese_parts = re.findall(part, japanese[cell], re.MULTILINE)
            if "tutorial" not in "".join(english_parts):
                assert sorted(english_parts) == sorted(japanese_parts), cell


def test_japanese_has_no_space_where_a_line_ends_in_the_source():
    for cell, text in cells("japanese", "markdown").items():
        assert not re.search(r"[、。]\s(?!\n|- |\d\. )", text), cell
        assert not re.search(r"[\u3001-\u9fff]\n[\u3001-\u9fff]", text), cell


@pytest.mark.parametrize("cell", cells("english", "code"))
def test_each_code_cell_compiles_and_is_short(cell):
    source = cells("english", "code")[cell]
    compile(TransformerManager().transform_cell(source), cell, "exec")
    assert source.count("\n") < 30


@pytest.mark.parametrize("language", NOTEBOOKS)
def test_files_that_the_words_name_are_there(language):
    for cell, text in cells(language, "markdown").items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (DOCS / target).is_file(), f"{cell}: {target}"


def test_options_that_the_words_name_are_those_of_a_capture():
    named = re.findall(r"`(\w+)=(\"[^\"]+\"|True)`", cells("english", "markdown")["own-what"])
    assert {name for name, _ in named} == {"layers", "policy", "allow_large"}
    for name, value in named:
        options = CaptureOptions(**{name: ast.literal_eval(value)})
        assert policies_for(["block1_conv1"], options.policy)
