"""Needle lengths follow the engine: beyond index_topk, at chunk edges, inside the context."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suites.asking import lengths
from suites.asking.depth import DEPTHS, FULL, QUICK, RELEASE, Depth


@given(
    context=st.none() | st.integers(600, 300_000),
    topk=st.sampled_from([64, 256, 2048]),
    chunk=st.none() | st.integers(64, 16384),
    depth=st.sampled_from(list(DEPTHS.values())),
)
def test_every_length_is_selective_and_fits(context: int | None, topk: int, chunk: int | None, depth: Depth) -> None:
    settings = {"context": context, "chunk_tokens": chunk}
    found = lengths.beyond_index_topk(settings, topk, depth)
    assert list(found) == sorted(set(found))
    assert all(n > topk for n in found)
    assert context is None or all(n < context for n in found)


def test_quick_on_the_canary_asks_one_length() -> None:
    assert lengths.beyond_index_topk({"context": 2048}, 256, QUICK) == (576,)


def test_full_straddles_the_chunk_edges() -> None:
    found = lengths.beyond_index_topk({"context": 202_752, "chunk_tokens": 16384}, 2048, FULL)
    assert {15892, 16876, 33260, 66028} <= set(found)


def test_release_reaches_the_end_of_the_context() -> None:
    assert lengths.beyond_index_topk({"context": 65_536}, 2048, RELEASE)[-1] == 65_536 - 384


def test_a_context_within_index_topk_leaves_nothing_to_ask() -> None:
    assert lengths.beyond_index_topk({"context": 2048}, 2048, RELEASE) == ()


@given(st.integers(400, 300_000), st.sampled_from([64, 256, 2048]))
def test_just_beyond_is_beyond_or_nothing(context: int, topk: int) -> None:
    tokens = lengths.just_beyond({"context": context}, topk)
    assert tokens is None or 1.15 * topk < tokens < context
    assert (tokens is None) == (context - 384 <= 1.15 * topk)


def test_within_is_within() -> None:
    assert lengths.within_index_topk({}, 256) == 154
    assert lengths.within_index_topk({"context": 1024}, 2048) == 640


@pytest.mark.parametrize("name", DEPTHS)
def test_depths_know_their_names(name: str) -> None:
    assert DEPTHS[name].name == name


def test_release_states_five_percent_per_length() -> None:
    assert RELEASE.needles_per_length * len(RELEASE.needle_depths) >= 59
    assert min(RELEASE.facts, RELEASE.arithmetic, RELEASE.recall, RELEASE.calls) >= 59
    assert replace(QUICK, name="x") != QUICK


def test_the_sweep_stands_on_both_sides_and_inside_the_context() -> None:
    assert lengths.list_swept_lengths({"context": 202_752}, FULL) == (1987, 2109, 3973, 4219, 5335, 5665)
    assert lengths.list_swept_lengths({"context": 4096}, FULL) == (1987, 2109)
    assert lengths.list_swept_lengths({}, QUICK) == ()


def test_page_edges_are_the_last_token_and_the_next() -> None:
    assert lengths.page_edges({"context": 32_768, "page_tokens": 64}, 2048) == (2688, 2689)
    assert lengths.page_edges({"context": 32_768}, 2048) == ()
    assert lengths.page_edges({"context": 2048, "page_tokens": 64}, 2048) == ()
