"""A small green run to damage: two cells, two suites, one feature with its proof. Records as JSON, then sealed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from matrix.judging.requested import Requested
from matrix.judging.status import Status
from matrix.planning.kv import KvShape
from matrix.planning.owed import CELL, Owed, OwedItem
from matrix.recorded import Fails, KnownFailure
from matrix.source import Source
from reports.evidence import types as record
from reports.evidence.files import format_line
from reports.evidence.types import Record
from reports.expected import ExpectedCell
from reports.gate.policy import Policy
from reports.gate.requirement import Requirement

# Deterministic, and slow machines are no failures: a law is about answers, not about time.
LAW = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(LAW, max_examples=50)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(hours=1)
Json = dict[str, Any]
POLICY = Policy(title="Both cells", require=(Requirement(glob="*"),), max_age_h=24)
PLAIN, WITH_MTP = "cpu.llamacpp.canary.baseline", "cpu.llamacpp.canary.mtp"
KF_NEEDLE = KnownFailure(
    id="kf_needle",
    when={},
    expect="intermittent",
    fails=Fails(at="test", test="test_finds_the_needle", how="wrong_answer", signature="not in"),
    symptom="loses it",
    issue="https://example.org/1",
    source=Source(kind="run", release="1"),
    owner="somebody",
    added=date(2026, 1, 1),
    review_by=date(2027, 1, 31),
)
FITS: Json = {"at": "test", "how": "wrong_answer", "matched": "it is not in the reply"}  # kf_needle
KF_BOOT = replace(
    KF_NEEDLE, id="kf_boot", fails=Fails(at="before_ready", how="exit", signature="no kernel for this GPU")
)
DIED: Json = {"at": "before_ready", "how": "exit", "matched": "RuntimeError: no kernel for this GPU"}  # kf_boot
TESTS = {"boot": "test_boots", "needle": "test_finds_the_needle"}


def nodeid(suite: str, cell: str) -> str:
    return f"suites/test_{suite}.py::{TESTS[suite]}[{cell}]"


def small_owed(*more: OwedItem) -> Owed:
    """Return what the suites of this world ask of every cell, and more items."""
    return Owed(items=(*(OwedItem(pattern=nodeid(suite, CELL)) for suite in TESTS), *more))


def owed_by(cell: str) -> tuple[str, ...]:
    return tuple(nodeid(suite, cell) for suite in TESTS)


EXPECTED = (
    ExpectedCell(
        id=PLAIN, fingerprint="f0", owed=owed_by(PLAIN), suites=tuple(TESTS), known_failures={"kf_needle": KF_NEEDLE}
    ),
    ExpectedCell(
        id=WITH_MTP, fingerprint="f1", owed=owed_by(WITH_MTP), suites=tuple(TESTS), features=frozenset({"mtp"})
    ),
)

# The same cell with IndexCache and without it: what is predicted of the one is judged beside the other.
SHARED = "cpu.llamacpp.canary.indexcache"
LAYERS, SHARED_LAYERS, KEY_BYTES = 4, 2, 256
SHAPE = KvShape(layers=LAYERS, kv_lora_rank=512, rope_dims=64, index_head_dims=128)
WANTED = Requested(dialect="llamacpp", shape=SHAPE, layout="dsa_bf16")
PLACE: Json = {"rig": "cpu", "release": "llamacpp", "checkpoint": "canary"}
PAIR = (
    replace(EXPECTED[0], facts={**PLACE, "features": []}, wanted=replace(WANTED, full_layers=LAYERS)),
    ExpectedCell(
        id=SHARED,
        fingerprint="f2",
        owed=owed_by(SHARED),
        suites=tuple(TESTS),
        features=frozenset({"indexcache"}),
        facts={**PLACE, "features": ["indexcache"]},
        wanted=replace(WANTED, full_layers=SHARED_LAYERS),
    ),
)


def result(cell: str, suite: str, status: str = "PASS", **more: Any) -> Json:
    who = {"cell": cell, "fingerprint": _fingerprint(cell), "test": TESTS[suite], "nodeid": nodeid(suite, cell)}
    return {"kind": "result", **who, "status": status, "duration_s": 0.5, **(FITS if status == "XFAIL" else {}), **more}


def with_evidence(fields: Iterable[Json]) -> list[Json]:
    """In front of each result what it shows: a finding of what passed, a number of what was measured."""
    found: list[Json] = []
    for f in fields:
        who = {"cell": f.get("cell", ""), "nodeid": f.get("nodeid", "")}
        if f["kind"] == "result" and f["status"] == "PASS":
            found.append({"kind": "finding", **who, "check": "x.ok", "ok": True, "expected": "a", "got": "a"})
        if f["kind"] == "result" and f["status"] == "MEASURED":
            found.append({"kind": "measurement", **who, "name": "seen", "value": 1.0, "unit": "u"})
        found.append(f)
    return found


def _fingerprint(cell: str) -> str:
    return next(c.fingerprint for c in (*EXPECTED, *PAIR) if c.id == cell)


def one_cell(cell: str, features: Sequence[str]) -> list[Json]:
    fingerprint = _fingerprint(cell)
    facts = {**PLACE, "features": list(features)}
    tests = [nodeid(suite, cell) for suite in TESTS]
    proof = {"kind": "proof", "cell": cell, "outcome": "proven", "rung": "counter"}
    return [
        {"kind": "cell", "cell": cell, "fingerprint": fingerprint, "facts": facts},
        {"kind": "expected", "cell": cell, "tests": tests},
        {"kind": "launch", "cell": cell, "fingerprint": fingerprint, "outcome": "ok", "launch_s": 1.25},
        *with_evidence(result(cell, suite) for suite in TESTS),
        *({**proof, "feature": f} for f in features),
    ]


def green() -> list[Json]:
    """Everything but the end, which `seal` adds."""
    run: Json = {"kind": "run", "argv": ["pytest"], "selection": [PLAIN, WITH_MTP], "depth": "quick"}
    return [run, *one_cell(PLAIN, []), *one_cell(WITH_MTP, ["mtp"])]


def size(cell: str, keyed_layers: int) -> Json:
    """Return the KV layout's proof, with the bytes of a token that so many layers' indexer keys make."""
    found = LAYERS * 1152 + keyed_layers * KEY_BYTES
    proof = {"kind": "proof", "cell": cell, "feature": "kv_layout", "outcome": "proven", "rung": "counter"}
    return {**proof, "data": {"low": found - 0.4, "high": found + 0.4}}


def signature(cell: str, name: str, logprob: float) -> Json:
    """Return a position with the chosen token and one that is less likely."""
    finding = {"kind": "finding", "cell": cell, "check": f"signature.{name}", "ok": True, "expected": "", "got": ""}
    return {**finding, "data": {"signature": [{"a": logprob, " ": logprob - 3.0}]}}


def paired() -> list[Json]:
    """As `green`, of the cell with IndexCache and the one without: all is as predicted. The long prompt was asked
    twice of one of them, which repeats itself."""
    run: Json = {"kind": "run", "argv": ["pytest"], "selection": [PLAIN, SHARED], "depth": "quick"}
    left = [
        f
        for c, keyed in ((PLAIN, LAYERS), (SHARED, SHARED_LAYERS))
        for f in (size(c, keyed), signature(c, "short", -1.0))
    ]
    beyond = [signature(cell, "long", said) for cell, said in ((PLAIN, -1.0), (PLAIN, -1.0), (SHARED, -1.5))]
    return [run, *one_cell(PLAIN, []), *one_cell(SHARED, ["indexcache"]), *left, *beyond]


def typed(fields: Iterable[Mapping[str, Any]], run: str = "r1", begun: datetime = BEGUN) -> list[Record]:
    return [record.parse_record({"t": begun.isoformat(), "run": run, **f}) for f in fields]


def seal(fields: Iterable[Mapping[str, Any]], run: str = "r1", begun: datetime = BEGUN, **end: Any) -> list[Record]:
    """Typed records with an `end` that is right about them."""
    body = typed(fields, run, begun)
    digest = hashlib.sha256(b"".join(format_line(record.dump_record(r)) for r in body)).hexdigest()
    launches = sum(isinstance(r, record.Launch) and r.outcome == "ok" for r in body)
    last = {"kind": "end", "exit_code": 0, "interrupted": False, "duration_s": 9.5, "launches": launches, **end}
    return [*body, *typed([{**last, "records": len(body), "sha256": digest}], run, begun)]


def write(records: Iterable[Record]) -> bytes:
    return b"".join(format_line(record.dump_record(r)) for r in records)


REAL = tuple(s for s in Status if s not in (Status.PASS, Status.MEASURED, Status.XFAIL))
