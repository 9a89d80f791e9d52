"""A conversation as an agent has it: the engine's own replies are fed back, and each turn is longer than the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from fixtures.launch.observe import Dialect
from suites.asking.cached import ask_and_count_cached
from suites.asking.contract import EngineHandle

TOP: Final = 5


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
    """Ask one turn, and count what of it came from the prefix cache."""
    asked = ask_and_count_cached(client, engine, dialect, lambda: client.ask(item, top_logprobs=TOP))
    return AskedTurn(item=item, reply=asked.reply, cached=asked.cached)
