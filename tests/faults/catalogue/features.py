"""Features: answers are right, and what was asked for is not there. Seen in counters, sizes and logprobs only."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import (
    CHUNKS,
    EFFECT,
    EFFECTIVE,
    INDEXCACHE,
    MTP,
    NEIGHBOURS,
    PREFIX,
    REFERENCE,
    SECOND_TURN,
    SIGNATURE,
)

DRAFTED = "llamacpp:spec_decode_num_draft_tokens_total"
ACCEPTED = "llamacpp:spec_decode_num_accepted_tokens_total"
DRAFTS = "llamacpp:spec_decode_num_drafts_total"
BY_POSITION = 'llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position="0"}'
LONG_CHARS = 1000  # of the prompts; second turns elsewhere here are shorter
STEPS = "llamacpp:n_decode_total"
TEMPERATURE = 2.0  # of logprobs that are taken after the sampler has scaled them
ELSEWHERE = 0.6  # added to logprobs: over the closest distance of two recorded ways to compute (0.36)


def _scaled(**factors: float) -> Callable[[str], str]:
    """Counters times a factor, by the names above."""
    names = {"drafted": DRAFTED, "accepted": f"{ACCEPTED}|{re.escape(BY_POSITION)}", "steps": STEPS}

    def change(text: str) -> str:
        for key, factor in factors.items():
            text = re.sub(rf"^({names[key]}) (\S+)$", _times(factor), text, flags=re.MULTILINE)
        return text

    return change


def _times(factor: float) -> Callable[[re.Match[str]], str]:
    return lambda sample: f"{sample[1]} {float(sample[2]) * factor:.0f}"


def _all_accepted(text: str) -> str:
    """Return counters of a head that is right half of the time; the verifier counts every draft as accepted.

    The canary's own head is right every time: 2 tokens a step. For as many tokens at 1.5 it takes a third more steps.
    """
    found = re.search(rf"^{DRAFTED} (\S+)$", text, re.MULTILINE)
    true = round(float(found[1])) if found else 0
    claimed = round(true * 4 / 3)
    for name in (DRAFTED, ACCEPTED, DRAFTS, re.escape(BY_POSITION)):
        text = re.sub(rf"^({name}) \S+$", rf"\g<1> {claimed}", text, flags=re.MULTILINE)
    return re.sub(
        rf"^({STEPS}) (\S+)$", lambda s: f"{s[1]} {float(s[2]) + claimed - true:.0f}", text, flags=re.MULTILINE
    )


def _half_context(text: str) -> str:
    document: dict[str, Any] = json.loads(text)
    document["default_generation_settings"]["n_ctx"] //= 2
    return json.dumps(document)


def _logprobs(change: Callable[[float], float]) -> Callable[[Reply, Asked], Reply]:
    def damage(reply: Reply, asked: Asked) -> Reply:
        return replace(reply, logprobs=tuple(_moved(p, change) for p in reply.logprobs))

    return damage


def _moved(position: Mapping[str, Any], change: Callable[[float], float]) -> dict[str, Any]:
    tops = [{**top, "logprob": change(top["logprob"])} for top in position.get("top_logprobs") or []]
    return {**position, "logprob": change(position["logprob"]), "top_logprobs": tops}


def _flattened(position: Mapping[str, Any]) -> dict[str, Any]:
    """Return the listed candidates at another temperature; what is not listed has no mass here."""
    tops = position.get("top_logprobs") or [position]
    total = math.log(math.fsum(math.exp(top["logprob"] / TEMPERATURE) for top in tops))
    return _moved(position, lambda value: value / TEMPERATURE - total)


def flatten_logprobs(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, logprobs=tuple(map(_flattened, reply.logprobs)))


def _keep_first(position: Mapping[str, Any]) -> dict[str, Any]:
    return {**position, "top_logprobs": (position.get("top_logprobs") or [])[:1]}


def _swapped(position: Mapping[str, Any]) -> dict[str, Any]:
    """Swap names of candidates: a detokenizer that is off by one row has right numbers and wrong names."""
    if len(listed := position.get("top_logprobs") or []) < 2:
        return dict(position)
    first, second, *others = sorted(listed, key=lambda top: -top["logprob"])
    tops = [{**first, "logprob": second["logprob"]}, {**second, "logprob": first["logprob"]}, *others]
    return {**position, "logprob": second["logprob"], "top_logprobs": tops}


def _second_chosen(position: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the second candidate: the numbers are right, and a sampler that should be off chose by them."""
    if len(listed := position.get("top_logprobs") or []) < 2:
        return dict(position)
    second = sorted(listed, key=lambda top: -top["logprob"])[1]
    return {**position, "token": second["token"], "logprob": second["logprob"]}


def _if_cached(damage: Callable[[Reply, Asked], Reply]) -> Callable[[Reply, Asked], Reply]:
    return lambda r, asked: damage(r, asked) if 2 * (r.cached_tokens or 0) > (r.prompt_tokens or 0) else r


def _metrics(change: Callable[[str], str]) -> Mapping[str, Callable[[str], str]]:
    return {"/metrics": change}


