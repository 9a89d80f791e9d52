"""Backends that a plan names. Their log line is written by the code that selects them: the best there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from matrix.judging.observation import Observation, Rung, Seen, find_first
from matrix.judging.proof.outcome import FeatureProof, Outcome, make_unproven
from matrix.judging.requested import Requested


def prove_backends(wanted: Requested, seen: Seen) -> Iterator[FeatureProof]:
    """One proof per backend that the plan names; what it leaves to the engine is not judged."""
    asked_for = [("attention_backend", wanted.attention_backend), ("moe_backend", wanted.moe_backend)]
    for feature, asked in asked_for:
        if asked is not None:
            yield _prove_backend(feature, asked, find_first(seen, feature))
    line = find_first(seen, "dsa_backends")
    for asked, got in zip(wanted.dsa_backends, (line.value, line.also.get("decode")) if line else (), strict=False):
        if asked is not None and line is not None:
            yield _prove_backend("dsa_backends", asked, replace(line, value=str(got)))


def _prove_backend(feature: str, asked: str, seen: Observation | None) -> FeatureProof:
    if seen is None:
        return make_unproven(feature, f"{asked} was asked for and no line names the one in use", Rung.PARSER)
    detail = f"{asked} was asked for, {seen.value} is in use ({seen.where})"
    if _normalise_name(asked) != _normalise_name(str(seen.value)):
        return FeatureProof(feature=feature, outcome="refuted", rung=seen.rung, detail=detail)
    outcome: Outcome = "unproven" if seen.rung is Rung.ECHO else "proven"
    return FeatureProof(feature=feature, outcome=outcome, rung=seen.rung, detail=detail)


def _normalise_name(name: str) -> str:
    """FLASHINFER_CUTLASS, `FlashInfer CUTLASS` and flashinfer-cutlass are one backend."""
    return "".join(c for c in name.lower() if c.isalnum())
