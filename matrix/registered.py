"""What a release registers by name: model classes of the families, and parsers. Read out of its snapshot's own file.

Planning asks this of every release, so neither the flags nor the long sets, which lie in shared blocks, are parsed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Registered:
    """Names of a release that was read completely. A kind of parser that was not read is not in `parsers`."""

    architectures: frozenset[str]
    parsers: Mapping[str, frozenset[str]]  # reasoning, tool_call


@cache
def registered_by(release: str, snapshots: Path) -> Registered | None:
    """Read what a release registers; None where absence from it would prove nothing (no snapshot, a fork, a stub)."""
    path = snapshots / f"{release}.json"
    if not path.is_file():
        return None
    raw = json.loads(path.read_text(encoding="utf-8"))
    unread = raw.get("unread", {})
    if not raw.get("complete", True) or not raw.get("registered") or "registered" in unread:
        return None
    parsers = {} if "parsers" in unread else raw.get("parsers", {})
    return Registered(
        architectures=frozenset(raw["registered"]),
        parsers={kind: frozenset(_words(names)) for kind, names in parsers.items()},
    )


def _words(names: str | list[str]) -> list[str]:
    return " ".join([names] if isinstance(names, str) else names).split()
