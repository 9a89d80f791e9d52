"""Sequential tests: they ask until the answers decide, or until a stated number of tokens is spent.

    a wrong answer                         FAIL, whatever is left
    all that was planned, and all right    PASS, also where the last reply overdrew the budget
    the budget spent before                NOT_EVIDENCE: undecided

The replies' own counts are taken (`usage`). Where an engine tells none, the bank's estimate of the prompt and the
characters of the reply stand in, so that no engine is free of charge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.statistics import upper_bound
from reports.evidence.finding import Finding
from suites.asking.contract import EvidenceSink, expect_ok


@dataclass(slots=True, kw_only=True)
class Spending:
    """What one sequential test has asked so far, and how much it may."""

    budget: int | None  # tokens, prompts and replies together; None: of a run that stated none
    used: int = 0
    questions: int = 0
    counted: int = 0  # replies that told their own tokens
    undecided: bool = False  # something that was planned was not asked

    def may_ask(self) -> bool:
        """Whether another question may be asked. The first that may not leaves the test undecided."""
        self.undecided = self.budget is not None and self.used >= self.budget
        return not self.undecided

    def split_batch(self, batch: Sequence[Item]) -> list[Sequence[Item]]:
        """Split what is asked at once where it may be more than is left: then each is asked alone, so that one reply
        at most overdraws the budget."""
        about = sum(item.tokens_prompt_about or 0 for item in batch)
        fits = self.budget is None or self.used + about < self.budget
        return [batch] if fits else [[item] for item in batch]

    def count_reply(self, item: Item, reply: Reply) -> None:
        """Count what a question and its reply took."""
        prompt, completion = reply.prompt_tokens or 0, reply.completion_tokens
        told = prompt > 0 and completion is not None and completion >= 0
        self.used += prompt + (completion or 0) if told else (item.tokens_prompt_about or 0) + len(reply.content) + 1
        self.questions += 1
        self.counted += told


def expect_decided(evidence: EvidenceSink, findings: Iterable[Finding], spending: Spending, *, name: str) -> None:
    """Record every finding and what was spent, then fail on each one that is not ok. Where the budget ended first,
    claim nothing."""
    try:
        expect_ok(evidence, findings)
    finally:
        if spending.budget is not None and spending.questions:
            where = {"budget": spending.budget, "questions": spending.questions, "counted": spending.counted}
            evidence.measurement(f"{name}_tokens", spending.used, "tokens", where)
    if spending.undecided:
        bound = upper_bound(0, spending.questions)
        pytest.skip(
            f"NOT_EVIDENCE: undecided: {spending.used:,} tokens of a budget of {spending.budget:,} were spent on"
            f" {spending.questions} questions, none was answered wrong (failure rate at most {bound:.0%}, 95 %), and"
            " not all was asked; --token-budget N allows more"
        )
