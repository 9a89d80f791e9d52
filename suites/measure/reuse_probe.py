"""Asks a prompt again, at once or after others pushed it out of the cache, and observes the engine before and after."""

from __future__ import annotations

from typing import Final

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from fixtures.launch.observe import Dialect, end_of, observe_engine
from matrix.judging.proof import ReuseProbe
from suites.asking.contract import EngineHandle

ASKED_TOKENS: Final = 6_000  # of the prompt that is asked again: many pages, and quickly computed
PUSHED_TOKENS: Final = 28_000  # of each of the prompts between; a canary's window is 32,768
PUSHES: Final = 5  # 140,000 tokens, more than the small caches of the host tier's recipes hold


def probe_reuse(engine: EngineHandle, client: Client, bank: Bank, dialect: Dialect, *, push: bool) -> ReuseProbe | None:
    """Ask twice. Return None where the engine reports no prompt tokens. With `push` other prompts come between."""
    item = bank.needle(tokens=ASKED_TOKENS, depth=0.5, trial=11)
    client.ask(item, max_tokens=1)
    others = [bank.needle(tokens=PUSHED_TOKENS, depth=0.5, trial=20 + i) for i in range(PUSHES if push else 0)]
    pushed = sum(client.ask(other, max_tokens=1).prompt_tokens or 0 for other in others)
    start = end_of(engine.log_path, client.tape)
    before = observe_engine(dialect, client, engine.log_path, start=start)
    reply = client.ask(item, max_tokens=1)
    if reply.prompt_tokens is None:
        return None
    return ReuseProbe(
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        before=before,
        after=observe_engine(dialect, client, engine.log_path, start=start),
        pushed_tokens=pushed,
    )
