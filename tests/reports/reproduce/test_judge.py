"""A finding of today beside the recorded one: the same, another, or right now."""

from __future__ import annotations

import pytest

from matrix.errors import HostError
from reports.reproduce.judge import decide_word
from tests.reports import world
from tests.reports.reproduce.world import NODE, WHO
from tests.reports.world import PLAIN, Json

FACTS: Json = {
    "nodeid": NODE,
    "check": "needle.found",
    "item": "i1",
    "nth": 0,
    "expected": "a",
    "got": "b",
    "detail": "d 'x' 1",
    "message": "bad",
}


@pytest.mark.parametrize(
    ("finding", "status", "facts", "word"),
    [
        ({"ok": True}, "FAIL", {}, "right now"),
        ({"ok": False, "got": "b", "detail": "d 'x' 1"}, "FAIL", {}, "same"),
        ({"ok": False, "got": "c"}, "FAIL", {}, "differs"),
        (None, "PASS", {"check": ""}, "right now"),
        (None, "FAIL", {"check": ""}, "same"),
        (None, "FAIL", {"check": "", "message": "other"}, "differs"),
        (None, "FAIL", {}, "same"),
        (None, "PASS", {}, "differs"),
    ],
)
def test_the_check_of_today_decides(finding: Json | None, status: str, facts: Json, word: str) -> None:
    fields = [world.result(PLAIN, "needle", status, message="bad")]
    if finding is not None:
        fields.append(
            {"kind": "finding", **WHO, "check": "needle.found", "item": "i1", "expected": "a", "got": "", **finding}
        )
    assert decide_word({**FACTS, **facts}, world.typed(fields)).word == word


@pytest.mark.parametrize("fields", [[], [world.result(PLAIN, "needle", "TEST_ERROR", message="not kept")]])
def test_a_check_that_cannot_run_again_is_no_verdict(fields: list[Json]) -> None:
    with pytest.raises(HostError, match="cannot be run again"):
        decide_word(FACTS, world.typed(fields))
