"""Tests that the fields which clients set are obeyed: stop strings, biases, several choices, seeds, and hanging up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import sampling
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.checks import fields, token_limits

pytestmark = [pytest.mark.fields, pytest.mark.from_depth("full")]

BIASED_TOKEN, BIAS, BIASED_TOKENS = "1000", 100, 8
CHOICES: Final = 2
SURELY: Final = {"temperature": 1.0, "top_k": 1}  # sampled, and greedy all the same (vLLM: n must be 1 when greedy)
# A confident model leaves its greedy text at no temperature of users (a canary not at 2, seen); at 8 its surest token
# is one of many, without the narrowing that launches have by default and that would hide it.
HOT: Final = 8.0
HOT_TOKENS: Final = 16
HOT_SEEDS: Final = (7, 8, 9)
SMALLEST_SHARE: Final = 1e-6  # of top_p: the likeliest token alone
NEVER_SAID: Final = "#%never"  # behind a reply's last letter: a stop string that no reply completes
SEED: Final = 7
LEAVES: Final = 3  # streams that are left behind, one after the other
LEFT_AFTER: Final = 2  # chunks


def test_stops_at_a_stop_string(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """Streamed and whole: streams have sent half a stop string before they knew it."""
    expect_ok(evidence, _check_stop_strings(client, bank.facts(depth.fields)))


def test_stops_at_any_of_its_stop_strings(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The second of two stop strings is the one that comes: an engine that reads the first alone runs on."""
    expect_ok(evidence, _check_stop_strings(client, bank.facts(depth.fields), before=[NEVER_SAID]))


def test_gives_back_what_a_stop_string_held(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """The reply ends as the stop string begins, by its end token and by its limit: nothing stops it, so nothing is
    lost."""
    expect_ok(evidence, _hold_back(client, bank.facts(depth.fields)))


def test_obeys_a_logit_bias(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, _bias(client, bank.facts(depth.fields)))


def test_returns_as_many_choices_as_asked(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, (_ask_for_choices(client, item) for item in bank.facts(depth.fields)))


def test_samples_where_it_is_asked_to(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """So hot that no model stays sure, texts of several seeds are not all one; with one candidate left they are the
    greedy text."""
    expect_ok(evidence, _sample_hot(client, bank.facts(depth.fields), cell.engine.dialect))


@pytest.mark.for_cells(claims=["seeds"])
def test_samples_alike_with_one_seed(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    expect_ok(evidence, (_sample_twice(client, item) for item in bank.long_generation(1)))


def test_answers_alike_after_streams_were_left(
    client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Users hang up in the middle of streams; the next request must not get what was left of them."""
    expect_ok(evidence, _leave_and_ask(client, bank.facts(depth.fields), bank.long_generation(1)))


def _check_stop_strings(client: Client, items: Sequence[Item], before: Sequence[str] = ()) -> Iterator[Finding]:
    """Ask each item with a stop string out of its own reply; `before`: other stop strings, in front of it."""
    for item in items:
        whole = client.ask(item)
        words = whole.content.split()
        # From the middle: something stands in front of it and behind it, so both halves can be wrong.
        stop = words[len(words) // 2] if words else "."
        for stream in (False, True):
            reply = client.ask(item, stream=stream, extra={"stop": [*before, stop]})
            yield fields.check_stop(item, reply, whole, stop)


def _sample_hot(client: Client, items: Sequence[Item], dialect: str) -> Iterator[Finding]:
    for item in items:
        greedy = client.ask(item, max_tokens=HOT_TOKENS)
        every = sampling.unnarrowed_fields(dialect)

        def ask_hot(item: Item = item, every: Mapping[str, Any] = every, **extra: Any) -> Reply:
            return client.ask(item, max_tokens=HOT_TOKENS, temperature=HOT, extra={**every, **extra})

        yield fields.check_sampled(item, [ask_hot(seed=seed) for seed in HOT_SEEDS])
        for narrow in ({"top_k": 1}, {"top_p": SMALLEST_SHARE}):
            yield fields.check_narrowed(item, greedy, ask_hot(seed=HOT_SEEDS[0], **narrow), next(iter(narrow)))


def _hold_back(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        whole = client.ask(item)
        counted = max(1, whole.completion_tokens or 0)
        limit = token_limits.find_last_limit(whole, client.ask(item, max_tokens=counted))
        stop = [whole.content.rstrip()[-1:] + NEVER_SAID]
        for stream in (False, True):
            for room in (client.room(item), limit):
                reply = client.ask(item, stream=stream, max_tokens=room, extra={"stop": stop})
                yield token_limits.check_whole_at_limit(item, reply, whole, room)


def _bias(client: Client, items: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        reply = client.ask(item, max_tokens=BIASED_TOKENS, extra={"logit_bias": {BIASED_TOKEN: BIAS}})
        # A model that always thinks spends the biased tokens inside its thought.
        yield fields.check_bias(item, reply.reasoning or reply.content, BIASED_TOKENS)


def _ask_for_choices(client: Client, item: Item) -> Finding:
    body = {
        "model": client.model,
        "messages": list(item.messages),
        "max_tokens": client.room(item),
        "temperature": 0.0,
        "chat_template_kwargs": {client.switch: False},
        "n": CHOICES,
    }
    # In this order: an engine that takes greedy choices is asked what a client would send.
    for extra in ({}, SURELY):  # some refuse several greedy choices, which are the same: then one is drawn of one
        try:
            document = client.post_document("/v1/chat/completions", body | extra)
        except EngineRefused as refused:
            refusal = refused
        else:
            return fields.check_choices(item, document.get("choices"), CHOICES)
    return fields.check_refused_field(item, "n", refusal.status, refusal.body)


def _sample_twice(client: Client, item: Item) -> Finding:
    first, again = (client.ask(item, max_tokens=48, temperature=1.0, extra={"seed": SEED}) for _ in range(2))
    return fields.check_same_seed(item, first, again)


def _leave_and_ask(client: Client, items: Sequence[Item], long: Sequence[Item]) -> Iterator[Finding]:
    for item in items:
        before = client.ask(item)
        # The own question, too: what is left of an equal prompt is what a prefix cache would hand on.
        for other in (*long, item)[:LEAVES] * 2:
            client.ask(other, stream=True, leave_after=LEFT_AFTER)
        yield fields.check_after_hang_up(item, before, client.ask(item))
