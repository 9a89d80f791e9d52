"""Settles attempts: the order of runs, which run retries which, and which of a test's answers count. Pure.

Order is time: of runs the time at which they began, of records the time that they say. In which order files are given,
or runs stand in one file, changes nothing.

An answer stands until a run that was started with `pytest --retry-of RUN` answers the same test again: then it is
superseded, and both are told. A run that was not asked to do so supersedes nothing, whatever it says: two attempts of
which one is kept in silence are no evidence. Chains (a retry of a retry) hold as long as each link does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Final, TypeVar

from matrix.errors import suggest_nearest
from matrix.judging.status import GREEN, Status, worst_status
from reports.evidence.types import Launch, Record, Result, Run

# What an attempt of this machine or of ours came to: a retry alone supersedes it, nothing was said about the engine.
INFRASTRUCTURE: Final = frozenset(
    {Status.HOST_ERROR, Status.TEST_ERROR, Status.NOT_ASKED, Status.MISSING, Status.SKIP_NO_HW}
)
UNTRIED: Final = frozenset({Status.SKIP_NO_HW})  # no attempt: another host's answer stands instead
# What an engine answered; whatever else a retry comes to asked it nothing, or saw nothing, and answers no failure.
ANSWERED: Final = GREEN | {Status.FAIL, Status.CRASH, Status.HANG, Status.XPASS}
# Of a run and its retry: what must be known and the same, and what must be the same. Else it asks something else.
KNOWN: Final[Mapping[str, str]] = {"commit": "commit", "matrix_sha256": "matrix"}
SAME: Final[Mapping[str, str]] = {
    "depth": "depth",
    "baselines": "set of baselines",
    "dirty": "state of its files",
    "diff_sha256": "set of changes",
}
SAYS_NO_FAILURE: Final = GREEN | INFRASTRUCTURE
HOST_ERROR: Final = "HostError"  # the outcome of a launch that says nothing about the engine
SHOWN_CHARS: Final = 200
File = TypeVar("File")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """The run that each run retries: valid links by run, and a sentence for each invalid one."""

    retried: Mapping[str, str] = field(default_factory=dict)  # run -> the run that it asks again
    problems: tuple[str, ...] = ()

    def descends(self, run: str, of: str) -> bool:
        """Return whether `run` retries `of`, directly or through other retries."""
        while run in self.retried:
            run = self.retried[run]
            if run == of:
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """All answers to one test of one cell, by time: those that count, and those that a retry supersedes."""

    standing: tuple[Result, ...]
    superseded: tuple[Result, ...] = ()

    @property
    def all(self) -> tuple[Result, ...]:
        return tuple(sorted((*self.superseded, *self.standing), key=lambda r: r.t))

    @property
    def failed(self) -> tuple[Result, ...]:
        """Superseded failures of the engine."""
        return tuple(r for r in self.superseded if r.status not in SAYS_NO_FAILURE)

    @property
    def flaked(self) -> bool:
        """Whether every answer that counts is green, and a superseded answer of the engine was not."""
        return bool(self.failed) and all(r.status in GREEN for r in self.standing)

    @property
    def status(self) -> Status:
        return Status.FLAKE if self.flaked else worst_status(r.status for r in self.standing)

    @property
    def decided(self) -> Result:
        """The answer that decides the status: for a flake, the failed one."""
        among = self.failed if self.flaked else self.standing
        if len(among) == 1:
            return among[0]
        status = worst_status(r.status for r in among)
        return next(r for r in among if r.status is status)


def split_runs(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Split records by run, in the order of the file; sort the runs by the time at which they began."""
    runs: dict[str, list[Record]] = {}
    for r in records:
        runs.setdefault(r.run, []).append(r)
    return dict(sorted(runs.items(), key=lambda item: (min(r.t for r in item[1]), item[0])))


