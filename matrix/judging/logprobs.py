"""Proof by numbers: logprobs of next tokens against recorded ones, one recording per way an engine may compute.

Sparse, shared and dense attention give the same numbers up to index_topk tokens, where everything is selected anyway:
a prompt that is not longer could not have shown a difference and is refused as evidence.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from operator import itemgetter
from typing import Any

from matrix.judging.extremes import find_largest, find_smallest
from matrix.judging.observation import Rung
from matrix.judging.proof import FeatureProof, Outcome

SAME = 1e-3  # two runs of one engine on one prompt differ by less in bf16 at batch 1
# Times what launches differ by anyway: on short prompts, and on the long one when it is asked again. On H100 what is no
# proof (FFSS, chunks that do not cut the prompt) came to 2.5 times that at most, the destructive FSFS to 8.6 and more.
TELLING = 5
ABOVE_ONE = 1e-3  # nats: what rounding may lift a logprob over 0; more is no probability
# Of a position's probabilities: numbers rounded to 16 bits may add up to a little over 1. Seen of vLLM 0.33.0, SGLang
# 0.5.23 (docs/evidence/sm90-h200) and llama.cpp 2026.10.11549 in 22,000 positions: 2.5e-7 at most.
ABOVE_ALL = 1e-2
MOST = sys.float_info.max
SHOWN_CHARS = 40

NO_NUMBERS = "a logprob is NaN or infinite: the engine computes no numbers"

Logprobs = Sequence[Mapping[str, float]]  # per generated token: candidate -> logprob, the chosen one first


def read_logprobs(logprobs: Sequence[Mapping[str, Any]]) -> Logprobs:
    """Read the part of a reply's `logprobs.content` that two launches can compare; NaN for what is no number."""
    return [dict(list_candidates(position)) for position in logprobs]


def list_candidates(position: Mapping[str, Any]) -> list[tuple[str, float]]:
    """List the chosen token and then the alternatives, valid or not: see `find_unsound`."""
    return [(_token_of(each), _logprob_of(each)) for each in (position, *_top_logprobs(position))]


def _top_logprobs(position: Mapping[str, Any]) -> Sequence[Any]:
    tops = position.get("top_logprobs")
    return tops if isinstance(tops, list | tuple) else ()


def _token_of(candidate: Any) -> str:
    return str(candidate.get("token")) if isinstance(candidate, Mapping) else _safe_repr(candidate)


def _logprob_of(candidate: Any) -> float:
    value = candidate.get("logprob") if isinstance(candidate, Mapping) else None
    # A live reply's logprob is a number. Text stands for one in evidence alone, where JSON has no NaN.
    return math.nan if isinstance(value, str) else recorded_number(value)


def recorded_number(value: object) -> float:
    """Read a number of evidence, where NaN and infinities are text; NaN for anything else."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        with suppress(ValueError, OverflowError):
            return float(value)
    return math.nan


def recorded_numbers(position: Mapping[str, object]) -> dict[str, float]:
    """Read a position of evidence."""
    return {token: value if type(value) is float else recorded_number(value) for token, value in position.items()}


def find_unsound(content: Sequence[Any]) -> str:
    """Why a reply's `logprobs.content` is no list of log-probabilities: the first thing wrong, with its place. Empty
    where all is sound, and where there is nothing (an engine without logprobs says nothing wrong).

    An engine that computes NaN answers NaN, or null where its JSON has no word for it.
    """
    found = (
        f"position {place}: {why}" for place, position in enumerate(content) for why in _find_wrong_position(position)
    )
    return next(found, "")


def _find_wrong_position(position: Any) -> Iterator[str]:
    if not isinstance(position, Mapping):
        yield f"{_safe_repr(position)} is no candidate"
        return
    tops = position.get("top_logprobs")
    if tops is not None and not isinstance(tops, list | tuple):
        yield f"top_logprobs is {_safe_repr(tops)}, not a list"
    wrong = [*_wrong_candidate(position, least=-MOST)]
    for candidate in _top_logprobs(position):
        wrong += _wrong_candidate(candidate, least=-math.inf)
    yield from wrong or _find_wrong_list(position, _top_logprobs(position))


def _find_wrong_list(position: Mapping[str, Any], tops: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Find what no list of candidates can be, each of which is sound by itself."""
    values = [float(each["logprob"]) for each in tops]
    if (mass := math.fsum(map(math.exp, values))) > 1 + ABOVE_ALL:
        yield f"the probabilities of its candidates add up to {mass:.3g}"
    if any(later > earlier + SAME for earlier, later in itertools.pairwise(values)):
        yield "its candidates are not in the order of their likelihood"
    # Two special tokens may print alike, so that one name has two numbers.
    own = [value for each, value in zip(tops, values, strict=True) if each["token"] == position["token"]]
    if own and not any(abs(value - position["logprob"]) <= SAME or value == position["logprob"] for value in own):
        yield f"the chosen token has the logprob {position['logprob']:.4g}, and {own[0]:.4g} among the candidates"
    # A list holds the likeliest: who is not in it is less likely than its last, or it is another position's.
    if values and not own and position["logprob"] > (least := find_smallest(values)) + SAME:
        yield (
            f"the chosen token has the logprob {position['logprob']:.4g} and is none of its candidates, the last of"
            f" which has {least:.4g}: they are another position's"
        )


