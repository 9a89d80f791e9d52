"""Reuse: a real engine's later turns, damaged where it says that it found their beginning in its cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.attention import LONG_CHARS, alter_codes
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.catalogue.features import flatten_logprobs
from tests.faults.suite_tests import TALK


def _is_long_talk(asked: Asked) -> bool:
    users = sum(m.get("role") == "user" for m in asked.body.get("messages", ()))
    return users > 1 and len(asked.prompt) > LONG_CHARS and not asked.body.get("tools")


def _if_reused(damage: Callable[[Reply, Asked], Reply]) -> Callable[[Reply, Asked], Reply]:
    return lambda reply, asked: damage(reply, asked) if reply.cached_tokens else reply


def _forget_the_text(body: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """Drop the text of the first turn, as if its pages belonged to somebody else."""
    return body | {
        "messages": [m | {"content": str(m.get("content") or "")[-LONG_CHARS // 2 :]} for m in body["messages"]]
    }


FAULTS: Mapping[str, Fault] = {
    "reused_talk_alters_codes": Fault(
        family="reuse",
        does="codes in a later turn are altered when its beginning comes from the prefix cache",
        kills=(TALK,),
        touches=_is_long_talk,
        reply=_if_reused(alter_codes),
    ),
    "reused_talk_has_other_numbers": Fault(
        family="reuse",
        does="logprobs of a later turn are those of another temperature when its beginning comes from the prefix cache",
        kills=(TALK,),
        touches=_is_long_talk,
        reply=_if_reused(flatten_logprobs),
    ),
    "talk_loses_its_text": Fault(
        family="reuse",
        does="most of a conversation's first message never reaches the engine from the second turn on",
        kills=(TALK,),
        touches=_is_long_talk,
        request=_forget_the_text,
    ),
}
