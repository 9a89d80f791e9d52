"""Checks a load that was sent by the clock: what must be true of every right server and client below its capacity.

Reads the JSON of `fixtures.workload.scheduled`. Latency counts from the moment at which a request was due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matrix.judging.extremes import find_largest
from reports.compare.slower import ONE_LAUNCH
from reports.evidence.finding import Finding
from suites.checks.throughput import LITTLE_OVERHEAD_S, LITTLE_TOLERANCE

JUDGED_SHARE: Final = 0.5  # of the capacity: above it a healthy queue may be long, and goodput is only recorded
HOST_FACTOR: Final = ONE_LAUNCH["median_ttft_ms"]  # what two launches of one plan were seen to differ by

Result = Mapping[str, Any]


def check_offered(result: Result) -> Finding:
    """Check that what was due was sent and what was sent completed: below its capacity a server loses nothing."""
    offered, sent, completed = result["offered"], result["num_prompts"], result["completed"]
    wrong = [] if sent == offered else [f"{sent} requests were sent, {offered} were due"]
    if completed != sent:
        wrong.append(
            f"{sent - completed} did not complete: {result['failed']} failed, {result['unfinished']} had no end"
        )
    return _make_finding(
        wrong,
        check="throughput.offered",
        expected=f"{offered} requests completed",
        got=f"{completed} completed",
        result=result,
    )


def check_sent_on_time(result: Result) -> Finding:
    """Check the client: a request that is sent late was not offered at the rate that the report names."""
    worst = 1000 * find_largest([0.0, *result["sent_late_s"]])
    wrong = [f"{result['late_share']:.0%} were sent late"] if result["late_share"] else []
    got = f"{result['late_share']:.0%} sent late, at most {worst:.1f} ms"
    return _make_finding(
        wrong, check="throughput.sent_on_time", expected="every request sent when it was due", got=got, result=result
    )


def check_open_littles_law(result: Result) -> Finding:
    """Check Little's law: the time that requests spent on the wire is the sum of the latencies that are reported.

    Reported latency begins at the due moment and ends with the last chunk; the wire's begins with the sending and ends
    with the reply. What a stream holds back between its last token and its end shows as a difference.
    """
    latency_s, wire_s = sum(result["e2els"]), sum(result["wire_s"]) + sum(result["sent_late_s"])
    ratio = wire_s / latency_s if latency_s else 0.0
    allowed = LITTLE_TOLERANCE + (LITTLE_OVERHEAD_S * result["num_prompts"] / latency_s if latency_s else 0.0)
    wrong = [] if abs(ratio - 1) <= allowed else [f"{wire_s:.2f} s on the wire, {latency_s:.2f} s of latency"]
    got = f"{wire_s / result['duration']:.2f} requests in the system on average"
    return _make_finding(
        wrong,
        check="throughput.open_littles_law",
        expected=f"throughput x latency within {allowed:.1%}",
        got=got,
        result=result,
    )


def count_good(result: Result, limit_s: float) -> dict[str, Any]:
    """Count the requests that ended well within `limit_s` from their due moment: the fields of the goodput."""
    kept = [e2e for e2e, error in zip(result["e2els"], result["errors"], strict=True) if e2e and not error]
    good = sum(e2e <= limit_s for e2e in kept)
    patient = sum(e2e <= HOST_FACTOR * limit_s for e2e in kept)
    asked = max(1, result["offered"])
    return {
        "slo": {"e2e": 1000 * limit_s},
        "good_share": good / asked,
        "good_share_of_a_busy_host": patient / asked,
        "request_goodput": good / result["window_s"],
    }


def check_goodput(result: Result, *, share: float, wanted: float) -> Finding:
    """Check the share of requests that met the SLO; above JUDGED_SHARE of the capacity it is recorded only.

    Where the client was starved, so may the server have been: then a request misses beyond HOST_FACTOR times the limit.
    """
    fit, limit_ms = result["client_fit"], result["slo"]["e2e"]
    good = result["good_share" if fit else "good_share_of_a_busy_host"]
    factor = 1.0 if fit else HOST_FACTOR
    # `not >=`: a share that is NaN misses.
    missed = not good >= wanted and share <= JUDGED_SHARE
    return Finding(
        check="throughput.open_goodput",
        ok=not missed,
        expected=f"{wanted:.0%} within {limit_ms * factor:.0f} ms from the due moment, at {share:.0%} of the capacity",
        got=f"{good:.0%}; {result['request_goodput']:.3g} good req/s of {result['offered_rate']:.3g} offered",
        detail="" if fit else f"the client was not fit to measure: {result['client_unfit_because']}",
        sensitive=missed or (fit and share <= JUDGED_SHARE),
        data={"good_share": good, "share": share, "limit_ms": limit_ms, "offered_rate": result["offered_rate"]},
    )


def _make_finding(wrong: Sequence[str], *, check: str, expected: str, got: str, result: Result, **data: Any) -> Finding:
    return Finding(
        check=check,
        ok=not wrong,
        expected=expected,
        got=got,
        detail="; ".join(wrong),
        data={"offered_rate": result["offered_rate"], **data},
    )
