"""Checks whether a load result is a measurement at all, is physically possible, and is as fast as it should be.

Reads the JSON of `fixtures.traffic` (a superset of `vllm bench serve --save-result`), so that any past run can be
judged again.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fixtures.client.reply import Reply
from matrix.judging.extremes import find_largest, find_smallest
from matrix.judging.published import CLAIM_SHARE, CLAIM_TPOT, compute_decode_limit, is_near_claim
from matrix.judging.statistics import CONFIDENCE, compare_mcnemar
from matrix.model import Cell
from reports.evidence.finding import Finding

LITTLE_TOLERANCE = 0.02  # docs/sources/001.md's own table holds it within 0.6 % up to c=256 ...
LITTLE_TOLERANCE_QUEUED = 0.10  # ... and within 8.6 % at 512 and 1024, where ramp and drain weigh
LITTLE_QUEUED_FROM = 257
LITTLE_OVERHEAD_S = 0.010  # between two requests of one stream: one scheduler tick of a busy client
COLD_CACHED_SHARE = 0.10  # a shared template frame may be cached; more is the prompt itself
FEWEST_PAIRS = 5  # 0.5 ** 5 = 3 %: with four, even all lost is luck at 5 %

Result = Mapping[str, Any]
Counted = tuple[Reply, float | None]  # and its prompt's tokens from the cache, None where nobody tells


def check_complete(result: Result, *, output_len: int) -> Finding:
    """Check that no request failed and every output has exactly the requested length: otherwise the speed is
    meaningless."""
    failed, lens = result["failed"], result["output_lens"]
    off = [n for n in lens if n != output_len]
    wrong = []
    if failed:
        wrong.append(f"{failed} of {result['num_prompts']} requests failed: {_first_error(result['errors'])}")
    if off:
        wrong.append(f"{len(off)} outputs are not {output_len} tokens long, e.g. {off[:5]}")
    if not result["completed"]:
        wrong.append("nothing completed")
    # JSON of Python keeps NaN and Infinity, and every comparison with a NaN is False: it would pass all checks below.
    wrong += [f"{name} is {value}, no number" for name, value in result.items() if not _is_number(value)]
    return _make_finding("complete", wrong, f"{result['num_prompts']} outputs of {output_len} tokens", result)


def check_littles_law(result: Result) -> Finding:
    """Check Little's law: concurrency = throughput x time in system, ramp-down excluded. A violation means that the
    client or its accounting is broken."""
    streams, e2e_s = result["max_concurrency"], result["mean_e2el_ms"] / 1000
    busy = result["request_throughput"] * e2e_s
    ratio = (busy + _count_idle_streams(result)) / streams
    allowed = LITTLE_TOLERANCE_QUEUED if streams >= LITTLE_QUEUED_FROM else LITTLE_TOLERANCE
    # A share of the time in system: short requests spend more of their stream's time between two of them.
    allowed += LITTLE_OVERHEAD_S / e2e_s if e2e_s else 0.0
    wrong = [] if abs(ratio - 1) <= allowed else [f"{ratio * streams:.2f} streams implied, {streams} asked"]
    data = {"ratio": ratio, "allowed": allowed}
    return _make_finding("littles_law", wrong, f"{streams} streams, within {allowed:.1%}", result, data)


def _count_idle_streams(result: Result) -> float:
    """Count the streams without work, on average: each ends when no request is left, and the slowest ends the run."""
    # A latency of 0 is that of a request without a token (`fixtures.traffic.metrics`), whose end nobody measured.
    ends = sorted(t + e for t, e in zip(result["start_times"], result["e2els"], strict=False) if e)
    last = ends[-result["max_concurrency"] :]
    return sum(last[-1] - end for end in last) / result["duration"] if last else 0.0


def check_possible(result: Result, cell: Cell) -> Finding:
    """Check the roofline: a single stream cannot read its active weights faster than memory delivers them."""
    limit = decode_limit_tps(cell)
    # A request's own pace, not the total: the streams of a batch share their reads of the weights.
    got = 1000 / result["median_tpot_ms"] if result["median_tpot_ms"] else float("inf")
    wrong = [] if limit is None or got <= limit else [f"{got:.1f} tok/s is above the physical limit"]
    expected = f"<= {limit:.0f} tok/s" if limit else "no limit known for this rig"
    return _make_finding("possible", wrong, expected, result, {"decode_tps": got}, sensitive=limit is not None)


def decode_limit_tps(cell: Cell) -> float | None:
    """Compute the decode limit of a cell, see `matrix.judging.published`."""
    return compute_decode_limit(cell.rig, cell.checkpoint, drafts="mtp" in cell.features)


def rate_by_wave(result: Result) -> list[float]:
    """Compute output tokens per second for each wave of replies: its tokens over the time since the previous wave
    ended.

    Of three, the median leaves out the ramp at the start and the drain at the end.
    """
    ended = sorted(
        (start + e2e, tokens)
        for start, e2e, tokens in zip(result["start_times"], result["e2els"], result["output_lens"], strict=True)
        if e2e
    )
    streams, since, rates = result["max_concurrency"], find_smallest(result["start_times"]), []
    for wave in (ended[i : i + streams] for i in range(0, len(ended), streams)):
        until = wave[-1][0]
        # Two waves of a mock or of a coarse clock may end at the same instant.
        rates.append(sum(tokens for _, tokens in wave) / find_largest([1e-9, until - since]))
        since = until
    return rates


def judge_both_launches(first: Finding, second: Finding) -> Finding:
    """Merge the findings of two launches: slower only if both were. A fresh launch without a verdict contradicts
    nothing."""
    excused = second.ok and second.sensitive
    said = f"{first.data['ratio']:.2f} of the baseline, {second.data['ratio']:.2f} on a fresh launch"
    return replace(
        first,
        ok=excused,
        got=f"{first.got}, then {second.got}",
        detail="; ".join(filter(None, (said, second.detail))),
        note=said if excused else "",
        data={**first.data, "fresh_ratio": second.data["ratio"]},
    )


def keep_first_verdict(first: Finding, why: str) -> Finding:
    """Keep the verdict of one launch where no second one exists."""
    return replace(first, detail=f"not measured on a fresh launch: {why}")


def prefill_tps(reply: Reply) -> float:
    """Compute prompt tokens per second until the first token; for a long prompt, the one decode step in it is noise."""
    return (reply.prompt_tokens or 0) / reply.ttft_s if reply.ttft_s else 0.0


def check_cold_and_warm(cold: Sequence[Counted], warm: Sequence[Counted]) -> Finding:
    """Check that cold requests missed the prefix cache; otherwise the cold speed is the cache's. Reports the warm
    hits. Each reply stands beside its prompt's tokens from the cache."""
    # An engine that tells no cached tokens passes here, and the finding is marked insensitive below.
    shares = [(cached or 0) / max(1, reply.prompt_tokens or 0) for reply, cached in cold]
    wrong = [f"{share:.0%} of a cold prompt was cached" for share in shares if not share <= COLD_CACHED_SHARE]
    known = any(cached is not None for _, cached in (*cold, *warm))
    rates = {
        name: statistics.median(prefill_tps(reply) for reply, _ in asked)
        for name, asked in (("cold", cold), ("warm", warm))
    }
    found = [cached for _, cached in warm]
    return Finding(
        check="throughput.cold_and_warm",
        ok=not wrong,
        expected=f"at most {COLD_CACHED_SHARE:.0%} of a cold prompt from the cache",
        got=f"cold {rates['cold']:.0f} tok/s, warm {rates['warm']:.0f} tok/s (cached {found})",
        detail="; ".join(wrong),
        sensitive=known,
        data={**rates, "warm_cached_tokens": found},
    )


