"""What quick leaves out is not collected, rather than skipped: a skip is never green."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from suites import plugin


class FakeItem:
    def __init__(self, *marks: Any) -> None:
        self.marks = marks

    def iter_markers(self, name: str) -> list[Any]:
        return [m.mark for m in self.marks if m.mark.name == name]


@pytest.mark.parametrize(("depth", "kept"), [("quick", 1), ("full", 2), ("release", 3)])
def test_a_test_is_asked_from_its_depth_on(depth: str, kept: int) -> None:
    deselected: list[Any] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: deselected.extend(list(items)))
    config: Any = SimpleNamespace(option=SimpleNamespace(depth=depth), hook=hook)
    items: Any = [FakeItem(), FakeItem(pytest.mark.from_depth("full")), FakeItem(pytest.mark.from_depth("release"))]
    plugin.pytest_collection_modifyitems(config, items)
    assert (len(items), len(deselected)) == (kept, 3 - kept)
