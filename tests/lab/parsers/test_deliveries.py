"""A reply arrives whole in every delivery, and is cut in two at every place."""

from __future__ import annotations

from lab.parsers.deliveries import list_deliveries

PIECES = ["a", "<m>", "b", "c", "d", "e"]


def test_every_delivery_brings_all_pieces_in_order() -> None:
    for name, deltas, _ in list_deliveries(PIECES):
        assert [piece for delta in deltas for piece in delta] == PIECES, name


def test_every_place_is_cut_once_and_one_delivery_is_token_by_token() -> None:
    found = {name: deltas for name, deltas, _ in list_deliveries(PIECES)}
    assert [len(found[f"cut at {n}"][0]) for n in range(1, 6)] == [1, 2, 3, 4, 5]
    assert "cut at 6" not in found
    assert found["by 1"] == [[piece] for piece in PIECES]
    assert found["by 5"] == [PIECES[:5], PIECES[5:]]


def test_each_grouping_ends_both_with_its_last_delta_and_after_it() -> None:
    names = {name: ended for name, _, ended in list_deliveries(PIECES) if not name.startswith("cut")}
    assert all(names[f"{name}, ended"] and not names[name] for name in ("at once", "by 1", "by 2", "by 3", "by 5"))
