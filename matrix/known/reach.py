"""How far the items of each suite test reach: prompt tokens, requests at once, user turns, thinking. Generated data.

`reach.json` is written by `python -m tests.suites.reaching`, which runs every suite test of every depth against a
client that only takes notes; a test keeps it fresh. Here it is only read: a known failure that needs more than its
test asks at any depth excuses nothing, and `glm-matrix lint` says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from matrix.checkout import CHECKOUT
from matrix.model import Cell
from matrix.recorded import KnownFailure, Needs

FILE: Final = CHECKOUT / "matrix" / "reach.json"
FIRST_REQUEST: Final = "test_answers_first_token"  # asks what a launch is asked first
COMMAND: Final = "python -m tests.suites.reaching"


class ReachRequest(NamedTuple):
    """What one request asks of an engine. A request reaches what is at most this in every part."""

    prompt_tokens: int  # by the bank's own tokenizer, where it has one
    concurrency: int = 1  # requests at once, this one included
    turns: int = 1  # messages of the user
    thinking: bool = False

    def reaches(self, other: ReachRequest) -> bool:
        return all(mine >= its for mine, its in zip(self, other, strict=True))


@dataclass(frozen=True, kw_only=True)
class Reach:
    """By bank, test and depth, the requests that no other one of the same test reaches beyond."""

    requests: Mapping[str, Mapping[str, Mapping[str, tuple[ReachRequest, ...]]]]

    def depths_that_meet(self, needs: Needs, *, test: str, banks: Iterable[str]) -> frozenset[str]:
        """Find the depths at which an item of `test` has everything that `needs` names at once."""
        # all of it in one request: a long prompt in one item and thinking in another meet nothing
        wanted = ReachRequest(
            needs.prompt_tokens or 0, needs.concurrency or 1, needs.turns or 1, needs.thinking or False
        )
        tests = (self.requests.get(bank, {}).get(test, {}) for bank in banks)
        return frozenset(
            d for by_depth in tests for d, asked in by_depth.items() if any(a.reaches(wanted) for a in asked)
        )

    def farthest_request(self, *, test: str, banks: Iterable[str]) -> ReachRequest:
        """Compute the most that any item of `test` asks of each kind, over all depths."""
        tests = (self.requests.get(bank, {}).get(test, {}) for bank in banks)
        every = [asked for by_depth in tests for all_asked in by_depth.values() for asked in all_asked]
        # per part, for the message only: no single item need be this one
        return ReachRequest(*(max(part) for part in zip(ReachRequest(0), *every, strict=True)))


def can_meet(known: KnownFailure, cell: Cell, depth: str, table: Reach | None = None) -> bool:
    """Whether the entry's test asks this cell at this depth for what the entry needs, in some item.

    An entry about prompts beyond 4,000 tokens describes no failure of a run whose longest prompt has 1,700.
    """
    needs = known.needs
    if known.fails.at == "before_ready" or needs == Needs():
        return True
    if cell.checkpoint.thinking == "always":  # there every test is asked with thinking
        needs = replace(needs, thinking=None)
    banks = cell.checkpoint.banks[:1] or (table or read_reach()).requests
    test = known.fails.test or FIRST_REQUEST
    return depth in (table or read_reach()).depths_that_meet(needs, test=test, banks=banks)


def keep_frontier(asked: Iterable[ReachRequest]) -> tuple[ReachRequest, ...]:
    """Those that no other one reaches beyond, in order: all that has to be kept."""
    every = set(asked)
    return tuple(sorted(a for a in every if not any(b.reaches(a) for b in every if b != a)))


@cache
def read_reach(file: Path = FILE) -> Reach:
    """Read the generated table, once per process."""
    raw = json.loads(file.read_text(encoding="utf-8"))
    return Reach(
        requests={
            bank: {t: {d: tuple(ReachRequest(*a) for a in asked) for d, asked in by.items()} for t, by in tests.items()}
            for bank, tests in raw.items()
        }
    )
