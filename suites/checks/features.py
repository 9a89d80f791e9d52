"""Is a feature that was asked for really active? An echo of a flag is no proof; these look at effects.

Each returns a Verdict for `evidence.proof`: proven, refuted, or unproven when this engine shows nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from matrix.proof import ACCEPT_LENGTH, ACCEPTED_SHARE, CHUNK_SLACK, DOUBTED_TOKENS, DRAFTED_TOKENS

LOGPROB_FLOOR = 1e-3  # two runs of one engine on one prompt differ by less in bf16 at batch 1

Outcome = Literal["proven", "refuted", "unproven"]
_SGLANG_PREFILL = re.compile(r"Prefill batch.*?#new-token: (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    outcome: Outcome
    rung: str  # of the evidence ladder: counter, log, ablation
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


def drafts_accepted(drafted: float | None, accepted: float | None, length: float | None = None) -> Verdict:
    """MTP: the draft head is used and is neither noise nor too good to be true."""
    if drafted is None or accepted is None:
        return _by_length(length)
    data = {"drafted": drafted, "accepted": accepted}
    if drafted == 0:
        return Verdict(outcome="refuted", rung="counter", detail="no token was drafted", data=data)
    share = accepted / drafted
    if drafted < DRAFTED_TOKENS:
        return Verdict(outcome="unproven", rung="counter", detail=f"only {drafted:.0f} drafted", data=data)
    too_good = share > 1 or (share == 1 and drafted >= DOUBTED_TOKENS)
    ok = share >= ACCEPTED_SHARE and not too_good
    detail = f"{accepted:.0f} of {drafted:.0f} drafted tokens accepted ({share:.1%})"
    return Verdict(outcome="proven" if ok else "refuted", rung="counter", detail=detail, data=data)


def _by_length(length: float | None) -> Verdict:
    if length is None:
        return Verdict(outcome="unproven", rung="counter", detail="the engine shows no draft counters")
    outcome: Outcome = "proven" if length >= ACCEPT_LENGTH else "refuted"
    detail = f"{length:.2f} tokens accepted per step, {ACCEPT_LENGTH} wanted"
    return Verdict(outcome=outcome, rung="counter", detail=detail, data={"accept_length": length})


def chunked(steps: float | None, *, prompt_tokens: int, chunk_tokens: int, log: str) -> Verdict:
    """Chunked prefill: a prompt of n tokens took ceil(n / chunk) steps, by counter or by the engine's log.

    `steps` are those of a request for one token, so that all of them are prefill.
    """
    wanted = math.ceil(prompt_tokens / chunk_tokens)
    if wanted < 2:
        return Verdict(outcome="unproven", rung="counter", detail="the prompt fits one chunk")
    sizes = [int(n) for n in _SGLANG_PREFILL.findall(log)]
    if sizes:
        return _by_sizes(sizes, chunk_tokens, wanted)
    if steps is None:
        return Verdict(outcome="unproven", rung="counter", detail="the engine shows no steps")
    data = {"prefill_steps": steps, "chunks": wanted, "chunk_tokens": chunk_tokens}
    detail = f"{steps:.0f} prefill steps for {prompt_tokens} tokens, {wanted} chunks of {chunk_tokens} wanted"
    ok = abs(steps - wanted) <= CHUNK_SLACK and steps >= 2
    return Verdict(outcome="proven" if ok else "refuted", rung="counter", detail=detail, data=data)


def _by_sizes(sizes: Sequence[int], chunk_tokens: int, wanted: int) -> Verdict:
    full = sum(size == chunk_tokens for size in sizes)
    too_big = [size for size in sizes if size > chunk_tokens]
    detail = f"prefill batches of {list(sizes)[:10]} tokens, chunk {chunk_tokens}"
    ok = not too_big and full >= wanted - 1
    return Verdict(outcome="proven" if ok else "refuted", rung="log", detail=detail, data={"sizes": list(sizes)[:50]})


Signature = Sequence[Mapping[str, float]]  # per generated token: candidate -> logprob, the chosen one first


def signature(logprobs: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The part of a reply's logprobs that two launches can compare."""
    return [
        {
            str(position["token"]): float(position["logprob"]),
            **{str(top["token"]): float(top["logprob"]) for top in position.get("top_logprobs") or []},
        }
        for position in logprobs
    ]


def distance(a: Signature, b: Signature) -> float:
    """Largest difference of logprob over candidates that both list, as long as both chose the same tokens.

    Infinite when they choose differently at once, or have nothing in common.
    """
    largest = math.inf if not (a and b) else 0.0
    for mine, yours in zip(a, b, strict=False):
        shared = mine.keys() & yours.keys()
        largest = max([largest, *(abs(mine[t] - yours[t]) for t in shared)]) if shared else math.inf
        if next(iter(mine)) != next(iter(yours)):
            break
    return largest


def changes_only_beyond(
    short: tuple[Signature, Signature], long: tuple[Signature, Signature], *, noise: float = LOGPROB_FLOOR
) -> Verdict:
    """IndexCache by ablation (with, without): equal below index_topk, where every token is selected anyway, and
    different beyond it, where layers that share an index select other tokens."""
    near, far = distance(*short), distance(*long)
    data = {"short": near, "long": far, "noise": noise}
    detail = f"logprobs differ by {near:.2g} below index_topk and {far:.2g} beyond (noise {noise:.1g})"
    if near > noise:
        return Verdict(outcome="refuted", rung="ablation", detail=f"{detail}: short prompts change", data=data)
    outcome: Outcome = "proven" if far > noise else "refuted"
    return Verdict(outcome=outcome, rung="ablation", detail=detail, data=data)
