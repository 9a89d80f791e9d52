"""What the gate may never do, over generated evidence: forgetting or failing never helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from matrix.judging.status import Status
from matrix.planning.owed import DEPTHS, Depth, is_as_deep
from reports.evidence import types as record
from reports.evidence.attempts import INFRASTRUCTURE, order_files
from reports.evidence.types import Record, Result
from reports.expected import ExpectedCell
from reports.gate import gate
from reports.gate.gate import Verdict
from reports.gate.policy import Policy
from tests.reports import world
from tests.reports.retried import FLAKE, MINUTES, SAID, again, stated, with_needle
from tests.reports.world import EXPECTED, LAW, NOW, PAIR, POLICY, SHARED, TESTS, Json

BAD = ("FAIL", "CRASH", "HANG", "XPASS", "TEST_ERROR")
statuses = st.sampled_from([*(s.value for s in Status), *["PASS"] * 20])
outcomes = st.sampled_from(["proven"] * 5 + ["refuted", "unproven"])
# A token as large as without IndexCache; the same numbers beyond index_topk.
INERT = ([world.size(SHARED, world.LAYERS)], [world.signature(SHARED, name, -1.0) for name in ("short", "long")])


class Case(NamedTuple):
    """A run, and what is expected of it."""

    expected: tuple[ExpectedCell, ...]
    fields: list[Json]

    @property
    def cells(self) -> list[str]:
        return [c.id for c in self.expected]

    def verdict(self, records: list[Record]) -> Verdict:
        return gate.judge_evidence(POLICY, self.expected, records, now=NOW)

    def told(self, fields: list[Json]) -> Verdict:
        return self.verdict(world.seal(fields))


@st.composite
def predicted(draw: st.DrawFn, well: int = 1) -> list[Json]:
    """Two neighbours of which one recorded what a prediction reads: as predicted (`well` times as often), as without
    the feature, or something else; or its engine shows nothing."""
    keyed_layers = st.sampled_from([world.SHARED_LAYERS] * well + [world.LAYERS, 3])
    beyond, below = st.sampled_from([-1.5] * well + [-1.0]), st.sampled_from([-1.0] * well + [-1.5])
    others = [f for f in world.paired() if not (f.get("cell") == SHARED and "data" in f)]
    short, long = world.signature(SHARED, "short", draw(below)), world.signature(SHARED, "long", draw(beyond))
    left = [world.size(SHARED, draw(keyed_layers)), short, long]
    return [*others, *({**f, "data": draw(st.sampled_from([f["data"]] * 5 + [{}]))} for f in left)]


@st.composite
def runs(draw: st.DrawFn) -> Case:
    """Return a run in which statuses, proofs and launches may be anything, mostly good."""
    expected, whole = draw(st.one_of(st.just((EXPECTED, world.green())), predicted(well=6).map(lambda f: (PAIR, f))))
    fields: list[Json] = []
    for f in whole:
        changes: dict[str, Any] = {}
        if f["kind"] == "result":
            fits = draw(st.sampled_from([world.FITS, world.FITS, {}, world.DIED]))
            changes = {"status": draw(statuses), "known_failure": draw(st.sampled_from(["", "kf_needle"])), **fits}
        elif f["kind"] == "proof":
            changes = {"outcome": draw(outcomes)}
        elif f["kind"] == "launch":
            changes = {
                "stub": draw(st.sampled_from([False] * 9 + [True])),
                "outcome": draw(st.sampled_from(["ok"] * 9 + ["EngineExited"])),
            }
        fields.append({**f, **changes})
    return Case(expected, fields)


@LAW
@given(runs(), st.data())
def test_removing_any_line_never_turns_red_into_green(run: Case, data: st.DataObject) -> None:
    records = world.seal(run.fields)
    at = data.draw(st.integers(0, len(records) - 1))
    assert not run.verdict([*records[:at], *records[at + 1 :]]).green


@LAW
@given(runs(), st.data())
def test_never_having_recorded_something_does_not_turn_red_into_green(run: Case, data: st.DataObject) -> None:
    """As above, but the run's seal is right: the record was never written."""
    at = data.draw(st.integers(0, len(run.fields) - 1))
    before, after = run.told(run.fields), run.told([*run.fields[:at], *run.fields[at + 1 :]])
    assert before.green or not after.green


@LAW
@given(predicted(), st.data())
def test_not_recording_what_refutes_a_prediction_does_not_help(fields: list[Json], data: st.DataObject) -> None:
    """Everything else is well, so that the predictions alone decide."""
    run = Case(PAIR, fields)
    at = data.draw(st.sampled_from([i for i, f in enumerate(fields) if "data" in f]))
    assert run.told(fields).green or not run.told([*fields[:at], *fields[at + 1 :]]).green


@LAW
@given(runs(), st.sampled_from(BAD), st.integers(0, 1), st.sampled_from(sorted(TESTS)), st.data())
def test_adding_a_failure_is_never_green(run: Case, bad: str, cell: int, suite: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(run.fields)))
    failure = world.result(run.cells[cell], suite, bad)
    assert not run.told([*run.fields[:at], failure, *run.fields[at:]]).green


