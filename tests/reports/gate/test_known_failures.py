"""Excuses are held against today's entries, from what was recorded alone: stage, kind, words, test and HTTP status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from matrix.recorded import KnownFailure
from reports.evidence.types import Result
from reports.gate.allowances import NotRun
from reports.gate.gate import Verdict
from tests.reports import retried, world
from tests.reports.gate.test_gate import changed, is_needle, is_result, judge, said
from tests.reports.world import EXPECTED, NOW, PLAIN, POLICY, Json


def test_an_expected_failure_is_green_only_with_a_known_failure_of_its_cell() -> None:
    def with_entry(entry: str) -> Verdict:
        return judge(world.seal(changed(world.green(), is_needle, status="XFAIL", known_failure=entry, **world.FITS)))

    assert with_entry("kf_needle").green
    assert "names no known failure" in said(with_entry(""))
    assert "names 'kf_other', which does not speak about this cell" in said(with_entry("kf_other"))


def excused(known: KnownFailure, **recorded: object) -> str:
    """Return what the gate says of a needle that failed as an entry of its cell describes, by what was recorded."""
    more = {"status": "XFAIL", "known_failure": known.id, **world.FITS, **recorded}
    expected = (replace(EXPECTED[0], known_failures={known.id: known}), EXPECTED[1])
    return said(judge(world.seal(changed(world.green(), is_needle, **more)), expected=expected))


@pytest.mark.parametrize(
    ("recorded", "why"),
    [
        ({"matched": "something else"}, "the signature of kf_needle does not fit what was recorded"),
        ({"matched": ""}, "the signature of kf_needle does not fit what was recorded"),
        ({"how": "hang"}, "kf_needle shows as wrong_answer at test, and this was hang at test"),
        ({"at": "relaunch"}, "kf_needle shows as wrong_answer at test, and this was wrong_answer at relaunch"),
        ({"how": ""}, "how it failed was not recorded"),
        ({"at": ""}, "how it failed was not recorded"),
    ],
)
def test_an_excuse_is_held_against_todays_entry(recorded: dict[str, str], why: str) -> None:
    assert excused(world.KF_NEEDLE) == ""
    assert why in excused(world.KF_NEEDLE, **recorded)


def test_an_excuse_is_of_the_entrys_test_and_http_status() -> None:
    fails = world.KF_NEEDLE.fails
    other = replace(world.KF_NEEDLE, fails=replace(fails, test="test_other"))
    assert "kf_needle is about test_other" in excused(other)
    refused = replace(world.KF_NEEDLE, fails=replace(fails, how="http_status", http_status=500))
    assert excused(refused, how="http_status", http_status=500) == ""
    assert "kf_needle shows as HTTP 500, and this was HTTP None" in excused(refused, how="http_status")
    said_of = excused(refused, how="http_status", http_status=503)
    assert "kf_needle shows as HTTP 500, and this was HTTP 503" in said_of
    any_status = replace(refused, fails=replace(refused.fails, http_status=None))
    assert excused(any_status, how="http_status", http_status=503) == ""


def _is_launch(f: Json) -> bool:
    return bool(f["kind"] == "launch" and f["cell"] == PLAIN)


def not_run(known: KnownFailure, *, outcome: str = "EngineExited", **recorded: object) -> str:
    """Return what the gate says of a cell that did not run, as an entry says and a clause allows."""
    more = {"status": "NOT_RUN_AS_KNOWN", "known_failure": known.id, **world.DIED, **recorded}
    fields = changed(changed(world.green(), is_result, **more), _is_launch, outcome=outcome)
    clause = NotRun(known_failure=known.id, cells=PLAIN, owner="somebody", until=NOW.date())
    expected = (replace(EXPECTED[0], known_failures={known.id: known}), EXPECTED[1])
    found = judge(world.seal(fields), replace(POLICY, not_run=(clause,)), expected)
    return "\n".join(r.text for r in found.reasons if r.cell == PLAIN)


def test_what_did_not_run_is_held_against_todays_entry() -> None:
    assert not_run(world.KF_BOOT) == ""
    assert "but an engine was launched" in not_run(world.KF_BOOT, outcome="ok")
    assert "signature of kf_boot does not fit" in not_run(world.KF_BOOT, matched="something else")
    assert "no test of its run recorded the words by which kf_boot was known" in not_run(world.KF_BOOT, matched="")
    in_a_test = replace(world.KF_NEEDLE, fails=replace(world.KF_NEEDLE.fails, signature="no kernel"))
    assert "kf_needle is not about the launch" in not_run(in_a_test)


def test_a_clause_about_another_known_failure_lets_no_cell_be_missing() -> None:
    fields = changed(world.green(), is_result, status="NOT_RUN_AS_KNOWN", known_failure="kf_boot", **world.DIED)
    fields = changed(fields, _is_launch, outcome="EngineExited")
    expected = (replace(EXPECTED[0], known_failures={"kf_boot": world.KF_BOOT}), EXPECTED[1])
    for named, red in (("kf_boot", False), ("kf_other", True)):
        clause = NotRun(known_failure=named, cells=PLAIN, owner="somebody", until=NOW.date())
        found = said(judge(world.seal(fields), replace(POLICY, not_run=(clause,)), expected))
        assert ("no `not_run` of the policy allows that" in found) is red


@pytest.mark.parametrize("later", ["PASS", "XFAIL"])
def test_an_excuse_that_a_retry_supersedes_is_held_against_its_entry_too(later: str) -> None:
    """Of every answer: the engine failed in some way, and nobody has said in which."""
    fits = {**world.FITS, "known_failure": "kf_needle"}
    second = retried.again(later)
    second = [replace(r, **fits) if isinstance(r, Result) and r.status == "XFAIL" else r for r in second]
    for known, red in (("kf_needle", False), ("kf_other", True)):
        first = retried.first("XFAIL", **{**world.FITS, "known_failure": known})
        assert ("kf_other" in said(judge([*first, *second]))) is red


def _not_run_of(*fields: Json, outcome: str = "EngineExited") -> str:
    """Return what the gate says of a cell with these results, which say that it did not run."""
    others = [f for f in world.green() if not is_result(f)]
    launched = changed(others, _is_launch, outcome=outcome)
    clause = NotRun(known_failure="kf_boot", cells=PLAIN, owner="somebody", until=NOW.date())
    expected = (replace(EXPECTED[0], known_failures={"kf_boot": world.KF_BOOT}), EXPECTED[1])
    records = [
        *world.seal([*launched, *(f for f in fields if "run" not in f)]),
        *world.typed(f for f in fields if "run" in f),
    ]
    found = judge(records, replace(POLICY, not_run=(clause,)), expected)
    return "\n".join(r.text for r in found.reasons if r.cell == PLAIN and r.rule == "not_run")


def _unrun(suite: str, **more: object) -> Json:
    return world.result(PLAIN, suite, "NOT_RUN_AS_KNOWN", **{"known_failure": "kf_boot", **world.DIED, **more})


def test_of_a_launch_that_is_told_twice_each_telling_must_hold() -> None:
    assert _not_run_of(_unrun("boot"), _unrun("needle", matched="")) == ""
    assert "signature of kf_boot does not fit" in _not_run_of(_unrun("boot"), _unrun("needle", matched="another word"))


def test_the_words_of_one_run_excuse_no_launch_of_another() -> None:
    found = _not_run_of(_unrun("boot"), _unrun("needle", matched="", run="r2"))
    assert "no test of its run recorded the words by which kf_boot was known" in found


def test_a_single_test_that_did_not_run_as_known_is_doubted_where_the_engine_came_up() -> None:
    found = _not_run_of(world.result(PLAIN, "boot"), _unrun("needle"), outcome="ok")
    assert "but an engine was launched" in found


def test_each_known_failure_that_is_named_needs_a_clause_of_its_own() -> None:
    assert "as its known failure kf_other says; no `not_run`" in _not_run_of(
        _unrun("boot"), _unrun("needle", known_failure="kf_other")
    )
