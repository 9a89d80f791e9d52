"""Renders the page of one cell: verdict, plan, launch, proofs, answers, numbers, and how to get them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from matrix.output.explained import ReasonGroup, group_by_reason
from matrix.planning.fit import fit_of_plan
from matrix.planning.plan import Plan
from reports.board.text import CellJudgement
from reports.compare.prediction import Prediction
from reports.evidence.defuse import cut_to
from reports.evidence.summary import CellRow, SettledTest
from reports.evidence.types import AFTER, CRASH, Found, Run
from reports.gate.gate import Reason
from reports.ledger.entries import LedgerEntry
from reports.ledger.forms import HEAD, make_columns
from reports.page.environment import make_environment
from reports.page.parts import (
    describe_host,
    is_shown_in_full,
    render_findings,
    render_measurements,
    render_talks,
    render_tests,
)
from reports.page.places import PagePlaces
from reports.page.plots import draw_cell
from reports.page.replies import Replies, Talk

FILES: Final = 5  # of evidence that a command names
IN_FULL: Final = 40  # failed tests of one cell
FINDINGS: Final = 20  # failed findings of one test
LOG_CHARS: Final = 6_000


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a cell beside its row."""

    judgement: CellJudgement
    places: PagePlaces
    reasons: Sequence[Reason] = ()
    predictions: Sequence[Prediction] = ()
    runs: Sequence[Run] = ()
    claims: Sequence[LedgerEntry] = ()
    plan: Plan | None = None  # of today's matrix
    before: str = ""  # the cells beside it in the index
    after: str = ""
    judged: bool = False  # whether a policy requires it
    replies: Replies = field(default_factory=Replies)
    evidence: Sequence[Path] = ()  # that the page was made from


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A test that is shown in full, with its failed findings and what was asked and said."""

    number: int
    test: SettledTest
    findings: Sequence[tuple[Found | None, Talk | None]]
    left_out: int
    log: str
    command: str


def render_cell(row: CellRow, about: About) -> str:
    """Render the page of one cell."""
    plan = about.plan
    same = plan is not None and row.fingerprints == {plan.fingerprint}
    hosts = [run.host for run in about.runs]
    failed = list(_list_failed(row, about.replies))
    talks = [(test, own) for test in row.tests if (own := about.replies.list_talks(row, test))]
    return (
        make_environment()
        .get_template("cell.html.j2")
        .render(
            row=row,
            about=about,
            facts=list(_list_facts(row, about)),
            figures=list(draw_cell(row, about.claims, hosts, fit_of_plan(plan) if plan and same else None)),
            failed=failed[:IN_FULL],
            left_out=len(failed) - IN_FULL,
            tests=render_tests(row),
            findings=render_findings(row),
            count=sum(len(t.findings) for t in row.tests),
            talks=render_talks(talks),
            requests=sum(len(own) for _, own in talks),
            numbers=render_measurements(row.measurements),
            provenance=_list_provenance(plan) if plan and same else [],
            other_plan=plan is not None and not same,
            claims=[(entry, make_columns(entry)) for entry in about.claims],
            claims_head=HEAD,
            evidence=_name_evidence(about.evidence),
            log=cut_to(row.launch.message, LOG_CHARS) if row.launch else "",
        )
    )


def _list_facts(row: CellRow, about: About) -> Iterator[tuple[str, str]]:
    launch = row.launch
    versions = launch.versions if launch else {}
    for name in ("rig", "gpu", "engine", "release", "checkpoint", "format"):
        if value := row.facts.get(name):
            yield name, str(value)
    yield "features", " + ".join(row.features) or "baseline"
    if versions:
        yield "as the engine tells it", ", ".join(f"{k} {v}" for k, v in versions.items())
    for run in about.runs:
        host = describe_host(run.host)
        yield "run", f"{run.t:%F %H:%M} UTC, {run.run}, commit {run.commit[:12] or 'not said'}, {host}"
    for each in row.launches:
        if each.data.get(AFTER) == CRASH:
            yield "launched again", each.message
    for stop in row.bad_stops:
        yield "ended badly when stopped", stop.message
    yield "plan", ", ".join(sorted(row.fingerprints)) or "not said"


def _name_evidence(files: Sequence[Path]) -> str:
    """Name the evidence for a command, which would else read the last run of wherever it is pasted."""
    shown = shlex.join(map(str, files)) if len(files) <= FILES else "EVIDENCE"
    return f" --evidence {shown}" if files else ""


def _list_provenance(plan: Plan) -> list[ReasonGroup]:
    return group_by_reason(plan)


def _list_failed(row: CellRow, replies: Replies) -> Iterator[Failed]:
    for n, test in enumerate(row.tests):
        if not is_shown_in_full(test):
            continue
        bad: list[Found | None] = [f for f in test.findings if not f.ok]
        shown = bad[:FINDINGS] or [None]
        name = test.name.split("[")[0]
        yield Failed(
            number=n,
            test=test,
            findings=[(f, replies.find_talk(row, test, f)) for f in shown],
            left_out=max(len(bad) - FINDINGS, 0),
            log=cut_to(replies.find_log(row, test), LOG_CHARS),
            command=shlex.join(["pytest", "--cells", row.cell, "-k", name]),
        )


def select_runs(row: CellRow, runs: Mapping[str, Run]) -> list[Run]:
    """Select the runs that a row has answers of, by time."""
    named = {r.run for test in row.tests for r in test.answers} | {launch.run for launch in row.launches}
    return sorted((runs[name] for name in named if name in runs), key=lambda r: r.t)


def select_claims(cell: str, entries: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """Select the published numbers that this cell's are held against."""
    return [e for e in entries if e.ours and e.ours.cell == cell]