@LAW
@given(runs(), st.integers(0, 1))
def test_adding_a_refuted_proof_is_never_green(run: Case, cell: int) -> None:
    proof = {"kind": "proof", "cell": run.cells[cell], "feature": "mtp", "outcome": "refuted", "rung": "counter"}
    assert not run.told([*run.fields, proof]).green


@LAW
@given(predicted(), st.sampled_from(INERT))
def test_adding_recordings_that_refute_a_prediction_is_never_green(fields: list[Json], inert: list[Json]) -> None:
    assert not Case(PAIR, fields).told([*fields, *inert]).green


@LAW
@given(runs())
def test_green_means_that_every_expected_cell_answered_with_a_real_engine(run: Case) -> None:
    found = run.told(run.fields)
    if found.green:
        good = {"PASS", "MEASURED", "XFAIL"}
        assert all(f["status"] in good for f in run.fields if f["kind"] == "result")
        assert not any(f.get("stub") for f in run.fields)
        assert not any(f["outcome"] == "refuted" for f in run.fields if f["kind"] == "proof")
        assert not any(p.outcome in ("refuted", "absent") for p in found.predictions)
        features = [f for f in run.fields if f["kind"] == "proof" and f["feature"] != "kv_layout"]
        by_prediction = any(p.outcome == "proven" for p in found.predictions)
        assert all(f["outcome"] == "proven" or by_prediction for f in features)


@LAW
@given(runs(), st.integers(0, 1), st.sampled_from(sorted(TESTS)), st.booleans())
def test_an_owed_test_without_a_result_is_red_by_name_whatever_the_evidence_expects(
    run: Case, cell: int, suite: str, hidden: bool
) -> None:
    nodeid = world.nodeid(suite, run.cells[cell])
    rest = [f for f in run.fields if not (f["kind"] == "result" and f["nodeid"] == nodeid)]
    if hidden:
        rest = [f | {"tests": [t for t in f["tests"] if t != nodeid]} if f["kind"] == "expected" else f for f in rest]
    found = run.told(rest)
    assert not found.green
    own = [r.text for r in found.reasons if r.cell == run.cells[cell]]
    assert any(TESTS[suite] in text and "MISSING" in text for text in own)


@LAW
@given(runs(), st.sets(st.sampled_from(sorted(TESTS))), st.booleans())
def test_expecting_less_never_turns_red_into_green(run: Case, left: set[str], nothing: bool) -> None:
    kept = {TESTS[suite] for suite in left}
    narrowed = [
        f | {"tests": [] if nothing else [t for t in f["tests"] if any(k in t for k in kept)]}
        if f["kind"] == "expected"
        else f
        for f in run.fields
    ]
    assert run.told(run.fields).green or not run.told(narrowed).green


@LAW
@given(runs(), st.sampled_from(DEPTHS), st.sampled_from(["", "quik", *DEPTHS]))
def test_a_run_that_asked_less_deep_than_required_or_does_not_say_is_never_green(
    run: Case, wanted: Depth, said: str
) -> None:
    records = world.seal([f | {"depth": said} if f["kind"] == "run" else f for f in run.fields])
    found = gate.judge_evidence(replace(POLICY, depth=wanted), run.expected, records, now=NOW)
    assert is_as_deep(said, wanted) or not found.green
    assert is_as_deep(said, wanted) is not any(r.rule == "depth" for r in found.reasons)


@LAW
@given(runs(), st.randoms(use_true_random=False))
def test_the_order_of_cells_does_not_matter(run: Case, random: Any) -> None:
    cells = list(run.cells)
    random.shuffle(cells)
    reordered = [run.fields[0], *(f for c in cells for f in run.fields[1:] if f["cell"] == c)]
    assert run.told(run.fields).reasons == run.told(reordered).reasons


