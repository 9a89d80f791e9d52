"""Reports lines of evidence that could not be read: in every report, and red at the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.evidence.attempts import split_runs
from reports.evidence.continuations import Continuations
from reports.evidence.types import Lost, Record


def tell_lost(records: Sequence[Record], links: Continuations) -> Iterator[tuple[str, str]]:
    """Yield one rule and sentence per lost line, for the gate; the cut end of a run that was continued is none."""
    runs = split_runs(records)
    for found in records:
        if isinstance(found, Lost) and not links.explains(found, runs[found.run]):
            yield "lost", f"{found}; what it said is not known. Run it again, or find a whole copy of that file."


def count_lost(records: Sequence[Record]) -> str:
    """Format `, 2 lines of evidence lost` for a headline, or nothing."""
    number = sum(isinstance(found, Lost) for found in records)
    return f", {number} line{'s' if number != 1 else ''} of evidence lost" if number else ""
