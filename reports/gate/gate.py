"""Decides green or red, with reasons, from expected cells x policy x evidence. Pure; judging an old run again needs no
GPU.

Green needs every requirement below for every expected cell; each unmet one is one sentence of the verdict. The laws
(tests/reports/gate/test_gate_laws.py): removing a record never turns red into green, and neither does adding a failure.
Hence predictions are judged where both cells are expected, and a prediction without records is red as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from matrix.judging.status import Status
from matrix.wording import cut_line
from reports.compare.across_backends import AcrossBackends, judge_across_backends
from reports.compare.baselines import Baseline
from reports.compare.prediction import Prediction, judge_predictions
from reports.compare.same_answers import SameAnswers, judge_same_answers
from reports.evidence import files as evidence
from reports.evidence.attempts import group_by_cell, order_by_time, split_runs
from reports.evidence.continuations import Continuations, link_continuations
from reports.evidence.defuse import defuse_line
from reports.evidence.lost import tell_lost
from reports.evidence.summary import SKIPPED, Board, CellRow, make_board
from reports.evidence.types import SCHEMA, CellFacts, End, Expected, Record, Result, Run
from reports.expected import ExpectedCell
from reports.gate import speed as gate_speed
from reports.gate.accepted_identity import doubt_identity, tell_accepted
from reports.gate.allowed import (
    count_met_ends,
    find_softened_features,
    find_softened_launch,
    find_stopping,
    find_unasked_speed,
    find_unmet_ends,
    find_untold_stops,
    tell_softened,
    tell_stops,
    tell_unasked_speed,
    tell_unexcused,
)
from reports.gate.base import link_runs, tell_uncarried
from reports.gate.bounds import RULE as BOUNDS
from reports.gate.bounds import judge_bounds
from reports.gate.depth import tell_depths
from reports.gate.flakes import judge_attempts
from reports.gate.known_failures import tell_known_failures, tell_not_run
from reports.gate.owed import is_absent, tell_contradicted, tell_hidden
from reports.gate.policy import Policy
from reports.gate.run_end import tell_wrong_end
from reports.gate.speed import judge_speed

CLOCK_SKEW = timedelta(minutes=10)  # between hosts; a guess, larger than any NTP-kept host shows
JUDGED_EXIT_CODES = (0, 1)  # pytest: all passed, some failed; 2 to 5 mean that it did not run to its end
REPLAY = "--replay"  # of pytest: a run that is as new as its replies are old
MESSAGE_CHARS = 200
REASON_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Reason:
    """One sentence that explains red. `cell` is empty where it is about the run."""

    cell: str
    rule: str
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", defuse_line(self.text, REASON_CHARS))

    def __str__(self) -> str:
        return f"{self.cell}: {self.text}" if self.cell else self.text


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Green exactly when there is no reason for red."""

    policy: Policy
    reasons: tuple[Reason, ...]
    rows: tuple[CellRow, ...]  # of the expected cells
    predictions: tuple[Prediction, ...] = ()  # between expected cells
    same_answers: tuple[SameAnswers, ...] = ()  # of cells that differ only in how they are launched
    backends: tuple[AcrossBackends, ...] = ()  # of cells that serve the same weights by another release or GPU
    told: tuple[str, ...] = ()  # what is to be known of it, green or red
    board: Board = field(default_factory=Board)  # of everything that was judged, for the reports that show it
    not_replayed: int = 0  # cells of which something could not be judged again from kept replies
    speed_unasked: frozenset[str] = frozenset()  # cells of which nothing but the speed was left out, as a clause allows
    left_out: int = 0  # required cells that were not judged, since no run selected them

    @property
    def green(self) -> bool:
        return not self.reasons


