"""What a bisection says, as text and as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.bisecting.ending import Written
from matrix.bisecting.delta import Smallest
from matrix.bisecting.posterior import Tally
from matrix.bisecting.search import BisectVerdict, Search, judge_answers
from matrix.bisecting.settings import Unit
from matrix.bisecting.steps import ReleaseStep, say_news
from matrix.output.columns import format_table
from reports.evidence.defuse import defuse_line

SHOWN = 4  # other claims


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectReport:
    """All that is known at the end. `silent`: why tries gave no answer, by release."""

    cell: str
    engine: str
    asked: str  # the test, or what stands for all
    search: Search
    steps: tuple[ReleaseStep, ...]
    tally: Tally
    shape: str = ""
    silent: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    smallest: Smallest[Unit] | None = None
    written: Written | None = None
    spent: bool = False  # the budget ended
    interrupted: bool = False

    @property
    def verdict(self) -> BisectVerdict:
        return judge_answers(self.search, self.tally)


def say_steps(steps: Sequence[ReleaseStep], engine: str) -> Iterator[str]:
    """Yield what the snapshots say of each step, the likeliest marked."""
    yield f"what changed for this cell, release by release ({engine}; read in the snapshots, nothing was started):"
    # a weight of 1 is a step of which nothing special is known: a star on all of them would say nothing
    likely = max((s.weight for s in steps), default=0.0)
    unread = dict.fromkeys(step.unread.partition(" ")[0] for step in steps if step.unread)
    if unread:
        yield f"  nothing is known of {sum(bool(s.unread) for s in steps)} steps: no snapshot of {', '.join(unread)}"
    for step in steps:
        if step.unread:
            continue
        mark = "*" if step.weight == likely and likely > 1 else " "
        yield f"{mark} {step.before} -> {step.after}  weight {step.weight:.1f}  {defuse_line(step.headline)}"
        yield from (f"      {defuse_line(line, 150)}" for line in say_news(step))


def say_report(report: BisectReport) -> Iterator[str]:
    """Yield the answers, the verdict, the smallest failing set and what was written."""
    verdict = report.verdict
    yield from (f"left out: {line}" for line in report.left_out)
    yield f"{report.cell}: {report.asked}"
    if report.shape:
        yield f"the failure: {report.shape}"
    yield format_table(list(_list_rows(report)), ("release", "failed", "passed", "no answer", "bad with probability"))
    yield from (f"no answer of {release}: {why}" for release, why in report.silent.items())
    yield say_verdict(report)
    yield from (f"doubt: {doubt}" for doubt in verdict.doubts)
    if verdict.word == "undecided":
        yield from (
            f"  also possible: {name} ({chance:.3f})" for name, chance in verdict.others[:SHOWN] if chance >= 0.001
        )
    yield from _say_smallest(report.smallest)
    if report.interrupted:
        yield "interrupted: the same command with --continue goes on with these answers"
    if report.written:
        yield from (f"written: {place}" for place in report.written.places)
        yield from (f"lint of the draft: {defuse_line(problem)}" for problem in report.written.problems)


def _list_rows(report: BisectReport) -> Iterator[list[str]]:
    found = report.search.weigh(report.tally)
    for place, release in enumerate(report.search.releases):
        numbers = (report.tally.failures[place], report.tally.passes[place], report.tally.silent[place])
        yield [release, *(str(n) if n else "-" for n in numbers), f"{found.is_bad(place):.3f}"]


def say_verdict(report: BisectReport) -> str:
    """Say the answer in one sentence."""
    verdict, search = report.verdict, report.search
    chance = f"probability {verdict.probability:.3f}, asked for {search.confidence:g}, {report.tally.answers} answers"
    name = " or ".join(f"{report.engine}=={r}" for r in verdict.first_bad)
    match verdict.word:
        case "found":
            between = " (those between gave no answer)" if len(verdict.first_bad) > 1 else ""
            return f"FIRST BAD: {name}{between}; last good {verdict.last_good} ({chance})"
        case "good fails":
            return f"NOT SO: {search.releases[0]}, named as good, fails already ({chance}); name an earlier --good"
        case "bad passes":
            advice = "look at that failure again, or swap --good and --bad"
            return f"NOT SO: {search.releases[-1]}, named as bad, does not fail ({chance}); {advice}"
    likely = name or "none of them fails"
    why = "the boots are used up" if report.spent else "nothing more can be asked"
    # Ctrl-C can come when the last boot is being made: then both hold, and only one tells what to do
    why = "interrupted" if report.interrupted else why
    return f"UNDECIDED: {why}; most likely {likely} ({chance})"


def _say_smallest(found: Smallest[Unit] | None) -> Iterator[str]:
    if found is None:
        return
    if not found.fails:
        yield f"settings: not decided which matter ({found.boots} boots)"
    elif not found.units:
        yield f"settings: it fails without any of them ({found.boots} boots)"
    else:
        word = (
            "smallest failing set" if found.minimal else "a failing set, not proven the smallest: the boots are used up"
        )
        yield f"settings: {word} ({found.boots} boots):"
        yield from (f"  {unit}  {unit.where}" for unit in found.units)


def as_data(report: BisectReport) -> dict[str, Any]:
    """Return the same as JSON data."""
    verdict, tally = report.verdict, report.tally
    found = report.search.weigh(tally)
    smallest = report.smallest
    return {
        "cell": report.cell,
        "asked": report.asked,
        "failure": report.shape,
        "verdict": verdict.word,
        "first_bad": list(verdict.first_bad),
        "last_good": verdict.last_good,
        "probability": verdict.probability,
        "confidence": report.search.confidence,
        "others": dict(verdict.others),
        "doubts": list(verdict.doubts),
        "spent": report.spent,
        "interrupted": report.interrupted,
        "model": {"fails_at_least": report.search.model.fails, "false_alarms_at_most": report.search.model.alarm},
        "releases": [
            {
                "version": release,
                "failed": tally.failures[place],
                "passed": tally.passes[place],
                "silent": tally.silent[place],
                "bad": found.is_bad(place),
            }
            for place, release in enumerate(report.search.releases)
        ],
        "silent": dict(report.silent),
        "left_out": list(report.left_out),
        "steps": [as_step(step) for step in report.steps],
        "settings": smallest
        and {"units": [str(u) for u in smallest.units], "minimal": smallest.minimal, "fails": smallest.fails},
        "written": [str(p) for p in report.written.places] if report.written else [],
        "lint": list(report.written.problems) if report.written else [],
    }


def as_step(step: ReleaseStep) -> dict[str, Any]:
    """Return a step as data."""
    return {
        "before": step.before,
        "after": step.after,
        "weight": step.weight,
        "headline": step.headline,
        "news": [{"title": n.title, "cause": n.cause, "danger": n.danger, "level": n.level} for n in step.news],
    }
