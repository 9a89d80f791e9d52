"""The gate, one damage at a time: each must turn the green run red, with a sentence that names the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from matrix.judging.status import Status
from reports.evidence.types import SCHEMA, Record, Result
from reports.expected import ExpectedCell
from reports.gate import gate
from reports.gate.allowances import NotRun
from reports.gate.gate import Verdict
from reports.gate.known_failures import allows_not_run
from reports.gate.policy import Policy
from tests.reports import retried, world
from tests.reports.world import EXPECTED, NOW, PAIR, PLAIN, POLICY, SHARED, WITH_MTP, Json


def judge(records: list[Record], policy: Policy = POLICY, expected: Sequence[ExpectedCell] = EXPECTED) -> Verdict:
    return gate.judge_evidence(policy, expected, records, now=NOW)


def said(verdict: Verdict) -> str:
    return "\n".join(map(str, verdict.reasons))


def changed(fields: list[Json], where: Callable[[Json], bool], **change: object) -> list[Json]:
    assert any(where(f) for f in fields)
    return [{**f, **change} if where(f) else f for f in fields]


def is_result(f: Json) -> bool:
    return bool(f["kind"] == "result" and f["cell"] == PLAIN)


def is_needle(f: Json) -> bool:
    return is_result(f) and f["test"] == world.TESTS["needle"]


def test_a_healthy_run_is_green() -> None:
    assert said(judge(world.seal(world.green()))) == ""


@pytest.mark.parametrize("words", [["--replay", "e.jsonl"], ["--replay=e.jsonl"]])
def test_a_replay_is_no_run_however_new_it_is(words: list[str]) -> None:
    fields = [{**f, "argv": ["pytest", *words]} if f["kind"] == "run" else f for f in world.green()]
    assert "Run r1 asked no engine" in said(judge(world.seal(fields)))
    near = [{**f, "argv": ["pytest", "--replay-run"]} if f["kind"] == "run" else f for f in world.green()]
    assert not said(judge(world.seal(near)))


def test_what_a_later_version_wrote_is_not_judged() -> None:
    fields = changed(world.green(), lambda f: f["kind"] == "run", schema=SCHEMA + 1)
    assert said(judge(world.seal(fields))).startswith("Run r1 was written by a later version of this program (schema ")


def test_an_absent_cell_is_red() -> None:
    rest = [f for f in world.green() if f.get("cell") != WITH_MTP]
    assert said(judge(world.seal(rest))) == f"{WITH_MTP}: no evidence; it was expected to run."


def test_a_cell_with_everything_but_results_is_absent() -> None:
    rest = [f for f in world.green() if not is_result(f)]
    assert f"{PLAIN}: no evidence" in said(judge(world.seal(rest)))


@pytest.mark.parametrize("kind", ["cell", "expected", "launch", "result", "proof"])
def test_each_kind_of_record_is_needed(kind: str) -> None:
    rest = [f for f in world.green() if f["kind"] != kind]
    assert not judge(world.seal(rest)).green


def test_no_evidence_at_all_is_red() -> None:
    assert "nothing ran" in said(judge([]))


def test_expecting_nothing_is_red() -> None:
    assert "selects no cell" in said(gate.judge_evidence(POLICY, (), world.seal(world.green()), now=NOW))


def test_an_all_skipped_cell_is_red_even_where_skips_are_allowed() -> None:
    fields = changed(world.green(), is_result, status="SKIP_NO_HW")
    policy = replace(POLICY, allow=(*POLICY.allow, Status.SKIP_NO_HW))
    assert (
        said(judge(world.seal(fields), policy))
        == f"{PLAIN}: every test was skipped; a run that ran nothing is not a pass."
    )


def test_a_stub_engine_is_red() -> None:
    fields = changed(world.green(), lambda f: f["kind"] == "launch" and f["cell"] == PLAIN, stub=True)
    assert said(judge(world.seal(fields))) == f"{PLAIN}: a stub engine answered; that says nothing about the real one."


def test_a_stub_engine_is_red_even_when_a_real_one_was_launched_later() -> None:
    fields = world.green()
    launch = next(f for f in fields if f["kind"] == "launch")
    assert "stub engine" in said(judge(world.seal([fields[0], {**launch, "stub": True}, *fields[1:]])))


def test_an_image_by_tag_is_red() -> None:
    tag, pinned = "vllm/vllm-openai:v0.33.0", "vllm/vllm-openai@sha256:" + "a" * 64
    records = _launched_from(tag)
    assert [r.rule for r in judge(records).reasons if r.rule == "image"] and tag in str(judge(records).reasons)
    assert judge(_launched_from(pinned)).green and judge(_launched_from("sha256:" + "b" * 64)).green


def _launched_from(reference: str) -> list[Record]:
    versions = {"image_reference": reference}
    return world.seal(changed(world.green(), lambda f: f["kind"] == "launch", versions=versions))


def test_an_attached_engine_is_red() -> None:
    records = world.seal(changed(world.green(), lambda f: f["kind"] == "launch", attached=True))
    assert "started by somebody else" in said(judge(records))


def test_a_run_without_its_own_record_is_red_for_that() -> None:
    """Nothing else would say of which host, commit and depth its results are."""
    bare = world.seal([f for f in world.green() if f["kind"] != "run"])
    assert "Run r1 has 0 `run` records, one was expected" in said(gate.judge_evidence(POLICY, EXPECTED, bare, now=NOW))


@pytest.mark.parametrize("status", [s for s in world.REAL if s is not Status.NOT_RUN_AS_KNOWN])
def test_a_status_that_is_not_allowed_is_red_with_its_message(status: str) -> None:
    fields = changed(world.green(), is_result, status=status, message="because of this")
    assert f"came to {status}: because of this" in said(judge(world.seal(fields)))


def test_a_refuted_proof_is_red_though_another_proves_it() -> None:
    proof = {"kind": "proof", "cell": WITH_MTP, "feature": "mtp", "outcome": "refuted", "rung": "ablation"}
    assert "mtp was asked for and is refuted by ablation" in said(judge(world.seal([*world.green(), proof])))


def test_an_unproven_feature_is_red() -> None:
    records = world.seal(changed(world.green(), lambda f: f["kind"] == "proof", outcome="unproven"))
    assert said(judge(records)) == f"{WITH_MTP}: mtp was asked for and nothing proves that it was in effect."


def test_a_required_suite_that_reported_nothing_is_red() -> None:
    expected = tuple(replace(c, suites=("boot", "tool_use")) for c in EXPECTED)
    verdict = gate.judge_evidence(POLICY, expected, world.seal(world.green()), now=NOW)
    assert "the suite tool_use is required" in said(verdict)


def test_a_required_test_that_reported_nothing_is_red() -> None:
    expected = tuple(replace(c, tests=("test_boots", "test_other")) for c in EXPECTED)
    found = said(gate.judge_evidence(POLICY, expected, world.seal(world.green()), now=NOW))
    assert "test_other is required" in found
    assert "test_boots" not in found


def test_an_expected_test_without_a_result_is_missing() -> None:
    fields = [f for f in world.green() if not (is_result(f) and f["test"] == "test_boots")]
    assert "test_boots came to MISSING" in said(judge(world.seal(fields)))


def test_evidence_of_another_plan_is_red() -> None:
    fields = changed(world.green(), lambda f: f.get("fingerprint") == "f0", fingerprint="old")
    assert "of another plan (old) than today's (f0)" in said(judge(world.seal(fields)))


def test_evidence_of_two_plans_is_red() -> None:
    fields = changed(world.green(), is_result, fingerprint="old")
    assert "of 2 different plans (f0, old)" in said(judge(world.seal(fields)))


def test_a_launch_that_failed_is_red() -> None:
    fields = changed(world.green(), lambda f: f["kind"] == "launch", outcome="EngineExited", message="exit 134")
    assert "its engine did not start: EngineExited: exit 134" in said(judge(world.seal(fields)))


def test_old_evidence_is_red() -> None:
    records = world.seal(world.green(), begun=NOW - timedelta(hours=30))
    assert said(judge(records)) == "Run r1 is 30 h old, at most 24 h are allowed."


def test_evidence_from_the_future_is_red() -> None:
    assert "a clock is wrong" in said(judge(world.seal(world.green(), begun=NOW + timedelta(hours=1))))


def test_a_single_record_from_the_future_is_red() -> None:
    later = (NOW + timedelta(minutes=11)).isoformat()
    assert "has a record from the future" in said(judge(world.seal(changed(world.green(), is_needle, t=later))))
    near = (NOW + timedelta(minutes=9)).isoformat()
    assert said(judge(world.seal(changed(world.green(), is_needle, t=near), t=near))) == ""


def test_a_failure_that_a_retry_shows_again_is_told_as_that_and_as_no_flake() -> None:
    verdict = judge([*retried.first("FAIL"), *retried.again("FAIL")])
    assert [r.rule for r in verdict.reasons] == ["status"]


def test_an_interrupted_run_is_red() -> None:
    assert said(judge(world.seal(world.green(), interrupted=True, exit_code=2))) == "Run r1 was interrupted."


def test_a_run_that_pytest_did_not_finish_is_red() -> None:
    for code in (2, 3, 4, 5):
        assert f"exited with {code}" in said(judge(world.seal(world.green(), exit_code=code)))


def test_a_run_without_an_end_is_red() -> None:
    assert "never ended" in said(judge(world.typed(world.green())))


def test_a_line_edited_after_the_end_was_written_is_red() -> None:
    records = world.seal(changed(world.green(), is_result, status="FAIL"))
    healed = [replace(r, status=Status.PASS) if isinstance(r, Result) else r for r in records]
    assert "lines were lost, edited or added" in said(judge(healed))


def test_the_same_file_twice_is_red() -> None:
    records = world.seal(world.green())
    assert "has 2 `run` records" in said(judge([*records, *records]))


def test_two_jobs_are_judged_together() -> None:
    fields = world.green()
    first = world.seal([f for f in fields if f.get("cell") != WITH_MTP], "a")
    second = world.seal([fields[0], *(f for f in fields if f.get("cell") == WITH_MTP)], "b")
    assert judge([*first, *second]).green


def test_an_expired_known_failure_is_red() -> None:
    overdue = replace(world.KF_NEEDLE, review_by=date(2026, 11, 20))
    expected = tuple(replace(c, known_failures={"kf": overdue}) for c in EXPECTED)
    verdict = gate.judge_evidence(POLICY, expected, world.seal(world.green()), now=NOW)
    assert "known failure kf was to be reviewed by 2026-11-20" in said(verdict)


@pytest.mark.parametrize("bad", ["FAIL", "HOST_ERROR", "TEST_ERROR"])
def test_a_later_pass_that_nobody_asked_for_hides_nothing_and_is_told(bad: str) -> None:
    fields = [world.green()[0], world.result(PLAIN, "needle", bad), *world.green()[1:]]
    found = said(judge(world.seal(fields)))
    assert f"test_finds_the_needle came to {bad}" in found
    assert f"Answered more than once: {bad} in run r1; PASS in run r1." in found


def test_a_launch_that_failed_stands_whatever_came_up_later() -> None:
    fields = world.green()
    launch = next(f for f in fields if f["kind"] == "launch")
    failed = {**launch, "outcome": "EngineExited", "message": "exit 134"}
    assert "its engine did not start: EngineExited: exit 134" in said(
        judge(world.seal([fields[0], failed, *fields[1:]]))
    )


def test_a_bad_result_without_a_cell_is_red() -> None:
    lost = {"kind": "result", "nodeid": "suites/test_x.py::test_y", "status": "TEST_ERROR", "message": "worker crashed"}
    assert "belongs to no cell and came to TEST_ERROR: worker crashed" in said(
        judge(world.seal([*world.green(), lost]))
    )


def is_size(f: Json) -> bool:
    return bool(f.get("feature") == "kv_layout" and f["cell"] == SHARED)


def is_beyond(f: Json) -> bool:
    return bool(f.get("check") == "signature.long" and f["cell"] == SHARED)


INERT = [
    world.size(SHARED, world.LAYERS),
    world.signature(SHARED, "long", -1.0),
]  # as large as without it, same numbers


def told(policy: Policy, fields: list[Json], expected: Sequence[ExpectedCell] = PAIR) -> str:
    return said(judge(world.seal(fields), policy, expected))


def test_a_pair_that_is_as_predicted_is_green() -> None:
    verdict = judge(world.seal(world.paired()), expected=PAIR)
    assert said(verdict) == ""
    assert [(p.what, p.outcome) for p in verdict.predictions] == [("bytes", "proven"), ("numbers", "proven")]


def test_a_refuted_prediction_is_red_with_one_sentence_unless_allowed() -> None:
    fields = [f for f in world.paired() if not is_size(f)]
    assert told(POLICY, [*fields, INERT[0]]) == (
        f"{SHARED}: beside {PLAIN}, indexcache does not change bytes as predicted: "
        "-0.8 to 0.8 bytes per token less than without the feature, 512 predicted."
    )


@pytest.mark.parametrize("inert", INERT, ids=["bytes", "numbers"])
def test_a_refutation_stands_whatever_another_recording_shows(inert: Json) -> None:
    assert "as predicted" in told(POLICY, [*world.paired(), inert])


@pytest.mark.parametrize("lost", [is_size, is_beyond], ids=["size", "signature"])
def test_what_was_not_recorded_is_red_and_named(lost: Callable[[Json], bool]) -> None:
    found = told(POLICY, [f for f in world.paired() if not lost(f)])
    assert f"cannot be judged: {SHARED} recorded no " in found


def test_what_the_engine_does_not_show_refutes_nothing() -> None:
    silent = changed(world.paired(), is_size, data={})
    assert told(POLICY, changed(silent, is_beyond, data={"signature": []})) == ""


def test_of_an_engine_that_failed_to_start_as_known_nothing_is_predicted() -> None:
    kept = [
        f for f in world.paired() if f.get("cell") != SHARED or f["kind"] in ("cell", "expected", "launch", "result")
    ]
    down = changed(kept, lambda f: f["kind"] == "launch" and f["cell"] == SHARED, outcome="EngineExited")
    known = changed(
        down,
        lambda f: f["kind"] == "result" and f["cell"] == SHARED,
        status="NOT_RUN_AS_KNOWN",
        known_failure="kf_boot",
        **world.DIED,
    )
    expected = (PAIR[0], replace(PAIR[1], known_failures={"kf_boot": world.KF_BOOT}))
    allowed = NotRun(known_failure="kf_boot", cells=SHARED, owner="somebody", until=date(2026, 12, 31))
    assert told(replace(POLICY, not_run=(allowed,)), known, expected) == ""
    last, over = replace(allowed, until=NOW.date()), replace(allowed, until=NOW.date() - timedelta(days=1))
    for clauses in ((last,), (over, last), (last, over)):
        assert told(replace(POLICY, not_run=clauses), known, expected) == ""
    assert "allowed that until" in told(replace(POLICY, not_run=(over,)), known, expected)


def test_beside_a_cell_that_is_not_expected_nothing_is_judged() -> None:
    """Its evidence is not looked at otherwise, and without it nothing would be missed."""
    assert told(POLICY, [*world.paired(), *INERT], (PAIR[1],)) == ""


def test_a_proven_prediction_is_a_proof_of_its_feature() -> None:
    """SGLang keeps room for every indexer key: within one launch nothing shows IndexCache."""
    fields = changed(world.paired(), lambda f: f.get("feature") == "indexcache", outcome="unproven")
    assert told(POLICY, fields) == ""
    dull = [f for f in fields if not (is_size(f) or is_beyond(f))]
    odd = [world.size(SHARED, 3), {**world.signature(SHARED, "long", -1.0), "data": {"signature": []}}]
    assert (
        told(POLICY, [*dull, *odd]) == f"{SHARED}: indexcache was asked for and nothing proves that it was in effect."
    )


def test_the_same_words_are_no_proof_that_drafts_were_made() -> None:
    place = {**world.PLACE, "features": ["mtp"]}
    expected = (PAIR[0], replace(EXPECTED[1], facts=place))
    words = [world.signature(c, n, -1.0) for c in (PLAIN, WITH_MTP) for n in ("short", "long")]
    fields = changed([*world.green(), *words], lambda f: f["kind"] == "proof", outcome="unproven")
    verdict = judge(world.seal(fields), expected=expected)
    assert [(p.what, p.outcome) for p in verdict.predictions] == [("words", "proven")] * 2
    assert said(verdict) == f"{WITH_MTP}: mtp was asked for and nothing proves that it was in effect."


@pytest.mark.parametrize(
    ("change", "green"),
    [({}, True), ({"cells": "another.*"}, False), ({"known_failure": "another"}, False)],
    ids=["both", "another cell", "another failure"],
)
def test_a_clause_about_what_did_not_run_names_the_failure_and_the_cell(change: dict[str, str], green: bool) -> None:
    clause = NotRun(known_failure="kf_boot", cells=SHARED, owner="somebody", until=date(2026, 12, 31))
    assert allows_not_run(replace(clause, **change), "kf_boot", SHARED) is green  # type: ignore[arg-type]
