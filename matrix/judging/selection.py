"""Judges which tokens an engine's indexer selected, beside the scores of the reference: the highest rung for sparse
attention, because it is neither an echo nor an effect but the selection itself.

    F layer   the tokens with the highest scores, as many as index_topk; near the cut rounding may exchange some
    S layer   exactly the tokens of the nearest F layer above

SGLang 0.5.23 hands its selection out (`--enable-return-indexer-topk`, request field `return_indexer_topk`, attention
TP 1, positions with SGLANG_DSA_FUSE_TOPK=0); suites/test_selection.py asks for it. On one H200, with the indexer's keys
in 8 bits, at most 29 of 2,048 tokens were others than the reference's, and none of them farther from the cut than 0.14
standard deviations of the scores; another layer's selection differs by tokens 1.6 to 4.4 deviations away
(docs/evidence/sm90-h200/README.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from math import isfinite
from statistics import pstdev
from typing import Final

from matrix.judging.extremes import find_largest, find_smallest

BAND: Final = 0.28  # standard deviations: twice the farthest that was seen, a sixth of the nearest wrong selection
ABSENT: Final = -1  # fills a row whose prompt has fewer tokens than index_topk


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedRow:
    """What one layer selected for one position. `scores` are the reference's, one for each token up to it."""

    position: int
    layer: int
    selected: Sequence[int]
    scores: Sequence[float]


def find_wrong_selections(
    rows: Sequence[SelectedRow], pattern: str, index_topk: int, band: float = BAND
) -> Iterator[str]:
    """Yield a sentence for each row that is no selection of its layer. `pattern`: one letter a layer, F or S."""
    chosen = {(row.position, row.layer): frozenset(row.selected) - {ABSENT} for row in rows}
    for row in rows:
        where = f"layer {row.layer}, position {row.position}"
        # An F layer is its own leader; the first layer of every pattern is one.
        leader = pattern.rindex("F", 0, row.layer + 1)
        if why := _find_malformed(row, index_topk):
            yield f"{where}: {why}"
        elif leader == row.layer:
            if why := _find_far_tokens(row, index_topk, band):
                yield f"{where}: {why}"
        elif (row.position, leader) not in chosen:
            yield f"{where}: it shares with layer {leader}, of which nothing was read out"
        elif other := len(chosen[row.position, row.layer] - chosen[row.position, leader]):
            yield f"{where}: {other} tokens are not those of layer {leader}, with which it shares"


def _find_malformed(row: SelectedRow, index_topk: int) -> str:
    """Explain what no selection can have: a token of the future, one twice, or too few."""
    found = [token for token in row.selected if token != ABSENT]
    wanted = int(find_smallest([index_topk, row.position + 1]))
    if len(row.scores) <= row.position or not all(map(isfinite, row.scores[: row.position + 1])):
        return "the reference has no score for every token up to it"
    if outside := [token for token in found if not 0 <= token <= row.position]:
        return f"token {outside[0]} is not one of the {row.position + 1} that it may see"
    if len(set(found)) != len(found):
        return f"{len(found) - len(set(found))} tokens are selected twice"
    return "" if len(found) == wanted else f"{len(found)} tokens are selected, and {wanted} are wanted"


def _find_far_tokens(row: SelectedRow, index_topk: int, band: float) -> str:
    """Explain that tokens were exchanged which rounding cannot exchange; empty where there are none."""
    seen = row.scores[: row.position + 1]
    if len(seen) <= index_topk:
        return ""
    cut, spread = nlargest(index_topk, seen)[-1], pstdev(seen)
    selected = frozenset(row.selected)
    # >= cut: equal scores at the cut may be chosen either way, and lie within any band.
    exchanged = [t for t, score in enumerate(seen) if (t in selected) != (score >= cut)]
    far = [t for t in exchanged if not abs(seen[t] - cut) <= band * spread]
    if not far:
        return ""
    worst = find_largest(abs(seen[t] - cut) / spread for t in far) if spread else float("inf")
    return (
        f"{len(far)} tokens are not the reference's, by up to {worst:.2g} standard deviations, and {band:g} are allowed"
    )
