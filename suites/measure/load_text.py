"""Reads what a load's streams said: the first of its prompts are asked again, whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fixtures.banks.bank import Bank
from fixtures.client.client import Client
from reports.evidence.finding import Finding
from suites.asking.contract import EngineHandle
from suites.checks.stream_text import check_stream_text

READ: Final = 2  # texts of a load: each costs one request afterwards
TOP: Final = 5
TEXTS: Final = "texts"  # of a load's result, in the order of its prompts
NUMBERS: Final = "text_numbers"  # of the prompts that these texts answer; the first ones where a result has none


def check_texts(
    engine: EngineHandle, bank: Bank, result: Mapping[str, Any], *, streams: int, prompt_tokens: int, output_len: int
) -> Iterator[Finding]:
    """Yield a finding for each text that the result kept. The load is over, so nothing is measured meanwhile."""
    kept = result.get(TEXTS) or []
    numbers = result.get(NUMBERS) or range(len(kept))
    # The first prompts were the warm-up's, whose texts nobody kept.
    items = bank.load_prompts(streams + max(numbers, default=-1) + 1, tokens=prompt_tokens)[streams:]
    # A client of its own: the load had its process, and its prompts must be asked as it asked them.
    client = Client(
        engine.base_url,
        engine.model,
        engine.api_key,
        access=engine.access,
        replies_as=engine.replies_as,
        tape=engine.tape,
    )
    for text, number in zip(kept, numbers, strict=False):
        item = items[number]
        whole = client.chat(item.messages, max_tokens=output_len, top_logprobs=TOP, extra={"ignore_eos": True})
        yield check_stream_text(text, whole, item=item.id)
