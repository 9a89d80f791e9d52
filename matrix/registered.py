"""What a release registers by name, chooses by itself and pins exactly. Read out of its snapshot's own file.

Planning asks this of every release, so neither the flags nor the long sets, which lie in shared blocks, are parsed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

EXACT: Final = re.compile(r"([\w.-]+)\s*==\s*([\w.+]+)\s*(?:;|$)")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """Names of a release that was read completely. A kind of parser that was not read is not in `parsers`."""

    architectures: frozenset[str]
    parsers: Mapping[str, frozenset[str]]  # reasoning, tool_call
    chosen: Mapping[str, str] = field(default_factory=dict)  # "ARCHITECTURE smNN KV" -> attention backends
    wheels: tuple[str, ...] = ()  # stems of its own wheel and of those that it pins exactly: sglang_kernel_0_4_10


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
        parsers={kind: frozenset(_split_names(names)) for kind, names in parsers.items()},
        chosen={} if "chosen" in unread else raw.get("chosen", {}),
        wheels=(release, *(_stem(*m.groups()) for line in raw.get("requires", ()) if (m := EXACT.match(line)))),
    )


def _stem(name: str, version: str) -> str:
    return re.sub(r"[-.+]", "_", f"{name}_{version}")


def _split_names(names: str | list[str]) -> list[str]:
    return " ".join([names] if isinstance(names, str) else names).split()