FAULTS: Mapping[str, Fault] = {
    "mtp_accepts_everything": Fault(
        family="features",
        does="every draft counts as accepted, though half of them were rejected: acceptance 1.0",
        kills=(MTP, EFFECT),
        documents=_metrics(_all_accepted),
    ),
    "mtp_accepts_more_than_drafted": Fault(
        family="features",
        does="the counters report more accepted draft tokens than drafted ones",
        kills=(MTP, EFFECT),
        documents=_metrics(_scaled(accepted=1.5)),
    ),
    "mtp_accepts_little": Fault(
        family="features",
        does="the counters report a tenth of the accepted draft tokens, as if the MTP head were noise",
        kills=(MTP, EFFECT),
        documents=_metrics(_scaled(accepted=0.1)),
    ),
    "mtp_drafts_nothing": Fault(
        family="features",
        does="the counters report no drafted token",
        kills=(MTP, EFFECT),
        documents=_metrics(_scaled(drafted=0, accepted=0)),
    ),
    "too_few_chunks": Fault(
        family="features",
        does="the engine takes a fifth of the prefill steps, as if it ignored the chunk size",
        kills=(CHUNKS, EFFECT),
        documents=_metrics(_scaled(steps=0.2)),
    ),
    "context_is_halved": Fault(
        family="features",
        does="the engine serves half of the context that was asked for",
        kills=(EFFECTIVE,),
        documents={"/props": _half_context},
    ),
    "lists_one_candidate": Fault(
        family="protocol",
        does="top_logprobs has the chosen token alone, whatever number was asked for",
        kills=(PREFIX, NEIGHBOURS),
        reply=lambda reply, asked: replace(reply, logprobs=tuple(map(_keep_first, reply.logprobs))),
    ),
    "logprobs_of_nothing_known": Fault(
        family="features",
        does="all logprobs are 0.6 lower",
        kills=(REFERENCE,),
        reply=_logprobs(lambda value: value - ELSEWHERE),
    ),
    "one_number_for_two_tokens": Fault(
        family="features",
        does="every second token has no logprob, as if a step of several tokens had one",
        kills=(SIGNATURE, PREFIX),
        reply=lambda reply, asked: replace(reply, logprobs=reply.logprobs[::2]),
    ),
    "logprobs_at_another_temperature": Fault(
        family="features",
        does="logprobs are those of a distribution flattened by temperature 2",
        kills=(REFERENCE,),
        reply=flatten_logprobs,
    ),
    "logprobs_of_other_tokens": Fault(
        family="features",
        does="the two likeliest candidates have each other's logprobs",
        kills=(REFERENCE, PREFIX, NEIGHBOURS),
        reply=lambda reply, asked: replace(reply, logprobs=tuple(map(_swapped, reply.logprobs))),
    ),
    "equal_requests_get_other_words": Fault(
        family="features",
        does="every second of two equal requests gets another text with the same tokens and logprobs",
        kills=(PREFIX, NEIGHBOURS),
        touches=lambda asked: bool(asked.body.get("logprobs")),
        reply=lambda reply, asked: replace(reply, content=reply.content[::-1]) if asked.number % 2 else reply,
    ),
    "greedy_takes_the_second": Fault(
        family="features",
        does="the engine picks the second likeliest token at temperature 0",
        kills=(PREFIX, NEIGHBOURS),
        reply=lambda reply, asked: replace(reply, logprobs=tuple(map(_second_chosen, reply.logprobs))),
    ),
    "numbers_depend_on_neighbours": Fault(
        family="features",
        does="logprobs are 0.6 lower while other requests are in flight: no batch invariance",
        kills=(NEIGHBOURS,),
        touches=lambda asked: asked.in_flight > 1,
        reply=_logprobs(lambda value: value - ELSEWHERE),
    ),
    "cache_changes_numbers": Fault(
        family="features",
        does="logprobs are 0.6 lower when half of the prompt comes from the prefix cache",
        kills=(PREFIX,),
        reply=_if_cached(_logprobs(lambda value: value - ELSEWHERE)),
    ),
    "second_turn_reads_a_stale_prefix": Fault(
        family="features",
        does="logprobs of a second turn are 0.6 lower when its long prompt comes from the prefix cache",
        kills=(SECOND_TURN,),
        touches=lambda asked: len(asked.body.get("messages", ())) > 2 and len(asked.prompt) > LONG_CHARS,
        reply=_if_cached(_logprobs(lambda value: value - ELSEWHERE)),
    ),
    "positive_logprobs": Fault(
        family="features",
        does="every logprob is above 0",
        kills=(SIGNATURE, INDEXCACHE, REFERENCE),
        reply=_logprobs(lambda value: 0.5 - value),
    ),
    "nan_logprobs": Fault(
        family="features",
        does="every logprob is NaN",
        kills=(SIGNATURE, INDEXCACHE, REFERENCE),
        reply=_logprobs(lambda _: float("nan")),
    ),
    "hides_metrics": Fault(
        family="features",
        does="/metrics answers 404",
        kills=(),
        statuses={"/metrics": 404},
        invisible="an engine without counters leaves its features unproven, which the reports show and no test fails",
    ),
}
