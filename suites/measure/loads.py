"""Makes loads for the throughput suite: from a bank's prompts to a LoadSpec, and from a result to measurements."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from fixtures.banks.bank import Bank
from fixtures.host.gpu_watch import watch_gpus
from fixtures.traffic.run import run_load
from fixtures.traffic.spec import LoadSpec
from matrix.errors import HostError
from matrix.model import Cell
from reports.compare.baselines import Baseline
from reports.compare.earlier_release import compare_earlier
from reports.compare.slower import WATCHED, WAVE
from reports.evidence.finding import Finding
from suites.asking.contract import EngineHandle, EvidenceSink
from suites.asking.depth import Depth
from suites.checks import throughput
from suites.measure import load_text

# name in the result -> unit
RECORDED: Mapping[str, str] = {
    "output_throughput": "tok/s",
    "total_token_throughput": "tok/s",
    "request_throughput": "req/s",
    "median_ttft_ms": "ms",
    "p99_ttft_ms": "ms",
    "median_tpot_ms": "ms",
    "p99_tpot_ms": "ms",
    "median_itl_ms": "ms",
    "p99_itl_ms": "ms",
    "median_e2el_ms": "ms",
    "tokens_per_chunk_mean": "tokens",
}

GPU_RECORDED: Mapping[str, str] = {
    "gpu_power_w_mean": "W",
    "gpu_power_w_max": "W",
    "gpu_sm_clock_mhz_min": "MHz",
    "gpu_temperature_c_max": "C",
}
# of a load that is sent by the clock (suites.measure.open_loop)
OPEN_RECORDED: Mapping[str, str] = {
    "offered_rate": "req/s",
    "closed_request_throughput": "req/s",
    "request_goodput": "req/s",
    "good_share": "share",
    "late_share": "share",
    "p99_sent_late_ms": "ms",
    "p99_e2el_ms": "ms",
}
LAUNCH_ONLY = ("base_url", "replies_as")  # fields of a spec that another launch has otherwise
FEWEST_BEATS = 100  # of the client's heart, 10 ms apart: fewer have no 99th percentile


def measure_load(
    engine: EngineHandle, bank: Bank, depth: Depth, *, streams: int, output_len: int, waves: int, skipped: int = 0
) -> dict[str, Any]:
    """Run a warm-up wave, where the depth has one, and `waves` measured ones, all of distinct prompts: no measured
    prompt is in the prefix cache. `skipped` prompts of the bank were sent before."""
    # Drawn together: two calls would give the warm-up the same prompts, and the first wave would be cached. Drawn
    # without a warm-up, too, so that the measured prompts are the same at every depth.
    items = bank.load_prompts(skipped + streams * (1 + waves), tokens=depth.load_prompt_tokens)[skipped:]
    prompts = tuple(tuple(item.messages) for item in items)
    spec = LoadSpec(
        base_url=engine.base_url,
        model=engine.model,
        replies_as=engine.replies_as,
        prompts=prompts[streams:],
        concurrency=streams,
        output_len=output_len,
        warmups=prompts[:streams] if depth.load_warm_up else (),
        label=f"c{streams}",
        keep_text=True,
        input_tokens_about=depth.load_prompt_tokens,
    )
    # A replay has another port, and the same requests must have the same digest.
    asked = {k: v for k, v in asdict(spec).items() if k not in LAUNCH_ONLY}
    question = {"label": spec.label, "requests": len(spec.prompts), "output_len": spec.output_len}
    result = run_and_watch(engine, "load", asked, question, lambda: run_load(spec, engine.api_key, engine.access))
    result[load_text.TEXTS] = (result.get(load_text.TEXTS) or [])[: load_text.READ]
    return result | {WAVE: statistics.median(throughput.rate_by_wave(result) or [0.0])}


def run_and_watch(
    engine: EngineHandle,
    kind: str,
    asked: Mapping[str, Any],
    question: Mapping[str, Any],
    send: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Run the load process and watch the GPUs meanwhile; return the numbers of both. The tape keeps a digest of the
    requests."""

    def measure() -> dict[str, Any]:
        with watch_gpus(engine.gpus) as watch:
            result = send()
        return result | watch.summary()

    sha256 = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    result: dict[str, Any] = engine.tape.note(kind, {**question, "spec_sha256": sha256}, measure)
    return result


def limit_streams(settings: Mapping[str, Any], concurrency: Iterable[int]) -> tuple[int, ...]:
    """Return ascending numbers of streams, none above what the launch runs at once: beyond that, a load measures its
    queue.

    Every launch gets at least two, so that requests meet.
    """
    most = settings.get("max_running_requests")
    return tuple(sorted({n if most is None else min(n, max(2, int(most))) for n in concurrency}))


def require_fit(result: Mapping[str, Any], cell: Cell) -> None:
    """Require a client and GPUs that could measure. A starved client measures itself, and a hot or power-capped GPU
    measures the room around it. On the CPU rig, engine and client share cores, and in a short load one late beat is the
    p99: there the client's state is only recorded, and judges nothing (`excuse_unfit_client`).

    Raises:
        HostError: the client was too late to measure an engine on a GPU, or a GPU was slowed meanwhile.
    """
    if slowed := result.get("gpu_slowed"):
        why = "; ".join(f"{uuid}: {', '.join(reasons)}" for uuid, reasons in slowed.items())
        raise HostError(f"a GPU was slowed while it was measured ({why}): cool it, or look at its power supply")
    if cell.rig.sm and not result["client_fit"] and result["client_beats"] >= FEWEST_BEATS:
        raise HostError(f"the load client was not fit to measure: {result['client_unfit_because']}")


def excuse_unfit_client(result: Mapping[str, Any], finding: Finding) -> Finding:
    """Make a finding about timing neutral when the client was starved: it is kept, and neither passes nor fails."""
    if result["client_fit"]:
        return finding
    why = f"the client was not fit to measure: {result['client_unfit_because']}; {finding.detail}".rstrip("; ")
    return replace(finding, ok=True, sensitive=False, detail=why)


def record_load(evidence: EvidenceSink, result: Mapping[str, Any], **conditions: Any) -> Mapping[str, Any]:
    """Record the numbers for baselines and claims; return the conditions that make them comparable."""
    where: dict[str, Any] = {
        "concurrency": result["max_concurrency"],
        "output_len": result["output_len_asked"],
        "input_len": round(result["total_input_tokens"] / max(1, result["completed"])),
        "client_fit": result["client_fit"],
        **conditions,
    }
    extra = OPEN_RECORDED if "offered_rate" in result else {}
    for name, unit in {**RECORDED, WAVE: "tok/s", **GPU_RECORDED, **extra}.items():
        if result.get(name) is not None:
            evidence.measurement(name, float(result[name]), unit, where)
    return where


def check_baseline(
    baseline: Baseline, cell: Cell, result: Mapping[str, Any], where: Mapping[str, Any]
) -> Iterator[Finding]:
    """Yield a finding for each number that earlier launches of the cell, or of its earlier release, measured: is it
    slower now?"""
    for name, more_is_better in WATCHED.items():
        earlier = baseline.find_earlier(cell.id, name, where)
        if earlier.values:
            finding = compare_earlier(name, [float(result[name])], earlier, more_is_better=more_is_better)
            # A starved client is slow by itself: held against a baseline it would blame the engine.
            yield excuse_unfit_client(result, finding)
