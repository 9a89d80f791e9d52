"""Reads the reference's next tokens for the canaries: the numbers with which an engine's are compared.

    glm-matrix record-references      record again: after new weights, or new prompts of
    suites.measure.logprob_probe

The reference is transformers in float32 on a CPU (lab/references/oracle.py says how it is installed and asked). It is
recorded for each set of weights and each way to attend that a canary cell has. Quantised checkpoints are held against
the weights that they were made from: what quantising costs is within the tolerance of their dtype, or they are wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from matrix.checkout import CHECKOUT
from matrix.judging.kl import merge_candidates
from matrix.judging.logprobs import Logprobs
from matrix.model import Cell, Checkpoint
from matrix.planning.ranks import read_pattern
from suites.asking.contract import PlanSettings
from suites.checks import frozen
from suites.checks.isolation import ARITHMETIC_16_BIT
from suites.measure import logprob_probe as signature
from suites.measure import recordings

FILE: Final = CHECKOUT / "suites" / "data" / "canary_references.json"
COMMAND: Final = "glm-matrix record-references"
SOURCE: Final = "canary_bf16"  # what every canary is made from
PRUNED: Final = ("reap160", "reap192")  # members of the family that compute another function than their source
OF_THEIR_OWN: Final = (*PRUNED, "flash")  # and what was never made from the source at all
HALF: Final = "half"  # each layer selects for itself, half of index_topk: what a launch must not do
# index_topk at which half of it is told from all of it, in 16-bit weights: 3.0e-2 nats away, and MXFP4 costs 1.6e-2.
# At 2048 it is 2.4e-3 away, twice what NVFP4 costs.
HALF_PARTS_AT: Final = 256
NO_SHARING: Final = "FFFF"
ALL: Final = "all"  # of a prompt within index_topk: every way selects all of it
WEIGHTS: Final = CHECKOUT / "fixtures" / "canary" / "hf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The correct distributions for one prompt of one launch."""

    item: Item
    way: str
    ways: Mapping[str, Logprobs]  # of these weights for this prompt: the right one and the others

    @property
    def positions(self) -> Logprobs:
        return self.ways[self.way]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the reference numbers depend on, as the file stores it."""

    weights: str
    index_topk: int
    way: str  # a pattern of the layers, `dense`, or `all`
    item: str

    def matches_record(self, record: Mapping[str, Any]) -> bool:
        return bool(self.but_for_the_way(record) and record["way"] == self.way)

    def but_for_the_way(self, record: Mapping[str, Any]) -> bool:
        return all(record[name] == getattr(self, name) for name in ("weights", "index_topk", "item"))


def find_references(
    cell: Cell, plan: PlanSettings, bank: Bank, file: Path = FILE, *, one_text: bool = False
) -> list[Reference]:
    """Find the recorded numbers for the prompts that `suites.measure.logprob_probe` makes for this launch; empty for
    others.

    Raises:
        ConfigError: they are of other weights or of another prompt; the message names the command.
    """
    return (
        _find_known(cell.checkpoint, list_keys(cell, plan, bank, one_text=one_text), file)
        if cell.checkpoint.canary
        else []
    )


def find_crowd(cell: Cell, plan: PlanSettings, bank: Bank, file: Path = FILE) -> Reference | None:
    """Find the recorded numbers for the crowd prompt of this launch, and what other ways to attend make of it.

    Raises:
        ConfigError: as `find_references` does.
    """
    if not cell.checkpoint.canary:
        return None
    keys = list_crowd_keys(cell, plan, bank)
    ways = {key.way for key, _ in keys}  # the file holds those of other launches, too: patterns that may be as near
    known = next(iter(_find_known(cell.checkpoint, keys[:1], file)), None)
    return known and replace(known, ways={way: each for way, each in known.ways.items() if way in ways})


def _find_known(checkpoint: Checkpoint, keys: Sequence[tuple[Key, Item]], file: Path) -> list[Reference]:
    records = read_references(file)
    asked = [(key, item) for key, item in keys if any(map(key.matches_record, records))]
    stale = [
        why
        for key, item in asked
        for r in filter(key.but_for_the_way, records)
        for why in _find_stale(r, checkpoint, item)
    ]
    frozen.require_current(file, stale, COMMAND)
    return [
        Reference(
            item=item, way=key.way, ways={r["way"]: read_positions(r) for r in filter(key.but_for_the_way, records)}
        )
        for key, item in asked
    ]


def read_references(file: Path = FILE) -> list[Mapping[str, Any]]:
    """Read every reference of the file, unchanged."""
    found: list[Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["references"]
    return found


def read_positions(record: Mapping[str, Any]) -> Logprobs:
    """Read a record's distributions, in the form that `matrix.judging.kl.read_distributions` gives for an engine."""
    return [merge_candidates([(token, value) for token, value in each], each[0][0]) for each in record["positions"]]


