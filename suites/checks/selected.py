"""Judges what a launch hands out of its selection, row by row, and what that proves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fixtures.banks.item import Item
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof, Outcome
from matrix.judging.selection import BAND, SelectedRow, find_wrong_selections
from matrix.wording import list_first
from reports.evidence.finding import Finding

CHECK: Final = "selection.rows"
FEATURE: Final = "selection_readout"
SHARES: Final = "S"
SHOWN: Final = 3


def check_selection(item: Item, rows: Sequence[SelectedRow], pattern: str, index_topk: int) -> Finding:
    """Hold every row against its layer: a full layer's against the reference, a sharing layer's against its leader."""
    wrong = list(find_wrong_selections(rows, pattern, index_topk))
    return Finding(
        check=CHECK,
        ok=not wrong,
        expected=f"the selection of {pattern}: {index_topk} tokens a row, the reference's up to {BAND:g} deviations"
        " around the cut, a sharing layer's those of its leader",
        got=list_first(wrong, SHOWN) if wrong else f"{len(rows)} rows as they should be",
        item=item.id,
        detail=list_first(wrong, SHOWN),
        data={"rows": len(rows), "wrong": len(wrong), "pattern": pattern, "band": BAND},
    )


def prove_selection(found: Finding, pattern: str, features: frozenset[str]) -> list[FeatureProof]:
    """Prove, by the rows alone: that they were handed out, sparse attention and, with sharing layers, IndexCache."""
    outcome: Outcome = "proven" if found.ok else "refuted"
    # Rows of a pattern in which every layer selects say nothing about sharing, although the feature was asked for.
    asked = ["dsa", *(["indexcache"] if "indexcache" in features and SHARES in pattern else [])]
    handed = FeatureProof(
        feature=FEATURE, outcome="proven", rung=Rung.ORACLE, detail=f"{found.data['rows']} rows were read"
    )
    return [
        handed,
        *(
            FeatureProof(feature=feature, outcome=outcome, rung=Rung.ORACLE, detail=found.got, data=dict(found.data))
            for feature in asked
        ),
    ]
