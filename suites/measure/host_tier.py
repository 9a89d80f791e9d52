"""Keeps a prefix outside the KV cache and loads it again, where an engine offers a way to ask for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fixtures.client.client import Client, EngineRefused
from matrix.model import Cell

SLOT: Final = "/slots/0?action={action}"  # llama.cpp: the KV of a slot as a file
FILE: Final = "prefix.bin"
TOLD: Final = {"save": "n_saved", "restore": "n_restored"}  # tokens, of its reply


def keep_prefix(client: Client, cell: Cell) -> Callable[[], bool] | None:
    """Keep what was asked last; return what loads it again, and says whether it did. None where there is no way.

    llama.cpp 2026.10.11549 restores the trunk's cache and not the draft's: with MTP each later request is HTTP 500
    ("failed to process speculative batch"), so nothing is kept there.
    """
    if cell.engine.dialect != "llamacpp" or "mtp" in cell.features or not _ask_slot(client, "save"):
        return None
    return lambda: _ask_slot(client, "restore")


def _ask_slot(client: Client, action: str) -> bool:
    with suppress(EngineRefused):
        return bool(client.post_document(SLOT.format(action=action), {"filename": FILE}).get(TOLD[action]))
    return False
