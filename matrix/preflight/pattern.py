"""index_topk_pattern: one letter per layer, F = the layer runs its own indexer, S = it shares the one above.

    FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS   78 layers: 40 F, 38 S
The published card says 23 F and 55 S of this very string (docs/sources/004.md), so the letters are counted and
never believed. A 79th letter belongs to the MTP layer; engines treat that layer as F whatever it
says (audit section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FULL, SHARED = "F", "S"


@dataclass(frozen=True)
class SharingPattern:
    """A pattern with its counts over the trunk layers, and everything wrong with it."""

    text: str
    layers: int
    full: int  # trunk layers that run the indexer, and so keep its keys
    shared: int
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.problems


def lint_pattern(pattern: Any, layers: int, *, claim: tuple[int, int] | None = None) -> SharingPattern:
    """Count and check a pattern for a model of `layers` trunk layers. `claim` is (F, S) as somebody states it."""
    if not isinstance(pattern, str):
        return SharingPattern(
            "", layers, layers, 0, (f"expected text of F and S, got {type(pattern).__name__} {pattern!r}",)
        )
    # the MTP layer's letter is cut off: engines run that layer as F whatever it says
    trunk = pattern[:layers]
    full, shared = trunk.count(FULL), trunk.count(SHARED)
    return SharingPattern(
        pattern, layers, full, shared, tuple(_find_pattern_problems(pattern, layers, (full, shared), claim))
    )


def _find_pattern_problems(
    pattern: str, layers: int, counts: tuple[int, int], claim: tuple[int, int] | None
) -> list[str]:
    found: list[str] = []
    strange = sorted(set(pattern) - {FULL, SHARED})
    if strange:
        found.append(f"only F and S are letters of a pattern, found {' '.join(map(repr, strange))}")
    if len(pattern) not in (layers, layers + 1):
        found.append(f"{len(pattern)} letters for {layers} layers (or {layers + 1} with the MTP layer)")
    if pattern[:1] != FULL:
        found.append("the first layer has nothing above it to share, so it must be F")
    if claim is not None and claim != counts:
        found.append(f"claimed {claim[0]} F and {claim[1]} S, counted {counts[0]} F and {counts[1]} S")
    return found
