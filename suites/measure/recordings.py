"""Reads recorded next tokens of the canary under sparse, shared, destructively shared and dense attention.

    glm-matrix record-recordings   record again: after every change of the weights or of the bank (a
    minute)

The engine's own numbers of an earlier run, one per way it may compute: the *ablation* rung. (The oracle's numbers, by
transformers in float32, are tests/fixtures/canary/reference_logprobs.json.) They are compared only with the launches
they speak about: llama.cpp, the BF16 canary's own weights (a pruned one has others) and the recorded index_topk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.tape import LIVE, Tape
from fixtures.weights.locate import find_weights
from matrix.checkout import CHECKOUT
from matrix.errors import EngineReplyMalformed
from matrix.judging.logprobs import Logprobs, find_unsound, prove_by_recording, read_logprobs
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof
from matrix.model import Cell
from matrix.planning.plan import Plan
from matrix.planning.ranks import read_pattern
from suites.checks import frozen

FILE = CHECKOUT / "suites" / "data" / "canary_recordings.json"
COMMAND = "glm-matrix record-recordings"
STEM_TOKENS = 333  # of the signature's long prompt at index_topk 256, whose text this one goes on with
PROMPT_TOKENS = 576  # asked of the bank, which makes 519: beyond index_topk 256 by a factor at which patterns part
PROMPT_DEPTH = 0.6  # the code there parts the ways best of six: 0.55 nats and more, where rounding moves nothing
TOP = 20
MAX_TOKENS = 24
KEPT_CHARS = 20_000  # of a reply that is no evidence of anything but its engine's fault
DENSE = "dense"


def prove_attention(cell: Cell, plan: Plan, client: Client, bank: Bank, file: Path = FILE) -> Iterator[FeatureProof]:
    """Prove sparse attention and IndexCache by logprobs, for launches with recordings.

    Raises:
        ConfigError: the recordings are of other weights or of another prompt; the message names the command.
        EngineReplyMalformed: its logprobs are no numbers.
    """
    checkpoint = cell.checkpoint
    if cell.engine.dialect != "llamacpp" or not checkpoint.canary or checkpoint.format != "bf16" or checkpoint.made_by:
        return
    recorded = json.loads(file.read_text(encoding="utf-8"))
    item = make_prompt(bank)
    if item is None:
        return
    require_current(recorded, cell, item, file, client.tape)
    topk = int(plan.settings["index_topk"])
    if topk != recorded["index_topk"]:
        return
    reply = client.ask(item, max_tokens=MAX_TOKENS, top_logprobs=TOP)
    if wrong := find_unsound(reply.logprobs):
        raise EngineReplyMalformed(f"the engine computes no numbers: {wrong}", received=repr(reply.raw)[:KEPT_CHARS])
    tokens = reply.prompt_tokens or 0
    ways: Mapping[str, Logprobs] = recorded["ways"]
    own_way = read_pattern(cell)
    features = ["dsa", *(["indexcache"] if "indexcache" in cell.features else [])]
    for feature in features:
        yield prove_by_recording(
            feature,
            read_logprobs(reply.logprobs),
            _pick_rivals(ways, own_way, feature),
            wanted=own_way,
            tolerance=recorded["tolerance"],
            prompt_tokens=tokens,
            index_topk=topk,
            rung=Rung.ABLATION,
        )


def make_prompt(bank: Bank) -> Item | None:
    """Make the frozen question: a needle well beyond index_topk; None where the bank has no such text."""
    return bank.needle_in_one_text(stem=STEM_TOKENS, tokens=PROMPT_TOKENS, depth=PROMPT_DEPTH)


def _pick_rivals(ways: Mapping[str, Logprobs], wanted: str, feature: str) -> dict[str, Logprobs]:
    """Pick the recordings to compare with: dense attention for DSA; for IndexCache the other patterns too."""
    return {k: v for k, v in ways.items() if feature != "dsa" or k in (wanted, DENSE)}


def require_current(recorded: Mapping[str, Any], cell: Cell, item: Item, file: Path, tape: Tape = LIVE) -> None:
    """Raise ConfigError, as `prove_attention` does. A replay may run where the weights are absent, hence the tape."""
    sha256 = tape.note("weights", {"checkpoint": cell.checkpoint.id}, lambda: weights_sha256(cell))
    now = {"weights_sha256": sha256, "prompt_sha256": frozen.prompt_sha256(item)}
    frozen.require_current(file, frozen.find_stale(recorded, now), COMMAND)


def weights_sha256(cell: Cell) -> str:
    from fixtures.canary.checkpoint import CheckpointDirectory  # numpy, of which no collection has any use

    return CheckpointDirectory(find_weights(cell.checkpoint)).weights_sha256()
