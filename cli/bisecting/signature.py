"""The signature of a failure that was seen: its words, with what differs from run to run left open. Pure."""

from __future__ import annotations

import re
from typing import Final

# What is said of one run only, and the pattern that stands for it; the longest first.
# quoted words before numbers: what stands in quotes is one thing, whatever digits it holds
OPEN: Final = re.compile(
    r"(?P<quoted>'[^'\n]*')|(?P<hex>\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b)|(?P<number>-?\d+(?:\.\d+)?(?:e-?\d+)?)"
)
PATTERNS: Final = {"quoted": r"'[^'\n]*'", "hex": r"[0-9a-f]+", "number": r"[\d.e+-]+"}
SPECIAL: Final = re.compile(r"[\\.^$*+?{}\[\]|()]")
# without an end, a signature of `found 1 of 4` would also excuse `found 1 of 4, and crashed`
END: Final = r"(?:\n|\Z)"


def open_words(text: str) -> str:
    """Make a pattern of a line: numbers, hex ids and quoted words may differ, every other word must be there."""
    parts, at = [], 0
    for found in OPEN.finditer(text):
        parts += [_escape_pattern(text[at : found.start()]), PATTERNS[str(found.lastgroup)]]
        at = found.end()
    return "".join([*parts, _escape_pattern(text[at:])])


def _escape_pattern(text: str) -> str:
    return SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def make_answer_signature(check: str, detail: str) -> str:
    """Make the signature of a wrong answer: the check, and the first line of what it says of this failure."""
    line = next((line.strip() for line in detail.splitlines() if line.strip()), "")
    return (
        f"{_escape_pattern(check)}: NOT OK {open_words(line)}{END}"
        if line
        else f"{_escape_pattern(check)}: NOT OK{END}"
    )


def make_launch_signature(cause: str) -> str:
    """Make the signature of a launch that failed: the line that names the cause."""
    return open_words(cause.strip())
