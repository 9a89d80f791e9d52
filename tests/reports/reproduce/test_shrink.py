"""A request gets shorter while its failure lasts, with a bound on the questions."""

from __future__ import annotations

import pytest

from reports.reproduce.shrink import reduce_units, shrink_request
from tests.reports.world import Json


def test_messages_and_tools_go_where_the_failure_lasts_without_them() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in ("play", "stop")]
    turns = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "stop"}}]},
        {"role": "tool", "content": "ok"},
        {"role": "user", "content": "And now?"},
    ]
    found = shrink_request({"messages": turns, "tools": tools}, lambda body: True)
    assert [m["role"] for m in found.body["messages"]] == ["assistant", "tool", "user"]
    assert [t["function"]["name"] for t in found.body["tools"]] == ["stop"]


def test_common_words_of_the_answer_keep_no_sentence() -> None:
    """The answer to a needle is a sentence, and its "the" stood in all of them: nothing was ever shortened."""
    text = "".join(f"The lion visited the lark at the gate {n}. " for n in range(300))
    needle, asked = "The secret code for the meadow is 332b90. ", "What is the secret code for the meadow?"
    body = {"messages": [{"role": "user", "content": f"Read this. {text}{needle}{asked}"}]}
    found = shrink_request(body, lambda body: True, expected="The secret code for the meadow is 332b90.")
    assert found.body["messages"][0]["content"] == f"Read this. {needle}{asked}"


def test_no_more_questions_than_allowed() -> None:
    asked: list[Json] = []

    def lasts(body: Json) -> bool:
        asked.append(body)
        return False

    body = {"messages": [{"role": "user", "content": "".join(f"Sentence {n}. " for n in range(64))}]}
    found = shrink_request(body, lasts, trials=7)
    assert (len(asked), found.trials, found.minimal, found.body) == (7, 7, False, body)


@pytest.mark.parametrize("needed", [set(), {3}, {0, 7}, set(range(8))])
def test_only_needed_units_stay(needed: set[int]) -> None:
    assert set(reduce_units(range(8), lambda kept: needed <= set(kept))) == needed
