"""Describes a failure from its exception and findings: the stage, kind and words that a known failure may match.

The words are those with which each rank failed in the engine's log, or the exception chain where no log was read, and
each failed finding separately: a test that fails for a known and for another reason is not known to fail. Questions,
expectations, replies, other log lines, ids, secrets and echoes of the command are excluded, because each may repeat the
words of another failure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from matrix.errors import (
    PART,
    EngineError,
    EngineExited,
    EngineNotReady,
    OtherServer,
    PlanRejected,
    find_launch_error,
    iterate_causes,
)
from matrix.known.failures import KnownOfCell, SeenFailure, remove_cell
from matrix.signature import remove_echoes
from reports.evidence import redact
from reports.evidence.defuse import defuse_for_terminal
from reports.evidence.finding import SHOWN_CHARS, Finding

How = Literal["exit", "hang", "rejected", "http_status", "wrong_answer", "other_server"]
# In a launch's message: the next step that we advise, where its log lies and how it ends, how to see it again.
OURS = re.compile(r"(?m)\. Next: .*$|^(?:Log|Reproduce|See)\b.*$|^Last lines of .*(?:\n(?: .*)?$)*")
FAILED = "NOT OK"  # by which a finding says that it is none


def describe_failure(
    error: BaseException, findings: Sequence[Finding], known: KnownOfCell, *, test: str, test_id: str, cell: str = ""
) -> SeenFailure:
    """Describe a failing test, without secrets and without echoes."""
    launch, chain = find_launch_error(error), list(iterate_causes(error))
    bad = [f for f in findings if not f.ok]
    words = {*known.words, test_id, test, *(f.item for f in bad if f.item)}
    said = [_say_finding(f) for f in bad]
    if not said or any(isinstance(e, EngineError) for e in chain):
        said = [*_say_errors(chain), *said]
    return SeenFailure(
        at=launch.at if launch else "test",
        how=classify_error(chain),
        http_status=_find_status(chain),
        texts=tuple(remove_echoes(redact.redact_text(text), words=words, flags=known.flags) for text in said),
        test=test,
        test_id=remove_cell(test_id, cell),
    )


def classify_error(chain: Sequence[BaseException]) -> How:
    """Classify how a failure shows. No entry can name another server's answer, which shows nothing about this
    engine."""
    if any(isinstance(e, OtherServer) for e in chain):
        return "other_server"
    if any(isinstance(e, PlanRejected) for e in chain):
        return "rejected"
    if any(isinstance(e, EngineExited) for e in chain):
        return "exit"
    if _find_status(chain) is not None:
        return "http_status"
    return "hang" if any(isinstance(e, EngineNotReady) for e in chain) else "wrong_answer"


def _find_status(chain: Sequence[BaseException]) -> int | None:
    return next((e.http_status for e in chain if isinstance(e, EngineError) and e.http_status is not None), None)


def _say_errors(chain: Sequence[BaseException]) -> list[str]:
    """Quote what a log reports about the failure, where one was read; else the exceptions, from the outermost on."""
    if words := next((e.words for e in chain if isinstance(e, EngineError) and e.words), ""):
        return [_disarm_text(OURS.sub("", part)) for part in words.split(PART)]
    excerpts = (e.log_excerpt for e in chain if isinstance(e, EngineError) and e.log_excerpt)
    return [_disarm_text(OURS.sub("", "\n".join(dict.fromkeys([*map(_say_error, chain), *excerpts]))))]


def _say_error(error: BaseException) -> str:
    """Quote an exception's own words, without pytest's rewriting of an assertion."""
    judged = isinstance(error, AssertionError)
    return str(error).partition("\nassert ")[0] if judged else f"{type(error).__name__}: {error}"


def _say_finding(finding: Finding) -> str:
    """Quote a check's detail, without question, expectation and reply, which may contain anything."""
    detail = defuse_for_terminal(_disarm_text(finding.detail), SHOWN_CHARS)
    return f"{finding.check}: {FAILED} {detail}".rstrip()


def _disarm_text(text: str) -> str:
    """Replace the word by which a check reports a failure in text that is not the check's own."""
    return text.replace(FAILED, FAILED.lower())
