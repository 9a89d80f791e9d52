"""Identity: somebody else answers, from the beginning or from some moment on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from fixtures.client.reply import Reply
from tests.faults.catalogue.fault import Asked, Fault
from tests.faults.suite_tests import BOOT, CALL, FACTS, IDENTITY, LOADED, SINGLE, TEXT

OTHER: Final = "llama-3-8b-instruct"
LIVES_FOR: Final = 2  # completions
MODELS: Final = json.dumps({"object": "list", "data": [{"id": OTHER, "object": "model", "owned_by": "vllm"}]})
STRANGER: Final = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "model": OTHER,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
).encode()


def _renamed(reply: Reply, asked: Asked) -> Reply:
    return replace(reply, model=OTHER)


FAULTS: Mapping[str, Fault] = {
    "replies_in_another_name": Fault(
        family="identity",
        does="every reply names another model",
        kills=(IDENTITY, BOOT, FACTS, CALL, TEXT, SINGLE, LOADED),
        reply=_renamed,
    ),
    "changes_name_in_mid_run": Fault(
        family="identity",
        does=f"every reply after the first {LIVES_FOR} names another model",
        kills=(FACTS, CALL, LOADED),
        reply=_renamed,
        touches=lambda asked: asked.number > LIVES_FOR,
    ),
    "another_server_on_the_port": Fault(
        family="identity",
        does="another server answers at the port: the model list and every reply are its own",
        kills=(IDENTITY, BOOT, FACTS, CALL, SINGLE, LOADED),
        documents={"/v1/models": lambda text: MODELS},
        instead=(200, "application/json", STRANGER),
    ),
    "dies_and_another_takes_the_port": Fault(
        family="identity",
        does=f"the engine dies after {LIVES_FOR} replies, and another server answers at its port",
        kills=(FACTS, CALL, LOADED),
        instead=(200, "application/json", STRANGER),
        touches=lambda asked: asked.number > LIVES_FOR,
    ),
}
