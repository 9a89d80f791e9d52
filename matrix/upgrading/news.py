"""What changes for a line, by danger; and the one sentence that answers the question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from matrix.checking.finding import CheckFinding
from matrix.checking.rules import Decision, Level

Danger = Literal["stops", "wrong", "other", "new", "fixed"]
Way = Literal["begins", "ends", "changes"]
Verdict = Literal["same", "safe", "risky", "unknown", "wrong", "stops"]
DANGERS: Final[tuple[Danger, ...]] = ("stops", "wrong", "other", "new", "fixed")
LEVELS: Final[tuple[Level, ...]] = ("wrong", "unknown", "risky", "note")
EXIT_CODES: Final[Mapping[Verdict, int]] = {"same": 0, "safe": 0, "risky": 3, "unknown": 3, "wrong": 1, "stops": 1}


@dataclass(frozen=True, kw_only=True)
class News:
    """One thing that is not the same. `key` and `part` name it alike in both directions; `level` is how sure it is."""

    part: str  # finding, known failure, default, pin, kernel, backend, class, config key, fact, patch, rule
    key: str
    way: Way
    danger: Danger
    level: Level
    title: str
    cause: str
    consequence: str = ""
    remedy: str = ""
    decided_by: Decision
    sources: tuple[str, ...] = ()
    line: int = 0
    applies: bool = True  # False: nothing of this line can meet it

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Sort key: the worst first, what cannot apply last."""
        # False sorts before True: what applies stands first
        return (not self.applies, DANGERS.index(self.danger), LEVELS.index(self.level))

    @property
    def risky(self) -> bool:
        """Whether it is a reason to look twice before one goes on."""
        return self.applies and self.level in ("wrong", "risky") and self.danger not in ("new", "fixed")


@dataclass(frozen=True, kw_only=True)
class ReleaseComparison:
    """What changes between two releases for one command. `stays`: findings of both; `unread`: parts not read."""

    entry: str
    where: str
    before: str  # release, e.g. "sglang==0.5.17"
    after: str
    direction: str  # upgrade, downgrade, or "" where both are one release
    rig: str
    model: str
    news: tuple[News, ...]
    stays: tuple[CheckFinding, ...] = ()
    stopped: CheckFinding | None = None  # the first of `stays` that keeps the line from starting
    unread: tuple[str, ...] = ()
    undecided: int = 0
    waits_for: tuple[str, ...] = ()
    next: tuple[str, ...] = ()  # commands to go on with

    @property
    def verdict(self) -> Verdict:
        met = [n for n in self.news if n.applies]
        if not self.direction:
            return "same"
        if self.stopped or any(n.danger == "stops" and n.level == "wrong" for n in met):
            return "stops"
        if any(n.danger == "wrong" and n.level == "wrong" for n in met):
            return "wrong"
        # after what is certain, before what is likely: a part that nobody read could hold the worst
        if self.unread or any(n.level == "unknown" for n in met):
            return "unknown"
        return (
            "risky" if any(n.level in ("wrong", "risky") and n.danger not in ("new", "fixed") for n in met) else "safe"
        )

    @property
    def exit_code(self) -> int:
        """0 safe, or nothing changes; 1 it does not start, or answers wrongly; 3 risky or not to be judged."""
        return EXIT_CODES[self.verdict]


@dataclass(frozen=True, kw_only=True)
class UpgradeReport:
    """All commands of one text."""

    comparisons: tuple[ReleaseComparison, ...]
    problems: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The worst of the commands; 3 where a part of the text could not be read."""
        codes = {c.exit_code for c in self.comparisons} | ({3} if self.problems else set())
        return 1 if 1 in codes else 3 if 3 in codes else 0


def sort_news(news: Iterable[News]) -> tuple[News, ...]:
    """Sort the worst first, and keep one of equal news."""
    kept: dict[tuple[str, str, str], News] = {}
    for item in news:
        # the first of equal ones: two packages may tell the same kernel, and two checks the same word
        kept.setdefault((item.part, item.key, item.way), item)
    return tuple(sorted(kept.values(), key=lambda n: n.rank))


def write_headline(comparison: ReleaseComparison) -> str:
    """Write the answer in one sentence."""
    met = [n for n in comparison.news if n.applies]
    unknown = [n for n in met if n.level == "unknown"]
    match comparison.verdict:
        case "same":
            return f"NOTHING CHANGES: both sides are {comparison.after}."
        case "stops":
            told = [n for n in met if n.danger == "stops" and n.level == "wrong"]
            if told:
                return f"WILL NOT START: {_tell_first(told)}"
            cause = comparison.stopped.cause if comparison.stopped else ""
            return f"WILL NOT START: as on {comparison.before}: {cause}"
        case "wrong":
            return f"WILL BE WRONG: {_tell_first([n for n in met if n.danger == 'wrong' and n.level == 'wrong'])}"
        case "unknown":
            return f"UNKNOWN: {comparison.unread[0] if comparison.unread else _tell_first(unknown)}"
        case "risky":
            return f"RISKY: {_tell_first([n for n in met if n.risky])}"
    other = sum(n.danger == "other" for n in met)
    less = f"; {other} things are other than before" if other else ""
    open_ = "" if comparison.rig else "; its GPUs are not named, and much depends on them (--rig)"
    return f"SAFE: nothing known keeps this line from doing on {comparison.after} what it did{less}{open_}."


def _tell_first(told: Sequence[News]) -> str:
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return f"{_name_cause(told[0])}{more}"


def _name_cause(item: News) -> str:
    """Return the first sentence of a cause, with the words that it is about unless it names them."""
    head, dot, rest = item.cause.partition(". ")
    cause = f"{head}." if dot and rest else item.cause
    about = item.title.split()[0]
    if item.part in ("finding", "known failure") and (about in cause or not about.isupper()):
        return cause  # a check's cause is a sentence of its own; what is said of a variable may leave its name out
    return f"{item.title}: {cause}"
