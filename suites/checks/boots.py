"""Judges a number of fresh launches of one plan: how many were wrong, and what that allows one to say of the next.

A rate is never averaged away: one wrong boot of five fails, whatever the other four said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from matrix.judging.statistics import CONFIDENCE, lower_bound, upper_bound
from reports.evidence.finding import Finding

TWO_SIDED: Final = (1 + CONFIDENCE) / 2  # of each bound, so that both together hold with CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBoot:
    """One fresh launch: what was found wrong, or why it did not start or ended."""

    number: int  # from 1
    findings: Sequence[Finding] = ()
    error: str = ""

    @property
    def wrong(self) -> str:
        """The first thing wrong with it, empty where it is right."""
        bad = [f"{f.check} of {f.item}: {f.detail or f.got}" for f in self.findings if not f.ok]
        return self.error or next(iter(bad), "")


def check_boots(boots: Sequence[CheckedBoot]) -> Finding:
    """Check that every boot was right. The rate of wrong boots is told with exact (Clopper-Pearson) bounds."""
    wrong = [boot for boot in boots if boot.wrong]
    count, number = len(wrong), len(boots)
    # No wrong boot bounds the rate from above only: the lower bound of 0 of n is 0 by definition.
    low, high = lower_bound(count, number, TWO_SIDED) if count else 0.0, upper_bound(count, number, TWO_SIDED)
    rate = f"{count} of {number} fresh boots wrong: {low:.1%} to {high:.1%} of all boots ({CONFIDENCE:.0%}, exact)"
    return Finding(
        check="boots.every_boot",
        ok=not wrong,
        expected=f"{number} boots that are right and alike",
        got=rate,
        detail="; ".join(f"boot {boot.number}: {boot.wrong}" for boot in wrong),
        note=rate,
        sensitive=number > 1,
        data={
            "boots": number,
            "wrong": count,
            "wrong_boots": [boot.number for boot in wrong],
            "at_least": low,
            "at_most": high,
        },
    )
