"""Everything that a gate asks of where evidence comes from: source, host, cell, versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from reports.evidence.attempts import group_by_cell
from reports.evidence.types import Record, Run
from reports.expected import ExpectedCell
from reports.gate.accepted import Deviation, add_deviations
from reports.gate.facts import (
    find_facts_deviations,
    find_image_deviations,
    find_version_deviations,
    find_weights_deviations,
)
from reports.gate.gate import Verdict
from reports.gate.host import find_host_deviations, tell_hosts
from reports.gate.origin import Today, find_origin_deviations


def add_provenance(
    verdict: Verdict, expected: Sequence[ExpectedCell], records: Sequence[Record], today: Today, day: date
) -> Verdict:
    """Add what the evidence's origin shows to the verdict."""
    found = add_deviations(verdict, _find_deviations(verdict, expected, records, today), day)
    hosts = tell_hosts(verdict.rows, [r for r in records if isinstance(r, Run)])
    return replace(found, told=(*found.told, *hosts))


def _find_deviations(
    verdict: Verdict, expected: Sequence[ExpectedCell], records: Sequence[Record], today: Today
) -> Iterator[Deviation]:
    yield from find_origin_deviations(records, today)
    rows, by_cell = {row.cell: row for row in verdict.rows}, group_by_cell(records)
    runs = [r for r in by_cell.get("", ()) if isinstance(r, Run)]
    others = {run.run for run in runs if run.commit and run.commit != today.commit}
    for cell in expected:
        row = rows[cell.id]
        if any(test.result for test in row.tests):  # else it is absent, which is told
            own = by_cell.get(cell.id, [])
            yield from find_facts_deviations(cell, own, others)
            yield from find_host_deviations(cell, row, [*runs, *own])
            yield from find_version_deviations(cell, row)
            yield from find_weights_deviations(cell, row)
    yield from find_image_deviations(expected, rows)
