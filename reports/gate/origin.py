"""Checks the source of each run: today's commit and matrix, without changed files. Pure.

Runs of several sources show together what none of them showed, even where each is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reports.evidence.types import End, Record, Run
from reports.gate.accepted import Deviation
from reports.gate.gate import CLOCK_SKEW

SHOWN = 12  # digits of a commit or digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The source with which the gate compares: its own checkout's commit ("" where it has none), and its matrix."""

    commit: str
    matrix_sha256: str
    committed: datetime | None = None  # when that commit was made; None: not known
    now: datetime | None = None  # by the clock of the gate's host


def find_origin_deviations(records: Sequence[Record], today: Today) -> Iterator[Deviation]:
    """Find each run whose source is not today's, or is not recorded."""
    runs = [r for r in records if isinstance(r, Run)]
    for end in records:
        if isinstance(end, End) and end.changed:
            text = (
                f"Files changed while run {end.run} went on: it ended as {end.source}, so no test says of what it is."
            )
            yield Deviation(what="changed_tree", of=end.source or end.run, text=text)
    yield from _check_clocks(runs, today)
    for run in runs:
        yield from _check_commit(run, today)
        yield from _check_tree(run)
        yield from _check_matrix(run, today)
    sources = sorted({_name_source(run) for run in runs})
    # Each may be accepted alone; that they are one evidence has to be accepted by itself.
    if len(sources) > 1:
        named = ", ".join(sources)
        yield Deviation(
            what="several_sources", of=named, text=f"The runs are of {len(sources)} states of the source ({named})."
        )


def _check_clocks(runs: Sequence[Run], today: Today) -> Iterator[Deviation]:
    """Find clocks that are behind the commit: by such a clock an old run is new, and what has ended goes on."""
    if today.committed is None:
        return
    made = f"{today.committed:%F %T} UTC"
    if today.now is not None and today.now < today.committed - CLOCK_SKEW:
        here = f"{today.now:%F %T} UTC"
        text = f"This host's clock says {here}, and its checkout's commit was made at {made}: set the clock."
        yield Deviation(what="clock", text=text)
    for run in runs:
        if run.commit == today.commit and run.t < today.committed - CLOCK_SKEW:
            began = f"{run.t:%F %T} UTC"
            text = f"Run {run.run} began at {began}, before its own commit was made ({made}): a clock is wrong."
            yield Deviation(what="clock", text=text)


def _check_commit(run: Run, today: Today) -> Iterator[Deviation]:
    if not run.commit:
        text = f"Run {run.run} does not say of which commit it is."
        yield Deviation(what="unknown_commit", of=run.run, text=text)
    elif not today.commit:
        text = (
            f"Run {run.run} is of commit {_shorten_digest(run.commit)}, and which is today's is not known: no git here."
        )
        yield Deviation(what="unknown_commit", of=run.run, text=text)
    elif run.commit != today.commit:
        seen, wanted = _shorten_digest(run.commit), _shorten_digest(today.commit)
        text = f"Run {run.run} is of another commit ({seen}) than today's ({wanted})."
        yield Deviation(what="another_commit", of=run.commit, text=text)


def _check_tree(run: Run) -> Iterator[Deviation]:
    if run.dirty is None:
        text = f"Run {run.run} does not say whether files differed from its commit."
        yield Deviation(what="unknown_tree", of=run.run, text=text)
    elif run.dirty or run.diff_sha256:
        diff = _shorten_digest(run.diff_sha256) or "unknown"
        text = f"Run {run.run} is of a dirty tree: files differed from its commit (diff {diff})."
        yield Deviation(what="dirty_tree", of=run.diff_sha256 or run.run, text=text)


def _check_matrix(run: Run, today: Today) -> Iterator[Deviation]:
    if not run.matrix_sha256:
        yield Deviation(what="unknown_matrix", of=run.run, text=f"Run {run.run} does not say of which matrix it is.")
    elif run.matrix_sha256 != today.matrix_sha256:
        seen, wanted = _shorten_digest(run.matrix_sha256), _shorten_digest(today.matrix_sha256)
        text = f"Run {run.run} is of another matrix ({seen}) than today's ({wanted})."
        yield Deviation(what="another_matrix", of=run.matrix_sha256, text=text)


def _name_source(run: Run) -> str:
    differs = _shorten_digest(run.diff_sha256) or ("dirty" if run.dirty else "")
    return "+".join(filter(None, (_shorten_digest(run.commit) or "unknown", differs)))


def _shorten_digest(digest: str) -> str:
    return digest[:SHOWN]
