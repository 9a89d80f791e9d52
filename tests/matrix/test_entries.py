"""Known failures and claims: each names its source, and speaks about cells that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from matrix.expand import expand
from matrix.load import load

MATRIX = load()
WORLD = expand(MATRIX)


def test_every_known_issue_of_the_audit_has_an_entry() -> None:
    numbers = {m[1] for k in MATRIX.known_failures if (m := re.match(r"K(\d+)_", k.value.id))}
    assert numbers == {str(n) for n in range(1, 31)}


def test_known_failures_link_to_their_issue_and_are_reviewed_in_time() -> None:
    for entry in MATRIX.known_failures:
        k = entry.value
        assert k.issue.startswith("https://github.com/") or k.id.startswith("planted_")
        assert k.added < k.review_by
        assert k.review_by > date(2026, 11, 21)


def test_only_failures_that_were_seen_here_are_strict_on_a_cell_that_runs() -> None:
    """The planted one, and what H100s showed of the canary (docs/evidence/sm90-h100)."""
    strict = [k for k in MATRIX.known_failures if k.value.expect == "always"]
    on_cells = {(k.value.id, c.checkpoint.canary) for k in strict for c in WORLD.runnable if k.condition(c.facts)}
    seen = ("planted_fsfs", "vllm_required_never_ends", "vllm_marlin_w13_scales", "sglang_gptq_experts_in_bf16")
    assert on_cells == {(name, True) for name in seen}


def claims() -> Iterator[Any]:
    return (c.value for c in MATRIX.claims)


def test_every_claim_speaks_about_a_cell_of_its_seed() -> None:
    cells = (*WORLD.runnable, *WORLD.excluded)
    assert all(any(c.condition(cell.facts) for cell in cells) for c in MATRIX.claims)
    assert all(c.source.startswith("seeds/00") for c in claims())


def test_the_concurrency_table_obeys_littles_law() -> None:
    table = next(c for c in claims() if c.id == "seed001_concurrency")
    rows: dict[int, dict[str, float]] = {}
    for m in table.measurements:
        rows.setdefault(m.conditions["concurrency"], {})[m.metric] = m.value
    assert sorted(rows) == [1, 8, 16, 32, 64, 128, 256, 512, 1024]
    for concurrency, row in rows.items():
        request_s = (row["mean_ttft"] + 511 * row["mean_tpot"]) / 1000
        tolerance = 0.02 if concurrency <= 256 else 0.10
        assert concurrency * 512 / request_s == pytest.approx(row["output_throughput"], rel=tolerance)


def test_the_warm_time_of_seed_004_is_no_prefill_time() -> None:
    prefill = next(c for c in claims() if c.id == "seed004_prefill")
    cold = next(m.value for m in prefill.measurements if m.metric == "prefill_throughput_cold")
    warm = next(m.value for m in prefill.measurements if m.conditions["prompt_tokens"] == 128_025)
    assert prefill.disputed
    assert 128_025 / cold > 20 * warm
