"""matrix/reach.json is what the suites ask today, and says what they can show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.checkout import CHECKOUT
from matrix.known.lint import read_test_names
from matrix.known.reach import COMMAND, FILE, Reach, ReachRequest, keep_frontier, read_reach
from matrix.recorded import Needs
from suites.asking.depth import DEPTHS, RELEASE
from tests.suites import reaching


def test_the_committed_table_is_what_the_suites_ask() -> None:
    assert FILE.read_text(encoding="utf-8") == reaching.as_text(reaching.reached()), COMMAND


def test_every_suite_test_is_in_it_at_every_depth() -> None:
    for tests in read_reach().requests.values():
        assert set(tests) == read_test_names(CHECKOUT / "suites")
        assert all(list(depths) == list(DEPTHS) for depths in tests.values())


@pytest.mark.parametrize(
    ("test", "tokens", "at_once", "turns"),
    [
        ("test_finds_the_needle_beyond_index_topk", 128_000, 1, 1),
        ("test_right_across_prompt_lengths", 5_665, 1, 1),
        ("test_markers_do_not_leak", 64, RELEASE.markers, 1),
        ("test_speed_under_load", 2_048, 128, 1),
        ("test_concurrency_sweep", 2_048, 256, 1),
        ("test_answers_right_under_load", 256, RELEASE.loaded_streams + 4, 1),
        ("test_recalls_across_turns", 100, 1, 11),
        ("test_same_numbers_alone_and_among_others", 30, 32, 1),
    ],
)
def test_what_is_known_of_a_test_is_in_its_reach(test: str, tokens: int, at_once: int, turns: int) -> None:
    needs = Needs(prompt_tokens=tokens, concurrency=at_once, turns=turns)
    assert "release" in read_reach().depths_that_meet(needs, test=test, banks=["canary"])


def test_a_test_that_a_depth_leaves_out_reaches_nothing_there() -> None:
    reach = read_reach().requests["canary"]["test_right_across_prompt_lengths"]
    assert reach["quick"] == ()


ASKED = st.builds(ReachRequest, st.integers(0, 9), st.integers(1, 4), st.integers(1, 4), st.booleans())


@given(st.lists(ASKED), ASKED)
def test_a_frontier_reaches_what_all_of_it_reached(every: list[ReachRequest], wanted: ReachRequest) -> None:
    assert any(a.reaches(wanted) for a in every) is any(a.reaches(wanted) for a in keep_frontier(every))


@given(st.lists(ASKED), ASKED)
def test_needing_less_is_never_harder(every: list[ReachRequest], wanted: ReachRequest) -> None:
    reach = Reach(requests={"b": {"t": {"quick": keep_frontier(every)}}})
    hard = Needs(prompt_tokens=wanted[0], concurrency=wanted[1], turns=wanted[2], thinking=wanted[3])
    easy = Needs(prompt_tokens=wanted[0])
    if reach.depths_that_meet(hard, test="t", banks=["b"]):
        assert reach.depths_that_meet(easy, test="t", banks=["b"])


def test_a_request_that_asks_for_more_shows_in_the_table() -> None:
    """The client that takes notes sees lengths, company, turns and thinking."""
    notes = reaching.Notes()
    client = reaching.NotingClient(notes)
    item = reaching.of_length(7)
    client.ask(item, thinking=True)
    client.together([(item, {}), (item, {})])
    assert notes == [ReachRequest(7, 1, 1, True), ReachRequest(7, 2), ReachRequest(7, 2)]
