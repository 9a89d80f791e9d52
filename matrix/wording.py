"""Words of sentences that several rooms write alike."""

from __future__ import annotations

from collections.abc import Sequence


def list_first(words: Sequence[str], most: int, *, by: str = ", ", what: str = "") -> str:
    """List the first `most` and say how many more there are: `a, b and 3 more`, or `... and 3 more cells`."""
    left = len(words) - most
    said = f"{left} more {what}" if what else f"{left} more"
    return by.join(words[:most]) + (f" and {said}" if left > 0 else "")


def count_words(number: int, word: str, plural: str = "s") -> str:
    """Count in words: 1 run, 2 runs.

    >>> count_words(1, "launch", "es"), count_words(1_200, "cell")
    ('1 launch', '1,200 cells')
    """
    return f"{number:,} {word}{'' if number == 1 else plural}"


def cut_text(text: str, most: int) -> str:
    """Return the first `most` characters, and dots behind them where there are more.

    >>> cut_text("abcdef", 3)
    'abc...'
    """
    return text if len(text) <= most else f"{text[:most]}..."


def cut_words(text: str, most: int) -> str:
    """Return a text of at most `most` characters, cut behind a word and with an ellipsis where there were more.

    >>> cut_words("the engine ends while it loads", 18)
    'the engine ends…'
    """
    if len(text) <= most:
        return text
    head, space, _ = text[:most].rpartition(" ")
    # A text without spaces, as hashes and paths are, is cut in the word rather than to nothing.
    kept = head if space and len(head) >= most // 2 else text[: most - 1]
    return f"{kept.rstrip(' ,;:.-')}…"


def cut_line(text: str, most: int) -> str:
    """Join a text into one line, and cut that."""
    return cut_text(" ".join(text.split()), most)
