"""A conversation as an agent has it: the engine's own replies are fed back, and each turn is longer than the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from fixtures.launch.observe import Dialect, observe_engine
from matrix.judging.observation import Seen, count_since
from suites.asking.contract import EngineHandle

TOP: Final = 5
COUNTED: Final = "cached_tokens"  # the matrix's name of the metric


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTurn:
    """One turn as it was asked. `cached`: tokens from the prefix cache, None where the engine does not tell."""

    item: Item
    reply: Reply
    cached: float | None


def hold_talk(client: Client, engine: EngineHandle, dialect: Dialect, talk: Sequence[Item]) -> Iterator[AskedTurn]:
    """Ask the questions of `talk` in turn, each behind the engine's own replies to those before."""
    told: tuple[Mapping[str, Any], ...] = ()
    for item in talk:
        own = replace(item, messages=(*told, *_list_new(item, asked=bool(told))))
        turn = ask_turn(client, engine, dialect, own)
        told = (*own.messages, {"role": "assistant", "content": turn.reply.content})
        yield turn


def _list_new(item: Item, *, asked: bool) -> Sequence[Mapping[str, Any]]:
    return item.messages[-1:] if asked else item.messages


def ask_turn(client: Client, engine: EngineHandle, dialect: Dialect, item: Item) -> AskedTurn:
    """Ask one turn. Where its usage does not tell the cached tokens, the engine's metric is read before and after."""
    counts = COUNTED in dialect
    before: Seen = observe_engine(dialect, client, engine.log_path) if counts else ()
    reply = client.ask(item, top_logprobs=TOP)
    # Usage tells of this request; the metric tells of all, so it serves only where usage is silent.
    if reply.cached_tokens is not None or not counts:
        return AskedTurn(item=item, reply=reply, cached=reply.cached_tokens)
    after = observe_engine(dialect, client, engine.log_path)
    return AskedTurn(item=item, reply=reply, cached=count_since(COUNTED, after, before))
