"""The left stream is as long as asked for in seconds, within the context; what it goes on to make is what was counted
beside the reply that was read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.measure import left_stream

ITEM = Item(id="i", kind="fact", messages=())
EACH_S = 2**-7


@dataclass
class Timed:
    """A client whose engine takes 8 ms a token, and whose first token takes longer from request to request."""

    asked: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, item: Item, **options: Any) -> Reply:
        self.asked.append(options)
        tokens, ttft_s = options["max_tokens"], 0.5 * len(self.asked)  # powers of two: seconds are exact
        return Reply(
            content="", prompt_tokens=20, completion_tokens=tokens, ttft_s=ttft_s, e2e_s=ttft_s + EACH_S * tokens
        )


@pytest.mark.parametrize(
    ("seconds", "context", "tokens"),
    [(2.0, None, 256), (2.0, 4096, 256), (2.0, 184, 100), (0.0, 4096, 24), (1e6, None, left_stream.MOST_TOKENS)],
)
def test_it_is_as_long_as_asked_for(
    seconds: float, context: int | None, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = iter((1000.0, 1000.0 + tokens + 7))
    monkeypatch.setattr(left_stream, "observe_engine", lambda dialect, client, log: next(counters))
    monkeypatch.setattr(left_stream, "count_since", lambda name, seen, before: seen - before)
    client, engine = Timed(), SimpleNamespace(log_path=None)
    asked: Any = client
    told: Any = engine
    dialect = {left_stream.MADE: {"metric": "x"}}
    left = left_stream.leave_stream(asked, told, dialect, ITEM, seconds=seconds, context=context)
    assert [a["max_tokens"] for a in client.asked] == [left_stream.PROBE_TOKENS, tokens, tokens]
    assert [a.get("leave_after") for a in client.asked] == [None, 2, None]
    assert all(a["extra"] == {"ignore_eos": True} and a["stream"] for a in client.asked)
    assert (left.tokens, left.made) == (tokens, 7.0)
    assert (left.waited_s, left.took_s) == (1.0, EACH_S * tokens)


def test_an_engine_without_a_counter_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_stream, "observe_engine", lambda dialect, client, log: ())
    asked: Any = Timed()
    told: Any = SimpleNamespace(log_path=None)
    assert left_stream.leave_stream(asked, told, {}, ITEM, seconds=1.0, context=None).made is None


@pytest.mark.parametrize(
    ("busy", "lengths"),
    [(1, [24, 64, 64, 256, 256]), (99, [24, 64, 64])],
    ids=["the probe alone", "from first to last"],
)
def test_streams_that_a_busy_host_had_made_too_short_are_asked_again(
    busy: int, lengths: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`busy`: the replies that are read at a quarter of the engine's pace."""
    monkeypatch.setattr(left_stream, "observe_engine", lambda dialect, client, log: ())

    class Busy(Timed):
        def ask(self, item: Item, **options: Any) -> Reply:
            reply = super().ask(item, **options)
            slow = sum("leave_after" not in a for a in self.asked) <= busy
            decoding = EACH_S * options["max_tokens"] * (4 if slow else 1)
            return replace(reply, e2e_s=(reply.ttft_s or 0.0) + decoding)

    client, told = Busy(), SimpleNamespace(log_path=None)
    asked: Any = client
    left = left_stream.leave_stream(asked, told, {}, ITEM, seconds=2.0, context=None)
    assert [a["max_tokens"] for a in client.asked] == lengths
    assert left.tokens == lengths[-1]
