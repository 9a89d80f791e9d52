"""A refusal must be the client's fault, in JSON, and about the context; then life goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.checks import limits

ITEM = Item(id="x", kind="limit", messages=({"role": "user", "content": "a"},))
LLAMACPP = json.dumps(
    {"error": {"code": 400, "message": "request (4097 tokens) exceeds the available context size (4096 tokens)"}}
)
VLLM = json.dumps({"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400})
SGLANG = json.dumps({"error": {"message": "The input (5000 tokens) is longer than the model's context length"}})


def judged(answer: tuple[int, str] | Reply) -> Finding:
    return limits.check_refusal(ITEM, answer, tokens=4097, context=4096, exact=True)


@pytest.mark.parametrize("body", [LLAMACPP, VLLM, SGLANG, '{"error": "prompt too long"}', '{"detail": "max_seq_len"}'])
def test_every_engines_own_refusal_passes(body: str) -> None:
    assert judged((400, body)).ok


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, LLAMACPP), "blames the server"),
        ((400, "Bad Request"), "not JSON"),
        ((400, "[]"), "not JSON"),
        ((400, '{"error": {"code": 1}}'), "not JSON with a message"),
        ((400, '{"error": {"message": "no"}}'), "does not name the context"),
        (Reply(content="a a", prompt_tokens=4096), "4096 prompt tokens were served"),
    ],
)
def test_anything_else_is_named(answer: tuple[int, str] | Reply, why: str) -> None:
    found = judged(answer)
    assert not found.ok
    assert why in found.detail


def test_alive_is_healthy_and_right() -> None:
    right = Finding(check="x", ok=True, expected="Paris", got="Paris")
    wrong = Finding(check="x", ok=False, expected="Paris", got="quam", detail="the answer is not in the reply")
    assert limits.check_alive(ITEM, healthy=True, after=right).ok
    assert "/health" in limits.check_alive(ITEM, healthy=False, after=right).detail
    assert "not in the reply" in limits.check_alive(ITEM, healthy=True, after=wrong).detail


def test_alive_is_told_with_the_answer_that_showed_it() -> None:
    after = Finding(check="x", ok=False, expected="Paris", got="quam", detail="wrong")
    found = limits.check_alive(ITEM, healthy=False, after=after)
    assert (found.check, found.item, found.expected, found.got) == ("limits.alive", "x", "Paris", "quam")
    assert found.detail == "/health does not answer 200; wrong"


FULL = Reply(content="a", finish_reason="length", completion_tokens=48)


@pytest.mark.parametrize(
    ("told", "ok"),
    [
        (FULL, True),
        (replace(FULL, completion_tokens=40), True),
        (replace(FULL, completion_tokens=39), False),
        (replace(FULL, completion_tokens=49), False),
        (replace(FULL, completion_tokens=None), False),
        (replace(FULL, finish_reason="stop"), False),
        ((400, "too long"), True),
        ((500, "{}"), False),
    ],
)
def test_a_reply_may_fill_the_context(told: Reply | tuple[int, str], *, ok: bool) -> None:
    found = limits.check_full(ITEM, told, room=48, context=4096)
    assert found.ok is ok and found.sensitive is (told != (400, "too long"))
