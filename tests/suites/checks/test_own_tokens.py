"""Logprobs are those of the reply's own tokens, by their number and by their text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.client.reply import Reply, ToolCall
from suites.checks.own_tokens import explain_other_tokens


def told(*tokens: str) -> tuple[dict[str, object], ...]:
    return tuple({"token": token, "logprob": -0.1, "top_logprobs": []} for token in tokens)


SAID = Reply(
    content="Paris is.", finish_reason="stop", completion_tokens=4, logprobs=told("Paris", " is", ".", "<|user|>")
)


@pytest.mark.parametrize(
    "reply",
    [
        SAID,
        replace(SAID, logprobs=SAID.logprobs[:3]),  # no number for the end token
        replace(SAID, logprobs=told("Paris", "\u0120is", "."), completion_tokens=3, finish_reason="length"),
        replace(SAID, content="Paris is.\n"),
        replace(SAID, content="Paris\u20ac.", logprobs=told("Paris", "\ufffd", "\ufffd", ".")),
        replace(SAID, completion_tokens=None),
        replace(SAID, logprobs=()),
        replace(SAID, reasoning="Hm.", completion_tokens=9),
        replace(SAID, tool_calls=(ToolCall(id="1", name="f", arguments="{}"),), completion_tokens=9),
    ],
)
def test_numbers_of_the_own_tokens_pass(reply: Reply) -> None:
    assert not explain_other_tokens(reply)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (replace(SAID, logprobs=SAID.logprobs[:2]), "2 positions have logprobs, of 4 tokens"),
        (replace(SAID, completion_tokens=3), "4 positions have logprobs, of 3 tokens"),
        (replace(SAID, logprobs=SAID.logprobs[:3], finish_reason="length"), "3 positions"),
        (replace(SAID, logprobs=told("Paris", "Paris", " is", ".")), "the text is 'Paris is.'"),
        (replace(SAID, logprobs=told("Rome", " is", ".", "<|user|>")), "the logprobs are of 'Rome is."),
    ],
)
def test_numbers_of_other_tokens_are_told(reply: Reply, why: str) -> None:
    assert why in explain_other_tokens(reply)
