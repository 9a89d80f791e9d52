"""Tests that a launch is after a while what it was at first, for as long as `--soak DURATION` asks."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from fixtures.banks.bank import Bank
from fixtures.banks.item import Item
from fixtures.client.client import Client
from fixtures.client.reply import Reply
from fixtures.launch.observe import end_of, observe_engine
from matrix.judging.drafting import count_drafts
from matrix.judging.observation import Seen
from matrix.judging.trend import FEWEST
from matrix.model import Cell
from reports.evidence.finding import Finding
from suites.asking import lengths
from suites.asking.contract import EngineHandle, EvidenceSink, PlanSettings, expect_ok
from suites.checks import answer, drift, needle
from suites.measure.logprob_probe import index_topk
from suites.measure.speed import read_clock

pytestmark = [pytest.mark.throughput, pytest.mark.soak]

FACTS = 20  # asked in turn
TRIALS = 2_000  # of the needles, one each round: no prefix cache helps
SAME_TRIAL = 1_999  # asked in each round: its prefix should be found
DRAFTED = "drafted_tokens"  # the matrix's name of the counter
RESIDENT = re.compile(r"^process_resident_memory_bytes (\S+)$", re.MULTILINE)  # of Python's own metrics client


@dataclass(slots=True)
class _SoakSeries:
    """What was measured, as (seconds, value)."""

    latency: list[tuple[float, float]] = field(default_factory=list)
    long_latency: list[tuple[float, float]] = field(default_factory=list)
    acceptance: list[tuple[float, float]] = field(default_factory=list)
    pace: list[tuple[float, float]] = field(default_factory=list)
    cached: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


def test_nothing_drifts(
    *,
    cell: Cell,
    plan: PlanSettings,
    engine: EngineHandle,
    client: Client,
    bank: Bank,
    evidence: EvidenceSink,
    soak_s: float,
) -> None:
    """Round after round a fact, a needle beyond index_topk that was never asked, and one that is asked each time: the
    answers stay right, and latency, a stream's pace, acceptance, cached tokens and memory do not drift to the worse."""
    series, rounds = _SoakSeries(), list[list[Finding]]()
    topk, facts = index_topk(cell, plan.settings), bank.facts(FACTS)
    tokens = lengths.just_beyond(plan.settings, topk) or lengths.within_index_topk(plan.settings, topk)
    same = bank.needle(tokens=tokens, depth=0.5, trial=SAME_TRIAL)
    began, dialect = read_clock(client), cell.engine.observe
    before = observe_engine(dialect, client, engine.log_path, start=end_of(engine.log_path, client.tape))
    # At least so many rounds, however short the time: a trend needs its points.
    while len(rounds) <= FEWEST or read_clock(client) - began < soak_s:
        at, number = read_clock(client) - began, len(rounds)
        # Its depth moves with the round, so that drift is not the luck of one place.
        new = bank.needle(tokens=tokens, depth=(number % 9 + 1) / 10, trial=TRIALS + number)
        start = end_of(engine.log_path, client.tape)
        rounds.append(_ask_round(client, series, at, [facts[number % len(facts)], new, same], topk))
        seen = observe_engine(dialect, client, engine.log_path, start=start)
        counted = before if DRAFTED in dialect else ()  # else drafts stand in lines of the log, which begins anew
        _note_counters(series, at, seen, counted, client.metrics())
        before = seen
        if len(rounds) == 1:
            series = _SoakSeries()  # the first round warms up: kernels are compiled, and nothing is cached
    evidence.measurement("soak_rounds", len(rounds), "rounds", {"asked_s": soak_s})
    told = [
        drift.check_drift("latency", series.latency, worse="up"),
        drift.check_drift("long_latency", series.long_latency, worse="up"),
        drift.check_drift("pace", series.pace, worse="up"),
        drift.check_drift("acceptance", series.acceptance, worse="down"),
        drift.check_drift("cached", series.cached, worse="down"),
        drift.check_drift("memory", series.memory, worse="up"),
    ]
    expect_ok(evidence, [drift.check_answers(rounds), *told])


def _ask_round(client: Client, series: _SoakSeries, at: float, items: Sequence[Item], topk: int) -> list[Finding]:
    fact, new, same = items
    # The last one streamed: what slows down in streams alone shows in no whole reply.
    replies = [client.ask(item, stream=item is same) for item in items]
    series.latency.append((at, _per_token(replies[0])))
    series.long_latency.append((at, replies[1].e2e_s))
    if replies[2].itl_s:
        series.pace.append((at, statistics.fmean(replies[2].itl_s)))
    if replies[2].cached_tokens is not None:
        series.cached.append((at, float(replies[2].cached_tokens)))
    return [
        answer.check_answer(fact, replies[0], check="soak.answer"),
        needle.check_needle(new, replies[1], index_topk=topk, check="soak.answer"),
        needle.check_needle(same, replies[2], index_topk=topk, check="soak.answer"),
    ]


def _per_token(reply: Reply) -> float:
    """Facts differ in length: seconds a token, prompt and answer together."""
    return reply.e2e_s / max(1, (reply.prompt_tokens or 0) + (reply.completion_tokens or 0))


def _note_counters(series: _SoakSeries, at: float, seen: Seen, before: Seen, metrics: str) -> None:
    drafts = count_drafts(seen, before)
    if drafts is not None and drafts.drafted:
        series.acceptance.append((at, drafts.accepted / drafts.drafted))
    if found := RESIDENT.search(metrics):
        series.memory.append((at, float(found[1])))
