"""Proof by numbers: logprobs of next tokens against recorded ones, one recording per way an engine may compute.

Sparse, shared and dense attention give the same numbers up to index_topk tokens, where everything is selected anyway:
a prompt that is not longer could not have shown a difference and is refused as evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from matrix.observation import Rung
from matrix.proof import Outcome, Proof

SAME = 1e-3  # two runs of one engine on one prompt differ by less in bf16 at batch 1
# Times what launches differ by anyway: on short prompts, and on the long one when it is asked again. On H100 what is no
# proof (FFSS, chunks that do not cut the prompt) came to 2.5 times that at most, the destructive FSFS to 8.6 and more.
TELLING = 5

Logprobs = Sequence[Mapping[str, float]]  # per generated token: candidate -> logprob, the chosen one first


def named(logprobs: Sequence[Mapping[str, Any]]) -> Logprobs:
    """The part of a reply's `logprobs.content` that two launches can compare."""
    return [
        {
            str(position["token"]): float(position["logprob"]),
            **{str(top["token"]): float(top["logprob"]) for top in position.get("top_logprobs") or []},
        }
        for position in logprobs
    ]


def likeliest_first(position: Mapping[str, float]) -> dict[str, float]:
    """Evidence is written with sorted keys; the chosen token of greedy decoding is the likeliest one."""
    return dict(sorted(position.items(), key=lambda item: -item[1]))


def distance(a: Logprobs, b: Logprobs) -> float:
    """Largest difference over candidates that both list, until they first choose differently; infinite without any."""
    largest = math.inf if not (a and b) else 0.0
    for mine, yours in until_they_part(a, b):
        shared = mine.keys() & yours.keys()
        if not shared:
            return math.inf
        largest = max(largest, *(abs(mine[t] - yours[t]) for t in shared))
    return largest


def until_they_part(a: Logprobs, b: Logprobs) -> Iterator[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Position by position up to the first at which they choose differently, that one included: after it they continue
    different texts."""
    for mine, yours in zip(a, b, strict=False):
        yield mine, yours
        if chosen(mine) != chosen(yours):
            return


def chosen(position: Mapping[str, float]) -> str:
    return next(iter(position))


def distributions(found: Logprobs) -> Logprobs:
    """The positions before the first that names no alternative: llama.cpp gives a drafted token probability 1 and
    nothing beside it (https://github.com/ggml-org/llama.cpp/issues/27972), which says nothing about attention."""
    return list(takewhile(lambda position: len(position) > 1, found))


def blind(prompt_tokens: int, index_topk: int) -> str:
    """Why a prompt is no evidence about sparse attention; empty when it is."""
    if prompt_tokens > index_topk:
        return ""
    return f"NOT_EVIDENCE: {prompt_tokens} prompt tokens, all of which index_topk {index_topk} selects"


def changes_only_beyond(
    short: tuple[Logprobs, Logprobs], long: tuple[Logprobs, Logprobs], floor: float | None
) -> Proof:
    """IndexCache by ablation (with, without). Below index_topk every token is selected anyway, so numbers are equal;
    beyond it layers that share an index select other tokens. Nothing changing there means that nothing is shared.

    `floor` is what a launch that is asked the long prompt again differs by from itself, None where none was: sparse
    attention is not repeatable on GPUs (0.06 to 0.63 between two asks of one launch, where 0.03 to 0.44 lie between
    FFSS and FFFF), so that a change proves something only far above it.
    """
    near, far = distance(*short), distance(*long)
    detail = f"logprobs differ by {near:.2g} below index_topk and {far:.2g} beyond, {_again(floor)}"
    outcome: Outcome = "unproven"
    if far <= SAME:
        outcome = "refuted"
    elif floor is not None and far > max(SAME, TELLING * max(near, floor)):
        outcome = "proven"
    data = {"below": str(near), "beyond": str(far), "floor": str(floor)}
    return Proof(feature="indexcache", outcome=outcome, rung=Rung.ABLATION, detail=detail, data=data)


def _again(floor: float | None) -> str:
    return "where no launch was asked twice" if floor is None else f"where a launch asked twice differs by {floor:.2g}"


def by_recording(
    feature: str, found: Logprobs, recordings: Mapping[str, Logprobs], *, wanted: str, tolerance: float,
    prompt_tokens: int, index_topk: int, rung: Rung = Rung.ORACLE,
) -> Proof:  # fmt: skip
    """Near the wanted recording and near no other: proven. Near another one: refuted.

    `tolerance` is what one way of computing may differ by between machines and kernels; recordings that are closer to
    one another than twice that cannot be told apart, and the outcome says so.
    """
    usable = distributions(found)
    gaps = {name: round(distance(usable, each), 6) for name, each in recordings.items()}
    near = {name for name, gap in gaps.items() if gap <= tolerance}
    data = {
        "gaps": {k: str(v) for k, v in gaps.items()}, "tolerance": tolerance, "prompt_tokens": prompt_tokens,
        "positions": len(usable),
    }  # fmt: skip
    away = ", ".join(f"{n} is {g:.3g} away" for n, g in gaps.items())
    detail = f"logprobs of {len(usable)} tokens after {prompt_tokens}: {away}"
    if refused := blind(prompt_tokens, index_topk):
        return Proof(feature=feature, outcome="unproven", rung=rung, detail=refused, data=data)
    outcome: Outcome = "unproven"
    if near == {wanted}:
        outcome = "proven"
    elif near and wanted not in near:
        outcome = "refuted"
    return Proof(feature=feature, outcome=outcome, rung=rung, detail=f"{detail} (wanted {wanted})", data=data)
