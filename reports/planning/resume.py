"""What of the cells is done, by the rules of the gate: evidence that it would not take is no answer.

done     every owed test is green, by runs of today's commit, matrix, plan, engine and host class
failed   a test was answered and is not green, or this machine was in trouble: asked again as a retry (`--retry-of`)
missing  a test has no result: the run was cut short, or never began (`--continue`)
stale    there are results, and they are of something else: each says of what
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, get_args

from matrix.judging.status import GREEN, Status
from matrix.model import Cell
from matrix.planning.owed import Depth, is_as_deep, read_owed
from matrix.wording import list_first
from matrix.yaml.loaded import Matrix
from reports.evidence.attempts import split_runs
from reports.evidence.continuations import link_continuations
from reports.evidence.files import is_sealed
from reports.evidence.summary import CellRow, make_board
from reports.evidence.types import CellFacts, End, Launch, Record, Result, Run
from reports.expected import ExpectedCell
from reports.gate.accepted import Deviation, is_accepted
from reports.gate.facts import find_version_deviations
from reports.gate.host import find_host_deviations
from reports.gate.origin import Today, find_origin_deviations
from reports.gate.policy import Policy, make_expected

Rerun = Literal["failed", "missing", "stale", "all"]
RERUNS: Final[tuple[Rerun, ...]] = get_args(Rerun)
SHOWN_TESTS: Final = 2
SHOWN_CHARS: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What evidence is held against. `driver` "": not known here, and then not compared."""

    today: Today
    depth: Depth
    moment: datetime
    policy: Policy | None = None
    driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStanding:
    """How far one cell is. `why`: state -> reason; empty when it is done."""

    cell: str
    why: Mapping[Rerun, str] = field(default_factory=dict)
    failed_runs: tuple[str, ...] = ()

    def wanted(self, rerun: Rerun) -> str:
        """Return why the cell is asked again; empty where it is not."""
        return "; ".join(self.why.values()) if rerun == "all" else self.why.get(rerun, "")


def judge_progress(
    matrix: Matrix, cells: Sequence[Cell], records: Sequence[Record], now: Now
) -> tuple[CellStanding, ...]:
    """Judge each cell by all runs together."""
    runs = split_runs(records)
    # A run whose continuation does not hold is no answer here either: the gate would not take it.
    broken = link_continuations(records).doubted
    odd = {run: why for run, own in runs.items() if (why := broken.get(run) or _doubt_run(own, now))}
    mentioned = {r.cell for r in records if r.cell}  # only their plans are made: a rig has hundreds of cells
    owed = {c.id: read_owed().nodeids(c, now.depth) for c in cells}
    expected = {c.id: make_expected(matrix, c, owed=owed[c.id]) for c in cells if c.id in mentioned}
    stale: dict[str, dict[str, str]] = {}  # cell -> run -> why
    kept: list[Record] = []
    for run, own in runs.items():
        doubts = {cell: _doubt_cell(expected[cell], own, now) for cell in _cells_of(own) & expected.keys()}
        for cell, why in doubts.items():
            if said := odd.get(run) or why:
                stale.setdefault(cell, {})[run] = said
        # Of a doubted run nothing counts; the cell is then short of answers, and the doubt says why.
        kept += [r for r in own if not r.cell or (r.cell in doubts and not (odd.get(run) or doubts[r.cell]))]
    rows = {row.cell: row for row in make_board(kept, {c.id: c.facts for c in cells}, owed).rows}
    good = now.policy.allow if now.policy else GREEN
    return tuple(_judge_cell(rows[c.id], stale.get(c.id, {}), frozenset(good)) for c in cells)


def _cells_of(own: Sequence[Record]) -> set[str]:
    return {r.cell for r in own if isinstance(r, Result) and r.cell}


def _judge_cell(row: CellRow, stale: Mapping[str, str], good: frozenset[Status]) -> CellStanding:
    answered = [t for t in row.tests if t.result]
    missing = [t.name for t in row.tests if not t.result]
    # A cell that did not start, as a known failure says, was answered: asked again, it would not start again.
    failed = [t for t in answered if t.status not in good | {Status.NOT_RUN_AS_KNOWN}]
    refuted = [f"{p.feature} is refuted" for p in row.proofs if p.outcome == "refuted"]
    why: dict[Rerun, str] = {}
    if failed or refuted:
        why["failed"] = list_first([*(f"{t.name} came to {t.status}" for t in failed), *refuted], SHOWN_TESTS)
    # A stale run matters only where no later one answered in its place.
    if stale and missing:
        why["stale"] = "; ".join(f"run {run}: {said}" for run, said in stale.items())
    elif missing:
        why["missing"] = f"{len(missing)} of {len(row.tests)} tests left" if answered else "it has not run"
    return CellStanding(
        cell=row.cell,
        why=why,
        failed_runs=tuple(sorted({t.result.run for t in failed if t.result})),
    )


