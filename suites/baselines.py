"""What the same cells measured before: plain evidence files, one run a launch, concatenated as they are.

pytest -m sm120 --baseline baselines/sm120.jsonl        and afterwards, if it was green:
cat reports/out/evidence.jsonl >> baselines/sm120.jsonl
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reports import evidence
from reports.record import Measured

NOT_COMPARED: Final = ("client_fit",)  # a condition of the client, not of what is measured
Key = tuple[str, str, str]  # cell, name, conditions


@dataclass(frozen=True, slots=True)
class Baseline:
    """Values by cell, name and conditions, and in these by run."""

    values: Mapping[Key, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    def launches(self, cell: str, name: str, conditions: Mapping[str, Any]) -> list[float]:
        """One value per earlier run; the median where a run measured twice."""
        runs = self.values.get(_key(cell, name, conditions), {})
        return [statistics.median(values) for values in runs.values()]


def read(paths: Iterable[Path]) -> Baseline:
    """Every measurement of these evidence files.

    Raises:
        ConfigError: naming file and line of what is no evidence.
    """
    found: dict[Key, dict[str, list[float]]] = {}
    for path in paths:
        for record in evidence.read(path):
            if isinstance(record, Measured):
                runs = found.setdefault(_key(record.cell, record.name, record.conditions), {})
                runs.setdefault(record.run, []).append(record.value)
    return Baseline(found)


def _key(cell: str, name: str, conditions: Mapping[str, Any]) -> Key:
    kept = {k: v for k, v in conditions.items() if k not in NOT_COMPARED}
    return cell, name, json.dumps(kept, sort_keys=True)
