"""What clients of a recommended launch must know. Apart from `choose`, which fixtures and reports use: the checks of
lines are the commands' alone."""

from __future__ import annotations

from dataclasses import replace

from matrix.checking.of_plan import list_client_notes
from matrix.recommending.choose import OfferedLaunch, Recommendation


def add_client_notes(found: Recommendation) -> Recommendation:
    """Return the recommendation with the notes of each of its launches."""
    return replace(found, launches=tuple(_add(one) for one in found.launches))


def _add(one: OfferedLaunch) -> OfferedLaunch:
    told = ("cause", "consequence", "remedy")
    notes = list_client_notes(one.plan)
    return replace(
        one, clients=tuple({"check": note.id, **{name: getattr(note, name) for name in told}} for note in notes)
    )
