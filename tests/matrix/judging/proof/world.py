"""What an engine may be asked for and may show, in few words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matrix.judging.observation import Observation, Rung, Seen
from matrix.judging.proof import FeatureProof, judge_proofs
from matrix.judging.requested import Requested
from matrix.planning.kv import GIB, KvShape

FOUR = KvShape(layers=4)
VLLM = Requested(dialect="vllm", shape=FOUR, layout="dsa_bf16", full_layers=4, page_tokens=64, chunk_tokens=4096)
SGLANG = replace(VLLM, dialect="sglang")
TRTLLM = replace(VLLM, dialect="trtllm")
LLAMACPP = replace(VLLM, dialect="llamacpp", page_tokens=1)


def sharing(wanted: Requested, full_layers: int = 2) -> Requested:
    """With IndexCache: so many layers keep their own indexer."""
    return replace(wanted, features=frozenset({"indexcache"}), full_layers=full_layers)


def drafting(wanted: Requested) -> Requested:
    return replace(wanted, features=frozenset({"mtp"}))


def by_feature(proofs: tuple[FeatureProof, ...]) -> dict[str, tuple[str, Rung]]:
    return {p.feature: (p.outcome, p.rung) for p in proofs}


def proof(feature: str, wanted: Requested, seen: Seen, **more: Any) -> FeatureProof:
    return next(p for p in judge_proofs(wanted, seen, **more) if p.feature == feature)


def see(name: str, value: str | float, rung: Rung = Rung.COUNTER, unit: str = "", **also: str) -> Observation:
    return Observation(name=name, value=value, rung=rung, where="log line 1", unit=unit, also=also)


def pool(token_bytes_: int, tokens: int = 10_000_000) -> list[Observation]:
    """Return what an engine would log for a token of this size."""
    return [
        replace(see("kv_bytes", token_bytes_ * tokens, unit="bytes"), half_step=0.005 * GIB),
        see("kv_tokens", tokens, unit="tokens"),
    ]


SELECTED = see("dsa_selected", "FLASH_ATTN_MLA_SPARSE", Rung.LOG)
