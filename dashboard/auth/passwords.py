"""Which passwords are too easy to guess, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zxcvbn import zxcvbn

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1024
# zxcvbn takes 40 ms for 64 characters that look like many words, and four times as long for twice
# as many; what is hard to guess within them is so with all that follows.
_LONGEST_JUDGED = 64
# Of 0 to 4: it takes 10^8 guesses or more. A stranger has 300 a day (`delays.py`), and somebody who
# took the file makes ten a second on a core.
_LEAST_SCORE = 3
# What everybody would try here.
_WORDS = ("fmdash", "feature", "maps", "dashboard", "keras")


def problem_of(password: str, names: Iterable[str]) -> str:
    """What is wrong with a password, as a sentence; empty where nothing is.

    Args:
        password: as it was typed.
        names: what belongs to the person, and is therefore guessed first.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        return (
            f"a password of {len(password):,} characters; expected {SHORTEST_PASSWORD} to "
            f"{LONGEST_PASSWORD:,}"
        )
    if not password.isprintable():
        return "the password holds a character that no form takes, such as a line break"
    parts = [part for name in names for part in (name, *re.split(r"[^\w]|_", name)) if part]
    judged = zxcvbn(password[:_LONGEST_JUDGED], user_inputs=[*parts, *_WORDS])
    if judged["score"] >= _LEAST_SCORE:
        return ""
    feedback = judged["feedback"]
    reasons = " ".join((feedback["warning"], *feedback["suggestions"])).strip()
    return f"this password is easy to guess. {reasons or 'Add another word or two.'}"
