"""A small green run to damage: two cells, two suites, one feature with its proof. Records as JSON, then sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from matrix.status import Status
from reports import record
from reports.evidence import line_of
from reports.policy import ExpectedCell, Policy, Requirement
from reports.record import Record

# Deterministic, and slow machines are no failures: a law is about answers, not about time.
LAW = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(LAW, max_examples=50)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(hours=1)
Json = dict[str, Any]
POLICY = Policy(title="Both cells", require=(Requirement(glob="*"),), max_age_h=24)
PLAIN, WITH_MTP = "cpu.llamacpp.canary.baseline", "cpu.llamacpp.canary.mtp"
TESTS = {"boot": "test_boots", "needle": "test_finds_the_needle"}
EXPECTED = (
    ExpectedCell(id=PLAIN, fingerprint="f0", suites=tuple(TESTS), known_failures={"kf_needle": date(2027, 1, 31)}),
    ExpectedCell(id=WITH_MTP, fingerprint="f1", suites=tuple(TESTS), features=frozenset({"mtp"})),
)


def nodeid(suite: str, cell: str) -> str:
    return f"suites/test_{suite}.py::{TESTS[suite]}[{cell}]"


def result(cell: str, suite: str, status: str = "PASS", **more: Any) -> Json:
    who = {"cell": cell, "fingerprint": _fingerprint(cell), "test": TESTS[suite], "nodeid": nodeid(suite, cell)}
    return {"kind": "result", **who, "status": status, "duration_s": 0.5, **more}


def _fingerprint(cell: str) -> str:
    return next(c.fingerprint for c in EXPECTED if c.id == cell)


def one_cell(cell: str, features: Sequence[str]) -> list[Json]:
    fingerprint = _fingerprint(cell)
    facts = {"rig": "cpu", "release": "llamacpp", "checkpoint": "canary", "features": list(features)}
    tests = [nodeid(suite, cell) for suite in TESTS]
    proof = {"kind": "proof", "cell": cell, "outcome": "proven", "rung": "counter"}
    return [
        {"kind": "cell", "cell": cell, "fingerprint": fingerprint, "facts": facts},
        {"kind": "expected", "cell": cell, "tests": tests},
        {"kind": "launch", "cell": cell, "fingerprint": fingerprint, "outcome": "ok", "launch_s": 1.25},
        *(result(cell, suite) for suite in TESTS),
        *({**proof, "feature": f} for f in features),
    ]


def green() -> list[Json]:
    """Everything but the end, which `seal` adds."""
    run: Json = {"kind": "run", "argv": ["pytest"], "selection": [PLAIN, WITH_MTP]}
    return [run, *one_cell(PLAIN, []), *one_cell(WITH_MTP, ["mtp"])]


def typed(fields: Iterable[Mapping[str, Any]], run: str = "r1", begun: datetime = BEGUN) -> list[Record]:
    return [record.parse({"t": begun.isoformat(), "run": run, **f}) for f in fields]


def seal(fields: Iterable[Mapping[str, Any]], run: str = "r1", begun: datetime = BEGUN, **end: Any) -> list[Record]:
    """Typed records with an `end` that is right about them."""
    body = typed(fields, run, begun)
    digest = hashlib.sha256(b"".join(line_of(record.dump(r)) for r in body)).hexdigest()
    last = {"kind": "end", "exit_code": 0, "interrupted": False, "duration_s": 9.5, "launches": 2, **end}
    return [*body, *typed([{**last, "records": len(body), "sha256": digest}], run, begun)]


def write(records: Iterable[Record]) -> bytes:
    return b"".join(line_of(record.dump(r)) for r in records)


REAL = tuple(s for s in Status if s not in (Status.PASS, Status.MEASURED, Status.XFAIL))
