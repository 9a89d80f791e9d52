"""Bypasses the prefix cache: makes each engine ignore or drop what it has cached."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from fixtures.client.client import Client, EngineRefused


def bypass_prefix_cache(client: Client, dialect: str) -> Mapping[str, Any]:
    """Return fields for the next request, which then finds no cached prefix; empty where the engine offers no way.

    llamacpp: `cache_prompt` of its server. vllm: `cache_salt` is part of every block's hash (docs, Automatic Prefix
    Caching), a new one matches nothing. sglang: /flush_cache, which it refuses while requests run.
    """
    match dialect:
        case "llamacpp":
            return {"cache_prompt": False}
        case "vllm":
            return {"cache_salt": client.tape.note("salt", {}, lambda: uuid4().hex)}
        case "sglang":
            with suppress(EngineRefused):
                client.get("/flush_cache")
            return {}
        case _:
            return {}
