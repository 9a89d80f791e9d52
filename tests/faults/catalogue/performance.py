"""Performance: slower than it was, or fast on paper. Speeds have no right value in one run: the baseline judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import BASELINE, LOADED, OPEN, RELEASE, SINGLE

DRIFT_S = 0.2  # more before each first token than before the one before
DAMAGED_CHUNK = 4  # of a stream: one with text in it
SPIKE_S, SPIKE_EVERY = 0.25, 8
PER_PROMPT_TOKEN_S = 0.0005
WAITS_S = 10.0
UPGRADED_S = 0.25  # a token of the canary takes 10 to 60 ms on two cores, so that a third of the speed is left at most

CLOSED = 6  # completions of the closed loop before an open one: a warm-up wave and two more of two streams
STANDS_STILL_S = 20.0  # beyond five times three closed-loop latencies of the canary on a busy host
STALLED = range(CLOSED + 2, CLOSED + 6)
FIRST_LAST_S = 15.0  # of twelve arrivals within some ten seconds
TAIL_SHARE = 3  # the last third
LOSES = 3  # of a closed load: the first that is measured, behind a warm-up wave of two
STARVED_S = 8.0  # the canary answers the three others meanwhile, on a busy host, too
CRAWL_S = 0.5


def _piles_up(asked: Asked) -> bool:
    """Whether a request of a load comes by the clock, beside another one."""
    return asked.load and asked.number > CLOSED and asked.in_flight > 1


def _drop_tail(reply: Reply, asked: Asked) -> Reply:
    kept = len(reply.content) - len(reply.content) // TAIL_SHARE
    return replace(reply, content=reply.content[:kept])


def _drift(index: int, asked: Asked) -> float:
    return DRIFT_S * asked.number if index == 0 else 0.0


def _spikes(index: int, asked: Asked) -> float:
    return SPIKE_S if index % SPIKE_EVERY == SPIKE_EVERY - 1 else 0.0


def _by_context(index: int, asked: Asked) -> float:
    words = len(asked.prompt.split())
    return PER_PROMPT_TOKEN_S * words if index else 0.0


def _loses(asked: Asked) -> bool:
    return asked.load and asked.number == LOSES


def _repeat(event: dict[str, Any], index: int) -> dict[str, Any]:
    choices = event.get("choices") or []
    text = choices[0]["delta"].get("content") if choices else None
    if index != DAMAGED_CHUNK or not text:
        return event
    return event | {"choices": [choices[0] | {"delta": choices[0]["delta"] | {"content": text * 2}}]}


def _short(reply: Reply, asked: Asked) -> Reply:
    spent = (reply.completion_tokens or 0) // 2
    return replace(reply, content=reply.content[: len(reply.content) // 2], completion_tokens=spent)


FAULTS: Mapping[str, Fault] = {
    "fake_speed": Fault(
        family="performance",
        does="usage counts twice the tokens that were made",
        kills=(SINGLE, LOADED),
        reply=lambda reply, asked: replace(reply, completion_tokens=2 * (reply.completion_tokens or 0)),
        touches=lambda asked: asked.load,
    ),
    "ends_load_early": Fault(
        family="performance",
        does="a reply of a load test has half of the requested length, and usage counts what arrived",
        kills=(SINGLE, LOADED),
        reply=_short,
        touches=lambda asked: asked.load,
    ),
    "load_streams_lose_a_delta": Fault(
        family="performance",
        does="a stream of a load test loses one delta, and usage counts it",
        kills=(SINGLE, LOADED),
        touches=lambda asked: asked.load and asked.stream,
        event=lambda event, index: None if index == DAMAGED_CHUNK else event,
    ),
    "load_streams_repeat_a_delta": Fault(
        family="performance",
        does="a stream of a load test sends one delta twice, and usage counts it once",
        kills=(SINGLE, LOADED),
        touches=lambda asked: asked.load and asked.stream,
        event=_repeat,
    ),
    "stands_still_and_catches_up": Fault(
        family="performance",
        does="four requests that come by the clock wait 20 s for their first token, then all are answered",
        kills=(OPEN,),
        touches=lambda asked: asked.load and asked.number in STALLED,
        pause_s=lambda index, asked: 0.0 if index else STANDS_STILL_S,
    ),
    "drops_tails_where_requests_pile_up": Fault(
        family="performance",
        does="a request that comes by the clock beside another one loses the last third of its text; usage counts it",
        kills=(OPEN,),
        touches=_piles_up,
        reply=_drop_tail,
    ),
    "refuses_where_requests_pile_up": Fault(
        family="performance",
        does="a request that comes by the clock beside another one gets 429, at half of the capacity",
        kills=(OPEN,),
        touches=_piles_up,
        instead=(429, "application/json", b'{"error": {"message": "busy"}}'),
    ),
    "serves_the_first_one_last": Fault(
        family="performance",
        does="the first request that comes by the clock waits 15 s, the later ones are answered meanwhile",
        kills=(OPEN,),
        touches=lambda asked: asked.load and asked.number == CLOSED + 1,
        pause_s=lambda index, asked: 0.0 if index else FIRST_LAST_S,
    ),
    "starves_one_of_a_closed_load": Fault(
        family="performance",
        does="one request of a closed load waits 8 s for its first token, the others come and go",
        kills=(LOADED,),
        touches=_loses,
        pause_s=lambda index, asked: 0.0 if index else STARVED_S,
    ),
    "one_of_a_load_stands_still": Fault(
        family="performance",
        does="one stream of a closed load stands still for 8 s behind its fourth chunk, the others come and go",
        kills=(LOADED,),
        touches=_loses,
        pause_s=lambda index, asked: STARVED_S if index == DAMAGED_CHUNK else 0.0,
    ),
    "one_slot_crawls": Fault(
        family="performance",
        does="each chunk of one stream of a load is 500 ms late, those beside it are not",
        kills=(LOADED,),
        touches=_loses,
        pause_s=lambda index, asked: CRAWL_S,
    ),
    "ttft_drift": Fault(
        family="performance",
        does="each first token comes 200 ms later than the one before",
        kills=(BASELINE,),
        pause_s=_drift,
    ),
    "itl_spikes": Fault(
        family="performance", does="every eighth chunk is 250 ms late", kills=(BASELINE,), pause_s=_spikes
    ),
    "decode_slows_with_context": Fault(
        family="performance",
        does="each chunk takes 0.5 ms longer per word of the prompt",
        kills=(BASELINE,),
        pause_s=_by_context,
    ),
    "upgrade_to_a_third": Fault(
        family="performance",
        does="each chunk takes 250 ms longer than in the one measured launch of the earlier release",
        kills=(RELEASE,),
        pause_s=lambda index, asked: UPGRADED_S,
    ),
    "upgrade_waits_for_the_first_token": Fault(
        family="performance",
        does="the first chunk comes 10 s later than in the earlier release",
        kills=(RELEASE,),
        pause_s=lambda index, asked: 0.0 if index else WAITS_S,
    ),
    "slow_decode": Fault(
        family="performance",
        does="each chunk takes 20 ms longer",
        kills=(BASELINE,),
        pause_s=lambda index, asked: 0.02,
    ),
}
