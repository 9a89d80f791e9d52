"""Deltas are joined as clients join them: by the call's index."""

from __future__ import annotations

from lab.parsers.collected import Collected


def test_names_and_arguments_are_joined_by_index() -> None:
    got = Collected()
    for index, name, arguments in ((1, "b", None), (0, "a", ""), (0, None, "{"), (1, None, "{}"), (0, None, "}")):
        got.add_call(index, name, arguments)
    assert got.outcome() == {"think": "", "say": "", "calls": [["a", "{}"], ["b", "{}"]]}


def test_a_name_that_is_sent_twice_is_doubled() -> None:
    got = Collected()
    got.add_call(0, "a", None)
    got.add_call(0, "a", "{}")
    assert got.outcome()["calls"] == [["aa", "{}"]]
