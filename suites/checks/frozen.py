"""The identity of a prompt: two engine versions were asked the same bytes exactly when their hashes are equal."""

from __future__ import annotations

import hashlib
import json

from fixtures.banks.item import Item


def prompt_sha256(item: Item) -> str:
    """sha256 of the canonical JSON of messages and tools."""
    asked = {"messages": list(item.messages), "tools": list(item.tools)}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