def group_by_cell(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Group records by cell; records of no cell stand under ""."""
    cells: dict[str, list[Record]] = {}
    for r in records:
        cells.setdefault(r.cell, []).append(r)
    return cells


def order_by_time(records: Iterable[Record]) -> list[Record]:
    """Order all records by time; records of one moment by run, and within a run as in its file."""
    # Two stable sorts: keys of time and run together are a new object for each record, 50 MB of 5,000 cells.
    return sorted(sorted(records, key=attrgetter("run")), key=attrgetter("t"))


def order_files(files: Iterable[tuple[File, Sequence[Record]]]) -> list[tuple[File, Sequence[Record]]]:
    """Order evidence files by the time at which they began; empty files come first."""
    return sorted(files, key=lambda file: [min((r.t, r.run) for r in file[1])] if file[1] else [])


def link_retries(records: Iterable[Record]) -> Retries:
    """Check each `--retry-of` of these runs against the runs that are present."""
    records = list(records)
    if not any(isinstance(r, Run) and r.retry_of for r in records):
        return Retries()  # the rule, and asked of each cell alone where evidence is large
    runs = split_runs(records)
    started = {run: [r for r in own if isinstance(r, Run)] for run, own in runs.items()}
    links: dict[str, str] = {}
    problems: list[str] = []
    for run, starts in started.items():
        for named in dict.fromkeys(r.retry_of for r in starts if r.retry_of):
            why = "; ".join(doubt_link(run, named, started, runs))
            if why:
                problems.append(
                    f"Run {run} was to ask run {named} again (--retry-of), but {why}. It supersedes nothing."
                )
            else:
                links[run] = named
    return Retries(retried=links, problems=tuple(problems))


def doubt_link(
    run: str, named: str, started: Mapping[str, Sequence[Run]], runs: Mapping[str, Sequence[Record]]
) -> Iterator[str]:
    """Yield why a run cannot speak for another one: it is not there, began too late, or is of another source."""
    if named == run:
        yield "that is itself"
        return
    if not started.get(named):
        hint = suggest_nearest(named, [r for r in started if r != run])
        yield f"that run is not among the evidence{hint}: give its file too"
        return
    if len(started[run]) > 1 or len(started[named]) > 1:
        yield "one of the two began more than once"
        return
    (mine,), (theirs,) = started[run], started[named]
    ended = max(r.t for r in runs[named])
    if (began := min(r.t for r in runs[run])) <= ended:
        yield f"it began at {_format_moment(began)}, before that run had ended ({_format_moment(ended)})"
    for name, word in KNOWN.items():
        was, now = getattr(theirs, name), getattr(mine, name)
        if not was or not now:
            yield f"the {word} of {'neither' if was == now else 'one of them'} was recorded"
        elif was != now:
            yield f"it is of another {word} ({now[:12]}) than that run ({was[:12]})"
    for name, word in SAME.items():
        if getattr(theirs, name, "") != getattr(mine, name, ""):
            yield f"it was asked with another {word} than that run"


def _format_moment(moment: datetime) -> str:
    return f"{moment:%F %T} UTC"


def settle_attempts(results: Sequence[Result], retries: Retries) -> Attempts:
    """Decide which of a test's results, given by time, count."""
    if len(results) == 1:
        return Attempts(standing=tuple(results))
    tried = [r for r in results if r.status not in UNTRIED] or list(results)
    superseded = [r for r in tried if any(_does_supersede(other, r, retries) for other in tried)]
    return Attempts(standing=tuple(r for r in tried if r not in superseded), superseded=tuple(superseded))


def _does_supersede(later: Result, earlier: Result, retries: Retries) -> bool:
    """Return whether `later` supersedes `earlier`. Only an answer of the same plan does: one more host error answers
    nothing."""
    same = later.fingerprint == earlier.fingerprint
    answers = later.status in ANSWERED or (earlier.status in INFRASTRUCTURE and later.status not in INFRASTRUCTURE)
    return same and answers and retries.descends(later.run, of=earlier.run)


def standing_launches(launches: Sequence[Launch], retries: Retries) -> tuple[Launch, ...]:
    """List the launches that no retry's launch supersedes."""
    answered = [each for each in launches if each.outcome != HOST_ERROR]
    return tuple(
        each
        for each in launches
        if not any(
            later.fingerprint == each.fingerprint and retries.descends(later.run, of=each.run) for later in answered
        )
    )


def tell_attempts(attempts: Attempts, retries: Retries) -> str:
    """Describe every answer with its run, by time: `FAIL in run r1: no code; PASS in run r2, a retry of r1`."""
    return "; ".join(_tell_result(r, retries) for r in attempts.all)


def _tell_result(result: Result, retries: Retries) -> str:
    retried = retries.retried.get(result.run)
    line = " ".join(result.message.split())[:SHOWN_CHARS]
    said = f": {line}" if line and result.status not in GREEN else ""
    return f"{result.status} in run {result.run}{f', a retry of {retried}' if retried else ''}{said}"
