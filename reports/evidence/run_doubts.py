"""Finds which runs are not whole: lines lost or edited, no end, an end in the middle. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from reports.evidence.attempts import split_runs
from reports.evidence.continuations import Continuations, link_continuations
from reports.evidence.files import is_sealed
from reports.evidence.types import End, Lost, Record, Run

FINISHED: Final = frozenset({0, 1})  # pytest: all passed, some failed


def find_run_doubts(records: Sequence[Record]) -> Mapping[str, str]:
    """Find each run that is not whole: run -> what is wrong with it. Another run may have asked what it left."""
    links = link_continuations(records)
    return {run: why for run, own in split_runs(records).items() if (why := "; ".join(_doubt_run(run, own, links)))}


def _doubt_run(run: str, own: Sequence[Record], links: Continuations) -> Iterator[str]:
    if run in links.continued:
        own = [r for r in own if not (isinstance(r, End) or (isinstance(r, Lost) and links.explains(r, own)))]
    starts = sum(isinstance(r, Run) for r in own)
    ends = [r for r in own if isinstance(r, End)]
    if starts != 1:
        yield f"it has {starts} `run` records, one was expected"
    if lost := sum(isinstance(r, Lost) for r in own):
        yield f"{lost} of its lines cannot be read"
    if run in links.continued:
        return  # its records are those whose digest the other run holds
    if not ends:
        yield "it has no end: it was killed, or its file is cut short"
    elif not lost and not is_sealed(own):
        yield "its records are not those that its end sealed"
    if any(end.interrupted for end in ends):
        yield "it was interrupted"
    elif any(end.exit_code not in FINISHED for end in ends):
        yield f"pytest exited with {ends[-1].exit_code}"
