"""Links a run that was cut short to the run that asked the rest. Pure.

A gate refuses a run that was killed or interrupted. `pytest --continue FILE` asks what it left, and writes down what it
found there: the run, and the sha256 of its records. From then on nothing of it can be lost, edited or added, and it
counts as if it had ended, with all that it says: a failure in it stays a failure. Both must be of one source, depth and
set of baselines, as a retry and what it retries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reports.evidence.attempts import doubt_link, split_runs
from reports.evidence.files import format_line, is_sealed
from reports.evidence.types import Lost, Record, Run, dump_record

TORN: Final = "torn line"  # how `reports.evidence.files` calls a line that its writer did not finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuations:
    """Runs that count as ended because another run continues them, and a sentence for each link that does not hold."""

    continued: Mapping[str, str] = field(default_factory=dict)  # run -> the run that continues it
    problems: tuple[str, ...] = ()
    doubted: Mapping[str, str] = field(default_factory=dict)  # run whose link does not hold -> why

    def tell(self) -> Iterator[str]:
        for run, by in self.continued.items():
            yield f"Run {run} was cut short; run {by} asked the rest, and holds the digest of what it left."

    def explains(self, lost: Lost, own: Sequence[Record]) -> bool:
        """Whether a lost line is the last one of a continued run, which its end cut in two."""
        return lost.run in self.continued and own[-1] is lost and lost.why.startswith(TORN)


def digest_run(own: Iterable[Record]) -> str:
    """Compute the sha256 over the lines of one run that can be read."""
    lines = (format_line(dump_record(r)) for r in own if not isinstance(r, Lost))
    return hashlib.sha256(b"".join(lines)).hexdigest()


def link_continuations(records: Iterable[Record]) -> Continuations:
    """Check each `--continue` of these runs against the runs that are present."""
    runs = split_runs(records)
    started = {run: [r for r in own if isinstance(r, Run)] for run, own in runs.items()}
    continued: dict[str, str] = {}
    doubted: dict[str, str] = {}
    problems: list[str] = []
    for run, starts in started.items():
        for named, digest in (link for r in starts for link in r.continues.items()):
            why = [*doubt_link(run, named, started, runs)]
            if not why and digest_run(runs[named]) != digest:
                why = ["the records of that run are not those that it found there: lines were lost, edited or added"]
            if why:
                doubted[named] = "; ".join(why)
                problems.append(f"Run {run} was to continue run {named} (--continue), but {doubted[named]}.")
            elif not is_sealed(runs[named]) or _was_interrupted(runs[named]):
                continued.setdefault(named, run)
    return Continuations(continued=continued, problems=tuple(problems), doubted=doubted)


def _was_interrupted(own: Sequence[Record]) -> bool:
    return bool(getattr(own[-1], "interrupted", False))