def judge_evidence(
    policy: Policy,
    expected: Sequence[ExpectedCell],
    records: Sequence[Record],
    *,
    now: datetime,
    earlier: Baseline | None = None,
    sealed: Mapping[str, bool] | None = None,
) -> Verdict:
    """List every reason for red, in the order in which a person fixes them: the run, then cell by cell. `earlier`
    holds the policy's baseline, `sealed` which runs are known to be sealed or not, as thin `records` cannot say it."""
    whole = make_board(records, {c.id: c.facts for c in expected}, {c.id: c.owed for c in expected})
    depths = [*tell_depths(policy.depth, policy.depth_unknown, [c.id for c in expected], records, now.date())]
    rows = {row.cell: row for row in whole.rows}
    links = link_continuations(records)
    said = [*tell_lost(records, links), *_check_runs(policy, expected, records, now, links, sealed=sealed)]
    said += [*(("retry", text) for text in whole.retries.problems), *(("continue", text) for text in links.problems)]
    said += (("depth", text) for red, text in depths if red)
    reasons = [Reason(cell="", rule=rule, text=text) for rule, text in said]
    in_order, up = order_by_time(records), _list_started(rows)
    # Only of cells that started: a launch that failed is told once, and not by every comparison with it.
    predicted = tuple(p for p in judge_predictions(expected, in_order) if {p.cell, p.without} <= up)
    reasons += _check_cells(policy, expected, rows, records, predicted=predicted, now=now)
    shown = tuple(rows[c.id] for c in expected)
    again = judge_attempts(policy, shown, records, now.date())
    reasons += [Reason(cell=cell, rule=rule, text=text) for cell, rule, text in again.reasons]
    siblings = {cell.id: cell.sibling for cell in expected}
    speed = judge_speed(policy.throughput, shown, records, whole.retries, earlier, siblings=siblings)
    reasons += [Reason(cell=cell, rule=gate_speed.RULE, text=text) for cell, text in speed.reasons]
    bounded = judge_bounds(expected, records, published_is_red=policy.throughput is not None)
    reasons += [Reason(cell=cell, rule=BOUNDS, text=text) for cell, text in bounded.reasons]
    alike, beside = judge_same_answers(expected, in_order, up), judge_across_backends(expected, in_order, up)
    reasons += _list_other_answers(alike, beside)
    # Each cell alone may be excused; all of them together mean that nobody has asked anything.
    if shown and all(row.not_run for row in shown):
        reasons.insert(0, Reason(cell="", rule="not_run", text="No engine answered: every cell did not run, as known."))
    unasked = find_unasked_speed(policy, shown, now.date())
    told = (
        *links.tell(),
        *(text for red, text in depths if not red),
        *again.told,
        *speed.told,
        *bounded.told,
        *tell_accepted(policy, shown),
        *tell_stops(shown),
        *tell_softened(policy, expected, shown, predicted, now.date()),
        *tell_unasked_speed(unasked),
        *_tell_alike(alike, beside),
    )
    return Verdict(
        policy=policy,
        reasons=tuple(reasons),
        rows=shown,
        predictions=predicted,
        same_answers=alike,
        backends=beside,
        told=told,
        board=whole,
        speed_unasked=frozenset(unasked),
    )


def _tell_alike(alike: Sequence[SameAnswers], beside: Sequence[AcrossBackends]) -> Iterator[str]:
    """Yield where a cell answers as its like does: in another layout, then with another backend."""
    yield from (f"same answers: {s}" for s in alike if s.outcome == "same")
    yield from (f"another backend: {b}" for b in beside if b.prompts and b.outcome != "differs")


def _list_other_answers(alike: Sequence[SameAnswers], beside: Sequence[AcrossBackends]) -> Iterator[Reason]:
    """Yield where a cell answers otherwise than its like: in another layout, then with another backend."""
    for s in alike:
        if s.outcome != "same":
            yield Reason(cell=s.cell, rule="same_answers", text=_tell_unlike(s))
    for b in beside:
        if b.outcome == "differs":
            yield Reason(cell=b.cell, rule="backends", text=_tell_other(b))


def _check_cells(
    policy: Policy,
    expected: Sequence[ExpectedCell],
    rows: Mapping[str, CellRow],
    records: Sequence[Record],
    *,
    predicted: Sequence[Prediction],
    now: datetime,
) -> Iterator[Reason]:
    """Yield what is wrong of each cell by itself; a failed start is told there, and not by predictions."""
    by_cell, linked = group_by_cell(records), link_runs(records)
    stopping, met = find_stopping(records), count_met_ends(records)
    predicted_of: dict[str, list[Prediction]] = {}
    for each in predicted:
        predicted_of.setdefault(each.cell, []).append(each)
    for cell in expected:
        own = predicted_of.get(cell.id, [])
        found = _check_cell(policy, cell, rows[cell.id], by_cell.get(cell.id, ()), own=own, now=now)
        ends = (*find_untold_stops(rows[cell.id], stopping), *find_unmet_ends(rows[cell.id], met))
        for rule, text in (*found, *ends, *tell_uncarried(cell, rows, linked)):
            yield Reason(cell=cell.id, rule=rule, text=text)


