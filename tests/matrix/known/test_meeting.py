"""Planted entries that no cell, no release to come or no item of their test meets."""

from __future__ import annotations

from pathlib import Path

import pytest

from matrix.__main__ import main
from matrix.known.meeting import lint_sources
from matrix.known.reach import Reach, ReachRequest, read_reach
from matrix.yaml.load import load_matrix
from tests.matrix.world import FILES, write

TEST = "test_finds_the_needle_beyond_index_topk"
REACH = Reach(
    requests={
        "glm5": {
            TEST: {"quick": (ReachRequest(4608),), "full": (ReachRequest(100_000), ReachRequest(64, 16))},
            "test_recalls_across_turns": {"full": (ReachRequest(236, 1, 11),)},
            "test_answers_first_token": {"quick": (ReachRequest(24),)},
        }
    }
)


def linted(folder: Path, *changes: tuple[str, str]) -> str:
    """Return what lint says of the tiny world with its known failure changed."""
    text = FILES["known_failures.yaml"]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return "\n".join(map(str, lint_sources(load_matrix(write(folder, {"known_failures.yaml": text})), REACH)))


WHEN = "when: {release: toy_2, features: [mtp]}"
RANGE = 'when: {engine: toy, version: ">=3,<4"}'
SOURCE = "release: toy==2.0.post1}"
REVIEW = "    review_by: 2027-01-01\n"


def test_the_sound_world_is_quiet(tmp_path: Path) -> None:
    assert linted(tmp_path) == ""


def waiting(release: str) -> list[tuple[str, str]]:
    """Return an entry about releases 3.x, none of which is on the axes, that waits for `release`."""
    return [(WHEN, RANGE), (SOURCE, "release: toy==3.1}"), (REVIEW, f"{REVIEW}    waits_for: {release}\n")]


ON_CPU = [(WHEN, "when: {release: toy_2, rig: cpu, features: [mtp]}"), (SOURCE, "release: toy==2.0.post1, sm: [0]}")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(WHEN, RANGE), (SOURCE, "release: toy==3.1}")], "T1.when: meets no combination of the axes"),
        ([(WHEN, "when: {release: toy_2, features: [indexcache]}")], "meets only combinations that are not run"),
        (ON_CPU, "by no_mtp_on_cpu"),
        (waiting("toy 3.1"), "expected name==version"),
        (waiting("toi==3.1"), "no engine is 'toi'; did you mean 'toy'?"),
        (waiting("toy==4.1"), "4.1 lies outside of the entry's own range"),
        ([(REVIEW, f"{REVIEW}    waits_for: toy==2.0.post1\n")], "toy_2 is on the axes: it waits for nothing any more"),
        ([(REVIEW, f"{REVIEW}    waits_for: toy==3.1\n")], "`when` names release toy_2, so no other one can come"),
        (
            [(WHEN, "when: {engine: toy}"), (REVIEW, f"{REVIEW}    waits_for: toy==3.1\n")],
            "cells of today meet it already",
        ),
    ],
)
def test_an_entry_that_nothing_meets_is_refused(tmp_path: Path, changes: list[tuple[str, str]], message: str) -> None:
    assert message in linted(tmp_path, *changes)


def test_an_entry_may_wait_for_a_release_of_its_own_range(tmp_path: Path) -> None:
    waits = (REVIEW, f"{REVIEW}    waits_for: toy==3.1\n")
    assert linted(tmp_path, (WHEN, RANGE), (SOURCE, "release: toy==3.0}"), waits) == ""


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        ("{prompt_tokens: 202000}", f"no item of {TEST} asks for 202000 prompt tokens at any depth; it reaches 100000"),
        ("{concurrency: 17}", "asks for 17 requests at once"),
        ("{prompt_tokens: 5000, concurrency: 2}", "5000 prompt tokens with 2 requests at once"),  # no item has both
        ("{turns: 2}", "asks for 2 turns"),
        ("{thinking: true}", "asks for thinking at any depth; it reaches 100000 prompt tokens, 16 at once, 1 turns"),
    ],
)
def test_a_need_that_no_item_of_the_test_reaches_is_refused(tmp_path: Path, needs: str, message: str) -> None:
    assert message in linted(tmp_path, (REVIEW, f"{REVIEW}    needs: {needs}\n"))


@pytest.mark.parametrize(
    "needs",
    ["{prompt_tokens: 100000}", "{concurrency: 16}", "{prompt_tokens: 64, concurrency: 16}", "{thinking: false}"],
)
def test_a_need_that_one_item_reaches_is_taken(tmp_path: Path, needs: str) -> None:
    assert linted(tmp_path, (REVIEW, f"{REVIEW}    needs: {needs}\n")) == ""


def test_a_start_asks_for_nothing_and_its_first_request_for_little(tmp_path: Path) -> None:
    at_test = f"at: test\n      test: {TEST}\n      how: wrong_answer"
    needs = (REVIEW, f"{REVIEW}    needs: {{prompt_tokens: 30}}\n")
    before = (at_test, "at: before_ready\n      how: exit")
    assert "nothing is asked before an engine is ready" in linted(tmp_path / "a", before, needs)
    first = (at_test, "at: first_request\n      how: exit")
    assert "no item of test_answers_first_token asks for 30 prompt tokens" in linted(tmp_path / "b", first, needs)


@pytest.mark.parametrize(
    ("symptom", "named"),
    [
        ("With tools and more than 5.5k tokens the output is corrupted.", 5500),
        ("Corrupt beyond 2,048 tokens.", 2048),
        ("Text is corrupted once a sequence crosses about 4096 tokens.", 4096),
        ("Tool calls are not parsed near 200k tokens.", 200000),
        ("Wrong from 4096 prompt tokens on.", 4096),
    ],
)
def test_a_symptom_that_begins_at_a_length_names_it(tmp_path: Path, symptom: str, named: int) -> None:
    changed = ("symptom: loses the needle", f"symptom: {symptom}")
    assert f"needs: {{prompt_tokens: {named}}}" in linted(tmp_path / "a", changed)
    told = (REVIEW, f"{REVIEW}    needs: {{prompt_tokens: {min(named, 100_000)}}}\n")
    assert linted(tmp_path / "b", changed, told) == ""


def test_a_length_that_is_no_condition_is_no_need(tmp_path: Path) -> None:
    assert linted(tmp_path, ("symptom: loses the needle", "symptom: It says 64 tokens of noise")) == ""


def test_lint_of_the_real_matrix_is_quiet_and_asks_all_of_this(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_sources(load_matrix()) == []
    assert main(["lint"]) == 0
    assert capsys.readouterr().out.startswith("ok: ")


def test_no_entry_of_ours_is_asked_of_a_test_that_cannot_show_it() -> None:
    """K24 named tools with more than 5.5k tokens; no tool item has 500."""
    tools = read_reach().farthest_request(test="test_calls_the_right_tool", banks=["canary"])
    assert tools.prompt_tokens < 5500