def _wrong_candidate(candidate: Any, *, least: float) -> Iterator[str]:
    """Yield what is wrong with a candidate. A masked candidate may have -inf; the chosen one may not."""
    if not isinstance(candidate, Mapping):
        yield f"{_safe_repr(candidate)} is no candidate"
        return
    token, value = candidate.get("token"), candidate.get("logprob")
    if not isinstance(token, str):
        yield f"a token is {_safe_repr(token)}, not text"
    elif any("\ud800" <= char <= "\udfff" for char in token):
        yield f"the token {_safe_repr(token)} holds half of a surrogate pair"
    number = _logprob_of(candidate)
    if not least <= number <= ABOVE_ONE:
        shown = "missing or null" if value is None else _safe_repr(value)
        yield f"the logprob of {_safe_repr(token)} is {shown}, which is no logarithm of a probability"


def _safe_repr(value: Any) -> str:
    """Of anything: a long integer and deep nesting have none."""
    with suppress(ValueError, RecursionError):
        return repr(value)[:SHOWN_CHARS]
    return f"a {type(value).__name__} beyond printing"


def has_no_number(*told: Logprobs) -> bool:
    """Whether what is no log-probability stands anywhere: then no comparison means anything, and each would be false.

    The likeliest candidate stands first; only behind it may -inf stand, for what a mask forbids.
    """
    positions = [list(position.values()) for logprobs in told for position in logprobs]
    return not all(values and values[0] >= -MOST and all(v <= ABOVE_ONE for v in values) for values in positions)


def likeliest_first(position: Mapping[str, float]) -> dict[str, float]:
    """Evidence is written with sorted keys; the chosen token of greedy decoding is the likeliest one."""
    if not any(map(math.isnan, position.values())):
        return dict(sorted(position.items(), key=itemgetter(1), reverse=True))  # equal ones keep their order
    return dict(sorted(position.items(), key=lambda item: (math.isnan(item[1]), -item[1])))


def measure_distance(a: Logprobs, b: Logprobs) -> float:
    """Largest difference over candidates that both list, until they first choose differently; infinite without any,
    and where either holds what is no number (`max` would have kept the other)."""
    largest = math.inf if not (a and b) else 0.0
    for mine, yours in pair_until_parted(a, b):
        shared = mine.keys() & yours.keys()
        if not shared:
            return math.inf
        # Equal first: -inf on both sides is no difference, and -inf minus -inf is NaN.
        gaps = [0.0 if mine[t] == yours[t] else abs(mine[t] - yours[t]) for t in shared]
        if not all(map(math.isfinite, gaps)):
            return math.inf
        largest = max(largest, *gaps)
    return largest