def _list_started(rows: Mapping[str, CellRow]) -> set[str]:
    return {cell for cell, row in rows.items() if any(launch.outcome == "ok" for launch in row.launches)}


def _tell_unlike(same: SameAnswers) -> str:
    if same.outcome == "differs":
        return f"its answers are not those of {same.other}, which differs only in how it is launched: {same.detail}."
    return f"whether it answers like {same.other} cannot be judged: {same.detail}."


def _tell_other(beside: AcrossBackends) -> str:
    return f"its numbers are not those of {beside.other}, which serves the same weights: {beside.detail}."


Found = Iterator[tuple[str, str]]  # rule, sentence


def _check_runs(
    policy: Policy,
    expected: Sequence[ExpectedCell],
    records: Sequence[Record],
    now: datetime,
    links: Continuations,
    *,
    sealed: Mapping[str, bool] | None,
) -> Found:
    if not expected:
        yield "expected", "The policy selects no cell, so green would mean nothing."
    if not records:
        yield "evidence", "There is no evidence: nothing ran."
    for run, own in split_runs(records).items():
        whole = sealed[run] if sealed and run in sealed else evidence.is_sealed(own)
        yield from _check_run(policy, run, own, now, continued=run in links.continued, sealed=whole)
    for r in order_by_time(records):
        if isinstance(r, Result) and not r.cell and r.status not in policy.allow:
            yield (
                "loose",
                f"{r.nodeid or 'A test'} belongs to no cell and came to {r.status}:"
                f" {cut_line(r.message, MESSAGE_CHARS)}",
            )


def _check_run(
    policy: Policy, run: str, own: Sequence[Record], now: datetime, *, continued: bool, sealed: bool
) -> Found:
    starts = [r for r in own if isinstance(r, Run)]
    ends = [r for r in own if isinstance(r, End)]
    if len(starts) != 1:
        yield "run", f"Run {run} has {len(starts)} `run` records, one was expected: was a file given twice?"
    if newest := max((start.schema for start in starts if start.schema > SCHEMA), default=0):
        yield (
            "schema",
            f"Run {run} was written by a later version of this program (schema {newest}, {SCHEMA} is known): what it"
            " says beyond that cannot be judged. Judge it with that version.",
        )
    # A replay writes fresh times over old replies: as evidence it would make any run as new as today.
    if any(word == REPLAY or word.startswith(f"{REPLAY}=") for start in starts for word in start.argv):
        yield "replay", f"Run {run} asked no engine: it judged again ({REPLAY}) what another run was told."
    if not ends and continued:
        pass  # told, and its records are those whose digest the other run holds
    elif not ends:
        yield "end", f"Run {run} never ended: it was killed, or its file is cut short."
    elif not sealed:
        yield "seal", f"Run {run}: its records are not those that its end sealed; lines were lost, edited or added."
    for end in ends:
        if end.interrupted and not continued:
            yield "interrupted", f"Run {run} was interrupted."
        elif end.exit_code not in JUDGED_EXIT_CODES and not end.interrupted:
            yield "exit", f"Run {run} did not run to its end: pytest exited with {end.exit_code}."
    # the oldest record decides: a late one must not make an old run look fresh
    begun = min(r.t for r in own)
    if (age := now - begun) > timedelta(hours=policy.max_age_h):
        yield "age", f"Run {run} is {age.total_seconds() / 3600:.0f} h old, at most {policy.max_age_h:g} h are allowed."
    if begun > now + CLOCK_SKEW:
        yield "clock", f"Run {run} says it began in the future ({begun:%F %T} UTC): a clock is wrong."
    elif (latest := max(r.t for r in own)) > now + CLOCK_SKEW:
        yield (
            "clock",
            f"Run {run} has a record from the future ({latest:%F %T} UTC): a clock is wrong, or it was edited.",
        )
    yield from tell_wrong_end(run, own)


