"""Keeps the baseline values that a test reads, so that its replay needs no baseline file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fixtures.client.tape import LIVE, Tape
from reports.compare.baselines import Baseline, Earlier


@dataclass(frozen=True, slots=True)
class KeptBaseline(Baseline):
    """A baseline whose answers are kept on a test's tape. `release`: its launches are of that release, and not the
    cell's own."""

    tape: Tape = LIVE
    release: str = ""

    def find_earlier(self, cell: str, name: str, conditions: Mapping[str, Any]) -> Earlier:
        """Return what earlier launches measured, now or when the test ran."""
        question = [cell, name, json.dumps(dict(conditions), sort_keys=True)]

        def look() -> Any:
            values = self.list_launches(cell, name, conditions)
            return {"release": self.release, "values": values} if self.release else values

        found = self.tape.note("baseline", question, look)
        return Earlier(found["values"], found["release"]) if isinstance(found, Mapping) else Earlier(found)
