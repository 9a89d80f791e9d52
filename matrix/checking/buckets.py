"""Rules of SGLang's token histograms (`--prompt-tokens-buckets tse 1000 2 8`), as validate_buckets_rule holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.settings import UNKNOWN, Settings

FLAGS: Final = ("--prompt-tokens-buckets", "--generation-tokens-buckets")
GUARD: Final = "rule type: '{}'. Must be one of: 'tse', 'default', 'custom'"  # of the releases that have the rule


def judge_buckets(facts: Mapping[str, Any], settings: Settings) -> Iterator[CheckFinding]:
    """Yield each list of words that is no rule, in a release that asks."""
    guards = facts["guards"]
    if guards is UNKNOWN or not any(GUARD in guard.says for guard in guards):
        return
    for use in settings.uses:
        if use.flag is None or not set(use.flag.options) & set(FLAGS) or use.written in settings.holes:
            continue
        if why := explain_rule(use.values):
            subject = f"{use.written} {' '.join(use.values)}"
            yield make_finding("buckets_of_no_rule", {"why": why}, subject, line=settings.lines.get(use.written, 0))


def explain_rule(words: Sequence[str]) -> str:
    """Return why the words are no rule; empty where they are one."""
    if not words:
        return "it is empty"
    numbers = [_read_float(word) for word in words[1:]]
    match words[0]:
        case "default":
            return "" if len(words) == 1 else "default takes no value"
        case "custom":
            if not numbers or None in numbers:
                return "custom takes one number or more"
            if len(set(numbers)) < len(numbers):
                return "a value stands twice"
            return "values are not below 0" if any(n is not None and n < 0 for n in numbers) else ""
        case "tse":
            if len(numbers) != 3 or None in numbers or not words[3].lstrip("-").isdigit():
                return "tse takes a middle, a base and a whole number"
            middle, base, count = (n or 0.0 for n in numbers)
            return "" if base > 1 and count > 0 and middle > 0 else "tse wants a base above 1, the others above 0"
    return "its first word is tse, default or custom"


def _read_float(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
