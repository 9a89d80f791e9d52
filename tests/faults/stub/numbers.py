"""Logprobs that depend on what must not matter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.faults.stub.defect import HELD_S, Answer, Asked, Damage, Defect, Json, retold, when
from tests.faults.stub.replies import spent
from tests.faults.suite_tests import NEIGHBOURS, NUMBERED, PREFIX, SECOND_TURN, SIGNATURE

READ = (SIGNATURE, PREFIX, NEIGHBOURS)  # whoever reads logprobs


def _shifts(nats: float) -> Damage:
    return lambda answer, asked: replace(answer, logprob_shift=nats)


def _shifts_in_batch(answer: Answer, asked: Asked) -> Answer:
    """Another kernel for more rows, and a wrong one."""
    return replace(answer, hold_s=HELD_S, logprob_shift=0.5 if asked.inside > 1 else 0.0)


def _never_repeats(answer: Answer, asked: Asked) -> Answer:
    return replace(answer, logprob_shift=0.5 * (asked.number % 2))


def _positions(change: Callable[[list[Json]], list[Json]]) -> Damage:
    """Change the list of positions of a whole reply with logprobs."""

    def retell(told: list[Json]) -> list[Json]:
        for choice in told[0]["choices"]:
            if choice.get("logprobs"):
                choice["logprobs"]["content"] = change(choice["logprobs"]["content"])
        return told

    return when(lambda asked: not asked.stream and not asked.surface, retold(retell))


def _each(**change: Callable[[Json], Json]) -> Damage:
    return _positions(lambda told: [{**p, **{name: of(p) for name, of in change.items()}} for p in told])


def _drop_numbers(told: list[Json]) -> list[Json]:
    for event in told[1::2]:
        for choice in event.get("choices") or ():
            choice.pop("logprobs", None)
    return told


DEFECTS: Mapping[str, Defect] = {
    "cache_changes_numbers": Defect(family="numbers", kills=(PREFIX,), damage=when(lambda a: a.cached, _shifts(0.5))),
    "batch_changes_numbers": Defect(
        does="logprobs are 0.5 nats off while another request is in flight",
        family="numbers",
        kills=(NEIGHBOURS,),
        damage=_shifts_in_batch,
    ),
    "probabilities_above_one": Defect(
        does="each candidate's logprob is -0.1: together they are more than certain",
        family="numbers",
        kills=READ,
        damage=_each(
            logprob=lambda p: -0.1, top_logprobs=lambda p: [{**each, "logprob": -0.1} for each in p["top_logprobs"]]
        ),
    ),
    "lists_the_unlikeliest_first": Defect(
        does="top_logprobs begins with the unlikeliest candidate",
        family="numbers",
        kills=READ,
        damage=_each(top_logprobs=lambda p: p["top_logprobs"][::-1]),
    ),
    "two_numbers_for_one_token": Defect(
        does="the chosen token's logprob is 0.5 nats lower than the same token's among the candidates",
        family="numbers",
        kills=READ,
        damage=_each(logprob=lambda p: p["logprob"] - 0.5),
    ),
    "one_number_for_two_tokens": Defect(
        does="every second token has no logprob, as if a step of several tokens had one",
        family="numbers",
        kills=(SIGNATURE, PREFIX),
        damage=_positions(lambda told: told[::2]),
    ),
    "numbers_come_a_token_late": Defect(
        does="each token has the logprobs of the one before it",
        family="numbers",
        kills=(SIGNATURE, PREFIX),
        damage=_positions(lambda told: [*told[:1], *told[:-1]]),
    ),
    "lists_one_candidate": Defect(
        does="top_logprobs has the chosen token alone, whatever number was asked for",
        family="protocol",
        kills=(PREFIX, NEIGHBOURS),
        damage=_each(top_logprobs=lambda p: p["top_logprobs"][:1]),
    ),
    "streams_number_every_second_token": Defect(
        does="every second chunk of a stream has no logprobs",
        family="numbers",
        kills=(NUMBERED,),
        damage=when(lambda a: a.stream and a.logprobs, retold(_drop_numbers)),
    ),
    "reads_the_cache_where_told_not_to": Defect(
        does="a request that was told to compute its prompt finds it in the prefix cache",
        family="protocol",
        kills=(PREFIX,),
        damage=when(lambda a: a.uncached, lambda a, asked: replace(a, cached_tokens=a.prompt_tokens - 1)),
    ),
    "counts_more_when_cached": Defect(
        does="usage counts one completion token more where the prompt was cached",
        family="protocol",
        kills=(PREFIX,),
        damage=when(lambda a: a.cached_tokens > 0, lambda a, asked: replace(a, completion_tokens=spent(a) + 1)),
    ),
    "never_repeats_itself": Defect(
        does="logprobs of every second request are 0.5 nats off, even if both requests are equal",
        family="numbers",
        kills=(PREFIX, NEIGHBOURS, SECOND_TURN),
        damage=_never_repeats,
    ),
}
