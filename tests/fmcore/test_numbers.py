"""Numbers that people read keep three digits, whatever their size, and never read as another."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmcore.numbers import fraction_text, number_text, share_text

ROOT = Path(__file__).parents[2]
SIZES = [sign * digits * 10.0**power for sign in (1, -1) for digits in (1, 2.34567, 9.9996)
         for power in range(-12, 13)]  # fmt: skip


def digits_of(text: str) -> int:
    return len(re.sub(r"e.*|\D", "", text).lstrip("0"))


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_a_number_of_any_size_is_read_back_within_its_digits(digits):
    for value in SIZES:
        text = number_text(value, digits=digits)
        assert float(text) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
        assert re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", text), text
        assert len(text) <= digits + 6, text


def test_what_is_no_number_is_called_so():
    assert [number_text(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", "−∞"]
    assert fraction_text(math.nan) == "NaN"
    assert number_text(-0.0) == "0"


@given(st.floats(1e-9, 1 - 1e-6))
def test_a_share_reads_as_none_or_all_only_if_it_is(share):
    text = share_text(share)
    assert text not in ("0%", "100%")
    if not text.startswith(">"):
        assert float(text.removesuffix("%")) / 100 == pytest.approx(share, rel=0.006)
    for sign in (1, -1):
        fraction = fraction_text(sign * share)
        assert float(fraction) not in (0, 1, -1)
        assert float(fraction) == pytest.approx(sign * share, rel=0.006)


def test_shares_and_fractions_look_as_people_write_them():
    shares = (0, 0.0004, 0.31, 1 / 3, 0.9996, np.float32(0.99999), 1)
    assert [share_text(share) for share in shares] == [
        "0%", "0.04%", "31.0%", "33.3%", "99.96%", ">99.99%", "100%",
    ]  # fmt: skip
    assert [fraction_text(share) for share in (0, 0.5, 0.9847, 0.99997, 1)] == [
        "0.0000", "0.5000", "0.9847", "0.99997", "1.0000",
    ]  # fmt: skip
    assert fraction_text(2e-5) == "2e-05"
    assert fraction_text(1 - 1e-15, decimals=3) == "1.000"


def test_no_page_writes_numbers_in_a_way_of_its_own():
    spec = re.compile(r"[{:](?:,|\+)?\.\d+[gfe%]\}")
    for folder in ("pages", "figures", "components"):
        for path in (ROOT / "dashboard" / folder).rglob("*.py"):
            text = re.sub(r'f"\{100 \*.*|f"scale\(.*', "", path.read_text())  # lengths in CSS
            assert not spec.findall(text), f"{path}: use fmcore.numbers"
