"""Finds what of a cell is red unless a clause of the policy names it: a moved tag, a foreign launch, unproven features.

A refuted feature is not among them: no clause excuses what the engine was seen not to do.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import Final

from matrix.judging.engine_end import is_fatal
from matrix.judging.status import Status
from matrix.planning.images import find_tag
from reports.compare.prediction import Prediction
from reports.evidence.summary import CellRow
from reports.evidence.types import ENDED, WITH_STOPS, End, Record, Result, Run, Stop
from reports.expected import ExpectedCell
from reports.gate.allowances import Softened, UnaskedSpeed, find_longest
from reports.gate.owed import is_absent, tell_missing
from reports.gate.policy import Policy

SPEED: Final = "throughput"  # the suite
CRASHED: Final = "crashed while it was being stopped"
# How a test tells that its engine is gone; whatever else it is, each of them is red by itself.
MET_ENDS: Final = frozenset({Status.CRASH, Status.HANG, Status.HOST_ERROR})
TOLD_STOPS: Final = frozenset({"clean", "trouble", "hang", ENDED})


def has_crashed(stop: Stop) -> bool:
    """Return whether an engine crashed when it was stopped, by its record's word or by its exit code: a word of a later
    version is not known to be harmless, nor is one that the code contradicts."""
    return stop.outcome not in TOLD_STOPS or (stop.outcome != ENDED and is_fatal(stop.exit_code))


def find_softened_launch(policy: Policy, row: CellRow) -> Iterator[Softened]:
    """Yield how the cell's engine came to run, where that is not from content that we started ourselves."""
    for tag in sorted({t for each in row.launches if (t := find_tag(str(each.versions.get("image_reference") or "")))}):
        text = f"its image was launched by a tag that can be moved, {tag}: record its digest (glm-matrix image pin)."
        yield Softened("image", text, find_longest([c for c in policy.allow_tags if fnmatchcase(tag, c.image)]))
    if any(each.attached for each in row.launches):
        text = "its engine was started by somebody else, so its plan is a claim and not a fact."
        yield Softened("attached", text, find_longest([c for c in policy.attached if fnmatchcase(row.cell, c.cells)]))
    for each in row.stops:
        if has_crashed(each):
            own = (c for c in policy.shutdown if fnmatchcase(row.cell, c.cells))
            fits = [c for c in own if re.search(c.signature, each.message)]
            text = f"its engine {CRASHED}: {each.message}."
            yield Softened("shutdown", text, find_longest(fits))


def find_softened_features(
    policy: Policy, cell: ExpectedCell, row: CellRow, own: Sequence[Prediction]
) -> Iterator[Softened]:
    """Yield each feature that nothing proves, and each prediction that does not hold or cannot be judged."""
    decided = {p.feature for p in row.proofs if p.outcome != "unproven"}
    # A predicted effect beside the cell without the feature shows it as well as a proof of the cell's own.
    decided |= {p.feature for p in own if p.of_effect and p.outcome == "proven"}
    for feature in sorted(cell.features - decided):
        clauses = [c for c in policy.unproven if feature in c.features and fnmatchcase(cell.id, c.cells)]
        text = f"{feature} was asked for and nothing proves that it was in effect."
        yield Softened("unproven", text, find_longest(clauses))
    for p in own:
        if text := _tell_unmet(p):
            speaks = (c for c in policy.predictions if p.feature in c.features and fnmatchcase(cell.id, c.cells))
            fits = [c for c in speaks if re.search(c.signature, text)]
            yield Softened("prediction", text, find_longest(fits))


def _tell_unmet(p: Prediction) -> str:
    if p.outcome == "refuted":
        return f"beside {p.without}, {p.feature} does not change {p.what} as predicted: {p.detail}."
    # Absent is red as well, or not measuring would be the way to be green.
    if p.outcome == "absent" and p.of_effect:
        return f"whether {p.feature} changes {p.what} as predicted cannot be judged: {p.detail}."
    return ""


