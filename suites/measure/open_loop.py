"""Offers a launch requests by the clock, at a share of what its own closed loop completed just before.

A closed loop waits for the server, so a stall delays the requests that would have shown it. Here users arrive at
moments drawn beforehand. The rate follows the launch: the same share is the same load for a slower server, and whether
it is slower than it was is the baseline's question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from fixtures.banks.bank import Bank
from fixtures.traffic.spec import LoadSpec
from fixtures.workload.scheduled import ScheduledLoad, draw_schedule, run_scheduled
from matrix.errors import EngineError
from reports.evidence.finding import Finding
from suites.asking.contract import EngineHandle
from suites.asking.depth import Depth
from suites.checks import fair, open_loop
from suites.measure import load_text, loads
from suites.measure.baseline_with_relaunch import Load

CLOSED_WAVES: Final = 2
READ: Final = 4  # texts, of the requests that had most company: each costs one request afterwards
DRAIN_FACTOR: Final = 20.0  # times the closed loop's median: what a stream of the slowest server may still need
LEAST_DRAIN_S: Final = 60.0
ARRIVALS: Final = "Poisson"


def make_load(share: float, streams: int, depth: Depth) -> Load:
    """Make the load that offers `share` of the capacity of a closed loop of `streams`."""
    return Load(
        streams=streams,
        output_len=depth.open_output_tokens,
        waves=CLOSED_WAVES,
        prompt_tokens=depth.open_prompt_tokens,
        true=lambda result: judge_open_load(result, share, depth),
        where={
            "offered_share": share,
            "arrivals": ARRIVALS,
            "requests": depth.open_requests,
            "closed_streams": streams,
        },
        options={"share": share},
    )


def judge_open_load(result: Mapping[str, Any], share: float, depth: Depth) -> Sequence[Finding]:
    """Judge one open load. The client's own numbers are neutral where it was starved; order, and latencies beyond what
    a starved host was seen to cost, are not."""
    timed = (open_loop.check_sent_on_time(result), open_loop.check_open_littles_law(result))
    return [
        open_loop.check_offered(result),
        *(loads.excuse_unfit_client(result, finding) for finding in timed),
        fair.check_overtaken(result, offered_rate=result["offered_rate"]),
        open_loop.check_goodput(result, share=share, wanted=depth.open_good_share),
    ]


def measure_open_load(
    engine: EngineHandle, bank: Bank, depth: Depth, *, streams: int, output_len: int, waves: int, share: float
) -> dict[str, Any]:
    """Measure the closed loop, offer `share` of it, and measure the closed loop again; every prompt is sent once.

    The slower of the two closed loops is what the SLO counts from: a host that slows down meanwhile is not the server.

    Raises:
        EngineError: the closed loop completed nothing, so there is no capacity to take a share of.
    """
    closed_prompts = streams * (1 + waves)
    before = loads.measure_load(engine, bank, depth, streams=streams, output_len=output_len, waves=waves)
    rate = share * before["request_throughput"]
    if not rate > 0:
        error = next((e for e in before["errors"] if e), "no request completed")
        raise EngineError(f"the closed loop of {streams} streams has no capacity to offer a share of: {error}")
    spec = _make_spec(engine, bank, depth, sent=closed_prompts, output_len=output_len)
    drain_s = max(LEAST_DRAIN_S, DRAIN_FACTOR * before["median_e2el_ms"] / 1000)
    load = ScheduledLoad(spec=spec, times=draw_schedule(len(spec.prompts), rate), rate=rate, drain_s=drain_s)
    asked = {**asdict(load), "spec": {k: v for k, v in asdict(load.spec).items() if k not in loads.LAUNCH_ONLY}}
    question = {"label": load.spec.label, "requests": len(load.times), "output_len": output_len}
    result = loads.run_and_watch(
        engine, "open_load", asked, question, lambda: run_scheduled(load, engine.api_key, engine.access)
    )
    skipped = closed_prompts + depth.open_requests
    after = loads.measure_load(
        engine, bank, depth, streams=streams, output_len=output_len, waves=waves, skipped=skipped
    )
    slower_s = max(before["median_e2el_ms"], after["median_e2el_ms"]) / 1000
    limit_s = max(depth.open_e2e_s, depth.open_e2e_factor * slower_s)
    return {
        **_keep_crowded(result, closed_prompts - streams),
        **open_loop.count_good(result, limit_s),
        "closed_request_throughput": before["request_throughput"],
    }


def _make_spec(engine: EngineHandle, bank: Bank, depth: Depth, *, sent: int, output_len: int) -> LoadSpec:
    """Make the requests of the open loop: the prompts of the bank behind the first `sent` ones."""
    items = bank.load_prompts(sent + depth.open_requests, tokens=depth.load_prompt_tokens)[sent:]
    return LoadSpec(
        base_url=engine.base_url,
        model=engine.model,
        replies_as=engine.replies_as,
        prompts=tuple(tuple(item.messages) for item in items),
        concurrency=1,
        output_len=output_len,
        label="open",
        keep_text=True,
        input_tokens_about=depth.load_prompt_tokens,
    )


def _keep_crowded(result: dict[str, Any], offset: int) -> dict[str, Any]:
    """Keep the texts of the requests that were in the system with most others; `offset`: of the open loop's prompts
    behind the warm-up."""
    spans = [(due, due + e2e) for due, e2e in zip(result["start_times"], result["e2els"], strict=True)]
    company = [sum(begin < end_own and end > begin_own for begin, end in spans) for begin_own, end_own in spans]
    chosen = sorted(sorted(range(len(spans)), key=lambda i: -company[i])[:READ])
    texts = result[load_text.TEXTS]
    kept = {load_text.TEXTS: [texts[i] for i in chosen], load_text.NUMBERS: [offset + i for i in chosen]}
    return {**result, **kept}
