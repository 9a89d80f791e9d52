"""Keeps the baseline values that a test reads, so that its replay needs no baseline file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fixtures.client.tape import LIVE, Tape
from reports.compare.baselines import Baseline


@dataclass(frozen=True, slots=True)
class KeptBaseline(Baseline):
    """A baseline whose answers are kept on a test's tape."""

    tape: Tape = LIVE

    def launches(self, cell: str, name: str, conditions: Mapping[str, Any]) -> list[float]:
        """Return what `Baseline.launches` returns, now or when the test ran."""
        question = [cell, name, json.dumps(dict(conditions), sort_keys=True)]
        found: list[float] = self.tape.note(
            "baseline", question, lambda: Baseline.launches(self, cell, name, conditions)
        )
        return found
