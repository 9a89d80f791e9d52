"""Records are put together by equal answers, and a release that runs again takes its earlier ones out."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.parsers.record import (
    NOT_MADE,
    RUNS,
    SUFFIX,
    ParserRun,
    load_answers,
    load_releases,
    merge_answers,
    read_groups,
    save_run,
)

RIGHT = {"whole": {"think": "", "say": "a", "calls": []}, "streams": [{"n": 2, "how": ["by 1"], "outcome": {}}]}
WRONG = {"whole": {"error": "IndexError"}, "streams": []}
ORDER = ["vllm_1", "vllm_2", "vllm_3"]


def test_equal_answers_are_told_once_in_the_order_of_releases() -> None:
    one = merge_answers({}, "vllm_2", {"a": RIGHT}, ORDER)
    both = merge_answers(one, "vllm_1", {"a": RIGHT}, ORDER)
    assert both == {"a": [{"releases": ["vllm_1", "vllm_2"], **RIGHT}]}


def test_a_release_that_runs_again_answers_once() -> None:
    known = merge_answers(merge_answers({}, "vllm_1", {"a": RIGHT}, ORDER), "vllm_2", {"a": RIGHT}, ORDER)
    again = merge_answers(known, "vllm_1", {"a": WRONG}, ORDER)
    assert [group["releases"] for group in again["a"]] == [["vllm_1"], ["vllm_2"]]
    assert merge_answers(again, "vllm_1", {"b": RIGHT}, ORDER)["a"] == [{"releases": ["vllm_2"], **RIGHT}]


def test_a_pair_that_cannot_be_made_is_recorded_and_is_no_answer(tmp_path: Path) -> None:
    save_run(ParserRun("vllm_1", {"engine": "vllm", "version": "1"}, {"x+y": {"error": "TypeError"}}), tmp_path)
    assert read_groups(tmp_path / f"vllm.x+y{SUFFIX}")[NOT_MADE][0]["whole"] == {"error": "TypeError"}
    assert load_answers(tmp_path) == ()


def test_what_is_saved_is_read_back_and_releases_stand_in_order(tmp_path: Path) -> None:
    for number in ("10", "9"):
        save_run(ParserRun(f"vllm_{number}", {"engine": "vllm", "version": number}, {"x+y": {"a": RIGHT}}), tmp_path)
    assert list(load_releases(tmp_path)) == ["vllm_9", "vllm_10"]
    (found,) = load_answers(tmp_path)
    assert (found.engine, found.pair, found.case, found.releases) == ("vllm", "x+y", "a", ("vllm_9", "vllm_10"))
    assert found.whole == RIGHT["whole"]


@pytest.mark.parametrize("path", sorted(RUNS.glob(f"*{SUFFIX}")), ids=lambda path: path.name)
def test_the_record_names_known_releases_once_a_case(path: Path) -> None:
    for case, groups in read_groups(path).items():
        names = [release for group in groups for release in group["releases"]]
        assert len(names) == len(set(names)), case
        assert set(names) <= set(load_releases()), case
