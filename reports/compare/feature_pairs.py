"""Finds pairs of cells that differ in exactly one feature."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

APART: Final = ("rig", "release", "checkpoint")


class HasFacts(Protocol):
    """An object with a cell's facts: an expected cell, or a row of the report."""

    @property
    def facts(self) -> Mapping[str, Any]: ...


C = TypeVar("C", bound=HasFacts)


@dataclass(frozen=True, slots=True)
class FeaturePair(Generic[C]):
    """A cell with a feature, and the same cell without it."""

    cell: C
    without: C
    feature: str


def find_feature_pairs(cells: Iterable[C]) -> Iterator[FeaturePair[C]]:
    """Yield every such pair among these cells; a cell without facts has no pair."""
    known = {_place_of(c.facts): c for c in cells if c.facts}
    for (where, features), cell in known.items():
        for feature in sorted(features):
            if other := known.get((where, features - {feature})):
                yield FeaturePair(cell, other, feature)


def _place_of(facts: Mapping[str, Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    return tuple(str(facts.get(name)) for name in APART), frozenset(facts.get("features", ()))
