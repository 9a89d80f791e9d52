"""Tests what is drawn, and the numbers that are told of it: choices, seeds beside others, penalties, streams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused, room_for
from matrix.model import Cell
from matrix.planning.claimed import find_claims
from reports.evidence.finding import Finding
from suites.asking import sampling
from suites.asking.company import numbers_streams
from suites.asking.contract import EvidenceSink, expect_ok
from suites.asking.depth import Depth
from suites.checks import company, fields, isolation
from suites.checks import sampling as checks

pytestmark = [pytest.mark.fields, pytest.mark.from_depth("full")]

HOT: Final = 2.0  # as hot as OpenAI's range and vLLM allow
HOT_TOKENS: Final = 48
CHOICES: Final = 2
SEEDS: Final = (7, 8, 9, 10, 11, 12, 13, 14)
# Few: each token more is one more place at which two are nearly as likely, and noise draws the other one.
SEEDED_TOKENS: Final = 6
PENALISED_TOKENS: Final = 256
PENALTY: Final = 2.0  # OpenAI's range ends there
NUMBERED_TOKENS: Final = 96
TOP: Final = 5


def test_draws_every_choice_for_itself(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """As hot as a client may ask, two choices of one request are not one text told twice."""
    extra = _list_hot_fields(cell)
    expect_ok(evidence, (_draw_choices(client, item, extra) for item in bank.long_generation(min(1, depth.fields))))


@pytest.mark.for_cells(claims=["seeds"])
def test_draws_from_its_seed_in_company(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Very hot requests with a seed each, one after the other and all at once: generators lie in one row for each
    request of a batch, and one that a batch shares draws by who else is served (vllm#6038)."""
    items = bank.long_generation(min(1, depth.fields))
    expect_ok(evidence, (_draw_beside(client, item, _list_hot_fields(cell)) for item in items))


@pytest.mark.for_cells(claims=["ignore_eos"])
def test_obeys_a_presence_penalty(client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth) -> None:
    """`presence_penalty` at its most: what was said once makes room for what was not."""
    items = bank.long_generation(max(1, depth.fields))
    expect_ok(evidence, (_penalise(client, item) for item in items))


def test_numbers_a_stream_as_it_numbers_the_whole(
    cell: Cell, client: Client, bank: Bank, evidence: EvidenceSink, depth: Depth
) -> None:
    """Where a step makes several tokens, or text waits for what follows, numbers have come a token late: each is sound
    by itself, and is another token's."""
    tie = 2 * isolation.logprob_tolerance(cell.checkpoint.format, cell.checkpoint.made_by)
    # Not of characters that are several tokens: llama.cpp's numbers there are of the last token alone (seen, whole).
    items = bank.long_generation(min(1, depth.fields))
    expect_ok(evidence, (_compare_numbers(client, item, tie, numbered=numbers_streams(cell)) for item in items))


def _list_hot_fields(cell: Cell) -> Mapping[str, Any]:
    past = {"ignore_eos": True} if "ignore_eos" in find_claims(cell) else {}
    return {**sampling.unnarrowed_fields(cell.engine.dialect), **past}


def _draw_choices(client: Client, item: Item, extra: Mapping[str, Any]) -> Finding:
    body = {
        "model": client.model,
        "messages": list(item.messages),
        "max_tokens": HOT_TOKENS,
        "temperature": HOT,
        "n": CHOICES,
        "chat_template_kwargs": {client.switch: False},
        **extra,
    }
    try:
        drawn = [client.post_document("/v1/chat/completions", body).get("choices") for _ in range(2)]
    except EngineRefused as refused:
        return fields.check_refused_field(item, "n", refused.status, refused.body)
    return checks.check_drawn_apart(item, drawn)


def _draw_beside(client: Client, item: Item, extra: Mapping[str, Any]) -> Finding:
    asks: Sequence[tuple[Item, Mapping[str, Any]]] = [
        (item, {"max_tokens": SEEDED_TOKENS, "temperature": HOT, "extra": {**extra, "seed": seed}}) for seed in SEEDS
    ]
    alone = [client.ask(each, **options) for each, options in asks]
    return checks.check_seeds_in_company(item, alone, client.together(asks))


def _penalise(client: Client, item: Item) -> Finding:
    on = {"ignore_eos": True}
    plain = client.ask(item, max_tokens=PENALISED_TOKENS, top_logprobs=TOP, extra=on)
    try:
        reply = client.ask(item, max_tokens=PENALISED_TOKENS, extra={**on, "presence_penalty": PENALTY})
    except EngineRefused as refused:
        return fields.check_refused_field(item, "presence_penalty", refused.status, refused.body)
    return checks.check_presence(item, reply, plain, PENALTY)


def _compare_numbers(client: Client, item: Item, tie: float, *, numbered: bool) -> Finding:
    room: dict[str, Any] = {"max_tokens": NUMBERED_TOKENS + client.room(item) - room_for(item)}  # with a thought on top
    whole = client.ask(item, **room, top_logprobs=TOP)
    streamed = client.ask(item, **room, stream=True, **({"top_logprobs": TOP} if numbered else {}))
    return company.check_same_answer(item, [whole], streamed, check="sampling.streamed", tie=tie)
