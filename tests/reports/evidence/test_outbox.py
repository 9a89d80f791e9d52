"""What waits for a test's report: checked when it is added, and taken once."""

from __future__ import annotations

import pytest

from matrix.errors import EngineReplyMalformed
from reports.evidence.finding import Finding
from reports.evidence.outbox import Evidence, Outbox, pack_records, unpack_records

IDENTITY = {"cell": "a", "fingerprint": "f", "test": "test_x", "nodeid": "s.py::test_x"}


@pytest.fixture
def outbox() -> Outbox:
    return Outbox("20261126T020541Z.73627f")


def test_a_record_has_its_tests_identity_and_is_taken_once(outbox: Outbox) -> None:
    Evidence(outbox, IDENTITY).measurement("median_tpot_ms", 1.5, "ms")
    [record] = outbox.drain()
    assert record.items() >= {**IDENTITY, "kind": "measurement", "run": outbox.run_id, "value": 1.5}.items()
    assert outbox.drain() == []


def test_what_is_no_record_fails_the_test_that_says_it(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="unknown kind 'finding_'; did you mean 'finding'"):
        outbox.add("finding_", IDENTITY)
    assert outbox.drain() == []


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measurement_that_is_no_number_is_the_engines_fault(outbox: Outbox, value: float) -> None:
    with pytest.raises(EngineReplyMalformed, match="what the engine counted is no number"):
        Evidence(outbox, IDENTITY).measurement("output_throughput", value, "tok/s")
    assert outbox.drain() == []


def test_what_a_test_has_recorded_is_counted_by_kind(outbox: Outbox) -> None:
    evidence = Evidence(outbox, IDENTITY)
    for sensitive in (True, False):
        evidence.finding(Finding(check="x.y", ok=True, expected="1", got="1", sensitive=sensitive))
    evidence.measurement("m", 1.0, "s")
    evidence.proof("mtp", "proven", "counter")
    seen = evidence.seen
    assert (seen.findings, seen.sensitive, seen.measurements, seen.proofs) == (2, 1, 1, 1)


def test_half_a_character_crosses_to_the_controller() -> None:
    """execnet refuses it as it is."""
    records = [{"got": "half \ud83d of it"}]
    packed = pack_records(records)
    assert packed.isascii() and unpack_records(packed) == records
    assert unpack_records("") == []


def test_what_nobody_logged_travels_with_the_next_report_once_and_in_its_order(outbox: Outbox) -> None:
    told = []
    for number in range(4):
        Evidence(outbox, IDENTITY).measurement("m", float(number), "s")
        told.append(outbox.send())
    assert outbox.send() == "[]"
    outbox.confirm(told[1])
    outbox.confirm("of another process")
    Evidence(outbox, IDENTITY).measurement("m", 4.0, "s")
    outbox.take_back()
    outbox.take_back()
    assert [r["value"] for r in outbox.drain()] == [0.0, 2.0, 3.0, 4.0]
