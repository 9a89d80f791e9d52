"""What `check` has to say: one cause, its consequence, its remedy, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from matrix.checking.launchers import Command
from matrix.checking.rules import Decision, Level, fill_holes, read_book
from matrix.errors import Problem

# unknown before risky: what cannot be judged at all may be wrong
ORDER: Final[tuple[Level, ...]] = ("wrong", "unknown", "risky", "note")
KNOWN: Final = "known failure "
Verdict = Literal["fine", "risky", "unknown", "wrong"]


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """One thing about a command. `subject`: the words of the line that it is about; `line`: where they stand."""

    id: str
    level: Level
    subject: tuple[str, ...]
    cause: str
    consequence: str = ""
    remedy: str = ""
    decided_by: Decision | None = None
    sources: tuple[str, ...] = ()
    conflict: tuple[Mapping[str, str], ...] = ()
    line: int = 0

    @property
    def rank(self) -> int:
        return ORDER.index(self.level)


@dataclass(frozen=True, kw_only=True)
class LineJudgement:
    """Everything about one command, the worst first."""

    command: Command
    release: str
    rig: str
    model: str
    findings: tuple[CheckFinding, ...]
    derived: Mapping[str, Any] = field(default_factory=dict)  # what the engine chooses where the line says nothing
    why: Mapping[str, str] = field(default_factory=dict)  # of `derived`: what decides
    undecided: int = 0  # checks that wait for facts
    waits_for: tuple[str, ...] = ()  # which facts, e.g. the GPUs or a config.json

    @property
    def verdict(self) -> Verdict:
        levels = {finding.level for finding in self.findings}
        return (
            "wrong"
            if "wrong" in levels
            else "unknown"
            if "unknown" in levels
            else "risky"
            if "risky" in levels
            else "fine"
        )


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """One text: its commands' judgements and what could not be read of it."""

    name: str
    judgements: tuple[LineJudgement, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 fine, 1 something is wrong, 3 something is risky or cannot be judged."""
        verdicts = {judgement.verdict for judgement in self.judgements}
        if "wrong" in verdicts:
            return 1
        return 3 if verdicts & {"risky", "unknown"} or self.problems else 0


def sort_findings(findings: Sequence[CheckFinding]) -> tuple[CheckFinding, ...]:
    """Sort the worst first; keep one finding per cause and subject, and drop a known failure that a check reports."""
    # a check and a known failure about one upstream issue are one cause: the check names the words of the line
    told = {source for f in findings if not f.subject[0].startswith(KNOWN) for source in f.sources}
    findings = [f for f in findings if not (f.subject[0].startswith(KNOWN) and told & set(f.sources))]
    seen: dict[tuple[str, tuple[str, ...], str], CheckFinding] = {}
    for finding in findings:
        # the cause belongs to the key: one check may find two things about one option
        seen.setdefault((finding.id, finding.subject, finding.cause), finding)
    return tuple(sorted(seen.values(), key=lambda f: f.rank))


def make_finding(
    id_: str, facts: Mapping[str, Any], subject: str, *, level: Level | None = None, line: int = 0, **more: object
) -> CheckFinding:
    """Tell what code has found in the words of checks.yaml (`computed`); `more` are facts of the finding itself."""
    # code finds, YAML words it: the text of a finding can be corrected and cited without touching code
    check, known = read_book().computed[id_], {**facts, **more}
    by = check.decided_by
    decided = replace(by, fact=fill_holes(by.fact, known), run=fill_holes(by.run, known))
    return CheckFinding(
        id=id_,
        level=level or check.level,
        subject=(subject,),
        cause=fill_holes(check.cause, known),
        consequence=fill_holes(check.consequence, known),
        remedy=fill_holes(check.remedy, known),
        decided_by=decided,
        sources=tuple(fill_holes(source, known) for source in check.sources),
        line=line,
    )
