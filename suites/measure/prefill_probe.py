"""Sends a request whose number of prefill steps is known, and observes the engine before and after it."""

from __future__ import annotations

from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.launch.observe import Dialect, end_of, observe_engine
from matrix.judging.proof import PrefillProbe
from suites.asking.contract import EngineHandle

CHUNKS = 3.5  # several edges, and a last chunk that is not full


def probe_prefill(item: Item, engine: EngineHandle, client: Client, dialect: Dialect) -> PrefillProbe | None:
    """Ask for one token, so that every step is a prefill step. Return None where the engine reports no prompt
    tokens."""
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
