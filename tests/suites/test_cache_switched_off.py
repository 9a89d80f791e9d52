"""A cell whose recipe had to switch the prefix cache off owes no cached tokens; one that keeps it owes each turn's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from reports.evidence.finding import Finding
from suites import test_reuse


def _finding(check: str) -> Finding:
    return Finding(check=check, ok=True, expected="", got="", item="x")


@pytest.mark.parametrize(("settings", "wanted"), [({}, 2), ({"prefix_cache": True}, 2), ({"prefix_cache": False}, 0)])
def test_cached_tokens_are_owed_where_the_cache_is_on(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], wanted: int
) -> None:
    turn = SimpleNamespace(item="x", reply=SimpleNamespace(), cached=0)
    client: Any = SimpleNamespace(ask=lambda *_a, **_k: None)
    cell: Any = SimpleNamespace(features=frozenset(), engine=SimpleNamespace(observe=None))
    for name, value in (
        ("hold_talk", lambda *_: [turn, turn, turn]),
        ("keep_prefix", lambda *_: None),
        ("ask_turn", lambda *_: turn),
        ("_compare_with_cold", lambda *_a, **_k: iter(())),
    ):
        monkeypatch.setattr(test_reuse, name, value)
    monkeypatch.setattr("suites.checks.answer.check_answer", lambda *_a, **_k: _finding("reuse.turn"))
    monkeypatch.setattr("suites.checks.protocol.check_envelope", lambda *_: _finding("protocol"))
    monkeypatch.setattr("suites.checks.reuse.check_cached", lambda *_a, **_k: _finding("reuse.cached"))
    items: Any = ["a", "b", "c"]
    plan: Any = SimpleNamespace(settings=settings)
    engine: Any = None
    found = test_reuse._check_talk(items, (), cell=cell, plan=plan, engine=engine, client=client)
    assert [f.check for f in found].count("reuse.cached") == wanted
