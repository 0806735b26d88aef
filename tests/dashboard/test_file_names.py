"""Names of files: what they are of, in characters that any system takes."""

from __future__ import annotations

import pytest

from dashboard.file_names import file_name, numbered

# tests/js/file_name.test.js has the same.
NAMES = {
    ("mnist", "conv1", "sample3", "filter5"): "mnist-conv1-sample3-filter5",
    ("team:second one", "block/conv 1", ""): "team_second_one-block_conv_1",
    ("../..", 'a"b\r\nc', "CON:|?*"): "a_b_c-CON",
    ("größe", "层"): "größe-层",
    ("x" * 99,): "x" * 60,
}


@pytest.mark.parametrize("parts", NAMES)
def test_a_name_has_its_parts_in_safe_characters(parts):
    assert file_name(*parts, ending=".npy") == NAMES[parts] + ".npy"


def test_a_part_says_which():
    assert [numbered("sample", value) for value in (3, "top:25", None, "")] == [
        "sample3", "sample_top:25", "", "",
    ]  # fmt: skip
