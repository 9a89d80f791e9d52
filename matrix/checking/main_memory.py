"""Which flags of a line pin main memory by the numbers of its KV pool, and how much of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.checking.finding import CheckFinding, make_finding
from matrix.checking.rigs import Host
from matrix.checking.settings import Settings
from matrix.planning.kv import GIB
from matrix.planning.main_memory import (
    DEFAULT_RATIO,
    HOST_CACHE,
    ROUTED,
    SELECTED,
    PinnedMemory,
    pin_capture,
    pin_host_cache,
    pin_host_tier,
    pin_stated,
)


def judge_pinned(
    facts: Mapping[str, Any],
    settings: Settings,
    host: Host | None,
    *,
    row: int | None,
    pool: int | None,
    limit: int = 0,
) -> Iterator[CheckFinding]:
    """Tell what each flag pins, where the pool is known; risky where it is more than all GPUs of the host hold.

    `row`: bytes of a token on one rank; `pool`: tokens that one rank can hold; `limit`: bytes of main memory that the
    container may have, above which a launch is killed; 0: none is stated.
    """
    for name, pinned in _list_pinned(facts, row, pool):
        if limit and pinned.total_bytes > limit:
            more = {"total_gib": f"{pinned.total_bytes / GIB:.0f}", "limit_gib": f"{limit / GIB:.0f}"}
            subject = settings.written(name)
            more |= {"explained": pinned.explain(), "flag": pinned.flag}
            yield make_finding("pins_more_than_the_container_has", {**facts, **more}, subject, line=settings.line(name))
            continue
        # No line says what the host has. Hosts are sold with about as much main memory as their GPUs hold, or twice.
        many = host is not None and host.vram_bytes and pinned.total_bytes > host.vram_bytes * host.gpus
        yield make_finding(
            "pins_main_memory",
            facts,
            settings.written(name),
            level="risky" if many else "note",
            line=settings.line(name),
            explained=pinned.explain(),
            total_gib=f"{pinned.total_bytes / GIB:.0f}",
            flag=pinned.flag,
        )


def _list_pinned(facts: Mapping[str, Any], row: int | None, pool: int | None) -> Iterator[tuple[str, PinnedMemory]]:
    ranks, tokens = math.prod(n for n in (facts["tp"], facts["pp"]) if isinstance(n, int) and n > 1), pool
    if isinstance(stated := facts["max_total_tokens"], int) and stated > 0:
        tokens = stated if pool is None else min(stated, pool)
    if facts["engine"] == "sglang":
        layers = facts["layers"]
        for name, flag, each in (
            ("selection_readout", SELECTED, facts["topk"]),
            ("routed_experts", ROUTED, facts["config"].get("num_experts_per_tok")),
        ):
            if facts[name] is True and tokens and isinstance(layers, int) and isinstance(each, int):
                yield name, pin_capture(flag, tokens=tokens, layers=layers, each=each, ranks=ranks)
        if facts["hicache"] is True:
            size, ratio = _read_number(facts["hicache_size"]), _read_number(facts["hicache_ratio"]) or DEFAULT_RATIO
            tier = pin_host_tier(size_gb=size, ratio=ratio, tokens=tokens, row=row, ranks=ranks)
            yield from (("hicache", tier),) if tier else ()
    file = facts.get("file")
    if isinstance(file, Mapping) and (size := _read_number(file.get(HOST_CACHE))):
        yield "config_file", pin_host_cache(int(size), ranks)
    if offloaded := _read_number(facts["kv_offload"]):
        yield "kv_offload", pin_stated("--kv-offloading-size", offloaded, 1)
    if offloaded := _read_number(facts["cpu_offload"]):
        yield "cpu_offload", pin_stated("--cpu-offload-gb", offloaded, ranks)


def _read_number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else 0.0
