"""Asks an item over another protocol than the chat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pytest

from fixtures.banks.canary.render import render_prompt
from fixtures.banks.item import Item
from fixtures.client.client import Client, EngineRefused
from fixtures.client.reply import Reply
from fixtures.client.surfaces import PATHS, Surface, read_document, read_events, write_request

ABSENT: Final = (404, 405, 501)


def keep_first_turns(items: Iterable[Item]) -> list[Item]:
    """Keep what is asked in a first turn: how earlier replies are sent is each protocol's own affair."""
    return [item for item in items if all(message["role"] != "assistant" for message in item.messages)]


def ask_surface(
    client: Client,
    surface: Surface,
    item: Item,
    *,
    max_tokens: int,
    stream: bool,
    extra: Mapping[str, Any] | None = None,
) -> Reply:
    """Ask, whole or streamed; a route that the server has not is NOT_EVIDENCE."""
    prompt = render_prompt(item.messages, item.tools)
    body = write_request(surface, client.model, item, prompt=prompt, max_tokens=max_tokens, stream=stream)
    body = {**body, **(extra or {})}
    try:
        if stream:
            return read_events(surface, client.post_events(PATHS[surface], body))
        return read_document(surface, client.post_document(PATHS[surface], body))
    except EngineRefused as refused:
        if refused.status in ABSENT:
            pytest.skip(f"NOT_EVIDENCE: the server has no {PATHS[surface]} (HTTP {refused.status})")
        raise
