"""What the gate may never do, over generated evidence: forgetting or failing never helps."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from matrix.status import Status
from reports import gate
from reports.gate import Verdict
from reports.record import Record
from tests.reports import world
from tests.reports.world import EXPECTED, LAW, NOW, PLAIN, POLICY, TESTS, WITH_MTP, Json

BAD = ("FAIL", "CRASH", "HANG", "XPASS", "TEST_ERROR")
statuses = st.sampled_from([*(s.value for s in Status), *["PASS"] * 20])
outcomes = st.sampled_from(["proven"] * 5 + ["refuted", "unproven"])


def verdict(records: list[Record]) -> Verdict:
    return gate.judge(POLICY, EXPECTED, records, now=NOW)


@st.composite
def runs(draw: st.DrawFn) -> list[Json]:
    """A run in which statuses, proofs and launches may be anything, mostly good, and results may repeat."""
    fields: list[Json] = []
    for f in world.green():
        changes: dict[str, Any] = {}
        if f["kind"] == "result":
            changes = {"status": draw(statuses), "known_failure": draw(st.sampled_from(["", "kf_needle"]))}
        elif f["kind"] == "proof":
            changes = {"outcome": draw(outcomes)}
        elif f["kind"] == "launch":
            changes = {"stub": draw(st.sampled_from([False] * 9 + [True]))}
        fields.append({**f, **changes})
    return fields


@LAW
@given(runs(), st.data())
def test_removing_any_line_never_turns_red_into_green(fields: list[Json], data: st.DataObject) -> None:
    records = world.seal(fields)
    at = data.draw(st.integers(0, len(records) - 1))
    assert not verdict([*records[:at], *records[at + 1 :]]).green


@LAW
@given(runs(), st.data())
def test_never_having_recorded_something_does_not_turn_red_into_green(fields: list[Json], data: st.DataObject) -> None:
    """As above, but the run's seal is right: the record was never written."""
    at = data.draw(st.integers(0, len(fields) - 1))
    before, after = verdict(world.seal(fields)), verdict(world.seal([*fields[:at], *fields[at + 1 :]]))
    assert before.green or not after.green


@LAW
@given(runs(), st.sampled_from(BAD), st.sampled_from([PLAIN, WITH_MTP]), st.sampled_from(sorted(TESTS)), st.data())
def test_adding_a_failure_is_never_green(
    fields: list[Json], bad: str, cell: str, suite: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, len(fields)))
    assert not verdict(world.seal([*fields[:at], world.result(cell, suite, bad), *fields[at:]])).green


@LAW
@given(runs(), st.sampled_from([PLAIN, WITH_MTP]))
def test_adding_a_refuted_proof_is_never_green(fields: list[Json], cell: str) -> None:
    proof = {"kind": "proof", "cell": cell, "feature": "mtp", "outcome": "refuted", "rung": "counter"}
    assert not verdict(world.seal([*fields, proof])).green


@LAW
@given(runs())
def test_green_means_that_every_expected_cell_answered_with_a_real_engine(fields: list[Json]) -> None:
    found = verdict(world.seal(fields))
    if found.green:
        good = {"PASS", "MEASURED", "XFAIL"}
        assert all(f["status"] in good for f in fields if f["kind"] == "result")
        assert not any(f.get("stub") for f in fields)
        assert all(f["outcome"] == "proven" for f in fields if f["kind"] == "proof")


@LAW
@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(fields: list[Json], random: Any) -> None:
    cells = [PLAIN, WITH_MTP]
    random.shuffle(cells)
    reordered = [fields[0], *(f for c in cells for f in fields[1:] if f["cell"] == c)]
    assert verdict(world.seal(fields)).reasons == verdict(world.seal(reordered)).reasons
