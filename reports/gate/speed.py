"""Judges throughput by a policy's clause: compared with earlier launches of the same plan on the same hardware. Pure.

Without the clause, speed is shown and not judged, and every verdict states that. With it, a number that is slower than
at least five earlier launches is red, by the statistics of `reports.compare.slower` and the rule of
docs/decisions/0012: slow on one launch of two is a note, slow on both is red, and slow on the only launch is red as
well. A second launch belongs to the same run, or to a run that retries it. A number that the earlier launches measured
and this evidence did not is red too: otherwise not measuring would be as good as being fast.

With the clause's `release`, cells are held against the same cells of that earlier release, on the same hardware and of
whatever plan that release has (`reports.compare.earlier_release`). One launch of it is enough to see half of the speed.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from matrix.wording import list_first
from reports.compare.baselines import (
    Baseline,
    Earlier,
    Fitting,
    Launched,
    MeasurementKey,
    collect_baseline,
    name_hardware,
)
from reports.compare.earlier_release import compare_earlier, fit_release
from reports.compare.slower import BASELINE_LAUNCHES, WATCHED
from reports.evidence.attempts import Retries
from reports.evidence.finding import Finding
from reports.evidence.summary import CellRow
from reports.evidence.types import Measured, Record, Run
from reports.gate.clauses import Throughput

RULE: Final = "throughput"
ROUNDED: Final = "input_len"  # a condition that follows the tokenizer: whether it was measured does not hang on it
SHOWN: Final = 3  # of a cell's numbers in one sentence
Sentence = tuple[str, str]  # cell, or "" for the run; what is said


@dataclass(frozen=True, kw_only=True)
class SpeedJudged:
    """The reasons and notes that speed adds to a verdict."""

    reasons: tuple[Sentence, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _AllSpeed:
    """The speed records of all cells."""

    now: Baseline
    unfit: frozenset[MeasurementKey]
    hosts: Mapping[str, Mapping[str, Any]]
    retries: Retries
    earlier: Baseline
    release: str  # the earlier release; empty: cells are held against their own launches
    siblings: Mapping[str, str]  # of that release, by cell


@dataclass(frozen=True, slots=True, kw_only=True)
class _CellSpeed:
    """One cell's numbers, the earlier ones, and the result of comparing them."""

    now: Baseline
    fit: Fitting
    retries: Retries
    hardware: int  # on how many kinds of it
    unfit: frozenset[MeasurementKey]  # measured by a client that was too late: recorded, and judges nothing
    release: str = ""
    has_sibling: bool = True

    @property
    def fewest(self) -> int:
        """How many earlier launches judge a number."""
        return 1 if self.release else BASELINE_LAUNCHES


def judge_speed(
    clause: Throughput | None,
    rows: Sequence[CellRow],
    records: Sequence[Record],
    retries: Retries,
    earlier: Baseline | None,
    *,
    siblings: Mapping[str, str],
) -> SpeedJudged:
    """Judge every watched number of these cells. `earlier` holds the clause's baseline; None: it was not read.
    `siblings` are the same cells of the clause's release, by id."""
    if clause is None:
        return SpeedJudged(told=("Throughput is told and not judged: the policy has no clause `throughput`.",))
    if earlier is None:
        return SpeedJudged(reasons=(("", f"The baseline {clause.baseline} was not read, so speed is not judged."),))
    wanted = {siblings.get(row.cell, "") if clause.release else row.cell for row in rows}
    if earlier.cells and not earlier.is_folder and not earlier.cells & wanted:
        return SpeedJudged(reasons=(("", _tell_other_cells(earlier, wanted)),))
    if not earlier.cells:
        said = f"The baseline {clause.baseline} holds no launch yet, so speed is told and not judged."
        return SpeedJudged(reasons=(("", said),)) if clause.unjudged == "red" else SpeedJudged(told=(said,))
    own = {r.run for r in records}
    repeated = sorted({at.run for launches in earlier.values.values() for at in launches} & own)
    told = [f"Of the baseline, {', '.join(repeated)} is this evidence itself and was left out."] if repeated else []
    # Without this evidence itself, which may lie in the baseline's folder already: it would be compared with itself.
    whole = _read_whole(records, retries, earlier.without_runs(own), clause.release, siblings)
    reasons: list[Sentence] = []
    notes: dict[str, list[str]] = {}  # what is told, and of which cells
    for row in rows:
        red, own_notes = _judge_cell(clause, _gather_cell(whole, row))
        reasons += ((row.cell, text) for text in red)
        for text in own_notes:
            notes.setdefault(text, []).append(row.cell)
    told += (f"{_name_cells(cells)}: {text}" for text, cells in notes.items())
    return SpeedJudged(reasons=tuple(reasons), told=tuple(told))


