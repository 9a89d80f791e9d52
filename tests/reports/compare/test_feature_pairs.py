"""Cells that differ in one feature, and in nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from reports.compare.feature_pairs import find_feature_pairs
from tests.reports.world import PLACE


@dataclass(frozen=True)
class Cell:
    """Anything with facts."""

    facts: dict[str, Any]


def cell(*features: str, **place: str) -> Cell:
    return Cell({**PLACE, **place, "features": features})


def test_a_cell_is_beside_the_one_without_a_feature() -> None:
    plain, mtp, both = cell(), cell("mtp"), cell("mtp", "indexcache")
    found = [(n.cell, n.without, n.feature) for n in find_feature_pairs([plain, mtp, both])]
    assert found == [(mtp, plain, "mtp"), (both, mtp, "indexcache")]


@pytest.mark.parametrize("place", ["rig", "release", "checkpoint"])
def test_cells_of_another_place_are_no_neighbours(place: str) -> None:
    assert list(find_feature_pairs([cell(), cell("mtp", **{place: "other"})])) == []


def test_what_is_not_known_has_no_place() -> None:
    assert list(find_feature_pairs([Cell({}), Cell({}), cell("mtp")])) == []
