"""Compares what was proven of each feature, before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reports.evidence.summary import CellRow
from reports.evidence.types import Proof, ProofOutcome

ProofChange = Literal["refuted", "lost", "missing", "proven", "same"]
WORSE: Final[frozenset[ProofChange]] = frozenset({"refuted", "lost"})
SPEAKS: Final[tuple[ProofOutcome, ...]] = ("refuted", "proven", "unproven")  # a refutation stands, else any proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofDifference:
    """One feature of a pair of cells. Empty: no test looked at the feature."""

    feature: str
    before: str
    after: str
    change: ProofChange
    detail: str = ""


def compare_proofs(old: CellRow, new: CellRow) -> tuple[ProofDifference, ...]:
    """Compare every feature that either side looked at."""
    after = _decide_proofs(new)
    dropped = set(old.features) - set(new.features)  # another cell that does not ask for them
    before = {feature: proof for feature, proof in _decide_proofs(old).items() if feature not in dropped}
    return tuple(_compare_features(before, after))


def _compare_features(before: Mapping[str, Proof], after: Mapping[str, Proof]) -> Iterator[ProofDifference]:
    for feature in sorted({*before, *after}):
        was, now = before.get(feature), after.get(feature)
        old, new = was.outcome if was else "", now.outcome if now else ""
        detail = f"{now.rung}: {now.detail}".rstrip(": ") if now else ""
        yield ProofDifference(feature=feature, before=old, after=new, change=name_change(old, new), detail=detail)


def name_change(before: str, after: str) -> ProofChange:
    """Name what became of a proof. Absent and unproven differ: one was not asked, the other was asked and not seen."""
    if before == after:
        return "same"
    if after == "refuted":
        return "refuted"
    if after == "proven":
        return "proven"
    if after == "unproven":
        return "lost" if before == "proven" else "same"
    return "missing" if before == "proven" else "same"


def _decide_proofs(row: CellRow) -> Mapping[str, Proof]:
    found: dict[str, Proof] = {}
    for proof in row.proofs:
        known = found.get(proof.feature)
        if known is None or SPEAKS.index(proof.outcome) < SPEAKS.index(known.outcome):
            found[proof.feature] = proof
    return found
