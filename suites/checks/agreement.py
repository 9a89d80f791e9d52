"""Compares an engine's next-token distributions with the reference's, by KL divergence and a tolerance per weight
format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fixtures.banks.item import Item
from fixtures.client.reply import Reply
from matrix.judging.extremes import find_smallest
from matrix.judging.kl import Divergence, read_distributions, top_k_kl
from matrix.judging.logprobs import Logprobs, drop_drafted, find_unsound
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof
from reports.evidence.finding import Finding, as_json_number
from suites.checks.frozen import prompt_sha256
from suites.checks.isolation import ARITHMETIC_16_BIT

CHECK: Final = "reference.kl"
SHARES: Final = "S"  # in a pattern: a layer that takes the selection of the one above
# Nats a position: half of what the nearest wrong computation is away that a format lets one see. What was measured,
# right and wrong, stands in docs/evidence/frozen-prompts; `glm-matrix tolerances` reads it off
# evidence. An 8-bit cache was not seen to cost anything (1.2e-8 on H100, where 16 bits cost 2.9e-8).
TOLERANCE_16_BIT: Final = 5e-7  # three experts instead of four are 1.1e-6 away; healthy launches at most 9.4e-8
TOLERANCE_QUANTISED: Final = 1.2e-6  # the nearest other weights are 2.5e-6 away; healthy launches at most 4.6e-7
# GLM-5.3-Flash's class: its canary is unsure of the first word, where bf16 alone costs 2.6e-6 (derived; vLLM 0.33.0 on
# an H200 likewise, three launches) and layers without their clamp 3.9e-6: their geometric mean, 1.2 from either.
TOLERANCE_FLASH: Final = 3.2e-6
# Where the canary is unsure everything shows a thousand times more, and what another layer selected a million times.
# Half of what the nearest other pattern of IndexCache is away (8.8e-2), in any format; less for weights to which one is
# nearer. Healthy: 3.0e-3 at most on H100 (NVFP4), 6.3e-4 on llama.cpp; 1.6e-2 by transformers (FP8, W4A16).
TOLERANCE_UNSURE: Final = 4.4e-2


def kl_tolerance(weights: str, made_by: str | None = None) -> float:
    """Return the KL tolerance of a weight format for prompts with confident answers, in nats per position; less
    confident ones for what `made_by` names."""
    if made_by == "flash" and weights in ARITHMETIC_16_BIT:
        return TOLERANCE_FLASH
    return TOLERANCE_16_BIT if weights in ARITHMETIC_16_BIT else TOLERANCE_QUANTISED


def kl_tolerance_unsure(ways: Mapping[str, Logprobs], wanted: str) -> float:
    """Return half the distance to the nearest other attention pattern, for prompts without a confident answer. Dense
    attention and FFFF share no selection and are not distinguished."""
    others = [other for way, other in ways.items() if way != wanted and SHARES in way + wanted]
    return find_smallest([TOLERANCE_UNSURE, *(top_k_kl(ways[wanted], other).mean / 2 for other in others)])


def check_agreement(item: Item, reply: Reply, reference: Logprobs, *, way: str, allowed: float) -> Finding:
    """Compare the engine with the reference, by the mean KL over the positions up to the first at which their tokens
    differ."""
    found = drop_drafted(read_distributions(reply.logprobs))
    told, wrong = top_k_kl(reference, found), find_unsound(reply.logprobs)
    blind = not (found or wrong)
    return Finding(
        check=CHECK,
        ok=blind or (not wrong and told.mean <= allowed),
        expected=f"at most {allowed:.1g} nats a position from the reference ({way})",
        got=f"{told.mean:.2g} in {told.positions} positions, {told.largest:.2g} at most: {reply.content[:80]!r}",
        item=item.id,
        detail=wrong or _explain_divergence(told, blind),
        sensitive=not blind,
        data={
            "mean_nats": as_json_number(told.mean),
            "largest_nats": as_json_number(told.largest),
            "positions": told.positions,
            "parted": told.parted,
            "tolerance": allowed,
            "way": way,
            "prompt_sha256": prompt_sha256(item),
            "candidates": [{t: as_json_number(v) for t, v in position.items()} for position in found],
        },
    )


def prove_pattern(reply: Reply, ways: Mapping[str, Logprobs], *, wanted: str, allowed: float) -> FeatureProof | None:
    """Prove IndexCache where the launch agrees with the wanted pattern alone. Return None where other patterns are
    as near: these weights do not distinguish them. `check_agreement` fails where only another pattern is near."""
    found = drop_drafted(read_distributions(reply.logprobs))
    nats = {way: top_k_kl(reference, found).mean for way, reference in ways.items()}
    near = {way for way, far in nats.items() if far <= allowed}
    if near != {wanted} or len(ways) == 1 or find_unsound(reply.logprobs):
        return None
    away = ", ".join(f"{way} {far:.2g}" for way, far in nats.items())
    data = {"nats": {way: as_json_number(far) for way, far in nats.items()}, "tolerance": allowed}
    detail = f"nats a position from transformers in float32: {away} (wanted {wanted})"
    return FeatureProof(feature="indexcache", outcome="proven", rung=Rung.ORACLE, detail=detail, data=data)


def _explain_divergence(told: Divergence, blind: bool) -> str:
    if blind:
        return "the engine gives no logprobs of alternatives"
    return "another token than the reference's is chosen" if told.parted else ""
