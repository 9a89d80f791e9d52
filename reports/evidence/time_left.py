"""How long a run still takes, from what its launches took so far. Pure.

    rest of a launch = what starting an engine takes, unless it has started, + its tests left x what a test takes
    rest of the run  = the rests of all launches / how many run at once; no less than the longest of them

Tests alone say little: an engine starts for minutes and then answers 27 tests in one, and eight start beside one
another. So the time of the start is kept apart, and launches that only just begin count with the part that is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean


@dataclass(slots=True)
class LaunchClock:
    """One launch: the longest setup of a test, which started the engine, and the time of everything else."""

    start_s: float = 0.0
    rest_s: float = 0.0
    answered: int = 0
    began: float | None = None  # of the test that runs now
    is_running: bool = False

    def begin_test(self, now: float) -> None:
        """Note that a test of this launch begins."""
        self.began, self.is_running = now, True

    def add_phase(self, when: str | None, seconds: float) -> None:
        """Add the duration of a phase of a test."""
        if when == "setup" and seconds > self.start_s:
            self.start_s, seconds = seconds, self.start_s
        self.rest_s += seconds

    def end_test(self, *, is_last: bool) -> None:
        """Note that a test is answered; with the last one the launch is over."""
        self.answered += 1
        self.began = None
        self.is_running = not is_last

    def elapsed(self, now: float) -> float:
        """Return for how many seconds a test has run whose phases are not reported; 0 where none runs."""
        return 0.0 if self.began is None else max(0.0, now - self.began)


def estimate_rest(clocks: Mapping[str, LaunchClock], owed: Mapping[str, int], *, at_once: int, now: float) -> float:
    """Return the seconds until nothing is owed. `owed`: launch -> tests that are left, none of them 0."""
    answered = sum(c.answered for c in clocks.values())
    test_s = sum(c.rest_s for c in clocks.values()) / max(answered, 1)
    start_s = _expect_start(clocks, now)
    rests = [
        _expect_launch(clocks.get(name, LaunchClock()), count, start_s, test_s, now) for name, count in owed.items()
    ]
    return max(sum(rests) / at_once, *rests)


def _expect_start(clocks: Mapping[str, LaunchClock], now: float) -> float:
    """Return the mean time of a start. One that lasts longer than those that are over counts with its time so far."""
    known = [c.start_s for c in clocks.values() if c.answered]
    mean = fmean(known) if known else 0.0
    still = [e for c in clocks.values() if not c.answered and (e := c.elapsed(now)) > mean]
    return fmean([*known, *still]) if known or still else 0.0


def _expect_launch(clock: LaunchClock, count: int, start_s: float, test_s: float, now: float) -> float:
    start_s = 0.0 if clock.answered else start_s
    return max(0.0, start_s + count * test_s - clock.elapsed(now))
