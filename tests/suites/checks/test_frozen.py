"""The same item is the same bytes, today and on another machine; the hashes of the big bank are written down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.banks.glm5 import Glm5Bank
from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from suites.checks import needle, protocol
from suites.checks.frozen import prompt_sha256

BANK = Glm5Bank()
# A change here means that runs before and after did not see the same prompts: only on purpose.
FROZEN = {
    "glm5.fact.0": (BANK.facts(1)[0], "637c0f8ac26801f6d03c60a58388e6b947e534e59fc26f167e74dd5fd49c0ea0"),
    "needle": (BANK.needle(tokens=4096, depth=0.5), "4b008fbdc2d36254b0e0563f2e7323315de0a300e3bee889747d5a05635f28c6"),
    "call": (BANK.calls(1)[0], "1c2d7f8a5600bf273b9476ce8dda2510db1e208ca5e5af19a061f6d056a29192"),
    "recall": (BANK.recall_long(1)[0], "b2282a15492601998eb5ea63f927a572941e02d01a874bba2a757559cb5f00d2"),
}


@pytest.mark.parametrize("name", FROZEN)
def test_prompts_are_frozen(name: str) -> None:
    item, sha256 = FROZEN[name]
    assert prompt_sha256(item) == sha256


def test_tools_and_messages_count_and_the_rest_does_not() -> None:
    item = Item(id="a", kind="fact", messages=({"role": "user", "content": "Hi"},), answer="x")
    assert prompt_sha256(item) == prompt_sha256(replace(item, id="b", kind="c", answer="y"))
    assert prompt_sha256(item) != prompt_sha256(replace(item, tools=({"name": "f"},)))
    assert prompt_sha256(item) != prompt_sha256(replace(item, messages=({"role": "user", "content": "Hi "},)))


def test_a_lone_surrogate_has_a_hash_too() -> None:
    assert len(prompt_sha256(Item(id="a", kind="x", messages=({"role": "user", "content": "\ud800"},)))) == 64


def test_findings_carry_the_hash() -> None:
    item, sha256 = FROZEN["needle"]
    reply = Reply(content=item.answer or "", finish_reason="stop", prompt_tokens=4000, completion_tokens=9)
    assert needle.check_needle(item, reply, index_topk=None).data["prompt_sha256"] == sha256
    assert needle.check_not_invented(item, reply).data["prompt_sha256"] == sha256
    assert protocol.check_envelope(item, reply).data["prompt_sha256"] == sha256
