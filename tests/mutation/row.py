"""What became of one fault: who had to notice it, who did."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

Verdict = Literal["killed", "SURVIVED", "invisible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AsKnown:
    """A test that failed as a known failure describes: nobody's kill, and no false alarm."""

    test: str
    entry: str
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the kill table. `asked` are the tests that ran; `killed_by` those that turned red, without those
    that failed `as_known`."""

    on: str  # stub, or the cell behind the proxy
    fault: str
    family: str
    does: str
    named: tuple[str, ...]
    asked: tuple[str, ...]
    killed_by: tuple[str, ...]
    wall_s: float
    invisible: str = ""
    as_known: tuple[AsKnown, ...] = ()
    commit: str = ""  # of the run that made it
    date: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))

    @property
    def missed_by(self) -> tuple[str, ...]:
        """Killers that were named and stayed green."""
        return tuple(t for t in self.named if t not in self.killed_by)

    @property
    def verdict(self) -> Verdict:
        if self.named:
            return "SURVIVED" if self.missed_by else "killed"
        return "invisible" if self.invisible else "SURVIVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A healthy engine that a suite failed."""

    seed: int
    test: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthy:
    """Runs of all suites on an engine without a fault."""

    on: str
    seeds: tuple[int, ...]
    tests: int
    skipped: int
    alarms: tuple[Alarm, ...]
    wall_s: float
    commits: tuple[str, ...] = ()  # of the runs, each once
    as_known: tuple[AsKnown, ...] = ()

    @property
    def runs(self) -> int:
        return len(self.seeds)

    def and_earlier(self, earlier: Healthy) -> Healthy:
        """Both together.

        Raises:
            ValueError: they share a seed, and would count it twice.
        """
        if shared := set(self.seeds) & set(earlier.seeds):
            raise ValueError(f"{self.on}: seeds {sorted(shared)} were run before; ask for others with --seeds A-B")
        return replace(
            earlier,
            seeds=(*earlier.seeds, *self.seeds),
            tests=earlier.tests + self.tests,
            skipped=earlier.skipped + self.skipped,
            alarms=(*earlier.alarms, *self.alarms),
            as_known=(*earlier.as_known, *self.as_known),
            wall_s=earlier.wall_s + self.wall_s,
            commits=tuple(dict.fromkeys((*earlier.commits, *self.commits))),
        )
