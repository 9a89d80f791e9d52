"""Words of a command line -> the value of a YAML key: `key=value` pairs, or YAML in brackets, or plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from matrix.errors import ConfigError, Problem


def parse_value(option: str, text: str) -> Any:
    """Parse one word: `{a: 1}` and `[a, b]` are YAML, `3`, `true` and `2026-11-29` are themselves, the rest is text.

    Raises:
        ConfigError: brackets that do not close.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        if not text.lstrip().startswith(("{", "[")):
            return text
        shown = getattr(error, "problem", None) or str(error)
        raise ConfigError([Problem(option, 0, repr(text), f"expected YAML like '{{a: 1}}': {shown}")]) from None
    return text if isinstance(value, dict) and not text.lstrip().startswith("{") else value


def merge_mapping(option: str, words: Sequence[str]) -> dict[str, Any]:
    """Merge `key=value` pairs and YAML mappings into one.

    Raises:
        ConfigError: a word that is neither.
    """
    merged: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if equals and key.replace("_", "").isalnum():
            merged[key] = parse_value(option, text)
            continue
        value = parse_value(option, word)
        if not isinstance(value, Mapping):
            raise ConfigError([Problem(option, 0, repr(word), "expected key=value or '{key: value}'")])
        merged.update(value)
    return merged
