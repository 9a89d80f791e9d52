"""Labels JUnit cases of tests with more than one answer: each case lists every answer and its run.

Dashboards read cases and not runs. A retry never makes a red case green; the gate decides whether that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from junitparser import TestCase

from reports.evidence.summary import make_board
from reports.evidence.types import Record

PROPERTY: Final = "attempts"


def label_attempts(cases: Iterable[TestCase], records: Sequence[Record]) -> None:
    """Add all answers of a case's test to the case, as a property; a second call changes nothing."""
    told = tell_by_case(records)
    for case in cases:
        element: Element = case._elem
        for holder in element.findall("properties"):
            known = {p.get("name"): p for p in holder}
            cell = known["cell"].get("value", "") if "cell" in known else ""
            if said := told.get((cell, case.name or "")):
                found = known[PROPERTY] if PROPERTY in known else SubElement(holder, "property", name=PROPERTY)
                found.set("value", said)


def tell_by_case(records: Sequence[Record]) -> Mapping[tuple[str, str], str]:
    """Map cell and node id (without its file) to every answer, where there is more than one."""
    rows = make_board(records).rows
    return {(t.cell, t.nodeid.partition("::")[2]): t.told for row in rows for t in row.tests if t.told}
