"""Words: what broken kernels, caches, detokenizers and servers make of a right answer. Calls pass unharmed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    BEYOND,
    BOOT,
    CALL,
    FACTS,
    INVENTS,
    LOADED,
    MISSING,
    NO_TOOL,
    RECALL,
    RESULT,
    RIGHT_UNDER_LOAD,
    SINGLE,
    STREAM,
    SUMS,
    TEXT,
    WITHIN,
)

GARBLED = " quam ###fe vexil,,of 7g tro-lla ]] plin xqz;; brond @@ ewt §§ {{ zz %% oo && jj"
RUSSIAN = " Однако это предложение вдруг продолжается на другом языке, и так до конца."
SOUND_WORDS = 3  # before the garbage
SAID = (FACTS, SUMS, RECALL, RESULT)


def said(change: Callable[[str], str]) -> Callable[[Reply, Asked], Reply]:
    """Damage to the content, where there is any."""
    return lambda reply, asked: replace(reply, content=change(reply.content)) if reply.content else reply


def _garbage_late(text: str) -> str:
    head = re.match(rf"(\s*\S+){{0,{SOUND_WORDS}}}", text)
    return (head.group() if head else "") + GARBLED


def _off_by_one(text: str) -> str:
    return re.sub(r"(\d+)(?=\D*$)", lambda n: str(int(n.group()) + 1), text)


def _empty(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, content="", tool_calls=(), finish_reason="stop", completion_tokens=0)


def _forget_turns(body: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Only the last turn reaches the engine: a chat template or a prefix cache that lost the conversation."""
    return body | {"messages": body["messages"][-1:]}


FAULTS: Mapping[str, Fault] = {
    "garbage_after_n_tokens": Fault(
        family="text",
        does="each answer turns into random letters after three words",
        kills=(*SAID, TEXT, WITHIN, BEYOND, MISSING, NO_TOOL),
        reply=said(_garbage_late),
    ),
    "loops": Fault(
        family="text",
        does="the last words repeat 30 times",
        kills=(*SAID, TEXT, WITHIN, BEYOND),
        reply=said(lambda t: t + t[-30:] * 30),
    ),
    "repeats_the_paragraph": Fault(
        family="text",
        does="the engine writes a long text twice",
        kills=(TEXT,),
        reply=said(lambda t: f"{t} {t}" if len(t) > 150 else t),
    ),
    "switches_language": Fault(
        family="text",
        does="each answer goes on in Russian",
        kills=(*SAID, TEXT, WITHIN, BEYOND),
        reply=said(lambda t: t + RUSSIAN),
    ),
    "truncates_text": Fault(
        family="text",
        does="the engine drops the last 40 % of a text, and finish_reason is stop",
        kills=(FACTS, RECALL, TEXT, RESULT),
        reply=said(lambda t: t[: len(t) * 6 // 10]),
    ),
    "mojibake": Fault(
        family="text",
        does="a character cut between two tokens becomes U+FFFD",
        kills=(*SAID, TEXT),
        reply=said(lambda t: t + " caf\ufffd\ufffd"),
    ),
    "special_token_in_text": Fault(
        family="text",
        does="the text contains the end token",
        kills=(BOOT, *SAID, TEXT, WITHIN, BEYOND),
        reply=said(lambda t: t + "<|user|>"),
    ),
    "wrong_under_load": Fault(
        family="text",
        does="short answers are wrong while other requests are in flight",
        kills=(RIGHT_UNDER_LOAD,),
        touches=lambda asked: asked.in_flight > 1 and not asked.load,
        reply=said(lambda t: "It is Atlantis."),
    ),
    "numbers_off_by_one": Fault(
        family="text", does="the last number is one too high", kills=(SUMS,), reply=said(_off_by_one)
    ),
    "empty_200": Fault(
        family="text",
        does="the engine answers HTTP 200 without a body",
        instead=(200, "application/json", b""),
        kills=(BOOT, *SAID, TEXT, WITHIN, BEYOND, INVENTS, CALL, NO_TOOL, MISSING, STREAM, SINGLE, LOADED),
    ),
    "empty_content": Fault(
        family="text",
        does="the reply is well-formed and has empty content",
        reply=_empty,
        kills=(BOOT, *SAID, TEXT, WITHIN, BEYOND, INVENTS, CALL, NO_TOOL, MISSING, SINGLE, LOADED),
    ),
    "forgets_earlier_turns": Fault(
        family="text",
        does="only the last message reaches the engine",
        kills=(RECALL,),
        request=_forget_turns,
        touches=lambda asked: not asked.body.get("tools"),
    ),
}
