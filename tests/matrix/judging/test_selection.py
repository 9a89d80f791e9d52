"""What SGLang's indexer selected on an H200 is judged right, and each wrong selection is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from matrix.checkout import CHECKOUT
from matrix.judging.selection import BAND, SelectedRow, find_wrong_selections

RECORDED = CHECKOUT / "docs" / "evidence" / "sm90-h200" / "selection.npz"
TOPK = 2048
PATTERNS = {"baseline": "FFFF", "indexcache": "FFSS", "shared": "FFSS"}


@cache
def recorded(cell: str) -> tuple[SelectedRow, ...]:
    held = np.load(RECORDED)
    return tuple(
        SelectedRow(position=p, layer=layer, selected=selected.tolist(), scores=scores.tolist())
        for p, rows, each in zip(held["at"].tolist(), held[cell], held["scores"].astype(float), strict=True)
        for layer, (selected, scores) in enumerate(zip(rows, each, strict=True))
    )


def wrong(rows: Sequence[SelectedRow], pattern: str) -> list[str]:
    return list(find_wrong_selections(rows, pattern, TOPK))


@pytest.mark.parametrize(("launch", "pattern"), PATTERNS.items())
def test_what_an_engine_selected_is_right_for_its_pattern_alone(launch: str, pattern: str) -> None:
    assert wrong(recorded(launch), pattern) == []
    other = {"FFFF": "FFSS", "FFSS": "FFFF"}[pattern]
    assert {line.split(",")[0] for line in wrong(recorded(launch), other)} == {"layer 2", "layer 3"}


def exchange(rows: Sequence[SelectedRow], of: Callable[[SelectedRow], SelectedRow]) -> list[SelectedRow]:
    return [of(row) if (row.position, row.layer) == (2400, 1) else row for row in rows]


def another(row: SelectedRow, position: int, layer: int) -> list[int]:
    found = next(r for r in recorded("baseline") if (r.position, r.layer) == (position, layer))
    return [token for token in found.selected if token <= row.position]


PLANTS: dict[str, tuple[Callable[[SelectedRow], SelectedRow], str]] = {
    "a layer that is stale": (lambda r: replace(r, selected=another(r, 2400, 0)), "are not the reference's, by up to"),
    "a row that is shifted": (
        lambda r: replace(r, selected=[t + 1 if t < 2400 else 0 for t in r.selected]),
        "are not the reference's",
    ),
    "the last tokens": (
        lambda r: replace(r, selected=range(r.position + 1 - TOPK, r.position + 1)),
        "not the referenc",
    ),
    "a token twice": (lambda r: replace(r, selected=[*r.selected[1:], r.selected[-1]]), "1 tokens are selected twice"),
    "a token of the future": (
        lambda r: replace(r, selected=[*r.selected[1:], 2401]),
        "token 2401 is not one of the 2401",
    ),
    "too few": (lambda r: replace(r, selected=[*r.selected[1:], -1]), "2047 tokens are selected, and 2048 are wanted"),
    "everything": (lambda r: replace(r, selected=range(r.position + 1)), "2401 tokens are selected, and 2048"),
    "scores that are none": (lambda r: replace(r, scores=[float("nan")] * len(r.scores)), "no score for every token"),
}


@pytest.mark.parametrize(("plant", "told"), PLANTS.values(), ids=PLANTS)
def test_each_wrong_selection_is_told(plant: Callable[[SelectedRow], SelectedRow], told: str) -> None:
    [line] = wrong(exchange(recorded("baseline"), plant), "FFFF")
    assert line.startswith("layer 1, position 2400: ") and told in line


def test_another_request_s_rows_are_told() -> None:
    def of_later(row: SelectedRow) -> SelectedRow:
        later = another(row, 2951, 1)
        rest = [t for t in range(row.position, -1, -1) if t not in set(later)]
        return replace(row, selected=[*later, *rest][:TOPK])

    [line] = wrong(exchange(recorded("baseline"), of_later), "FFFF")
    assert "are not the reference's" in line


def test_a_sharing_layer_without_its_leader_is_no_evidence() -> None:
    rows = [row for row in recorded("indexcache") if row.layer != 1]
    assert {line.partition(": ")[2] for line in wrong(rows, "FFSS")} == {
        "it shares with layer 1, of which nothing was read out"
    }


def test_within_index_topk_everything_is_selected() -> None:
    rows = [SelectedRow(position=3, layer=0, selected=[0, 1, 2, 3, -1, -1], scores=[1.0, 2.0, 3.0, 4.0])]
    assert wrong(rows, "F") == []


def test_the_band_is_twice_the_farthest_that_an_engine_was_seen_to_exchange() -> None:
    rows = [row for launch in PATTERNS for row in recorded(launch) if row.layer < 2]
    assert list(find_wrong_selections(rows, "FF", TOPK, BAND / 2)) == []
    assert list(find_wrong_selections(rows, "FF", TOPK, BAND / 3)) != []


STEPS = [float(token) for token in range(10)]  # the spread is 2.87, a step 0.348 of it; of four the cut is 6


def of_ten(selected: Sequence[int], scores: Sequence[float] = STEPS, band: float = 0.34, topk: int = 4) -> list[str]:
    row = SelectedRow(position=9, layer=0, selected=selected, scores=scores)
    return [line.partition(": ")[2] for line in find_wrong_selections([row], "F", topk, band)]


def test_every_token_on_the_wrong_side_of_the_cut_is_counted() -> None:
    """The one that was left out, and the one in its place."""
    allowed = "standard deviations, and 0.34 are allowed"
    assert of_ten([6, 7, 8, 9]) == []
    assert of_ten([5, 7, 8, 9]) == [f"1 tokens are not the reference's, by up to 0.35 {allowed}"]
    assert of_ten([5, 7, 8, 9], band=0.35) == []
    assert of_ten([5, 6, 7, 8]) == [f"2 tokens are not the reference's, by up to 1 {allowed}"]
    assert of_ten([4, 7, 8, 9]) == [f"1 tokens are not the reference's, by up to 0.7 {allowed}"]
    assert of_ten([4, 7, 8, 9], band=0.5) and not of_ten([4, 7, 8, 9], band=0.7)


def test_one_token_more_than_index_topk_is_a_selection() -> None:
    assert of_ten(range(9), topk=9) == [
        "2 tokens are not the reference's, by up to 2.8 standard deviations, and 0.34 are allowed"
    ]
    assert of_ten(range(1, 10), topk=9) == []


@pytest.mark.parametrize(
    ("selected", "scores", "told"),
    [
        ([6, 7, 8, -2], STEPS, "token -2 is not one of the 10 that it may see"),
        ([6, 7, 8, 10], STEPS, "token 10 is not one of the 10 that it may see"),
        ([6, 7, 8, 9], STEPS[:-1], "the reference has no score for every token up to it"),
        ([6, 7, 8, 9], [*STEPS[:-1], float("nan")], "the reference has no score for every token up to it"),
    ],
)
def test_a_row_that_can_be_no_selection_is_told(selected: list[int], scores: list[float], told: str) -> None:
    assert of_ten(selected, scores) == [told]


def test_what_fills_a_row_is_no_token_of_a_shared_selection() -> None:
    rows = [
        SelectedRow(position=1, layer=layer, selected=selected, scores=[1.0, 2.0])
        for layer, selected in ((0, [0, 1]), (1, [1, 0, -1, -1]))
    ]
    assert list(find_wrong_selections(rows, "FS", 4)) == []
