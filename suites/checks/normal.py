# ruff: noqa: RUF001
"""Normalises text so that equal answers compare equal: case, markdown, quotes, thousands separators and spaces do
not count."""

from __future__ import annotations

import re
import unicodedata

_QUOTES = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-", "\u00a0": " "})
_MARKDOWN = re.compile(r"[*_`#$]|\\boxed|\\text|[{}\\]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SPACES = re.compile(r"\s+")
_CJK = re.compile(r"[\u3400-\u9fff]")


def normalise_text(text: str) -> str:
    """
    >>> normalise_text("The answer is **1,234** — “Paris”.")
    'the answer is 1234 - "paris".'
    """
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    text = _THOUSANDS.sub("", _MARKDOWN.sub("", text))
    return _SPACES.sub(" ", text).strip().casefold()


def contains_words(text: str, wanted: str) -> bool:
    """Return whether `text` contains `wanted` as whole words; Chinese has no spaces between words."""
    needle = normalise_text(wanted).rstrip(".!。！")
    if _CJK.search(needle):
        return needle.replace(" ", "") in normalise_text(text).replace(" ", "")
    return re.search(rf"(?<!\w){re.escape(needle)}(?!\w)", normalise_text(text)) is not None


def last_number(text: str) -> float | None:
    """Return the number with which a worked solution ends.

    >>> last_number("3 x 4 = 12, so she pays $1,212.50.")
    1212.5
    """
    found: list[str] = _NUMBER.findall(normalise_text(text))
    return float(found[-1]) if found else None


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(normalise_text(text)) is not None


def split_words(text: str) -> list[str]:
    """Split text into the words of spaced scripts and the single characters of Chinese, Japanese and Korean."""
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’-][^\W_]+)*", text.casefold())
