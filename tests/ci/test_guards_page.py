"""The page of guards: each is told, has a reason or is open, and what is told may only grow."""

from __future__ import annotations

from collections import Counter

import pytest

from ci.reference.guards import ENGINES, OPEN, TOLD, list_told_otherwise, place_guards
from matrix.checking.parser_findings import ABOUT_VALUES
from matrix.checking.rules import read_book, read_checks
from matrix.preflight.guards import read_guards


@pytest.mark.parametrize(("engine", "told"), [("sglang", 429), ("vllm", 181), ("trtllm", 36)])
def test_what_ends_a_start_and_is_told_may_only_grow(engine: str, told: int) -> None:
    # 182 once: that vLLM's class of GLM-5 takes no adapters was told, and is wrong (served with them on an H200)
    assert Counter(p.why for p in place_guards(engine) if p.guard.does == "stops")[TOLD] >= told


@pytest.mark.parametrize(("engine", "left"), [("sglang", 1), ("vllm", 1), ("trtllm", 0)])
def test_few_guards_of_earlier_releases_that_end_a_start_are_open(engine: str, left: int) -> None:
    # users run old releases: what the newest one has no more is looked at as what it has
    assert sum(p.why == OPEN and p.guard.does == "stops" and not p.newest for p in place_guards(engine)) <= left


def test_a_guard_of_an_earlier_release_is_judged_by_the_flags_of_the_last_that_has_it() -> None:
    found = {p.guard.says: p for p in place_guards("sglang") if not p.newest}
    words = "DFLASH requires --speculative-dflash-draft-window-size to be positive, got {}."
    assert found[words].why == TOLD


@pytest.mark.parametrize(
    ("engine", "words", "why"),
    [
        ("sglang", "--enable-dp-lm-head requires attention DP", TOLD),
        ("sglang", "--enable-lmcache requires radix cache", TOLD),
        ("sglang", "--sampling-backend intel_xpu requires --device xpu", "another device"),
        ("sglang", "--attn-dp-size must be positive", TOLD),
        ("sglang", "LMCacheUnifiedRadixCache does not yet support streaming", OPEN),
        ("vllm", "Total number of attention heads", TOLD),
        ("trtllm", "stream_interval must be positive", TOLD),
        ("vllm", "gpu_memory_utilization gt=0 le=1", TOLD),
    ],
)
def test_a_guard_is_told_left_out_with_a_reason_or_open(engine: str, words: str, why: str) -> None:
    assert {placed.why for placed in place_guards(engine) if words in placed.guard.says} == {why}


def test_each_guard_that_is_told_otherwise_names_a_check_and_is_there() -> None:
    # what code finds is told in words of its own; the release's own parser tells the last
    checks = {check.id for check in read_checks()} | set(read_book().computed) | ABOUT_VALUES
    guards = [f"{guard.at}: {guard.says}" for engine in ENGINES for guard in read_guards(engine).guards]
    for check, pattern in list_told_otherwise():
        assert check in checks
        assert any(pattern.search(guard) for guard in guards), pattern.pattern
