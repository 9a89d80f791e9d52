"""What quick leaves out is not collected, rather than skipped: a skip is never green."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.session.tape_plugin import REPLAY, Replay
from matrix.collection.plugin import HostFacts
from suites import plugin


class FakeItem:
    def __init__(self, *marks: Any) -> None:
        self.marks = marks

    def iter_markers(self) -> list[Any]:
        return [m.mark for m in self.marks]

    def get_closest_marker(self, name: str) -> Any:
        return next((m.mark for m in self.marks if m.name == name), None)


def collect(items: Any, depth: str = "quick", boots: int | str = 1, soak: str = "") -> int:
    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(list(items)))
    config: Any = SimpleNamespace(option=SimpleNamespace(depth=depth, boots=boots, soak=soak), hook=hook, args=[])
    session: Any = SimpleNamespace(config=config)
    config.stash = pytest.Stash()
    plugin.pytest_collection_modifyitems(session, config, items)
    return len(deselected)


def test_who_asks_the_signature_again_follows_the_first_one() -> None:
    boot, proof, again, needle = (
        FakeItem(*marks)
        for marks in ([pytest.mark.boot], [pytest.mark.proof], [pytest.mark.proof, pytest.mark.signature], [])
    )
    items: Any = [boot, proof, again, needle]
    collect(items)
    assert items == [boot, again, proof, needle]


@pytest.mark.parametrize(("depth", "kept"), [("quick", 1), ("full", 2), ("release", 3)])
def test_a_test_is_asked_from_its_depth_on(depth: str, kept: int) -> None:
    items: Any = [FakeItem(), FakeItem(pytest.mark.from_depth("full")), FakeItem(pytest.mark.from_depth("release"))]
    assert collect(items, depth) == 3 - kept and len(items) == kept


@pytest.mark.parametrize(
    ("boots", "soak", "kept"), [(1, "", 1), (5, "", 2), ("5", "", 2), (1, "10m", 2), (2, "90s", 3)]
)
def test_boots_and_soaks_are_asked_only_by_their_option(boots: int | str, soak: str, kept: int) -> None:
    items: Any = [FakeItem(), FakeItem(pytest.mark.boots), FakeItem(pytest.mark.soak)]
    collect(items, boots=boots, soak=soak)
    assert len(items) == kept


@pytest.mark.parametrize(("text", "seconds"), [("", 0), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("24h", 86_400)])
def test_durations(text: str, seconds: float) -> None:
    assert plugin._read_soak(text) == seconds


@pytest.mark.parametrize("text", ["10", "m", "0s", "25h", "-1m", "1e3s", "nan"])
def test_another_duration_is_refused(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="--soak: expected a duration"):
        plugin._read_soak(text)


@pytest.mark.parametrize(
    ("stated", "replayed", "kept"),
    [("", False, "4000000"), ("2_000", False, "2_000"), ("", True, ""), ("7", True, "7")],
)
def test_a_run_keeps_the_budget_that_it_was_asked_by(stated: str, replayed: bool, kept: str) -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(depth="full", token_budget=stated), stash=pytest.Stash())
    if replayed:
        config.stash[REPLAY] = Replay(
            run="", folder=Path(), files={}, cells=(), host=HostFacts(rigs=frozenset(), description="")
        )
    plugin._state_token_budget(config)
    assert config.option.token_budget == kept


@pytest.mark.parametrize("text", ["0", "-1", "1e6", "many", "1.5", "9" * 30, "٣"])
def test_a_budget_that_is_no_number_of_tokens_is_refused(text: str) -> None:
    config: Any = SimpleNamespace(option=SimpleNamespace(depth="full", token_budget=text), stash=pytest.Stash())
    with pytest.raises(pytest.UsageError, match="--token-budget: expected a whole number of tokens"):
        plugin._state_token_budget(config)