def _check_cell(
    policy: Policy,
    cell: ExpectedCell,
    row: CellRow,
    records: Sequence[Record],
    *,
    own: Sequence[Prediction],
    now: datetime,
) -> Found:
    if not any(t.result for t in row.tests):
        yield "absent", "no evidence; it was expected to run."
        return
    yield from _check_identity(cell, row, records)
    yield from _check_launch(policy, row, now.date())
    yield from doubt_identity(policy, row, now.date())
    yield from tell_known_failures(cell, row, now.date())
    yield from tell_unexcused(policy, row, now.date())
    yield from tell_hidden(row, records)
    yield from tell_contradicted(row, records)
    if row.not_run:
        yield from tell_not_run(policy, row, now.date())
        return
    yield from _check_statuses(policy, row)
    if row.unanswered:
        return  # the launch is told, and explains whatever else is missing
    yield from _check_required(cell, row)
    yield from _check_proofs(policy, cell, row, own, now.date())


def _check_identity(cell: ExpectedCell, row: CellRow, records: Sequence[Record]) -> Found:
    for kind, name in ((CellFacts, "cell"), (Expected, "expected")):
        if not any(isinstance(r, kind) for r in records):
            yield "identity", f"has no `{name}` record, so what it is or what it should report is unknown."
    if len(row.fingerprints) > 1:
        yield (
            "fingerprint",
            f"the evidence is of {len(row.fingerprints)} different plans ({_join_words(row.fingerprints)}).",
        )
    elif cell.fingerprint and row.fingerprints != {cell.fingerprint}:
        seen = _join_words(row.fingerprints) or "none"
        yield (
            "fingerprint",
            f"the evidence is of another plan ({seen}) than today's ({cell.fingerprint}): run it again.",
        )


def _check_launch(policy: Policy, row: CellRow, today: date) -> Found:
    launch = row.launch
    if launch is None:
        yield "launch", "no launch was recorded, so no engine is known to have answered."
        return
    if launch.outcome != "ok" and not row.not_run:
        left = f" {len(row.not_asked)} tests were not asked." if row.not_asked else ""
        yield "launch", f"its engine did not start: {launch.outcome}: {cut_line(launch.message, MESSAGE_CHARS)}{left}"
    for each in row.crashes:
        yield (
            "crash",
            "its engine crashed and was launched again, so that the rest could be asked:"
            f" {cut_line(each.message, MESSAGE_CHARS)}",
        )
    if any(each.stub for each in row.launches):
        yield "stub", "a stub engine answered; that says nothing about the real one."
    for softened in find_softened_launch(policy, row):
        if softened.is_red(today):
            yield softened.rule, softened.tell_red()


def _check_statuses(policy: Policy, row: CellRow) -> Found:
    """Yield each test with a status that is not allowed; tests that only repeat a reported launch are left out."""
    told = row.launch is not None and row.launch.outcome != "ok"
    for test in row.tests:
        repeats = told and (test.status is Status.NOT_ASKED or test.tells_launch)
        flaky = test.attempts is not None and test.attempts.flaked  # judged by name, see reports.gate.flakes
        if test.status not in policy.allow and not (repeats or flaky or is_absent(test)):
            more = f" Answered more than once: {test.told}." if test.told else ""
            yield "status", f"{test.name} came to {test.status}: {cut_line(test.message, MESSAGE_CHARS)}{more}"


def _check_required(cell: ExpectedCell, row: CellRow) -> Found:
    real = [t for t in row.tests if t.result and t.status not in SKIPPED]
    if not real:
        yield "skipped", "every test was skipped; a run that ran nothing is not a pass."
        return
    real = [t for t in real if t.status is not Status.NOT_EVIDENCE]
    if not real:
        yield "not_evidence", "no test recorded anything that could have come out otherwise."
    for suite in cell.suites:
        if not any(t.suite == suite for t in real):
            yield "suite", f"the suite {suite} is required and reported nothing real."
    for name in cell.tests:
        if not any(t.result and t.result.test == name for t in real):
            yield "test", f"{name} is required and reported nothing real."


def _check_proofs(policy: Policy, cell: ExpectedCell, row: CellRow, own: Sequence[Prediction], today: date) -> Found:
    for proof in row.proofs:
        if proof.outcome == "refuted":
            yield (
                "refuted",
                f"{proof.feature} was asked for and is refuted by {proof.rung}:"
                f" {cut_line(proof.detail, MESSAGE_CHARS)}",
            )
    for softened in find_softened_features(policy, cell, row, own):
        if softened.is_red(today):
            yield softened.rule, softened.tell_red()


def _join_words(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
