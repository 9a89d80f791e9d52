"""Computes the prompt lengths that matter to this engine, instead of round numbers.

Sparse attention first differs beyond `index_topk`; chunked prefill breaks at chunk edges (vllm#37735: wrong
tokens at 32k with 16k chunks, fine below 8k); everything ends at the context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fixtures.client.client import THOUGHT_TOKENS
from suites.asking.depth import Depth

EDGE = 0.03  # a bank hits a length within a few percent, so an edge is straddled from both sides
REPLY_ROOM_TOKENS = 384  # needle answers and the template's frame
JUST_BEYOND: Final = 1.3
BEYOND: Final = 1.15  # times index_topk: surely selective, although a bank knows its lengths only about
WITHIN: Final = 0.6


def beyond_index_topk(settings: Mapping[str, Any], index_topk: int, depth: Depth) -> tuple[int, ...]:
    """List ascending lengths in tokens, all longer than `index_topk` and short enough for the context."""
    wanted = {round(m * index_topk) for m in depth.needle_multiples} | set(depth.needle_lengths)
    if depth.needle_chunk_edges and (chunk := settings.get("chunk_tokens")):
        wanted |= {round(chunk * edge) for edge in (1 - EDGE, 1 + EDGE, 2 + EDGE, 4 + EDGE)}
    longest = _longest_prompt(settings)
    # The end of the context costs over a minute of prefill (74 s at 131k, docs/sources/004.md).
    if depth.name == "release" and longest is not None:
        wanted.add(longest)
    return tuple(sorted(n for n in wanted if n > BEYOND * index_topk and (longest is None or n <= longest)))


def list_swept_lengths(settings: Mapping[str, Any], depth: Depth) -> tuple[int, ...]:
    """List a length on both sides of each length at which prompts were seen to break, if the context holds it."""
    longest = _longest_prompt(settings)
    sides = (round(n * side) for n in depth.sweep_lengths for side in (1 - EDGE, 1 + EDGE))
    return tuple(n for n in sides if longest is None or n <= longest)


def page_edges(settings: Mapping[str, Any], index_topk: int) -> tuple[int, ...]:
    """Compute the last token of a KV page and the first token of the next, beyond index_topk; empty where a page is
    one token."""
    page = int(settings.get("page_tokens", 1))
    tokens = just_beyond(settings, index_topk)
    if page == 1 or tokens is None:
        return ()
    # Rounded up: the page must lie beyond index_topk, where selection counts.
    edge = -(-tokens // page) * page
    return (edge, edge + 1)


def just_beyond(settings: Mapping[str, Any], index_topk: int) -> int | None:
    """Compute the cheapest length that is surely selective; None when the context is shorter."""
    tokens = cap_to_context(settings, round(JUST_BEYOND * index_topk))
    return tokens if tokens > BEYOND * index_topk else None


def within_index_topk(settings: Mapping[str, Any], index_topk: int) -> int:
    """Compute a length at which sparse attention selects every token."""
    return cap_to_context(settings, round(WITHIN * index_topk))


def cap_to_context(settings: Mapping[str, Any], tokens: int) -> int:
    """Cap `tokens` at the longest prompt that fits the context."""
    longest = _longest_prompt(settings)
    return tokens if longest is None else min(tokens, longest)


def _longest_prompt(settings: Mapping[str, Any]) -> int | None:
    """Compute what the context leaves beside the reply, and beside the thought of a model that always thinks."""
    context, room = settings.get("context"), REPLY_ROOM_TOKENS + (THOUGHT_TOKENS if settings.get("thinking") else 0)
    return None if context is None else int(context) - room
