"""Takes timings and answers that need more than one load: cold and warm prefill, and accuracy under load."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from matrix.model import Engine
from reports.evidence.finding import Finding
from suites.asking.cached import CountedReply, ask_and_count_cached
from suites.asking.contract import EngineHandle, EvidenceSink
from suites.asking.depth import Depth
from suites.checks import answer, throughput
from suites.measure import loads
from suites.measure.no_prefix_cache import bypass_prefix_cache

Right = Mapping[str, bool]  # by item id
LOADED_PROMPT_TOKENS: Final = 256  # decoding streams are what questions meet; long prefills only make them wait
LOADED_WAVES: Final = 4
AT_ONCE: Final = 4  # questions


def measure_prefill(
    client: Client, engine: EngineHandle, items: Sequence[Item], spoken: Engine, evidence: EvidenceSink
) -> Finding:
    """Measure the first token's time of each prompt, without the cache and with it, and record the medians.

    `spoken`: the engine of the cell, by whose words the cache is passed by and its hits are counted.
    """

    def ask(item: Item, extra: Mapping[str, Any]) -> CountedReply:
        send = partial(client.ask, item, stream=True, max_tokens=1, extra=extra)
        return ask_and_count_cached(client, engine, spoken.observe, send)

    cold, warm = [], []
    for item in items:
        cold.append(ask(item, bypass_prefix_cache(client, spoken.dialect)))
        ask(item, {})  # the cold request may not have written the cache either
        warm.append(ask(item, {}))
    for name, asked in (("cold", cold), ("warm", warm)):
        rates = [throughput.prefill_tps(reply) for reply, _ in asked]
        tokens = statistics.median(reply.prompt_tokens or 0 for reply, _ in asked)
        evidence.measurement(f"prefill_{name}_tps", statistics.median(rates), "tok/s", {"input_len": tokens})
    return throughput.check_cold_and_warm(cold, warm)


def answer_alone(client: Client, items: Sequence[Item]) -> Right:
    return {item.id: answer.check_answer(item, client.ask(item)).ok for item in items}


def answer_under_load(
    engine: EngineHandle, client: Client, bank: Bank, items: Sequence[Item], depth: Depth
) -> tuple[dict[str, Any], Right]:
    """Run a load and ask questions meanwhile. Return the load's result and, per item, whether every answer was right.

    Questions are asked a few at a time, round after round, until the load is over; answers outside its time do not
    count.
    """
    light = replace(depth, load_prompt_tokens=LOADED_PROMPT_TOKENS)
    streams, length = depth.loaded_streams, depth.loaded_output_tokens
    # In turn, for as long as the load lasts: how many rounds fit is the engine's speed.
    batches = itertools.cycle([items[i : i + AT_ONCE] for i in range(0, len(items), AT_ONCE)])
    asked: list[_Asked] = []
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(
            loads.measure_load, engine, bank, light, streams=streams, output_len=length, waves=LOADED_WAVES
        )
        # the tape keeps each answer, so that a replay asks exactly as many rounds as the run did
        while not client.tape.note("load_over", {}, load.done):
            batch, began = next(batches), read_clock(client)
            replies = client.together([(item, {}) for item in batch])
            right = {i.id: answer.check_answer(i, r).ok for i, r in zip(batch, replies, strict=True)}
            asked.append(_Asked(began, read_clock(client), right))
        result = load.result()
    return result, _answers_during(result, asked)


def read_clock(client: Client) -> float:
    """Read the clock that the load process reads too, in seconds."""
    moment: float = client.tape.note("clock", {}, time.perf_counter)
    return moment


class _Asked(NamedTuple):
    began: float
    ended: float
    right: Right


def _answers_during(result: Mapping[str, Any], asked: Sequence[_Asked]) -> Right:
    """Keep the answers that were given during the load. Both processes read the host's monotonic clock, so their
    times compare."""
    starts = result["start_times"]
    first, last = min(starts), max(s + e for s, e in zip(starts, result["e2els"], strict=True))
    right: dict[str, bool] = {}
    for batch in asked:
        if batch.ended >= first and batch.began <= last:
            for name, ok in batch.right.items():
                right[name] = right.get(name, True) and ok
    return right
