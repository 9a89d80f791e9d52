"""Requests whose cost in the engine is known beforehand, with what it showed of itself before and after."""

from __future__ import annotations

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.launch.observe import Dialect, end_of, observe_engine
from matrix.judging.proof import PrefillProbe
from suites.asking.contract import Engine

CHUNKS = 3.5  # several edges, and a last chunk that is not full


def probe_prefill(item: Item, engine: Engine, client: Client, dialect: Dialect) -> PrefillProbe | None:
    """One token of an answer: every step that it takes is a prefill step. None where the engine counts no prompt."""
    start = end_of(engine.log_path, client.tape)
    before = observe_engine(dialect, client, engine.log_path, start=start)
    reply = client.ask(item, max_tokens=1)
    if reply.prompt_tokens is None:
        return None
    return PrefillProbe(
        prompt_tokens=reply.prompt_tokens - (reply.cached_tokens or 0),
        generated_tokens=reply.completion_tokens or 1,
        before=before,
        after=observe_engine(dialect, client, engine.log_path, start=start),
    )
