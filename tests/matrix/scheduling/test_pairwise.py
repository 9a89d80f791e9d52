"""Few cells with every pair."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.scheduling.pairwise import cover_pairs, list_pairs, order_by_coverage
from tests.matrix.scheduling.world import list_cells

SETS = st.lists(st.frozensets(st.tuples(st.sampled_from("ab"), st.sampled_from("cdef")), max_size=4), max_size=12)


def test_every_pair_of_a_rig_is_shown_by_a_fraction_of_its_cells() -> None:
    cells = list_cells("sm120x4.")
    few = cover_pairs(cells)
    assert {p for c in few for p in list_pairs(c)} == {p for c in cells for p in list_pairs(c)}
    assert len(few) < len(cells) / 3
    assert [c.id for c in few] == [c.id for c in cover_pairs(cells)]


def test_features_are_paired_with_each_other_and_their_absence_with_the_rest() -> None:
    both = next(c for c in list_cells("sm120x4.") if c.features >= {"mtp", "chunked_prefill"})
    plain = next(c for c in list_cells("sm120x4.") if not c.features)
    assert ("feature=chunked_prefill", "feature=mtp") in list_pairs(both)
    assert (f"release={plain.release.id}", "feature=none") in list_pairs(plain)


@settings(max_examples=25)
@given(SETS)
def test_the_first_ones_cover_what_all_have_and_nobody_is_lost(items: list[frozenset[tuple[str, str]]]) -> None:
    ordered, count = order_by_coverage(items, lambda i: i)
    assert sorted(map(sorted, ordered)) == sorted(map(sorted, items))
    assert frozenset().union(*ordered[:count]) == frozenset().union(*items)
    seen: set[tuple[str, str]] = set()
    for one in ordered[:count]:
        assert one - seen  # each adds something
        seen |= one
