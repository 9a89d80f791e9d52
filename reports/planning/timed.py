"""Evidence -> what was timed: the last launch of each fingerprint, the last whole run of each cell at each depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from matrix.judging.status import GREEN
from matrix.scheduling.durations import Seconds, Timed
from reports.evidence.attempts import split_runs
from reports.evidence.types import Launch, Record, Result, Run


def time_records(files: Iterable[tuple[Path, Iterable[Record]]]) -> Timed:
    """Gather durations; a stub's, an attached engine's and a failed launch's say nothing of the next launch."""
    launches: dict[str, Seconds] = {}
    suites: dict[tuple[str, str], Seconds] = {}
    for path, records in files:
        for run, own in split_runs(records).items():
            # Later runs of a file replace its earlier ones, as split_runs orders them: the last is the better guess.
            source = f"{path.name}, run {run}"
            _note_launches(own, source, launches)
            _note_suites(own, source, suites)
    return Timed(launches=launches, suites=suites)


def _note_launches(own: list[Record], source: str, launches: dict[str, Seconds]) -> None:
    for r in own:
        # By fingerprint, not by cell: cells with one plan share a launch and its duration.
        if isinstance(r, Launch) and r.outcome == "ok" and r.launch_s and not (r.stub or r.attached):
            launches[r.fingerprint] = Seconds(what="launch", seconds=r.launch_s, level="measured", source=source)


def _note_suites(own: list[Record], source: str, suites: dict[tuple[str, str], Seconds]) -> None:
    """Add the tests of a cell up, where all of them went well: a failure is faster, or slower, than an answer."""
    depth = next((r.depth for r in own if isinstance(r, Run)), "")
    stubs = {r.cell for r in own if isinstance(r, Launch) and (r.stub or r.attached)}
    launched = {r.cell: r.launch_s or 0.0 for r in own if isinstance(r, Launch)}
    spent: dict[str, float] = defaultdict(float)
    bad = {r.cell for r in own if isinstance(r, Result) and r.status not in GREEN}
    for r in own:
        if isinstance(r, Result) and r.cell:
            spent[r.cell] += r.duration_s
    for cell, seconds in spent.items():
        if cell not in bad and cell not in stubs:
            alone = max(0.0, seconds - launched.get(cell, 0.0))  # the first test waits for its launch
            suites[cell, depth] = Seconds(what="suites", seconds=alone, level="measured", source=source)
