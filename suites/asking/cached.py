"""Tells how many of a prompt's tokens came from the prefix cache: by the reply's usage, or else by a metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from fixtures.client.client import Client
from fixtures.client.reply import Reply
from fixtures.launch.observe import Dialect, observe_engine
from matrix.judging.observation import Seen, count_since
from suites.asking.contract import EngineHandle

COUNTED: Final = "cached_tokens"  # the matrix's name of the metric


class CountedReply(NamedTuple):
    """A reply, and its prompt's tokens from the prefix cache: None where the engine does not tell."""

    reply: Reply
    cached: float | None


def ask_and_count_cached(
    client: Client, engine: EngineHandle, dialect: Dialect, ask: Callable[[], Reply]
) -> CountedReply:
    """Ask. Where the reply's usage does not tell the cached tokens, the engine's metric is read before and after."""
    counts = COUNTED in dialect
    before: Seen = observe_engine(dialect, client, engine.log_path) if counts else ()
    reply = ask()
    # Usage tells of this request; the metric tells of all, so it serves only where usage is silent.
    if reply.cached_tokens is not None or not counts:
        return CountedReply(reply, reply.cached_tokens)
    return CountedReply(reply, count_since(COUNTED, observe_engine(dialect, client, engine.log_path), before))
