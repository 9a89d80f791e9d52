"""Chunked prefill: how many prefill batches a prompt of known length took, and how large each was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matrix.judging.extremes import find_largest
from matrix.judging.observation import Observation, Rung, Seen, count_since, find_all
from matrix.judging.proof.outcome import FeatureProof, Outcome, make_unproven

CHUNK_SLACK = 2  # batches beyond the chunks: a chunk that was cut at a page, the step of the first token
FEATURE = "chunked_prefill"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillProbe:
    """One request of known length, and what was seen just before and after it."""

    prompt_tokens: int  # that had to be computed: without those found in a prefix cache
    generated_tokens: int
    before: Seen
    after: Seen

    def find_fresh(self, name: str) -> tuple[Observation, ...]:
        """Sightings that were not there before."""
        return find_all(self.after, name)[len(find_all(self.before, name)) :]


def prove_by_probe(chunk_tokens: int | None, probe: PrefillProbe | None) -> FeatureProof:
    """Prove the plan's chunk size by a probe."""
    if probe is None or not chunk_tokens:
        return make_unproven(FEATURE, "no prompt of known length was sent", Rung.ECHO)
    steps = count_since("steps", probe.after, probe.before)
    # Each generated token but the first costs a step of its own; what is left of the count was prefill.
    batches = None if steps is None else round(steps - max(0, probe.generated_tokens - 1))
    sizes = [int(o.number) for o in probe.find_fresh("prefill_chunk")]
    return prove_by_batches(sizes, batches, prompt_tokens=probe.prompt_tokens, chunk_tokens=chunk_tokens)


def prove_by_batches(
    sizes: Sequence[int], batches: int | None, *, prompt_tokens: int, chunk_tokens: int
) -> FeatureProof:
    """Prove chunking by batches: a prompt of n tokens takes ceil(n / chunk) of them, none larger than the chunk.

    `sizes` are those of each batch, where the engine names them; `batches` their number, where it only counts.
    """
    pieces = math.ceil(prompt_tokens / chunk_tokens)
    if pieces < 2:
        return make_unproven(FEATURE, f"{prompt_tokens} tokens fit one chunk of {chunk_tokens}", Rung.ECHO)
    number = len(sizes) if sizes else batches
    if number is None:
        return make_unproven(FEATURE, "the engine shows no prefill batches", Rung.ECHO)
    # `not ... <=`, so that NaN is wrong as well.
    wrong = not find_largest(sizes) <= chunk_tokens or not pieces <= number <= pieces + CHUNK_SLACK
    detail = f"{number} prefill batches for {prompt_tokens} tokens, {pieces} chunks of {chunk_tokens} wanted"
    detail += f"; sizes {list(sizes)[:10]}" if sizes else ""
    data = {"batches": number, "chunks": pieces, "chunk_tokens": chunk_tokens, "sizes": list(sizes)[:50]}
    outcome: Outcome = "refuted" if wrong else "proven"
    return FeatureProof(feature=FEATURE, outcome=outcome, rung=Rung.COUNTER, detail=detail, data=data)