def tell_unexcused(policy: Policy, row: CellRow, today: date) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence for each suite with an owed test that did not run, but for a speed that a clause
    leaves out today."""
    yield from tell_missing(row, policy.depth, lambda suite: suite != SPEED)
    clause = _find_unasked_speed(policy, row.cell)
    softened = (Softened(rule, text, clause) for rule, text in tell_missing(row, policy.depth, SPEED.__eq__))
    yield from ((each.rule, each.tell_red()) for each in softened if each.is_red(today))


def _find_unasked_speed(policy: Policy, cell: str) -> UnaskedSpeed | None:
    return find_longest([c for c in policy.speed_unasked if fnmatchcase(cell, c.cells)])


def find_unasked_speed(policy: Policy, shown: Sequence[CellRow], today: date) -> dict[str, UnaskedSpeed]:
    """Find the cells whose speed was not asked, as a clause allows today."""
    absent = (row for row in shown if not row.not_run and any(t.suite == SPEED and is_absent(t) for t in row.tests))
    found = ((row.cell, _find_unasked_speed(policy, row.cell)) for row in absent)
    return {cell: clause for cell, clause in found if clause and clause.until >= today}


def tell_unasked_speed(unasked: Mapping[str, UnaskedSpeed]) -> Iterator[str]:
    """Yield a sentence for each clause by which the speed of cells was not asked, with how many cells those are."""
    for clause, count in Counter(unasked.values()).items():
        text = f"The speed of {count} {'cells' if count != 1 else 'cell'} was not asked ({clause.cells})."
        yield Softened("missing", text, clause).tell_accepted()


def find_stopping(records: Sequence[Record]) -> dict[str, Run]:
    """Find the runs that say how each engine ended: written since then, and not cut short."""
    ended = {r.run for r in records if isinstance(r, End) and not r.interrupted}
    return {r.run: r for r in records if isinstance(r, Run) and r.run in ended and r.schema >= WITH_STOPS}


def find_untold_stops(row: CellRow, runs: Mapping[str, Run]) -> Iterator[tuple[str, str]]:
    """Yield each run of which not every engine's end is recorded: what was taken out may have been a crash.

    `runs` are those that ran to their end and record it.
    """
    launches = Counter(
        (each.run, each.fingerprint)
        for each in row.launches
        if each.outcome == "ok" and not (each.attached or each.stub) and each.run in runs
    )
    stops = Counter((each.run, each.fingerprint) for each in row.stops)
    for (run, plan), count in sorted(launches.items()):
        if (untold := count - stops[run, plan]) > 0:
            engines = "its engine" if count == 1 else f"{untold} of its {count} engines"
            yield "shutdown", f"how {engines} ended is not recorded (run {run})."


def count_met_ends(records: Sequence[Record]) -> Counter[tuple[str, str]]:
    """Count the results that tell that an engine ended by itself, by run and plan, whichever cell's they are."""
    told = (r for r in records if isinstance(r, Result))
    met = (r for r in told if r.status in MET_ENDS or (r.status is Status.XFAIL and r.how == "exit"))
    return Counter((r.run, r.fingerprint) for r in met)


def find_unmet_ends(row: CellRow, met: Mapping[tuple[str, str], int]) -> Iterator[tuple[str, str]]:
    """Yield each engine that had ended by itself before it was stopped where no test met that: behind the last
    question, or between two. All its tests are PASS, and whoever serves it finds it gone."""
    ends = Counter((each.run, each.fingerprint) for each in row.stops if each.outcome == ENDED)
    for (run, plan), count in sorted(ends.items()):
        if count > met.get((run, plan), 0):
            yield "shutdown", f"its engine had ended by itself before it was stopped, and no test met that (run {run})."


def tell_stops(shown: Sequence[CellRow]) -> Iterator[str]:
    """Yield once how each engine ended that was stopped neither cleanly nor by a crash."""
    first = {
        (each.run, each.fingerprint, each.message): f"{row.cell}: when its engine was stopped, {each.message}."
        for row in reversed(shown)
        for each in row.bad_stops
        if each.outcome in TOLD_STOPS
    }
    yield from reversed(first.values())


def tell_softened(
    policy: Policy,
    expected: Sequence[ExpectedCell],
    shown: Sequence[CellRow],
    predicted: Sequence[Prediction],
    today: date,
) -> Iterator[str]:
    """Yield a sentence for each clause that excuses something today, green or red."""
    for cell, row in zip(expected, shown, strict=True):
        if row.launch is None or row.not_run or row.unanswered:
            continue  # nothing of it is judged
        own = [p for p in predicted if p.cell == cell.id]
        for each in (*find_softened_launch(policy, row), *find_softened_features(policy, cell, row, own)):
            if not each.is_red(today):
                yield f"{cell.id}: {each.tell_accepted()}"
