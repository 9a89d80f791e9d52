"""Lists the failures of evidence, each with what is needed to show it: one entry for each failed finding.

Tests that failed because one engine did not start are one failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matrix.errors import ConfigError, Problem, suggest_nearest
from matrix.judging.status import Status
from reports.evidence.defuse import defuse_line
from reports.evidence.run_doubts import find_run_doubts
from reports.evidence.summary import LAUNCHED
from reports.evidence.types import CellFacts, Found, Kept, Launch, Record, Result, Run

FAILED: Final = frozenset({Status.FAIL, Status.CRASH, Status.HANG, Status.FLAKE, Status.XFAIL, Status.NOT_RUN_AS_KNOWN})
SHOWN: Final = 12
MESSAGE_CHARS: Final = 110
ATTACHED: Final = "somebody else started the server: its GPU, flags and environment were not seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproducedFailure:
    """One failed finding of one test, or one failed test without a failed finding."""

    number: int  # place in the list, from 1
    evidence: Path
    result: Result
    finding: Found | None
    nth: int  # among the findings of the test with the same check and item, from 0
    alike: tuple[str, ...]  # the items of the test's findings that quote the same reply, in order
    kept: Kept | None
    run: Run | None
    facts: CellFacts | None
    launch: Launch | None
    doubt: str = ""  # about the whole run: lines lost, edited, or it has no end

    @property
    def cell(self) -> str:
        return self.result.cell

    @property
    def at_launch(self) -> bool:
        """Whether the engine did not start, so that no request exists."""
        return self.result.at in LAUNCHED or (self.launch is not None and self.launch.outcome != "ok")

    @property
    def unseen(self) -> tuple[str, ...]:
        """What nobody saw of a server that was attached to, and what of its identity was accepted; else nothing."""
        if self.launch is None or not self.launch.attached:
            return ()
        return ATTACHED, *map(str, self.launch.cautions.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader has to know before the failure itself."""
        return (*((f"of run {self.result.run}: {self.doubt}",) if self.doubt else ()), *self.unseen)

    @property
    def version_is_claimed(self) -> bool:
        """Whether the version is the cell's alone, which somebody accepted: the server told none, or another."""
        return bool(self.unseen and self.launch and "version" in self.launch.cautions)

    @property
    def name(self) -> str:
        """Node id, check and item: what a person may type a part of."""
        found = self.finding
        return " ".join(filter(None, (self.result.nodeid, found.check if found else "", found.item if found else "")))

    def __str__(self) -> str:
        said = self.finding.detail if self.finding else self.result.message
        return defuse_line(
            f"{self.number:>3}  {self.result.status:<6} {self.name}: {defuse_line(said)[:MESSAGE_CHARS]}"
        )


def list_failures(files: Sequence[tuple[Path, Sequence[Record]]]) -> list[ReproducedFailure]:
    """List the failures of these files, in the order of the files."""
    found: list[ReproducedFailure] = []
    for path, records in files:
        found += _list_failures(path, records, len(found))
    return found


def pick_failure(failures: Sequence[ReproducedFailure], word: str) -> ReproducedFailure:
    """Pick the failure that `word` names: its number in the list, or a part of its name.

    Raises:
        ConfigError: none or several tests fit; names candidates.
    """
    # A number first, since the list prints it; beyond the list it may still be a part of a name, of a length say.
    if word.isdigit() and 1 <= int(word) <= len(failures):
        return failures[int(word) - 1]
    fitting = [f for f in failures if word in f.name]
    if len({f.result.nodeid for f in fitting}) == 1:
        return fitting[0]
    shown = fitting or failures
    lines = "".join(f"\n    {each}" for each in shown[:SHOWN])
    more = f"\n    and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    hint = "" if fitting else suggest_nearest(word, [f.result.test for f in failures])
    why = f"{len(fitting)} failed tests fit {word!r}{hint}; write a number or more of a name:{lines}{more}"
    raise ConfigError([Problem("FAILURE", 0, "", why if failures else "this evidence holds no failure")])


def _list_failures(path: Path, records: Sequence[Record], before: int) -> Iterator[ReproducedFailure]:
    runs = {r.run: r for r in records if isinstance(r, Run)}
    facts = {(r.run, r.cell): r for r in records if isinstance(r, CellFacts)}
    launches, doubts = _gather_launches(records), find_run_doubts(records)
    kept = {(r.run, r.nodeid): r for r in records if isinstance(r, Kept)}
    findings: dict[tuple[str, str], list[Found]] = {}
    for r in records:
        if isinstance(r, Found):
            findings.setdefault((r.run, r.nodeid), []).append(r)
    dead: set[tuple[str, str]] = set()  # run and cell whose launch failed: the first of its tests tells it
    for result in (r for r in records if isinstance(r, Result) and r.status in FAILED):
        key = result.run, result.nodeid
        # Cells with one plan share a launch, which is recorded under the cell that began it.
        launch = launches.get((result.run, result.cell)) or launches.get((result.run, result.fingerprint))
        lost = result.at in LAUNCHED or (launch is not None and launch.outcome != "ok")
        if lost and (result.run, result.cell) in dead:
            continue
        dead |= {(result.run, result.cell)} if lost else set()
        # One entry for each failed finding: a request belongs to a finding, and a test has many.
        own = findings.get(key, [])
        failed: list[Found | None] = [f for f in own if not f.ok]
        for finding in failed or [None]:
            before += 1
            yield ReproducedFailure(
                number=before,
                evidence=path,
                result=result,
                finding=finding,
                nth=_count_before(own, finding),
                alike=tuple(dict.fromkeys(f.item for f in own if finding and f.got == finding.got)),
                kept=kept.get(key),
                run=runs.get(result.run),
                facts=facts.get((result.run, result.cell)),
                launch=launch,
                doubt=doubts.get(result.run, ""),
            )


def _gather_launches(records: Sequence[Record]) -> Mapping[tuple[str, str], Launch]:
    """Map run and cell, or run and fingerprint, to the launch: the first one that failed, else the last."""
    found: dict[tuple[str, str], Launch] = {}
    for r in records:
        if isinstance(r, Launch):
            for key in ((r.run, r.cell), (r.run, r.fingerprint)):
                if key not in found or found[key].outcome == "ok":
                    found[key] = r
    return found


def _count_before(own: Sequence[Found], finding: Found | None) -> int:
    if finding is None:
        return 0
    alike = [f for f in own if (f.check, f.item) == (finding.check, finding.item)]
    return next(i for i, f in enumerate(alike) if f is finding)
