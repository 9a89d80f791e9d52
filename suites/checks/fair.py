"""Checks that a load is served fairly: nobody waits while later ones come and go, and nobody crawls beside the others.

Both are about order and about replies that are made at the same time, so a slow host or a pause of the whole server
changes neither. Reads the JSON of `fixtures.traffic` and `fixtures.workload.scheduled`.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matrix.judging.extremes import find_largest, find_smallest
from reports.evidence.finding import Finding

NEIGHBOURS_S: Final = 0.1  # arrivals that lie closer may change places on their way through sockets and threads
MOST_OVERTAKEN: Final = 1  # by later requests that were answered whole while this one waited
# Times as long between two chunks as those beside it. A batch makes one step for all of its streams: 176 loads of vLLM
# and SGLang on an H200, of 1 to 32 streams with and without drafts (docs/evidence/sm90-h200), stayed under 1.15.
CRAWLS: Final = 2.0
FEWEST_GAPS: Final = 6  # between chunks: fewer have no pace
# Half of the fastest decode on record, 1.9 ms a token of the canary (vLLM 0.33.0 with MTP on an H200): what comes
# faster was not made token by token, and has no pace to be held against.
LEAST_STEP_S: Final = 0.001
LEAST_GAP_S: Final = 1e-6

Result = Mapping[str, Any]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """One request that was answered, in seconds of the client's clock."""

    number: int
    sent: float
    ended: float
    waits: tuple[Span, ...]  # for the first chunk, and for each further one

    @property
    def gaps(self) -> list[float]:
        return [end - begin for begin, end in self.waits[1:]]

    @property
    def decoding(self) -> Span:
        return self.waits[0][1], self.ended


def list_unfair(result: Result) -> list[Finding]:
    """List what is unfair in a closed load: nothing where it is fair, so that runs from before these checks, judged
    again from their replies, say what they said."""
    found = (check_overtaken(result, concurrency=result["max_concurrency"]), check_abreast(result))
    return [one for one in found if not one.ok]


def check_overtaken(result: Result, **data: Any) -> Finding:
    """Check that no request waits for a chunk while more than one later one is sent and answered whole."""
    counts = count_overtakes(result)
    worst = max(counts.values(), default=0)
    late = [f"request {number} was overtaken by {n}" for number, n in counts.items() if n > MOST_OVERTAKEN]
    return Finding(
        check="throughput.overtaken",
        ok=not late,
        expected=f"at most {MOST_OVERTAKEN}",
        got=f"at most {worst} sent and answered whole while an earlier one waited",
        detail="; ".join(late[:3]),
        data={**data, "overtaken": worst},
    )


def count_overtakes(result: Result) -> dict[int, int]:
    """Count for each answered request the later ones that came and went while it waited for one of its chunks.

    Order is that of the sending, and an end counts as earlier by more than the client's loop was ever late: what it
    reads in one round has no order.
    """
    # Results of early 2026-11 have no largest lag.
    blur_s, served = result.get("client_loop_lag_max_ms", 0.0) / 1000, [*_read_served(result)]

    def overtaken(begin: float, end: float) -> int:
        if end - begin <= NEIGHBOURS_S:  # most gaps between chunks
            return 0
        return sum(other.sent >= begin + NEIGHBOURS_S and other.ended + blur_s <= end for other in served)

    return {each.number: max(itertools.starmap(overtaken, each.waits), default=0) for each in served}


def check_abreast(result: Result) -> Finding:
    """Check that no reply is made at half of the pace of those that are made beside it, or slower."""
    # What lies between two chunks that came closer than the client's loop is late is the client's and the host's.
    late_s = result.get("client_loop_lag_p99_ms", 0.0) / 1000
    paces = [*_compare_paces([*_read_served(result)], late_s)]
    worst = find_largest((times for _, times in paces), default=1.0)
    slow = [f"request {number} took {times:.1f} times as long a chunk" for number, times in paces if not times < CRAWLS]
    return Finding(
        check="throughput.abreast",
        ok=not slow,
        expected=f"under {CRAWLS:g} times as long between two chunks as the replies beside it",
        got=f"at most {worst:.2f} times, of {len(paces)} replies with others beside them",
        detail="; ".join(slow[:3]),
        sensitive=bool(paces),
        data={"concurrency": result["max_concurrency"], "slowest": round(worst, 3)},
    )


def _compare_paces(served: Sequence[_Served], late_s: float) -> Iterator[tuple[int, float]]:
    """Yield how much longer each reply took a chunk than those that were mostly made while it was, or than `late_s`
    where they took less."""
    told = [each for each in served if len(each.gaps) >= FEWEST_GAPS]
    paced = [each for each in told if statistics.fmean(each.gaps) >= LEAST_STEP_S]
    for each in told:
        beside = [other for other in paced if other is not each and _share_within(other.decoding, each.decoding) >= 0.5]
        if beside:
            yield each.number, _measure_lag(each.gaps, [other.gaps for other in beside], late_s)


def _measure_lag(own: Sequence[float], beside: Sequence[Sequence[float]], late_s: float) -> float:
    """Return how many times as long the gaps are, by the measure that says less: one pause (a preemption) moves the
    mean alone, chunks that come in bursts the median alone."""
    mine = statistics.median(own), statistics.fmean(own)
    theirs = (
        statistics.median(statistics.median(gaps) for gaps in beside),
        statistics.median(statistics.fmean(gaps) for gaps in beside),
    )
    return find_smallest(a / find_largest([LEAST_GAP_S, late_s, b]) for a, b in zip(mine, theirs, strict=True))


def _share_within(inner: Span, outer: Span) -> float:
    both = min(inner[1], outer[1]) - max(inner[0], outer[0])
    return both / max(LEAST_GAP_S, inner[1] - inner[0])


def _read_served(result: Result) -> Iterator[_Served]:
    """Read the requests that were answered: one without an end has no order."""
    times = zip(result["start_times"], result["ttfts"], result["e2els"], result["itls"], strict=True)
    late_s = result.get("sent_late_s") or itertools.repeat(0.0)
    for number, ((due, ttft, e2e, gaps), late) in enumerate(zip(times, late_s, strict=False)):
        if e2e:
            stamps = [due + late, *itertools.accumulate(gaps, initial=due + ttft)]
            waits = tuple(itertools.pairwise(stamps))
            yield _Served(number=number, sent=due + late, ended=due + e2e, waits=waits)
