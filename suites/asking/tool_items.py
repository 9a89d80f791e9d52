"""Items about tools: where a depth wants prompts that begin alike, those over one set of tools come first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from fixtures.banks.bank import Bank, Items
from fixtures.banks.item import Item
from suites.asking.depth import Depth


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolItems:
    """Items of one kind each. Where the shelf has fewer than are asked for, all are the bank's usual ones."""

    bank: Bank
    shelf: Items

    @classmethod
    def of(cls, bank: Bank, depth: Depth) -> Self:
        return cls(bank=bank, shelf=bank.tools_on_one_shelf() if depth.one_text else ())

    def calls(self, n: int) -> Items:
        return self._pick(n, self.bank.calls, lambda i: _is_one_call(i) and bool(i.call[0].arguments))

    def zero_argument_calls(self, n: int) -> Items:
        return self._pick(n, self.bank.zero_argument_calls, lambda i: _is_one_call(i) and not i.call[0].arguments)

    def parallel_calls(self, n: int) -> Items:
        return self._pick(n, self.bank.parallel_calls, lambda i: i.kind == "parallel_calls")

    def tool_results(self, n: int) -> Items:
        return self._pick(n, self.bank.tool_results, lambda i: i.kind == "tool_result")

    def no_tool_needed(self, n: int) -> Items:
        return self._pick(n, self.bank.no_tool_needed, lambda i: i.kind == "no_tool_needed")

    def missing_tool(self, n: int) -> Items:
        return self._pick(n, self.bank.missing_tool, lambda i: i.kind == "missing_tool")

    def _pick(self, n: int, usual: Callable[[int], Items], wanted: Callable[[Item], bool]) -> Items:
        found = tuple(filter(wanted, self.shelf))
        return found[:n] if len(found) >= n else usual(n)


def _is_one_call(item: Item) -> bool:
    return item.kind == "call" and len(item.call) == 1
