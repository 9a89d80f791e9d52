"""What the same cells measured before: plain evidence files, concatenated as they are. Each launch is one value.

pytest -m sm120 --baseline baselines/sm120.jsonl        and afterwards, if it was green:
cat reports/out/evidence.jsonl >> baselines/sm120.jsonl
"""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reports import evidence
from reports.record import Launch, Measured

NOT_COMPARED: Final = ("client_fit", "attempt")  # of the client and of the test, not of what is measured
Launched = tuple[str, int]  # a run, and how often it had launched the engine
Key = tuple[str, str, str]  # cell, name, conditions


@dataclass(frozen=True, slots=True)
class Baseline:
    """Values by cell, name and conditions, and in these by launch."""

    values: Mapping[Key, Mapping[Launched, Sequence[float]]] = field(default_factory=dict)

    def launches(self, cell: str, name: str, conditions: Mapping[str, Any]) -> list[float]:
        """One value per earlier launch; the median where a launch was measured twice."""
        found = self.values.get(_key(cell, name, conditions), {})
        return [statistics.median(values) for values in found.values()]


def read(paths: Iterable[Path]) -> Baseline:
    """Every measurement of these evidence files, with the launch that came before it.

    Raises:
        ConfigError: naming file and line of what is no evidence.
    """
    found: dict[Key, dict[Launched, list[float]]] = {}
    launches: Counter[tuple[str, str]] = Counter()  # by run and fingerprint, so far
    for record in (r for path in paths for r in evidence.read(path)):
        launched = record.run, record.fingerprint
        if isinstance(record, Launch):
            launches[launched] += 1
        elif isinstance(record, Measured):
            own = found.setdefault(_key(record.cell, record.name, record.conditions), {})
            own.setdefault((record.run, launches[launched]), []).append(record.value)
    return Baseline(found)


def _key(cell: str, name: str, conditions: Mapping[str, Any]) -> Key:
    kept = {k: v for k, v in conditions.items() if k not in NOT_COMPARED}
    return cell, name, json.dumps(kept, sort_keys=True)
