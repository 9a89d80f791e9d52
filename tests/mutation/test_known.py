"""What a known failure describes is no kill and no false alarm; anything beside or instead of it is either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.errors import EngineReplyMalformed, HostError
from reports.evidence.finding import Finding
from suites.checks.fields import check_numbered
from tests.faults.catalogue.table import FAULTS
from tests.faults.proxy import FaultProxy
from tests.faults.suite_tests import FACTS, NUMBERED
from tests.mutation import kill
from tests.mutation.known import apply_known, gather_known
from tests.mutation.row import AsKnown, Healthy, Row
from tests.mutation.table import as_json, page, read, report
from tests.mutation.target import Real, planned
from tests.suites.world import Outcome, Recorder

ENTRY = "llamacpp_streams_number_no_drafts"
PLAN = planned()
KNOWN = gather_known(PLAN, "quick")


def numbered(positions: int) -> Finding:
    """Return what the real check says of a stream of 24 tokens."""
    said = cast(Item, SimpleNamespace(id="story"))
    told: Sequence[Mapping[str, Any]] = [{"token": "a", "logprob": -0.1}] * positions
    reply = Reply(content="a" * 24, finish_reason="length", logprobs=tuple(told), completion_tokens=24)
    return check_numbered(said, reply)


def ended(*findings: Finding, error: BaseException | None = None) -> Outcome:
    bad = "\n".join(f.explain() for f in findings if not f.ok)
    failure = error or (AssertionError(f"1 of 2 not ok\n{bad}") if bad else None)
    return Outcome(failure, Recorder(findings=[*findings]))


def settled(outcome: Outcome, test: str = NUMBERED) -> Outcome:
    return apply_known(outcome, test, "fields", KNOWN)


def test_what_an_entry_describes_is_known() -> None:
    found = settled(ended(numbered(24), numbered(2)))
    assert (found.known, found.red, found.noticed) == (ENTRY, False, False)


OTHER = Finding(
    check="fields.numbered", ok=False, expected="e", got="g", detail="the logprobs are of 'a', the text 'b'"
)


@pytest.mark.parametrize(
    "outcome",
    [
        ended(OTHER),
        ended(numbered(2), OTHER),
        ended(numbered(2), error=EngineReplyMalformed("no JSON", received="<html>")),
        ended(error=AssertionError("2 positions have logprobs")),
    ],
    ids=["another", "beside it", "a reply that ends the test", "words of the assertion alone"],
)
def test_what_fails_otherwise_or_also_otherwise_is_noticed(outcome: Outcome) -> None:
    found = settled(outcome)
    assert (found.known, found.red, found.noticed) == ("", True, True)


def test_another_test_is_not_described() -> None:
    assert settled(ended(numbered(2)), FACTS).noticed


def test_trouble_of_the_host_and_bugs_of_ours_are_not_described() -> None:
    for error in (HostError("no port"), TypeError("a bug")):
        found = settled(ended(numbered(2), error=error))
        assert (found.known, found.red, found.noticed) == ("", True, False)


def test_a_pass_where_an_entry_expects_a_failure_is_red_and_no_kill() -> None:
    found = settled(ended(numbered(24)))
    assert (found.contradicts, found.red, found.noticed) == (ENTRY, True, False)
    assert not settled(ended(replace(numbered(24), sensitive=False))).red, "it shows nothing"
    assert not settled(ended(error=pytest.skip.Exception("NOT_EVIDENCE: nothing to ask"))).red


def real(outcome: Outcome) -> Real:
    """Each test of it ends as it is told to."""

    class Answering(Real):
        def _taped(self, name: str, bank: Any) -> Outcome:
            return outcome

    return Answering(PLAN, cast(Any, None), "")


def test_a_fault_that_only_fails_as_known_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = replace(FAULTS["wrong_types"], kills=(NUMBERED,))
    monkeypatch.setitem(FAULTS, "planted", fault)
    proxy = cast(FaultProxy, SimpleNamespace(use=lambda name: None))
    row = kill.proxy_row("planted", proxy, real(ended(numbered(2))), every=False)
    assert (row.verdict, row.as_known) == ("SURVIVED", (AsKnown(test=NUMBERED, entry=ENTRY),))
    row = kill.proxy_row("planted", proxy, real(ended(numbered(2), OTHER)), every=False)
    assert (row.verdict, row.as_known) == ("killed", ())


def test_a_test_that_fails_as_known_is_not_blind() -> None:
    """It would be nobody's killer, though it notices whatever differs from what is known."""
    asked = real(ended(numbered(2)))
    assert not asked.run(NUMBERED).red


def run_healthy(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> Healthy:
    monkeypatch.setattr(Real, "names", (NUMBERED,))
    return kill.healthy_real("llama.cpp", real(outcome), 40, say=lambda text: None)


def test_a_healthy_engine_that_fails_as_known_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_healthy(monkeypatch, ended(numbered(2)))
    assert (found.alarms, found.as_known) == ((), (AsKnown(seed=40, test=NUMBERED, entry=ENTRY),))
    assert [a.test for a in run_healthy(monkeypatch, ended(OTHER)).alarms] == [NUMBERED]
    assert ENTRY in run_healthy(monkeypatch, ended(numbered(24))).alarms[0].said
    both = replace(found, seeds=(41,)).and_earlier(found)
    assert len(both.as_known) == 2


def test_the_page_shows_what_failed_as_known() -> None:
    known = AsKnown(seed=40, test=NUMBERED, entry=ENTRY)
    healthy = Healthy(on="x", seeds=(40,), tests=2, skipped=0, alarms=(), as_known=(known,), wall_s=1)
    row = Row(
        on="x",
        fault="f",
        family="text",
        does="d",
        named=("a",),
        asked=("a",),
        killed_by=(),
        as_known=(AsKnown(test="a", entry=ENTRY),),
        wall_s=1,
    )
    made = report("stub", "faults", "cmd", rows=[row], healthy=[healthy], wall_s=1)
    text = page([made])
    assert "0 of 1 killed. 0 false alarms in 1 healthy runs.** 2 tests failed as a known failure" in text
    assert f"~~a~~; failed as known: a as {ENTRY} " in text
    assert f"- x, seed 40, `{NUMBERED}`: {ENTRY}" in text
    assert read(as_json(made)) == made
