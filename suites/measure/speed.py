"""Timings and answers that need more than one load: prefill cold and warm, accuracy beside a load."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, NamedTuple

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from reports.evidence.finding import Finding
from suites.asking.contract import Engine, Evidence
from suites.asking.depth import Depth
from suites.checks import answer, throughput
from suites.measure import loads
from suites.measure.no_prefix_cache import cold

Right = Mapping[str, bool]  # by item id
LOADED_PROMPT_TOKENS: Final = 256  # decoding streams are what questions meet; long prefills only make them wait
LOADED_WAVES: Final = 4
AT_ONCE: Final = 4  # questions


def prefill(client: Client, items: Sequence[Item], dialect: str, evidence: Evidence) -> Finding:
    """The first token's time of each prompt, once without the cache and once with it; medians are recorded."""
    pairs = [(_first_token(client, i, cold(client, dialect)), _again(client, i)) for i in items]
    for name, replies in (("cold", [c for c, _ in pairs]), ("warm", [w for _, w in pairs])):
        rates = [throughput.prefill_tps(reply) for reply in replies]
        tokens = statistics.median(r.prompt_tokens or 0 for r in replies)
        evidence.measurement(f"prefill_{name}_tps", statistics.median(rates), "tok/s", {"input_len": tokens})
    return throughput.told_apart([c for c, _ in pairs], [w for _, w in pairs])


def _again(client: Client, item: Item) -> Reply:
    """Twice: the cold request may have been kept from writing the cache as well."""
    _first_token(client, item, {})
    return _first_token(client, item, {})


def _first_token(client: Client, item: Item, extra: Mapping[str, Any]) -> Reply:
    return client.ask(item, stream=True, max_tokens=1, extra=extra)


def answered(client: Client, items: Sequence[Item]) -> Right:
    return {item.id: answer.right(item, client.ask(item)).ok for item in items}


def answered_beside_load(
    engine: Engine, client: Client, bank: Bank, items: Sequence[Item], depth: Depth
) -> tuple[dict[str, Any], Right]:
    """The load's result, and of each item whether every answer given during it was right.

    Questions are asked a few at a time, round after round, until the load is over; those outside it do not count.
    """
    light = replace(depth, load_prompt_tokens=LOADED_PROMPT_TOKENS)
    streams, length = depth.loaded_streams, depth.loaded_output_tokens
    batches = itertools.cycle([items[i : i + AT_ONCE] for i in range(0, len(items), AT_ONCE)])
    asked: list[_Asked] = []
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(loads.load, engine, bank, light, streams=streams, output_len=length, waves=LOADED_WAVES)
        while not client.tape.note("load_over", {}, load.done):
            batch, began = next(batches), _now(client)
            replies = client.together([(item, {}) for item in batch])
            right = {i.id: answer.right(i, r).ok for i, r in zip(batch, replies, strict=True)}
            asked.append(_Asked(began, _now(client), right))
        result = load.result()
    return result, _during(result, asked)


def _now(client: Client) -> float:
    """Seconds of the clock that the load process reads too."""
    moment: float = client.tape.note("clock", {}, time.perf_counter)
    return moment


class _Asked(NamedTuple):
    began: float
    ended: float
    right: Right


def _during(result: Mapping[str, Any], asked: Sequence[_Asked]) -> Right:
    """Both processes read the host's monotonic clock, so their times can be compared."""
    starts = result["start_times"]
    first, last = min(starts), max(s + e for s, e in zip(starts, result["e2els"], strict=True))
    right: dict[str, bool] = {}
    for batch in asked:
        if batch.ended >= first and batch.began <= last:
            for name, ok in batch.right.items():
                right[name] = right.get(name, True) and ok
    return right
