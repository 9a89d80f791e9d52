"""Reads an engine's own report of its load: running and waiting requests, and tokens per second. The last line
counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLoad:
    """None: it did not say. `tps` are generated tokens a second."""

    running: float | None = None
    waiting: float | None = None
    tps: float | None = None

    def __str__(self) -> str:
        told = (("running", self.running, ""), ("waiting", self.waiting, ""), ("generating", self.tps, " tokens/s"))
        return ", ".join(f"{name} {value:g}{unit}" for name, value, unit in told if value is not None)


def read_load(log_text: str, patterns: Sequence[str]) -> EngineLoad:
    """Read the last line that matches a pattern (`load:` of engine.yaml; groups running, waiting and tps)."""
    compiled = [re.compile(p) for p in patterns]
    for line in reversed(log_text.splitlines()):
        for pattern in compiled:
            if match := pattern.search(line[:2000]):
                found = match.groupdict()
                return EngineLoad(**{k: float(v) for k, v in found.items() if k in ("running", "waiting", "tps") and v})
    return EngineLoad()
