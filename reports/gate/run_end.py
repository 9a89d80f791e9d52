"""Checks the last record of a run: it was written after all others, and counts no launch that is not there. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from reports.evidence.types import End, Launch, Record

CLOCK_STEP: Final = timedelta(minutes=1)  # of one host within a run, a choice: NTP slews what is less


def tell_wrong_end(run: str, own: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """Yield a rule and a sentence where the end of a run does not fit its records."""
    launches = sum(isinstance(r, Launch) and r.outcome == "ok" for r in own)
    for end in (r for r in own if isinstance(r, End)):
        if (latest := max(r.t for r in own)) > end.t + CLOCK_STEP:
            text = f"Run {run} ended at {end.t:%F %T} UTC and has a record of {latest:%F %T}: its clock was set back."
            yield "clock", text
        if end.launches > launches:
            yield "seal", f"Run {run} started {end.launches} engines, of which {launches} are on record."