def list_keys(cell: Cell, plan: PlanSettings, bank: Bank, *, one_text: bool = False) -> list[tuple[Key, Item]]:
    """List what a launch must agree with, prompt by prompt. `one_text`: as `logprob_probe.make_all_prompts` has it, of
    16-bit weights: on that text MXFP4 costs 4.8e-2 nats, a third of what parts the patterns."""
    one_text = one_text and cell.checkpoint.format in ARITHMETIC_16_BIT
    topk = signature.index_topk(cell, plan.settings)
    items = signature.make_all_prompts(bank, topk=topk, settings=plan.settings, one_text=one_text)
    beyond, weights = attention_way(cell, plan), recorded_as(cell.checkpoint)
    ways = {name: ALL if name == "short" else beyond for name in items}
    return [(Key(weights=weights, index_topk=topk, way=ways[name], item=item.id), item) for name, item in items.items()]


def list_crowd_keys(cell: Cell, plan: PlanSettings, bank: Bank) -> list[tuple[Key, Item]]:
    """List what the crowd prompt is answered by: the launch's own way to attend, then those that it must not have."""
    topk = signature.index_topk(cell, plan.settings)
    # The few tokens that are compared are those of a thought there, alike whatever its layers select.
    thinks = cell.checkpoint.thinking == "always"
    item = None if thinks else signature.make_crowd(bank, topk=topk, settings=plan.settings)
    own, weights = attention_way(cell, plan), recorded_as(cell.checkpoint)
    half = topk == HALF_PARTS_AT and weights == SOURCE and cell.checkpoint.format in ARITHMETIC_16_BIT
    ways = (own, *list_rivals(own, half=half))
    return [(Key(weights=weights, index_topk=topk, way=way, item=item.id), item) for way in ways] if item else []


def list_rivals(way: str, *, half: bool) -> tuple[str, ...]:
    """List the ways to attend that must not pass for this one on the crowd prompt; with `half` of index_topk, where
    rounding costs clearly less than what that changes."""
    if way == recordings.DENSE:
        return (NO_SHARING,)
    return (recordings.DENSE, HALF) if half and way == NO_SHARING else (recordings.DENSE,)


def attention_way(cell: Cell, plan: PlanSettings) -> str:
    """Return how the layers must select. A cache without indexer keys means dense attention."""
    dense = str(plan.settings.get("kv_layout", "")).startswith("dense")
    return recordings.DENSE if dense else read_pattern(cell)


def recorded_as(checkpoint: Checkpoint) -> str:
    """Return the checkpoint whose numbers apply, up to rounding: the source, or the checkpoint itself where it computes
    another function, or renders other prompts since its template always thinks."""
    return checkpoint.id if checkpoint.made_by in OF_THEIR_OWN or checkpoint.thinking == "always" else SOURCE


def weights_sha256(checkpoint: Checkpoint) -> str:
    """Return the digest of the reference weights. One with a function of its own has the bytes that its YAML pins."""
    return str(checkpoint.sha256) if checkpoint.made_by in OF_THEIR_OWN else _source_sha256()


@cache
def _source_sha256() -> str:
    from fixtures.canary.checkpoint import CheckpointDirectory  # numpy, of which no collection has any use

    return CheckpointDirectory(WEIGHTS).weights_sha256()


def _find_stale(record: Mapping[str, Any], checkpoint: Checkpoint, item: Item) -> list[str]:
    now = {"weights_sha256": weights_sha256(checkpoint), "prompt_sha256": frozen.prompt_sha256(item)}
    return frozen.find_stale(record, now)
