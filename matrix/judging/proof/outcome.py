"""Proven, refuted or unproven, with the rung of the ladder that decided it, and the best of several such verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from matrix.judging.observation import Rung

Outcome = Literal["proven", "refuted", "unproven"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureProof:
    """One feature's outcome. `detail` names the numbers and where they were seen."""

    feature: str
    outcome: Outcome
    rung: Rung
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


def pick_strongest(proofs: Iterable[FeatureProof]) -> FeatureProof:
    """One verdict of several for a feature: a refutation stands whatever else is said, then the highest rung."""
    ranked = sorted(proofs, key=lambda p: (p.outcome == "refuted", p.outcome == "proven", p.rung.height))
    best, others = ranked[-1], [p.detail for p in reversed(ranked[:-1])]
    return replace(best, detail="; ".join([best.detail, *others]))


def make_unproven(feature: str, detail: str, rung: Rung) -> FeatureProof:
    """Make a proof of what cannot be seen: never proven, never refuted."""
    return FeatureProof(feature=feature, outcome="unproven", rung=rung, detail=detail)
