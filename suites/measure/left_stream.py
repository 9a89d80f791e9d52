"""Leaves a stream that has long to go, and measures what the engine does then: how many tokens it goes on to make, and
how long the next request waits for its first one.

No clock decides. The next request makes as many tokens as the left one had to go, so whatever goes on behind the
hang-up is counted by then; engines that notice late have made a part of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from fixtures.launch.observe import Dialect, observe_engine
from matrix.judging.extremes import find_largest
from matrix.judging.observation import count_since
from suites.asking.contract import EngineHandle
from suites.checks.left_stream import LONG_ENOUGH, LeftStream

MADE: Final = "generated_tokens"  # the matrix's name of the counter
PROBE_TOKENS: Final = 24
MOST_TOKENS: Final = 8192  # a fast engine makes them in less time than it may take to notice: then nothing is judged
FRAME_TOKENS: Final = 64  # of the context, left free
LEFT_AFTER: Final = 2  # chunks
TRIES: Final = 3  # of streams that turned out too short
LEAST_S: Final = 1e-5  # a token: replies may come in one piece
ON: Final[Mapping[str, Any]] = {"ignore_eos": True}


def leave_stream(
    client: Client, engine: EngineHandle, dialect: Dialect, item: Item, *, seconds: float, context: int | None
) -> LeftStream:
    """Leave a stream that would take `seconds`, then read one of the same length to its end.

    A probe that met a busy host makes them too short for a verdict: then they are asked again, at the pace just read.
    """
    probe = _ask_on(client, item, PROBE_TOKENS)
    tokens = _choose_tokens(probe, PROBE_TOKENS, seconds, context)
    for _ in range(TRIES):
        read, told = _leave_and_read(client, engine, dialect, item, tokens)
        longer = _choose_tokens(read, tokens, seconds, context)
        if _measure_decoding(read) >= LONG_ENOUGH * seconds or longer <= tokens:
            break
        tokens = longer
    return LeftStream(
        tokens=tokens,
        made=None if told is None else told - (read.completion_tokens or 0),
        took_s=_measure_decoding(read),
        waited_s=(read.ttft_s or 0.0) - (probe.ttft_s or 0.0),
    )


def _leave_and_read(
    client: Client, engine: EngineHandle, dialect: Dialect, item: Item, tokens: int
) -> tuple[Reply, float | None]:
    """Return the reply read behind the one that was left, and the tokens counted since; None where none are told."""
    before = observe_engine(dialect, client, engine.log_path)
    _ask_on(client, item, tokens, leave_after=LEFT_AFTER)
    read = _ask_on(client, item, tokens)
    counted = count_since(MADE, observe_engine(dialect, client, engine.log_path), before) if MADE in dialect else None
    return read, counted


def _ask_on(client: Client, item: Item, tokens: int, **options: Any) -> Reply:
    return client.ask(item, stream=True, max_tokens=tokens, extra=dict(ON), **options)


def _choose_tokens(probe: Reply, tokens: int, seconds: float, context: int | None) -> int:
    each_s = find_largest([LEAST_S, _measure_decoding(probe) / tokens])
    room = MOST_TOKENS if context is None else context - (probe.prompt_tokens or 0) - FRAME_TOKENS
    return int(find_largest([PROBE_TOKENS, min(math.ceil(seconds / each_s), MOST_TOKENS, room)]))


def _measure_decoding(reply: Reply) -> float:
    return reply.e2e_s - (reply.ttft_s or 0.0)