def pair_until_parted(a: Logprobs, b: Logprobs) -> Iterator[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Position by position up to the first at which they choose differently, that one included: after it they continue
    different texts."""
    # One may have stopped earlier; what is compared is what both have.
    for mine, yours in zip(a, b, strict=False):
        yield mine, yours
        if chosen_token(mine) != chosen_token(yours):
            return


def chosen_token(position: Mapping[str, float]) -> str:
    return next(iter(position), "")


def drop_drafted(found: Logprobs) -> Logprobs:
    """Keep the positions before the first without alternatives: llama.cpp gives a drafted token probability 1 and
    nothing else (https://github.com/ggml-org/llama.cpp/issues/27972), which shows nothing about attention."""
    return list(takewhile(lambda position: len(position) > 1, found))


def explain_blind(prompt_tokens: int, index_topk: int) -> str:
    """Why a prompt is no evidence about sparse attention; empty when it is."""
    if prompt_tokens > index_topk:
        return ""
    return f"NOT_EVIDENCE: {prompt_tokens} prompt tokens, all of which index_topk {index_topk} selects"


def prove_change_beyond(
    short: tuple[Logprobs, Logprobs], long: tuple[Logprobs, Logprobs], floor: float | None
) -> FeatureProof:
    """IndexCache by ablation (with, without). Below index_topk every token is selected anyway, so numbers are equal;
    beyond it layers that share an index select other tokens. Nothing changing there means that nothing is shared.

    `floor` is what a launch that is asked the long prompt again differs by from itself, None where none was: sparse
    attention is not repeatable on GPUs (0.06 to 0.63 between two asks of one launch, where 0.03 to 0.44 lie between
    FFSS and FFFF), so that a change proves something only far above it.
    """
    if has_no_number(*short, *long):
        return FeatureProof(feature="indexcache", outcome="refuted", rung=Rung.ABLATION, detail=NO_NUMBERS)
    near, far = measure_distance(*short), measure_distance(*long)
    detail = f"logprobs differ by {near:.2g} below index_topk and {far:.2g} beyond, {_describe_floor(floor)}"
    outcome: Outcome = "unproven"
    if far <= SAME:
        outcome = "refuted"
    elif floor is not None and far > find_largest([SAME, TELLING * find_largest([near, floor])]):
        outcome = "proven"
    data = {"below": str(near), "beyond": str(far), "floor": str(floor)}
    return FeatureProof(feature="indexcache", outcome=outcome, rung=Rung.ABLATION, detail=detail, data=data)


def _describe_floor(floor: float | None) -> str:
    return "where no launch was asked twice" if floor is None else f"where a launch asked twice differs by {floor:.2g}"


def prove_by_recording(
    feature: str,
    found: Logprobs,
    recordings: Mapping[str, Logprobs],
    *,
    wanted: str,
    tolerance: float,
    prompt_tokens: int,
    index_topk: int,
    rung: Rung = Rung.ORACLE,
) -> FeatureProof:
    """Near the wanted recording and near no other: proven. Near another one: refuted.

    `tolerance` is what one way of computing may differ by between machines and kernels; recordings that are closer to
    one another than twice that cannot be told apart, and the outcome says so.
    """
    usable = drop_drafted(found)
    # Rounded before it is held against the tolerance: the verdict must follow from the digits that are kept.
    gaps = {name: round(measure_distance(usable, each), 6) for name, each in recordings.items()}
    near = {name for name, gap in gaps.items() if gap <= tolerance}
    data = {
        "gaps": {k: str(v) for k, v in gaps.items()},
        "tolerance": tolerance,
        "prompt_tokens": prompt_tokens,
        "positions": len(usable),
    }
    away = ", ".join(f"{n} is {g:.3g} away" for n, g in gaps.items())
    detail = f"logprobs of {len(usable)} tokens after {prompt_tokens}: {away}"
    if has_no_number(found):
        return FeatureProof(feature=feature, outcome="refuted", rung=rung, detail=f"{NO_NUMBERS}; {detail}", data=data)
    if refused := explain_blind(prompt_tokens, index_topk):
        return FeatureProof(feature=feature, outcome="unproven", rung=rung, detail=refused, data=data)
    outcome: Outcome = "unproven"
    # Near two recordings at once proves neither of them.
    if near == {wanted}:
        outcome = "proven"
    elif near and wanted not in near:
        outcome = "refuted"
    return FeatureProof(feature=feature, outcome=outcome, rung=rung, detail=f"{detail} (wanted {wanted})", data=data)
