"""The text for upstream: titles that end at a word, and nothing of a model that a site would obey."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.reproduce.issue import make_issue
from tests.reports.reproduce.test_reproduce import read
from tests.reports.reproduce.world import write_evidence


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("word " * 60, f"# [vllm 0.26.0] {'word ' * 28}word…"),
        ("", "# [vllm 0.26.0] needle.found: 'NO SUCH'"),
        ("ask @team <img src=x>", "# `[vllm 0.26.0] ask @team <img src=x>`"),
    ],
)
def test_a_title_ends_at_a_word_and_mentions_nobody(tmp_path: Path, said: str, title: str) -> None:
    (failure,) = read(write_evidence(tmp_path, finding={"detail": said, "check": "needle.found", "got": "'NO SUCH'"}))
    text = make_issue(failure, [], [failure], [])
    assert text.splitlines()[0] == title
    assert "\n- what is wrong: `ask @team <img src=x>`\n" in text or "@" not in said
