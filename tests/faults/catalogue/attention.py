"""Attention: the place was not read, and the answer sounds as sure as ever. Codes are altered, nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import BEYOND, CHUNKS, INVENTS, MARKERS, OVER, WITHIN

CODE = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6}\b")
LONG_TOKENS = 512  # twice the index_topk that the canary is served with
CHUNK_TOKENS = 64
MIDDLE = (0.35, 0.65)
LOST_LEFT = 0.4  # share of a long text
LONG_CHARS = 1000
OVER_LONG_CHARS = 6000  # 4,097 tokens are 8,186 of the shortest; other prompts here stay under 3,000


def _alter(text: str) -> str:
    """One digit of each code is another one: 3fa91c -> 3fa91d."""
    return CODE.sub(lambda c: c.group()[:-1] + f"{(int(c.group()[-1], 16) + 1) % 16:x}", text)


def _altered(when: Callable[[Reply, Asked], bool]) -> Callable[[Reply, Asked], Reply]:
    return lambda reply, asked: replace(reply, content=_alter(reply.content)) if when(reply, asked) else reply


def alter_codes(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, content=_alter(reply.content))


def _longer_than(tokens: int) -> Callable[[Reply, Asked], bool]:
    return lambda reply, asked: (reply.prompt_tokens or 0) > tokens


def _depth(reply: Reply, asked: Asked) -> float | None:
    """Where in the prompt the code that was given stands, 0 to 1."""
    found = CODE.search(reply.content)
    place = asked.prompt.find(found.group()) if found else -1
    return None if place < 0 else place / len(asked.prompt)


def _in_the_middle(reply: Reply, asked: Asked) -> bool:
    depth = _depth(reply, asked)
    return depth is not None and MIDDLE[0] < depth < MIDDLE[1] and len(asked.prompt) > LONG_CHARS


def _in_an_early_chunk(reply: Reply, asked: Asked) -> bool:
    """Between the first and the third chunk edge: KV written by a chunk that later ones overwrote."""
    depth = _depth(reply, asked)
    return depth is not None and CHUNK_TOKENS <= depth * (reply.prompt_tokens or 0) < 3 * CHUNK_TOKENS


def _decoy(reply: Reply, asked: Asked) -> Reply:
    """Another code of the text: the right kind of place, the wrong one."""
    said = CODE.findall(reply.content)
    others = [c for c in CODE.findall(asked.prompt) if c not in said]
    return replace(reply, content=reply.content.replace(said[0], others[0])) if said and others else reply


def _invent(reply: Reply, asked: Asked) -> Reply:
    invented = re.sub(
        r"There is no secret code for (.+) in the text", r"The secret code for \1 is 0badc5", reply.content
    )
    return replace(reply, content=invented)


def _forget_the_beginning(body: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Cut the first part of a long message, as an engine does whose context shrank silently."""
    return body | {"messages": [_shortened(m) for m in body["messages"]]}


def _shortened(message: dict[str, Any]) -> dict[str, Any]:
    text = message.get("content") or ""
    return message | {"content": text[int(len(text) * LOST_LEFT) :]} if len(text) > LONG_CHARS else message


FAULTS: Mapping[str, Fault] = {
    "long_prompts_lose_each_other": Fault(
        family="attention",
        does="codes are altered while two prompts longer than index_topk are in flight",
        kills=(BEYOND,),
        touches=lambda asked: asked.in_flight > 1 and len(asked.prompt) > LONG_CHARS,
        reply=_altered(_longer_than(LONG_TOKENS)),
    ),
    "needle_altered": Fault(
        family="attention",
        does="one digit of each code is wrong",
        kills=(WITHIN, BEYOND, CHUNKS),
        reply=_altered(lambda reply, asked: True),
    ),
    "needle_altered_beyond_512_tokens": Fault(
        family="attention",
        does="one digit of each code is wrong in prompts over 512 tokens",
        kills=(BEYOND,),
        reply=_altered(_longer_than(LONG_TOKENS)),
    ),
    "needle_altered_at_mid_depth": Fault(
        family="attention",
        does="one digit of a code is wrong where the code stands at 35 to 65 % of the prompt",
        kills=(BEYOND,),
        reply=_altered(_in_the_middle),
    ),
    "needle_lost_past_a_chunk_edge": Fault(
        family="attention",
        does="codes between the first and the third chunk edge are altered",
        kills=(BEYOND,),
        reply=_altered(_in_an_early_chunk),
    ),
    "needle_altered_under_load": Fault(
        family="attention",
        does="codes are altered only while other requests are in flight",
        kills=(MARKERS,),
        touches=lambda asked: asked.in_flight > 1,
        reply=_altered(lambda reply, asked: True),
    ),
    "truncates_over_long_prompts": Fault(
        family="attention",
        does="a prompt over the context is cut and answered instead of refused",
        kills=(OVER,),
        touches=lambda asked: len(asked.prompt) > OVER_LONG_CHARS,
        request=_forget_the_beginning,
    ),
    "dies_of_over_long_prompts": Fault(
        family="attention",
        does="a prompt over the context gets no reply: the connection is closed",
        kills=(OVER,),
        touches=lambda asked: len(asked.prompt) > OVER_LONG_CHARS,
        refuse=True,
    ),
    "gives_a_decoy": Fault(
        family="attention", does="the engine gives another code of the same text", kills=(WITHIN, BEYOND), reply=_decoy
    ),
    "invents_a_needle": Fault(
        family="attention", does="the engine gives a code for a text that has none", kills=(INVENTS,), reply=_invent
    ),
    "forgets_the_beginning": Fault(
        family="attention",
        does="the first 40 % of a long message never reach the engine",
        kills=(BEYOND,),
        request=_forget_the_beginning,
    ),
}