def _doubt_run(own: Sequence[Record], now: Now) -> str:
    """Return why no answer of a run counts; empty where they may."""
    start = next((r for r in own if isinstance(r, Run)), None)
    if start is None:
        return "it has no beginning"
    # Without an end it may still be continued, so that alone is no doubt here.
    if any(isinstance(r, End) for r in own) and not is_sealed(own):
        return "its records are not those that its end sealed"
    if not is_as_deep(start.depth, now.depth):
        return f"asked at depth {start.depth or 'unknown'}, {now.depth} is wanted"
    hours = (now.moment - min(r.t for r in own)).total_seconds() / 3600
    if now.policy and hours > now.policy.max_age_h:
        return f"{hours:.0f} h old, at most {now.policy.max_age_h:g} h are allowed"
    # Compared only where both are known: a plan is often made on a machine without any GPU.
    driver = str(start.host.get("driver") or "")
    if now.driver and driver and driver != now.driver:
        return f"driver {driver}, today {now.driver}"
    return _tell_deviations(find_origin_deviations(own, now.today), now)


def _doubt_cell(cell: ExpectedCell, own: Sequence[Record], now: Now) -> str:
    """Return why the answers of a run about one cell do not count."""
    mine = [r for r in own if r.cell == cell.id or isinstance(r, Run | Launch)]
    row = next(row for row in make_board(mine, {cell.id: cell.facts}).rows if row.cell == cell.id)
    # First, since of another launch the rest need not be asked.
    if row.fingerprints != {cell.fingerprint}:
        return _explain_plan(cell, mine)
    if any(launch.stub for launch in row.launches):
        return "a stub engine answered"
    if any(launch.attached for launch in row.launches) and not _allows_attached(now, cell.id):
        return "its engine was started by somebody else"
    return _tell_deviations([*find_host_deviations(cell, row, mine), *find_version_deviations(cell, row)], now)


def _allows_attached(now: Now, cell: str) -> bool:
    clauses = now.policy.attached if now.policy else ()
    return any(fnmatchcase(cell, c.cells) and c.until >= now.moment.date() for c in clauses)


def _explain_plan(cell: ExpectedCell, mine: Sequence[Record]) -> str:
    """Say what of the launch is another: weights, engine or settings, by the recorded script."""
    was = next((r for r in mine if isinstance(r, CellFacts)), None)
    if was is None:
        return "of another launch, and which one was not recorded"
    today, then = _lines(cell.script), _lines(was.script)
    new, gone = _find_first_other(today, then), _find_first_other(then, today)
    if new or gone:
        return f"its launch changed: {new or 'nothing'} in place of {gone or 'nothing'}"
    return "its weights, its image or its merged config changed"  # what a fingerprint holds and the script does not


def _lines(script: str) -> list[str]:
    # The fingerprint stands in the script, too, and would be the first difference of every two.
    return [line.strip() for line in script.splitlines() if "fingerprint" not in line]


def _find_first_other(lines: Sequence[str], others: Collection[str]) -> str:
    found = next((line for line in lines if line not in others), "")
    return f"`{found[:SHOWN_CHARS]}`" if found else ""


def _tell_deviations(found: Sequence[Deviation] | Iterator[Deviation], now: Now) -> str:
    accepted = now.policy.accepted if now.policy else ()
    return next((d.text for d in found if not is_accepted(accepted, d, now.moment.date())), "")


def list_commands(found: Sequence[CellStanding], rerun: Rerun, files: Sequence[Path]) -> Iterator[str]:
    """List the commands that ask it: the rest of a run, each failure as a retry of its run, and what is stale anew."""
    by_state = {state: [p for p in found if p.wanted(state)] for state in RERUNS if rerun in (state, "all")}
    if missing := by_state.get("missing"):
        given = " ".join(f"--continue={path}" for path in files)
        yield f"pytest {given} --evidence=rest.jsonl --cells {_name_cells(missing)}"
    # One command for each run: `--retry-of` names one, and a retry answers for that run alone.
    for run in sorted({run for p in by_state.get("failed", ()) for run in p.failed_runs}):
        yield f"pytest --retry-of {run} --cells {_name_cells([p for p in found if run in p.failed_runs])}"
    if stale := by_state.get("stale"):
        yield f"pytest --cells {_name_cells(stale)}"


def _name_cells(found: Sequence[CellStanding]) -> str:
    return " ".join(p.cell for p in found)
