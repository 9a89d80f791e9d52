"""The table of what checks say is written from what they say in their tests."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

from reports.evidence.finding import Finding
from tests.suites.saying import Sayings, as_text, is_made_by_a_check


def found(detail: str, *, ok: bool = False) -> Finding:
    return Finding(check="a.b", ok=ok, expected="e", got="g", detail=detail)


def test_each_kind_is_kept_by_one_example_whatever_the_order() -> None:
    one, other = Sayings(), Sayings()
    details = ["2 are missing; 'x' is new", "1 are missing", "'a' is new", ""]
    for detail in details:
        one.note(found(detail))
    for detail in reversed(details):
        other.note(found(detail))
    one.note(found("said of a finding that is fine", ok=True))
    assert json.loads(as_text(one.kept)) == {"a.b": ["'a' is new", "1 are missing"]}
    assert as_text(one.kept) == as_text(other.kept)


def test_only_what_a_check_makes_is_noted() -> None:
    assert not is_made_by_a_check(sys._getframe())
    check = SimpleNamespace(f_globals={"__name__": "suites.checks.needle"}, f_back=None)
    room = SimpleNamespace(f_globals={"__name__": "tests.suites.checks.conftest"}, f_back=check)
    assert is_made_by_a_check(room) and is_made_by_a_check(check)  # type: ignore[arg-type]