@st.composite
def retried(draw: st.DrawFn) -> list[list[Record]]:
    """Draw runs of the same cells with at most two faults; some ask others again, soundly or not."""
    first = stated(world.green())
    places = [i for i, f in enumerate(first) if f["kind"] == "result"]
    for at in draw(st.lists(st.sampled_from(places), max_size=2)):
        said = draw(st.sampled_from([SAID] * 4 + ["other"]))
        first[at] |= {"status": draw(st.sampled_from([s.value for s in Status])), "message": said}
    found = [world.seal(first, "r1")]
    for n in range(2, 2 + draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        of = draw(st.sampled_from(["r1", f"r{n - 1}"] * 4 + ["", "r9"]))
        after, status = draw(st.sampled_from([5 * n] * 8 + [0, -5])), draw(statuses)
        commit = draw(st.sampled_from(["c0ffee"] * 9 + ["deed"]))
        found.append(again(status, f"r{n}", of, after=after, commit=commit))
    return found


FLAKY = replace(POLICY, flakes=(replace(FLAKE, rate=0.5),))


def judged(found: Sequence[Sequence[Record]]) -> Verdict:
    return gate.judge_evidence(FLAKY, EXPECTED, [r for own in found for r in own], now=NOW)


def seen(verdict: Verdict) -> Any:
    return sorted(verdict.reasons), sorted(verdict.told), verdict.rows, verdict.predictions


@LAW
@given(retried(), st.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(found: list[list[Record]], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    assert seen(judged(found)) == seen(judged(shuffled))


@LAW
@given(retried(), st.randoms(use_true_random=False), st.data())
def test_the_order_of_files_does_not_matter_even_where_one_run_is_cut_over_two(
    found: list[list[Record]], random: Any, data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, len(found[0]) - 1))
    late = [replace(r, t=r.t + MINUTES / 60) for r in found[0][at:]]
    files = [found[0][:at], late, *found[1:]]
    orders = [
        order_files((Path(str(i)), own) for i, own in enumerate(o)) for o in (files, random.sample(files, len(files)))
    ]
    first, second = (judged([own for _, own in order]) for order in orders)
    assert seen(first) == seen(second)


@LAW
@given(retried(), st.sampled_from(sorted(TESTS)), st.integers(0, 1), st.data())
def test_adding_a_pass_that_no_retry_asked_for_never_turns_red_into_green(
    found: list[list[Record]], suite: str, cell: int, data: st.DataObject
) -> None:
    """In a run that is there, which is sealed anew, or in one of its own, at any time; of any test that was asked. One
    that a host skipped for want of hardware was not."""
    assume(not any(isinstance(r, Result) and r.status is Status.SKIP_NO_HW for own in found for r in own))
    before = judged(found)
    wrong = [r for r in found[0] if isinstance(r, Result) and r.status is not Status.PASS]
    passed = world.result(EXPECTED[cell].id, suite, "PASS")
    if wrong:
        passed = {**record.dump_record(data.draw(st.sampled_from(wrong))), "status": "PASS"}
        passed = {k: v for k, v in passed.items() if k not in ("t", "run", "message")}
    if data.draw(st.booleans()):
        own = stated([f for f in world.green() if f["kind"] != "result"])
        more = world.seal([*own, passed], "r7", world.BEGUN + data.draw(st.sampled_from([-30, 0, 30])) * MINUTES)
        after = judged([*found, more])
    else:
        own = [record.dump_record(r) for r in found[0][:-1]]
        at = data.draw(st.integers(1, len(own)))
        after = judged([world.seal([*own[:at], passed, *own[at:]], "r1"), *found[1:]])
    assert before.green or not after.green


@LAW
@given(retried(), st.sampled_from(BAD), st.sampled_from(sorted(TESTS)), st.integers(0, 1), st.data())
def test_adding_a_failure_to_any_of_several_runs_never_turns_red_into_green(
    found: list[list[Record]], bad: str, suite: str, cell: int, data: st.DataObject
) -> None:
    which = data.draw(st.integers(0, len(found) - 1))
    own = [record.dump_record(r) for r in found[which][:-1]]
    failure = world.result(EXPECTED[cell].id, suite, bad, message=SAID)
    worse = world.seal([*own, failure], f"r{which + 1}", found[which][0].t)
    before, after = judged(found), judged([*found[:which], worse, *found[which + 1 :]])
    assert before.green or not after.green


@LAW
@given(retried())
def test_without_a_clause_no_failure_of_an_engine_is_green(found: list[list[Record]]) -> None:
    verdict = gate.judge_evidence(POLICY, EXPECTED, [r for own in found for r in own], now=NOW)
    soft = {"PASS", "MEASURED", "XFAIL", "HOST_ERROR", "TEST_ERROR", "NOT_ASKED", "MISSING", "SKIP_NO_HW"}
    if verdict.green:
        assert all(r.status in soft for own in found for r in own if isinstance(r, Result))


@pytest.mark.parametrize("policy", [POLICY, FLAKY], ids=["strict", "flaky"])
@pytest.mark.parametrize("after", [-30, 0, 30])
@pytest.mark.parametrize("status", [s for s in world.REAL if s is not Status.SKIP_NO_HW])
def test_a_whole_run_of_passes_that_nobody_asked_for_turns_nothing_green(
    status: str, after: int, policy: Policy
) -> None:
    bad = world.seal(stated(with_needle(status)), "r1")
    good = world.seal(stated(world.green()), "r2", world.BEGUN + after * MINUTES)
    for records in ([*bad, *good], [*good, *bad]):
        assert not gate.judge_evidence(policy, EXPECTED, records, now=NOW).green


@pytest.mark.parametrize("status", world.REAL)
@pytest.mark.parametrize("failed", [1, 2, 3])
def test_only_a_sound_retry_under_a_clause_makes_a_failure_green(status: str, failed: int) -> None:
    """And one failure more, in the same run, never helps."""
    fields = stated(with_needle(status))
    more = [f for f in fields if f["kind"] == "result" and f["status"] == status]
    runs = [*world.seal([*fields, *more * (failed - 1)], "r1"), *again()]
    hard = Status(status) not in INFRASTRUCTURE
    assert gate.judge_evidence(FLAKY, EXPECTED, runs, now=NOW).green == (not hard or failed <= 2)
    assert gate.judge_evidence(POLICY, EXPECTED, runs, now=NOW).green == (not hard)