def _name_cells(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{len(cells)} cells ({cells[0]}, ...)"


def _tell_other_cells(earlier: Baseline, wanted: Collection[str]) -> str:
    first, mine = min(earlier.cells), min(filter(None, wanted), default="none")
    return f"The baseline holds no launch of a required cell: it is of {first}, say, and {mine} is required."


def _read_whole(
    records: Sequence[Record], retries: Retries, earlier: Baseline, release: str, siblings: Mapping[str, str]
) -> _AllSpeed:
    now = collect_baseline(r for r in records if not _is_unfit(r))
    # Measured once by a fit client, a number is measured, whatever else was taken of it.
    unfit = frozenset(collect_baseline(r for r in records if _is_unfit(r)).values) - frozenset(now.values)
    hosts = {r.run: r.host for r in records if isinstance(r, Run)}
    return _AllSpeed(
        now=now, unfit=unfit, hosts=hosts, retries=retries, earlier=earlier, release=release, siblings=siblings
    )


def _is_unfit(record: Record) -> bool:
    """Return whether the client that measured was too late."""
    return isinstance(record, Measured) and record.conditions.get("client_fit") is False


def _gather_cell(whole: _AllSpeed, row: CellRow) -> _CellSpeed:
    runs = {r.run for r in (*row.launches, *(m for m in row.measurements if m.name in WATCHED))}
    hardware = sorted({name_hardware(host) for run, host in whole.hosts.items() if run in runs})
    fingerprint = next(iter(sorted(row.fingerprints)), "")
    gpus, cpu = next(iter(hardware), ((), ""))
    return _CellSpeed(
        now=Baseline({k: v for k, v in whole.now.values.items() if k.cell == row.cell and k.name in WATCHED}),
        fit=(
            fit_release(whole.earlier, row.cell, whole.siblings.get(row.cell, ""), gpus, cpu)
            if whole.release
            else whole.earlier.select_fitting(row.cell, fingerprint, gpus, cpu)
        ),
        retries=whole.retries,
        hardware=len(hardware),
        unfit=frozenset(k for k in whole.unfit if k.cell == row.cell and k.name in WATCHED),
        release=whole.release,
        has_sibling=bool(whole.siblings.get(row.cell)),
    )


def _judge_cell(clause: Throughput, cell: _CellSpeed) -> tuple[list[str], list[str]]:
    """Judge one cell; return the reasons for red and the notes."""
    red, told = list(_find_unmeasured(cell)), []
    if cell.hardware > 1:
        red.append("it was measured on different hardware, so its numbers are not one cell's.")
    if cell.fit.refused and not cell.fit.baseline.values:
        red.append(f"its baseline is refused: {'; '.join(cell.fit.refused)}. Measure it anew.")
    elif cell.fit.refused:
        told.append(f"of its baseline were left out: {'; '.join(cell.fit.refused)}.")
    unjudged = [key for key in cell.now.values if len(cell.fit.baseline.list_values(key)) < cell.fewest]
    for key in cell.now.values:
        for slow, text in [] if key in unjudged else _judge_key(cell, key):
            (red if slow else told).append(text)
    if why := _explain_unjudged(cell, unjudged):
        (red if clause.unjudged == "red" else told).append(why)
    return red, told


def _find_unmeasured(cell: _CellSpeed) -> Iterator[str]:
    """Yield what enough earlier launches measured, at a depth that was asked now, and this evidence did not."""
    now = {_coverage_of(key) for key in (*cell.now.values, *cell.unfit)}
    depths = {str(key.where.get("depth")) for key in (*cell.now.values, *cell.unfit)}
    before = {
        _coverage_of(key)
        for key in cell.fit.baseline.values
        if key.name in WATCHED and len(cell.fit.baseline.list_values(key)) >= cell.fewest
        # A quick run need not measure what only a release run does.
        if not depths or str(key.where.get("depth")) in depths
    }
    if missing := sorted(before - now):
        shown = list_first([f"{name} ({where})" for name, where in missing], SHOWN, by="; ")
        yield f"{len(missing)} numbers that its earlier launches measured were not measured now: {shown}."


def _coverage_of(key: MeasurementKey) -> tuple[str, str]:
    return key.name, json.dumps({k: v for k, v in key.where.items() if k != ROUNDED}, sort_keys=True)


def _judge_key(cell: _CellSpeed, key: MeasurementKey) -> Iterator[tuple[bool, str]]:
    """Yield for each chain of runs whether it is slow, and a sentence; nothing where all is well."""
    earlier, launches = cell.fit.baseline.list_values(key), cell.now.values[key]
    runs = list(dict.fromkeys(at.run for at in launches))
    for run in runs:
        if any(cell.retries.descends(other, of=run) for other in runs):
            continue  # its launches are judged with those of its retry
        chain = [at for at in launches if at.run == run or cell.retries.descends(run, of=at.run)]
        found = [(at, _compare_speed(key, launches[at], Earlier(earlier, cell.release))) for at in chain]
        slow = [finding for _, finding in found if not finding.ok]
        if slow:
            # Slow on one launch of two is noise by docs/decisions/0012; on the only one there is nothing to set against
            # it.
            yield len(slow) > 1 or len(found) == 1, _tell_key(key, found)
        elif blunt := next((f.detail for _, f in found if not f.sensitive), ""):
            yield False, f"{key.name} is not judged: {blunt}."


def _compare_speed(key: MeasurementKey, values: Sequence[float], earlier: Earlier) -> Finding:
    return compare_earlier(key.name, [statistics.median(values)], earlier, more_is_better=WATCHED[key.name])


def _tell_key(key: MeasurementKey, found: Sequence[tuple[Launched, Finding]]) -> str:
    where = ", ".join(f"{name} {value}" for name, value in key.where.items())
    each = "; ".join(f"{f.got} in run {at.run}" for at, f in found)
    only = " Measured on one launch: with `--baseline` pytest asks a second one." if len(found) == 1 else ""
    return f"{key.name} ({where}) was {found[0][1].expected} before and is {each}.{only}"


def _explain_unjudged(cell: _CellSpeed, unjudged: Sequence[MeasurementKey]) -> str:
    """Explain why numbers were not judged; empty where all were."""
    if not cell.has_sibling and cell.release:
        return f"its speed is not judged: {cell.release} is no other release of its engine."
    if not cell.now.values and not cell.unfit:
        return "its speed was not measured, and so not judged."
    parts = []
    if unjudged:
        most = max(len(cell.fit.baseline.list_values(key)) for key in unjudged)
        of = f" of {cell.release}" if cell.release else ""
        parts.append(f"{len(unjudged)} numbers have {most} earlier launches{of} at most, {cell.fewest} are wanted")
    if cell.unfit:
        parts.append(f"{len(cell.unfit)} were measured by a client that was not fit to")
    return f"its speed is not judged: {'; '.join(parts)}." if parts else ""
