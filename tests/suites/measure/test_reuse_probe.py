"""A prompt is asked again at once, or after others; an engine that counts no prompt tokens leaves no evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from suites.measure import reuse_probe


@dataclass
class Asked:
    """A client that counts what it is asked."""

    counted: int | None = 6000
    items: list[str] = field(default_factory=list)
    tape: Any = None

    def ask(self, item: Any, *, max_tokens: int) -> Any:
        assert max_tokens == 1
        self.items.append(item)
        return SimpleNamespace(prompt_tokens=self.counted, cached_tokens=5888)


class Bank:
    def needle(self, *, tokens: int, depth: float, trial: int) -> str:
        assert 0 < depth < 1
        return f"{tokens}.{trial}"


@pytest.fixture(autouse=True)
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse_probe, "end_of", lambda log, tape: 0)
    monkeypatch.setattr(reuse_probe, "observe_engine", lambda dialect, client, log, start: ())


def probe(client: Asked, *, push: bool) -> Any:
    engine: Any = SimpleNamespace(log_path=Path("log"))
    bank: Any = Bank()
    return reuse_probe.probe_reuse(engine, client, bank, "sglang", push=push)  # type: ignore[arg-type]


def test_asked_again_at_once() -> None:
    client = Asked()
    found = probe(client, push=False)
    assert client.items == ["6000.11", "6000.11"]
    assert (found.prompt_tokens, found.cached_tokens, found.pushed_tokens) == (6000, 5888, 0)


def test_asked_again_after_others_pushed_it_out() -> None:
    client = Asked()
    found = probe(client, push=True)
    assert client.items[0] == client.items[-1] == "6000.11"
    assert len(set(client.items[1:-1])) == reuse_probe.PUSHES == len(client.items) - 2
    assert found.pushed_tokens == reuse_probe.PUSHES * 6000


def test_an_engine_that_counts_no_prompt_tokens_is_no_evidence() -> None:
    assert probe(Asked(counted=None), push=False) is None
