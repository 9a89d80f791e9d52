"""The questions of a probe: a few of each kind, judged by the checks that the suites use.

About 10,000 prompt and 300 generated tokens with the default lengths: what a vendor bills for it is cents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from reports.evidence.finding import Finding
from suites.asking.judged import Ask, Room, judge_both_ways, judge_each
from suites.checks import answer, needle, tools

Judge = Callable[..., Iterator[Finding]]  # (ask, items, room=)
NEEDLE_TOKENS: Final = (1_500, 3_000)  # within and beyond the family's index_topk of 2,048


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeQuestion:
    """One question and how its reply is judged. `kind` groups them in the report."""

    kind: str
    item: Item
    judge: Judge


def list_questions(bank: Bank, *, needle_tokens: Sequence[int] = NEEDLE_TOKENS) -> tuple[ProbeQuestion, ...]:
    """List what is asked, cheap ones first: a broken server shows it before the long prompts are sent."""
    answers, calls, silence = (
        partial(judge_each, judge=judge) for judge in (answer.check_answer, tools.check_calls, tools.check_no_call)
    )
    groups: tuple[tuple[str, Sequence[Item], Judge], ...] = (
        ("facts", bank.facts(3), answers),
        ("sums", bank.arithmetic(2), answers),
        ("memory over turns", bank.recall(1), answers),
        ("tool calls", (*bank.calls(2), *bank.zero_argument_calls(1), *bank.parallel_calls(1)), calls),
        ("no tool needed", bank.no_tool_needed(1), silence),
        ("tool results", bank.tool_results(1), answers),
        ("stream and whole", (*bank.calls(1), *bank.facts(1)), judge_both_ways),
        ("needles", [bank.needle(tokens=n, depth=0.3) for n in needle_tokens], _judge_needles),
    )
    return tuple(ProbeQuestion(kind=kind, item=item, judge=judge) for kind, items, judge in groups for item in items)


def _judge_needles(ask: Ask, items: Iterable[Item], *, room: Room) -> Iterator[Finding]:
    yield from (needle.check_needle(item, ask(item, max_tokens=room(item)), index_topk=None) for item in items)
