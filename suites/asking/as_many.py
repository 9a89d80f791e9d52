"""As many items of a kind as a bank has, where a depth asks for more.

The canary's bank holds only what its reference answers right, so some kinds are few (three calls without arguments). A
bound is computed from what was asked, so fewer items state less and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fixtures.banks.bank import Bank, Items
from fixtures.banks.item import Item


class AsMany:
    """A bank that gives what it has of a kind that is too small. Long prompts are asked for one by one, as before."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank

    @property
    def id(self) -> str:
        return self._bank.id

    def facts(self, n: int) -> Items:
        return as_many(self._bank.facts, n)

    def arithmetic(self, n: int) -> Items:
        return as_many(self._bank.arithmetic, n)

    def chinese(self, n: int) -> Items:
        return as_many(self._bank.chinese, n)

    def instructions(self, n: int) -> Items:
        return as_many(self._bank.instructions, n)

    def constrained(self, n: int) -> Items:
        return as_many(self._bank.constrained, n)

    def exact_replies(self, n: int) -> Items:
        return as_many(self._bank.exact_replies, n)

    def recall(self, n: int) -> Items:
        return as_many(self._bank.recall, n)

    def recall_long(self, n: int, *, turns: int = 11) -> Items:
        return as_many(self._bank.recall_long, n, turns=turns)

    def long_generation(self, n: int) -> Items:
        return as_many(self._bank.long_generation, n)

    def calls(self, n: int) -> Items:
        return as_many(self._bank.calls, n)

    def zero_argument_calls(self, n: int) -> Items:
        return as_many(self._bank.zero_argument_calls, n)

    def parallel_calls(self, n: int) -> Items:
        return as_many(self._bank.parallel_calls, n)

    def tool_results(self, n: int) -> Items:
        return as_many(self._bank.tool_results, n)

    def long_tool_results(self, n: int, *, tokens: int) -> Items:
        return as_many(partial(self._bank.long_tool_results, tokens=tokens), n)

    def two_tool_results(self, n: int) -> Items:
        return as_many(self._bank.two_tool_results, n)

    def no_tool_needed(self, n: int) -> Items:
        return as_many(self._bank.no_tool_needed, n)

    def missing_tool(self, n: int) -> Items:
        return as_many(self._bank.missing_tool, n)

    def tool_dialogue(self, n: int) -> Items:
        return as_many(self._bank.tool_dialogue, n)

    def client_calls(self, n: int) -> Items:
        return as_many(self._bank.client_calls, n)

    def many_tools(self, n: int) -> Items:
        return as_many(self._bank.many_tools, n)

    def agent_loop(self, n: int) -> Items:
        return as_many(self._bank.agent_loop, n)

    def load_prompts(self, n: int, *, tokens: int) -> Items:
        return as_many(self._bank.load_prompts, n, tokens=tokens)

    def needle(self, *, tokens: int, depth: float, trial: int = 0) -> Item:
        return self._bank.needle(tokens=tokens, depth=depth, trial=trial)

    def no_needle(self, *, tokens: int, trial: int = 0) -> Item | None:
        return self._bank.no_needle(tokens=tokens, trial=trial)

    def needle_in_one_text(self, *, stem: int, tokens: int, depth: float, trial: int = 0) -> Item | None:
        return self._bank.needle_in_one_text(stem=stem, tokens=tokens, depth=depth, trial=trial)

    def no_needle_in_one_text(self, *, stem: int, trial: int = 0) -> Item | None:
        return self._bank.no_needle_in_one_text(stem=stem, trial=trial)

    def tools_on_one_shelf(self, *, trial: int = 0) -> Items:
        return self._bank.tools_on_one_shelf(trial=trial)

    def needle_tier(self, tier: str, *, tokens: int, depth: float, trial: int = 0) -> Item | None:
        return self._bank.needle_tier(tier, tokens=tokens, depth=depth, trial=trial)

    def codes_of_one_text(self, n: int, *, tokens: int, trial: int = 0) -> Items:
        return self._bank.codes_of_one_text(n, tokens=tokens, trial=trial)

    def long_turns(self, *, tokens: int, turns: int, trial: int = 0) -> Items:
        return self._bank.long_turns(tokens=tokens, turns=turns, trial=trial)

    def long_call(self, *, tokens: int, trial: int = 0) -> Item | None:
        return self._bank.long_call(tokens=tokens, trial=trial)

    def unsure(self, *, index_topk: int, one_text: bool = False) -> Item | None:
        return self._bank.unsure(index_topk=index_topk, one_text=one_text)

    def crowd(self, *, index_topk: int) -> Item | None:
        return self._bank.crowd(index_topk=index_topk)


def as_many(ask: Callable[..., Items], n: int, **options: Any) -> Items:
    """`n` items, or the most that the bank does not refuse."""
    # Downwards, one by one: banks raise for what they lack and do not say how much they have.
    for fewer in range(n, 0, -1):
        try:
            return ask(fewer, **options)
        except LookupError:
            continue
    return ()
