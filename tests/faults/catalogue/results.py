"""What tools returned, on its way to the engine: cut, gutted, or lost where two came in one turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import LONG_RESULT, TWO_RESULTS

Json = Any
Message = dict[str, Json]
MOST_CHARS: Final = 4_000  # of a result


def _change_results(change: Callable[[list[Message]], list[Message]]) -> Callable[[Message, Asked], Message]:
    """Change the results that stand at the end of a request."""

    def request(body: Message, asked: Asked) -> Message:
        messages = list(body["messages"])
        first = next((i for i, m in enumerate(messages) if m["role"] == "tool"), len(messages))
        return {**body, "messages": [*messages[:first], *change(messages[first:])]}

    return request


def _cut_each(results: list[Message]) -> list[Message]:
    return [{**m, "content": m["content"][:MOST_CHARS]} for m in results]


def _keep_both_ends(results: list[Message]) -> list[Message]:
    half = MOST_CHARS // 2
    return [
        {**m, "content": f"{m['content'][:half]} ... {m['content'][-half:]}"} if len(m["content"]) > MOST_CHARS else m
        for m in results
    ]


def _empty_long(results: list[Message]) -> list[Message]:
    return [{**m, "content": m["content"] if len(m["content"]) <= MOST_CHARS else "[too long]"} for m in results]


def _keep_last(results: list[Message]) -> list[Message]:
    return results[-1:]


def _lose_turned(results: list[Message]) -> list[Message]:
    ids = [str(m.get("tool_call_id")) for m in results]
    return results if ids == sorted(ids) else results[:1]


def _ends_in_results(asked: Asked) -> bool:
    told = asked.body.get("messages")
    return isinstance(told, list) and bool(told) and told[-1].get("role") == "tool"


FAULTS: Mapping[str, Fault] = {
    "cuts_long_tool_results": Fault(
        family="tools",
        does="a tool's result is cut at 4,000 characters before the engine sees it",
        kills=(LONG_RESULT,),
        touches=_ends_in_results,
        request=_change_results(_cut_each),
    ),
    "guts_long_tool_results": Fault(
        family="tools",
        does="of a tool's result of more than 4,000 characters the middle never reaches the engine",
        kills=(LONG_RESULT,),
        touches=_ends_in_results,
        request=_change_results(_keep_both_ends),
    ),
    "empties_long_tool_results": Fault(
        family="tools",
        does="a tool's result of more than 4,000 characters is replaced by a remark",
        kills=(LONG_RESULT,),
        touches=_ends_in_results,
        request=_change_results(_empty_long),
    ),
    "keeps_the_last_of_two_results": Fault(
        family="tools",
        does="of two results in one turn the last one alone reaches the engine",
        kills=(TWO_RESULTS,),
        touches=_ends_in_results,
        request=_change_results(_keep_last),
    ),
    "reads_results_in_the_order_of_calls_only": Fault(
        family="tools",
        does="of two results that come in another order than the calls one is lost",
        kills=(TWO_RESULTS,),
        touches=_ends_in_results,
        request=_change_results(_lose_turned),
    ),
}
