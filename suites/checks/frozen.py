"""Identifies prompts by hash: two engine versions got the same bytes exactly when their hashes are equal.

Recordings carry this hash as well. Numbers of other weights or of another prompt raise an error and are never compared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fixtures.banks.item import Item
from matrix.errors import ConfigError, Problem


def prompt_sha256(item: Item) -> str:
    """Compute the sha256 of the canonical JSON of an item's messages and tools."""
    asked = {"messages": list(item.messages), "tools": list(item.tools)}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    # A hostile prompt may hold half a surrogate pair, which strict UTF-8 refuses.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find_stale(recorded: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """List each input of a recording that has changed since."""
    return [f"{key} is {recorded.get(key)}, now {value}" for key, value in now.items() if recorded.get(key) != value]


def require_current(file: Path, found: Sequence[str], command: str) -> None:
    """Raise unless every recording belongs to the current weights and prompts.

    Raises:
        ConfigError: each of what `find_stale` found, with the command that records again.
    """
    if found:
        raise ConfigError([Problem(str(file), 0, why.split()[0], f"{why}; record again: {command}") for why in found])
