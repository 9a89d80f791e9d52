"""Tokens from the cache are told by usage, or else counted by the engine's metric."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.client.client import Client
from fixtures.client.reply import Reply
from suites.asking.cached import ask_and_count_cached
from tests.suites.world import FakeRunning

DIALECT = {"metrics_path": {"get": "/metrics"}, "cached_tokens": {"metric": "vllm:prefix_cache_hits_total"}}


class Scraped(Client):
    """Its metric is 5, then 69."""

    def get(self, path: str) -> str:
        return f"vllm:prefix_cache_hits_total {next(self.told)}\n"

    told: Iterator[int]


def make_client() -> Scraped:
    client = Scraped("http://127.0.0.1:1", "m")
    object.__setattr__(client, "told", iter((5, 69)))
    return client


@pytest.mark.parametrize(
    ("usage", "dialect", "cached"),
    [(None, DIALECT, 64), (12, DIALECT, 12), (None, {}, None), (0, {}, 0)],
    ids=["by its metric", "usage goes first", "nobody tells", "usage tells none"],
)
def test_usage_tells_or_the_metric_counts(usage: int | None, dialect: dict[str, dict[str, str]], cached: int) -> None:
    reply = Reply(content="x", cached_tokens=usage)
    found = ask_and_count_cached(make_client(), FakeRunning("", None), dialect, lambda: reply)
    assert found == (reply, cached)
