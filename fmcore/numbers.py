"""How numbers are written where people read them; programs get all digits.

At least three significant digits stay, whatever the size; letters for powers of ten, as in "20p",
are nowhere. assets/feature_maps/wall/numbers.js does so in the browser.
"""

from __future__ import annotations

import math
from typing import SupportsFloat

# Of fractions: what is nearer to 1 is so by rounding, or nobody needs to know.
MOST_DECIMALS = 9


def number_text(value: SupportsFloat, *, digits: int = 6) -> str:
    """A number in so many significant digits: `0.0123`, `2e-12`; `NaN`, `∞` or `−∞` as such."""
    number = float(value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "∞" if number > 0 else "−∞"
    return f"{number + 0.0:.{digits}g}"  # of -0 nobody needs the sign


def fraction_text(value: SupportsFloat, *, decimals: int = 4) -> str:
    """A number from -1 to 1 in so many decimals: `0.9847`.

    One that lies near 0 or ±1 has as many digits as tell it from these.
    """
    number = float(value)
    size = abs(number)
    if not 0 < size < 1:
        return number_text(number) if size > 1 or size != size else f"{number + 0.0:.{decimals}f}"
    if size < 10.0 ** (2 - decimals):
        return number_text(number, digits=3)
    texts = [f"{number:.{places}f}" for places in range(decimals, MOST_DECIMALS + 1)]
    return next((text for text in texts if abs(float(text)) < 1), texts[0])


def share_text(share: SupportsFloat) -> str:
    """A share in percent: `33.3%`; `0%` and `100%` are exact, nearly all is `99.96%`, `>99.99%`."""
    percent = 100 * float(share)
    if not 0 < percent < 100:
        return f"{number_text(percent)}%"
    if percent < 10:
        return f"{percent:.3g}%"
    text = next((text for text in (f"{percent:.1f}", f"{percent:.2f}") if float(text) < 100), "")
    return f"{text}%" if text else ">99.99%"
