"""Defines the objects that suites receive, as protocols. The plugin's objects implement them, and so do the stubs of
our tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import pytest

from fixtures.client.exchange import Access
from fixtures.client.tape import Tape
from matrix.judging.statistics import upper_bound
from reports.evidence.finding import Finding

SHOWN_FAILURES = 5


class PlanSettings(Protocol):
    """The launch plan; `settings` are facts for suites (context, chunk_tokens, index_topk, ...)."""

    @property
    def settings(self) -> Mapping[str, Any]: ...


class EngineHandle(Protocol):
    """A running engine."""

    @property
    def base_url(self) -> str: ...
    @property
    def api_key(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def log_path(self) -> Path | None: ...
    @property
    def gpus(self) -> tuple[str, ...]: ...
    @property
    def access(self) -> Access: ...
    @property
    def replies_as(self) -> str: ...
    @property
    def tape(self) -> Tape: ...


class EvidenceSink(Protocol):
    """Records the facts of a test."""

    def finding(self, finding: Finding) -> object: ...
    def measurement(self, name: str, value: float, unit: str, conditions: Mapping[str, Any] | None = None) -> None: ...
    def proof(
        self,
        feature: str,
        outcome: Literal["proven", "refuted", "unproven"],
        rung: str,
        detail: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None: ...


class Relaunch(Protocol):
    """Launches the test's engine again, at most once per test. None: the engine is attached and cannot be launched
    again."""

    def __call__(self, why: str) -> EngineHandle | None: ...


class Reboot(Protocol):
    """Launches the test's engine afresh, as often as `--boots` allows. None: the engine is attached."""

    def __call__(self, why: str) -> EngineHandle | None: ...


def expect_ok(evidence: EvidenceSink, findings: Iterable[Finding]) -> None:
    """Record every finding, then fail on each one that is not ok, with the failure rate that the trials allow."""
    seen = []
    for finding in findings:
        evidence.finding(finding)
        seen.append(finding)
    # Without a question there is no answer that could have been wrong: a pass would claim one.
    if not seen:
        pytest.skip("NOT_EVIDENCE: this bank has no items for this question")
    bad = [f for f in seen if not f.ok]
    # The bound keeps a few questions from reading like a rate.
    bound = upper_bound(len(bad), len(seen))
    head = f"{len(bad)} of {len(seen)} not ok; failure rate at most {bound:.0%} (95 %)"
    assert not bad, "\n".join([head, *(f.explain() for f in bad[:SHOWN_FAILURES])])
