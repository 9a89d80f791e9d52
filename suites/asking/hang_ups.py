"""Requests that stay among others that hang up: behind their second chunk, before their first, and in the queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.asking.company import LEFT_AFTER, TOP

Options = Mapping[str, Any]
STAYING: Final = 3
STAYED_TOKENS: Final = 160  # of each reply: others come and hang up meanwhile
TRIALS: Final = 680  # apart from those of the other suites
# Of the time that the shortest reply takes alone: who waits behind it, or is read beside it, hangs up in its middle.
# Two of them, since a busy host may have answered three times as slowly then as it does now.
PATIENCE: Final = (0.1, 0.3)


def draw_staying(bank: Bank) -> tuple[Item, ...]:
    # A count is cut before its one right end, and a story is long enough.
    stories = bank.long_generation(STAYING + STAYING // 2)
    return tuple(item for item in stories if item.answer is None)[:STAYING]


def list_stays(items: Sequence[Item], *, thought: int) -> list[tuple[Item, Options]]:
    """List the requests that stay, streamed and whole in turn; `thought`: tokens that a thought before it may take."""
    limit = {"max_tokens": STAYED_TOKENS + thought}
    return [(item, {**limit, **({"top_logprobs": TOP} if n % 2 else {"stream": True})}) for n, item in enumerate(items)]


def list_leaves(bank: Bank, tokens: int, alone: Sequence[Reply]) -> list[tuple[Item, Options]]:
    """List the requests that are left: streams in their middle and prompts beyond index_topk before their first
    token."""
    shortest_s = min((reply.e2e_s for reply in alone), default=0.0)
    stories = [(item, {"stream": True, "leave_after": LEFT_AFTER}) for item in bank.long_generation(1)]
    texts = [bank.needle(tokens=tokens, depth=0.5, trial=TRIALS + n) for n in range(len(PATIENCE))]
    waits = [{"stream": not n, "patience_s": share * shortest_s} for n, share in enumerate(PATIENCE)]
    return [*stories, *zip(texts, waits, strict=True)]


def met_a_stream(asks: Sequence[tuple[Item, Options]], replies: Sequence[Reply], *, spread_s: float) -> bool:
    """Return whether anybody hung up while a stream that stayed was being made; arrivals are `spread_s` apart."""
    placed = [
        (place * spread_s, form, reply) for place, ((_, form), reply) in enumerate(zip(asks, replies, strict=True))
    ]
    moments = [
        sent + form.get("patience_s", reply.e2e_s) for sent, form, reply in placed if reply.finish_reason is None
    ]
    made = [
        (sent + reply.ttft_s, sent + reply.e2e_s) for sent, _, reply in placed if reply.finish_reason and reply.ttft_s
    ]
    return any(begin < moment < end for moment in moments for begin, end in made)
