"""A prefix is kept and loaded again where there is a way, and nothing is claimed where there is none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.client.client import EngineRefused
from suites.measure.host_tier import keep_prefix


class Slots:
    """Answers slot requests as llama.cpp does; `refuses` names the actions that it does not know."""

    def __init__(self, *refuses: str, tokens: int = 7) -> None:
        self.refuses, self.tokens, self.asked = refuses, tokens, list[str]()

    def post_document(self, path: str, body: Any) -> dict[str, int]:
        action = path.partition("action=")[2]
        self.asked.append(action)
        if action in self.refuses:
            raise EngineRefused(404, "no such route")
        return {{"save": "n_saved", "restore": "n_restored"}[action]: self.tokens}


def cell(dialect: str = "llamacpp", *features: str) -> Any:
    return SimpleNamespace(engine=SimpleNamespace(dialect=dialect), features=frozenset(features))


def test_what_was_saved_is_loaded() -> None:
    client = Slots()
    reload = keep_prefix(client, cell())  # type: ignore[arg-type]
    assert reload is not None and reload()
    assert client.asked == ["save", "restore"]


def test_a_restore_that_is_refused_loads_nothing() -> None:
    reload = keep_prefix(Slots("restore"), cell())  # type: ignore[arg-type]
    assert reload is not None and not reload()


@pytest.mark.parametrize(
    ("client", "asked"),
    [(Slots("save"), cell()), (Slots(tokens=0), cell()), (Slots(), cell("vllm")), (Slots(), cell("llamacpp", "mtp"))],
)
def test_without_a_way_nothing_is_kept(client: Slots, asked: Any) -> None:
    assert keep_prefix(client, asked) is None  # type: ignore[arg-type]
