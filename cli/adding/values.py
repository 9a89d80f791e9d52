"""Words of a command line -> the value of a YAML key: `key=value` pairs, or YAML in brackets, or plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matrix.errors import ConfigError, Problem
from matrix.yaml.yamltext import parse_text


def parse_value(option: str, text: str) -> Any:
    """Parse one word: `{a: 1}` and `[a, b]` are YAML, `3`, `true` and `2026-11-29` are themselves, the rest is text.

    What means something else to YAML than it seems to stays text: `no`, `1:30`, `0777`, the version `2.10`.

    Raises:
        ConfigError: brackets that do not close, or hold what no file of the matrix may hold.
    """
    doc = parse_text(text, option)
    # only brackets ask for YAML: a title with a colon, or a date, is what was typed
    is_plain = not text.lstrip().startswith(("{", "["))
    if doc.problems and not is_plain:
        message = f"expected YAML like '{{a: 1}}': {doc.problems[0].message}"
        raise ConfigError([Problem(option, 0, f"{text!r:.80}", message)])
    if is_plain and (doc.problems or isinstance(doc.data, dict | list) or _is_version(text, doc.data)):
        return text
    return doc.data


def _is_version(text: str, value: Any) -> bool:
    """Return whether a number would lose digits as one: `2.10` is a later release than `2.1`."""
    return isinstance(value, float) and text.endswith("0") and not text.endswith(".0")


def merge_mapping(option: str, words: Sequence[str]) -> dict[str, Any]:
    """Merge `key=value` pairs and YAML mappings into one.

    Raises:
        ConfigError: a word that is neither.
    """
    merged: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        # a mapping in braces may hold `=` itself, in a flag's value: only a plain key before it makes a pair
        if equals and key.replace("_", "").isalnum():
            merged[key] = parse_value(option, text)
            continue
        value = parse_value(option, word)
        if not isinstance(value, Mapping):
            raise ConfigError([Problem(option, 0, f"{word!r:.80}", "expected key=value or '{key: value}'")])
        merged.update(value)
    return merged
