"""Length: an end that is missed, a limit that is off by one or never arrives, a cut that is called an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.catalogue.text import said
from tests.faults.suite_tests import CUT_SHORT, EXACT, GOES_ON, LOADED, SINGLE

Body = dict[str, Any]
UNLIMITED = 256


def _limit(by: int) -> Any:
    """Another limit than the one asked for, never below one token."""
    return lambda body, asked: body | {"max_tokens": max(1, body.get("max_tokens", UNLIMITED) + by)}


def _end_at_eos(body: Body, asked: Asked) -> Body:
    return {key: value for key, value in body.items() if key != "ignore_eos"}


def _count_the_limit(reply: Reply, asked: Asked) -> Reply:
    limit = asked.body.get("max_tokens", UNLIMITED)
    over = (reply.completion_tokens or 0) > limit
    return replace(reply, completion_tokens=limit, finish_reason="length") if over else reply


def _say_stop(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, finish_reason="stop") if reply.finish_reason == "length" else reply


def _is_no_load(asked: Asked) -> bool:
    return not asked.load


FAULTS: Mapping[str, Fault] = {
    "goes_on_behind_its_end": Fault(
        family="instructions",
        does="a right answer goes on with another sentence, as if the engine missed an end token",
        kills=(EXACT,),
        reply=said(lambda t: f"{t} Grass is green."),
    ),
    "max_tokens_off_by_one": Fault(
        family="instructions",
        does="a reply that max_tokens cuts is one token too short",
        kills=(CUT_SHORT,),
        request=_limit(-1),
        touches=_is_no_load,
    ),
    "ignores_max_tokens": Fault(
        family="instructions",
        does="max_tokens never reaches the engine",
        kills=(CUT_SHORT,),
        request=_limit(UNLIMITED),
        touches=_is_no_load,
    ),
    "ignores_its_limit_and_counts_it": Fault(
        family="instructions",
        does="max_tokens does not end a reply, and usage and finish_reason say that it did",
        kills=(CUT_SHORT,),
        request=_limit(UNLIMITED),
        reply=_count_the_limit,
        touches=_is_no_load,
    ),
    "says_stop_where_it_cuts": Fault(
        family="instructions",
        does="a reply that max_tokens cut has finish_reason stop",
        kills=(CUT_SHORT,),
        reply=_say_stop,
        touches=_is_no_load,
    ),
    "ignores_ignore_eos": Fault(
        family="instructions",
        does="ignore_eos never reaches the engine",
        kills=(GOES_ON, SINGLE, LOADED),
        request=_end_at_eos,
    ),
}
