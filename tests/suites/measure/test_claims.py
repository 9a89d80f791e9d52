"""A load that repeats a published row is held to it, loosely; any other load is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix.planning.expand import expand_matrix
from matrix.yaml.load import load_matrix
from suites.measure import claims

EVERY = expand_matrix(load_matrix())
# docs/sources/004.md: 26.4 tok/s after 16,384 tokens on 4 x RTX PRO 6000.
# docs/sources/001.md: 884 tok/s and 33.56 ms per token with 32
# streams of 2,048 in and 512 out on 8 x B200; the matrix excludes that cell, and the row is a row all the same.
SEED_004 = next(c for c in EVERY.runnable if c.id == "sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.baseline")
SEED_001 = next(c for c in EVERY.excluded if c.id == "sm100x8.vllm_0_16_0.glm5_fp8.baseline")
DECODE: dict[str, Any] = {
    "max_concurrency": 1,
    "output_len_asked": 512,
    "total_input_tokens": 16_000,
    "completed": 1,
    "output_throughput": 20.0,
    "mean_tpot_ms": 1000 / 26.4,
    "median_tpot_ms": 1000 / 26.4,
}
LOADED: dict[str, Any] = {
    "max_concurrency": 32,
    "output_len_asked": 512,
    "total_input_tokens": 2048 * 96,
    "completed": 96,
    "output_throughput": 884.0,
    "mean_tpot_ms": 33.56,
    "median_tpot_ms": 30.0,
}


def test_the_published_rows_themselves_hold() -> None:
    found = [*claims.check_claims(SEED_004, DECODE), *claims.check_claims(SEED_001, LOADED)]
    assert [f.check.removeprefix("throughput.near_claim.") for f in found] == [
        "seed004_context.decode_throughput.c1",
        "seed001_concurrency.output_throughput.c32",
        "seed001_concurrency.mean_tpot.c32",
    ]
    assert all(f.ok for f in found)


@pytest.mark.parametrize(
    ("worse", "ok"),
    [
        ({"output_throughput": 0.81 * 884}, [True, True]),
        ({"output_throughput": 0.79 * 884}, [False, True]),
        ({"mean_tpot_ms": 1.26 * 33.56}, [True, False]),
    ],
    ids=str,
)
def test_a_fifth_less_is_allowed_and_no_more(worse: dict[str, float], ok: list[bool]) -> None:
    assert [f.ok for f in claims.check_claims(SEED_001, LOADED | worse)] == ok


def test_a_slow_decode_at_a_published_context_is_red() -> None:
    (found,) = claims.check_claims(SEED_004, DECODE | {"median_tpot_ms": 1000 / (0.79 * 26.4)})
    assert not found.ok


@pytest.mark.parametrize(
    "other", [{"max_concurrency": 33}, {"output_len_asked": 256}, {"total_input_tokens": 1024 * 96}], ids=str
)
def test_another_load_repeats_nothing(other: dict[str, int]) -> None:
    assert list(claims.check_claims(SEED_001, LOADED | other)) == []


def test_a_row_of_another_feature_is_not_repeated() -> None:
    """The seed's columns with and without IndexCache are rows of different cells."""
    with_indexcache = replace(SEED_004, features=frozenset({"indexcache"}))
    assert all("26.4" not in f.expected for f in claims.check_claims(with_indexcache, DECODE))


def test_nobody_has_published_anything_about_a_cpu() -> None:
    assert list(claims.check_claims(next(c for c in EVERY.runnable if c.id.startswith("cpu.")), LOADED)) == []
