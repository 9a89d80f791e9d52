"""Names that a release registers: from its snapshot, and unknown where absence from it would prove nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from matrix.registered import registered_by

READ = {
    "registered": {"Glm": "models.glm"},
    "parsers": {"reasoning": ["glm45 deepseek-v3", "qwen"], "tool_call": "glm47"},
}


@pytest.mark.parametrize(
    ("changed", "known"),
    [
        ({}, True),
        ({"complete": False}, False),
        ({"unread": {"registered": "no registry found"}}, False),
        ({"registered": {}}, False),
    ],
)
def test_absence_counts_only_where_everything_was_read(tmp_path: Path, changed: dict[str, Any], known: bool) -> None:
    (tmp_path / "toy_1.json").write_text(json.dumps({**READ, **changed}), encoding="utf-8")
    found = registered_by("toy_1", tmp_path)
    assert (found is not None) is known
    if found:
        assert found.architectures == {"Glm"}
        assert found.parsers == {"reasoning": {"glm45", "deepseek-v3", "qwen"}, "tool_call": {"glm47"}}
    assert registered_by("toy_2", tmp_path) is None


def test_parsers_that_were_not_read_are_lacked_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "toy_3.json").write_text(json.dumps({**READ, "unread": {"parsers": "moved"}}), encoding="utf-8")
    found = registered_by("toy_3", tmp_path)
    assert found is not None and found.parsers == {}
