"""Collects what a test records while it runs. Lives in the test's process; the controller writes it down later."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matrix.errors import EngineReplyMalformed
from reports.evidence import redact
from reports.evidence import types as record
from reports.evidence.bounds import bounded_record
from reports.evidence.finding import Finding
from reports.evidence.not_evidence import RecordCounts
from reports.evidence.types import ProofOutcome


class Outbox:
    """Records of this process that wait for a test report. Checked when added, so that a bad record fails its own
    test.

    What a report carries is kept until pytest logs that report. A plugin that runs a failed test again may throw the
    report of the first attempt away; its records then travel with the next one (`take_back`).
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._waiting: list[dict[str, Any]] = []
        self._underway: dict[str, list[dict[str, Any]]] = {}  # as a report carries them -> the records

    def add(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Queue one record.

        Raises:
            ValueError: it is not a record of this kind.
        """
        whole = redact.redact_record(
            {"t": record.format_now(), **record.as_json_data(fields), "kind": kind, "run": self.run_id}
        )
        self._waiting.append(record.dump_record(record.parse_record(bounded_record(whole))))

    def launch(self, fields: Mapping[str, Any]) -> None:
        """Record how starting an engine went; session fixtures call this, they have no test of their own."""
        self.add("launch", fields)

    def drain(self) -> list[dict[str, Any]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def send(self) -> str:
        """Drain the records for a test's report, packed, and keep them until `confirm`."""
        records = self.drain()
        packed = pack_records(records)
        if records:
            self._underway[packed] = records
        return packed

    def confirm(self, packed: str) -> None:
        """Forget what a report carries: pytest has logged it. A report of another process was never here."""
        self._underway.pop(packed, None)

    def take_back(self) -> None:
        """Queue once more, in front, what nobody has logged: the records of the run may not depend on its plugins."""
        self._waiting[:0] = [r for records in self._underway.values() for r in records]
        self._underway.clear()


def pack_records(records: Sequence[Mapping[str, Any]]) -> str:
    """Pack records for xdist: execnet refuses half a character, and JSON escapes it."""
    return json.dumps(records)


def unpack_records(text: str) -> list[dict[str, Any]]:
    """Unpack the records that a worker packed."""
    found: list[dict[str, Any]] = json.loads(text or "[]")
    return found


class Evidence:
    """One test's view of the outbox: each record gets the test's identity. The `evidence` fixture returns it."""

    def __init__(self, outbox: Outbox, identity: Mapping[str, str]) -> None:
        self._outbox, self._identity = outbox, identity
        self.findings: list[Finding] = []
        self.measurements = 0
        self.proofs = 0

    def finding(self, finding: Finding) -> Finding:
        """Record what a check found and return it, for `assert evidence.finding(f).ok, f.explain()`."""
        self._add("finding", {name: getattr(finding, name) for name in Finding.__dataclass_fields__})
        self.findings.append(finding)
        return finding

    def measurement(self, name: str, value: float, unit: str, conditions: Mapping[str, Any] | None = None) -> None:
        """Record a number, e.g. ("output_throughput", 812.4, "tok/s", {"concurrency": 32}).

        Raises:
            EngineReplyMalformed: what was made of the engine's counts and times is NaN or infinite.
        """
        if not math.isfinite(value):
            raise EngineReplyMalformed(f"{name} is {value} {unit}: what the engine counted is no number")
        self._add("measurement", {"name": name, "value": value, "unit": unit, "conditions": conditions or {}})
        self.measurements += 1

    def proof(
        self, feature: str, outcome: ProofOutcome, rung: str, detail: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        """Record whether a feature was really in effect, and the rung of the ladder that decided it."""
        fields = {"feature": feature, "outcome": outcome, "rung": rung, "detail": detail, "data": data or {}}
        self._add("proof", fields)
        self.proofs += 1

    def launch(self, fields: Mapping[str, Any]) -> None:
        """Record how starting this test's engine went."""
        self._add("launch", fields)

    @property
    def seen(self) -> RecordCounts:
        """How many records of each kind the test has, for `judge_pass`."""
        return RecordCounts(
            findings=len(self.findings),
            sensitive=sum(f.sensitive for f in self.findings),
            failed=sum(not f.ok for f in self.findings),
            measurements=self.measurements,
            proofs=self.proofs,
        )

    def _add(self, kind: str, fields: Mapping[str, Any]) -> None:
        self._outbox.add(kind, {**self._identity, **fields})
