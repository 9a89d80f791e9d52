"""Answers of two runs, item by item: what is worse beyond luck, over all cells, and what could have been noticed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.compare.lost_answers import pair_cells, smallest_noticed_rate, summarise_pairs
from reports.evidence.types import Record
from tests.reports import world
from tests.reports.world import LAW


def answers(cell: str, right: Iterable[bool], **more: Any) -> list[dict[str, Any]]:
    found = {"kind": "finding", "cell": cell, "check": "coherence.fact", "expected": "", "got": "", **more}
    return [{**found, "item": f"i{n}", "ok": ok} for n, ok in enumerate(right)]


def run(*cells: list[dict[str, Any]]) -> list[Record]:
    return world.typed([finding for cell in cells for finding in cell])


def test_a_cell_that_lost_answers_beyond_luck_is_worse() -> None:
    (pair,) = pair_cells(run(answers("a", [True] * 20)), run(answers("a", [False] * 5 + [True] * 15)))
    assert (pair.lost, pair.won, pair.worse) == (("i0", "i1", "i2", "i3", "i4"), 0, True)
    assert pair.p == pytest.approx(0.5**5)


def test_as_many_won_as_lost_is_luck() -> None:
    before, after = [True] * 5 + [False] * 5, [False] * 5 + [True] * 5
    (pair,) = pair_cells(run(answers("a", before)), run(answers("a", after)))
    assert (len(pair.lost), pair.won, pair.worse) == (5, 5, False)


def test_what_one_cell_may_not_lose_alone_one_of_twenty_may() -> None:
    """Five losses are 3 %: too few once twenty cells had the chance."""
    names = [f"c{i}" for i in range(20)]
    after = [answers(n, [False] * 5 + [True] * 15 if n == "c0" else [True] * 20) for n in names]
    assert not any(p.worse for p in pair_cells(run(*(answers(n, [True] * 20) for n in names)), run(*after)))


def test_only_items_of_both_runs_and_of_the_same_bytes_count() -> None:
    old = run(answers("a", [True] * 9, data={"prompt_sha256": "1"}), answers("b", [True] * 9))
    assert pair_cells(old, run(answers("a", [False] * 9, data={"prompt_sha256": "2"}))) == []
    assert [p.items for p in pair_cells(old, run(answers("b", [True] * 4)))] == [4]
    assert summarise_pairs([]).startswith("no item was asked in both runs")


def test_an_item_that_was_wrong_once_was_not_right() -> None:
    twice = run(answers("a", [True]), answers("a", [False]))
    (pair,) = pair_cells(run(answers("a", [True])), twice)
    assert pair.lost == ("i0",)


def test_it_says_what_it_could_have_noticed() -> None:
    assert smallest_noticed_rate(4, 0.05) is None, "four losses of four are 6 %"
    rate = smallest_noticed_rate(60, 0.05)
    assert rate is not None and 0.10 < rate < 0.12
    pairs = pair_cells(run(answers("a", [True] * 20)), run(answers("a", [False] * 5 + [True] * 15)))
    assert [(p.worse, p.lost[:2], p.won, round(p.p, 3)) for p in pairs] == [(True, ("i0", "i1"), 0, 0.031)]
    assert summarise_pairs(pairs).startswith("1 of 1 cells answer worse")


@LAW
@given(st.integers(5, 200), st.integers(5, 200))
def test_more_items_never_notice_less(few: int, more: int) -> None:
    small, large = (smallest_noticed_rate(n, 0.05) for n in sorted((few, few + more)))
    assert small is not None and large is not None and large <= small + 1e-9


def test_an_item_that_was_wrong_first_was_not_right_either() -> None:
    (pair,) = pair_cells(run(answers("a", [True])), run(answers("a", [False]), answers("a", [True])))
    assert pair.lost == ("i0",)


def test_what_twenty_cells_could_notice_is_less_than_what_one_could() -> None:
    names = [f"c{i}" for i in range(20)]
    whole = run(*(answers(n, [True] * 20) for n in names))
    (alone,), beside = pair_cells(run(answers("c0", [True] * 20)), whole), pair_cells(whole, whole)
    assert alone.noticed == smallest_noticed_rate(20, 0.05)
    assert {p.noticed for p in beside} == {smallest_noticed_rate(20, 0.05 / 20)}
    assert alone.noticed is not None and beside[0].noticed is not None and alone.noticed < beside[0].noticed


def test_the_worst_cell_is_told_first() -> None:
    before = run(answers("a", [True] * 20), answers("b", [True] * 20))
    after = run(answers("a", [True] * 20), answers("b", [False] * 10 + [True] * 10))
    assert [(p.cell, p.worse) for p in pair_cells(before, after)] == [("b", True), ("a", False)]


@pytest.mark.parametrize(
    ("items", "power"),
    [(4, "some asked too few items to notice any loss"), (20, "every cell would notice a loss of 31%")],
)
def test_the_summary_tells_the_power_of_the_weakest_cell(items: int, power: str) -> None:
    same = run(answers("a", [True] * items))
    assert summarise_pairs(pair_cells(same, same)) == (
        f"0 of 1 cells answer worse (exact McNemar, Holm over the cells, 5%); {power}"
    )
