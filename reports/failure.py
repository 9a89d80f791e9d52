"""From an exception and the findings of a test to what a known failure may describe: stage, kind and the words said.

The words are the exception's chain, the log excerpts that came with it, and every finding that is not ok, each on its
own: a test that fails for a known reason and for another one is not known to fail. What was asked and expected, ids,
secrets and echoes of the command are no words of the failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from matrix.errors import (
    EngineError,
    EngineExited,
    EngineNotReady,
    PlanRejected,
    find_launch_error,
    iterate_causes,
)
from matrix.known import Failure, KnownOfCell
from matrix.signature import remove_echoes
from reports import redact
from reports.finding import Finding

How = Literal["exit", "hang", "rejected", "http_status", "wrong_answer"]


def describe_failure(
    error: BaseException, findings: Sequence[Finding], known: KnownOfCell, *, test: str, test_id: str
) -> Failure:
    """Describe what was seen of a failing test, without secrets and without echoes."""
    launch, chain = find_launch_error(error), list(iterate_causes(error))
    bad = [f for f in findings if not f.ok]
    words = {*known.words, test_id, test, *(f.item for f in bad if f.item)}
    said = [_say_finding(f) for f in bad]
    if not said or any(isinstance(e, EngineError) for e in chain):
        said.insert(0, _say_errors(chain))
    return Failure(
        at=launch.at if launch else "test",
        how=classify_error(chain),
        http_status=_find_status(chain),
        texts=tuple(remove_echoes(redact.text(text), words=words, flags=known.flags) for text in said),
        test=test,
        test_id=test_id,
    )


def classify_error(chain: Sequence[BaseException]) -> How:
    """Classify how a failure shows. What an engine said with an error status is neither an end nor a hang."""
    if any(isinstance(e, PlanRejected) for e in chain):
        return "rejected"
    if any(isinstance(e, EngineExited) for e in chain):
        return "exit"
    if _find_status(chain) is not None:
        return "http_status"
    return "hang" if any(isinstance(e, EngineNotReady) for e in chain) else "wrong_answer"


def _find_status(chain: Sequence[BaseException]) -> int | None:
    return next((e.http_status for e in chain if isinstance(e, EngineError) and e.http_status is not None), None)


def _say_errors(chain: Sequence[BaseException]) -> str:
    return "\n".join(dict.fromkeys(part for e in chain for part in _say_error(e) if part))


def _say_error(error: BaseException) -> Iterator[str]:
    """Yield an exception's own words; pytest's rewriting of an assertion is ours."""
    yield (
        str(error).partition("\nassert ")[0]
        if isinstance(error, AssertionError)
        else f"{type(error).__name__}: {error}"
    )
    if isinstance(error, EngineError):
        yield error.log_excerpt


def _say_finding(finding: Finding) -> str:
    """Say a finding as `explain` does, without what was asked and expected."""
    return replace(finding, item="", expected="").explain().replace("\n  expected: \n", "\n", 1)
