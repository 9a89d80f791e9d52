"""The identity of a prompt: two engine versions were asked the same bytes exactly when their hashes are equal.

And of what was recorded of it: numbers of other weights or of another prompt are an error, never a comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fixtures.banks.item import Item
from matrix.errors import ConfigError, Problem


def prompt_sha256(item: Item) -> str:
    """sha256 of the canonical JSON of messages and tools."""
    asked = {"messages": list(item.messages), "tools": list(item.tools)}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find_stale(recorded: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """What a recording was made of that is another one now."""
    return [f"{key} is {recorded.get(key)}, now {value}" for key, value in now.items() if recorded.get(key) != value]


def require_current(file: Path, found: Sequence[str], command: str) -> None:
    """Go on only with recordings of what is there now.

    Raises:
        ConfigError: each of what `find_stale` found, with the command that records again.
    """
    if found:
        raise ConfigError([Problem(str(file), 0, why.split()[0], f"{why}; record again: {command}") for why in found])