def check_accuracy(alone: Mapping[str, bool], beside: Mapping[str, bool]) -> Finding:
    """Compare answers item by item: does a load lose more of them than luck would? Exact, one-sided McNemar.

    Five losses without a win are the fewest that 5 % allows to be called worse, so fewer shared items prove nothing.
    """
    both = alone.keys() & beside.keys()
    lost, won, p = compare_mcnemar(alone, beside)
    right = sum(beside[i] for i in both)
    names = ", ".join(sorted(i for i in both if alone[i] and not beside[i]))
    return Finding(
        check="throughput.accurate",
        ok=p > 1 - CONFIDENCE,
        expected=f"the answers given alone: {sum(alone[i] for i in both)} of {len(both)} right",
        got=f"{right} of {len(both)} right, {lost} lost, {won} won, p = {p:.3g}",
        detail=f"lost: {names}" if names else "",
        sensitive=len(both) >= FEWEST_PAIRS,
        data={"lost": lost, "won": won, "p": p, "items": len(both)},
    )


def check_claim(name: str, got: float, claimed: float, *, more_is_better: bool) -> Finding:
    """Compare a number with a published one, loosely."""
    ratio = got / claimed
    ok = is_near_claim(ratio, more_is_better=more_is_better)
    return Finding(
        check=f"throughput.near_claim.{name}",
        ok=ok,
        expected=f"{'>=' if more_is_better else '<='} {CLAIM_SHARE if more_is_better else CLAIM_TPOT:g} x {claimed:g}",
        got=f"{got:.4g} ({ratio:.2f} of the claim)",
        data={"ratio": ratio},
    )


def _is_number(value: Any) -> bool:
    """Return False for a float that is NaN or infinite, also inside a list; other values pass."""
    # ints cannot be NaN, and a huge one would overflow `isfinite`.
    floats = value if isinstance(value, list | tuple) else [value]
    return all(math.isfinite(each) for each in floats if isinstance(each, float))


def _first_error(errors: Sequence[str]) -> str:
    return next((e for e in errors if e), "")


def _make_finding(
    name: str,
    wrong: Sequence[str],
    expected: str,
    result: Result,
    data: Mapping[str, Any] | None = None,
    *,
    sensitive: bool = True,
) -> Finding:
    got = (
        f"{result['completed']} completed, {result['output_throughput']:.1f} tok/s, "
        f"TTFT {result['median_ttft_ms']:.1f} ms, TPOT {result['median_tpot_ms']:.2f} ms"
    )
    return Finding(
        check=f"throughput.{name}",
        ok=not wrong,
        expected=expected,
        got=got,
        detail="; ".join(wrong),
        sensitive=sensitive,
        data={"concurrency": result["max_concurrency"], **(data or {})},
    )
