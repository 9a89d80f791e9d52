"""Writes the verdict as JUnit for CI: as red as the gate, whatever pytest's own file reports.

One suite, `gate`: a case for the run and one for each cell that the policy requires. Each reason for red is a failure
of its case; a cell that may be missing, as known, is skipped. Until the verdict exists the file holds an error, so that
a gate that was killed, or could not read its input, leaves nothing green behind. Pure, except for `write_*`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from matrix.errors import HostError
from reports.evidence.defuse import defuse_line
from reports.evidence.junit import GATE as SUITE
from reports.evidence.summary import CellRow
from reports.gate.gate import Reason, Verdict

RUN: Final = "the run"  # the case of what is no cell's own
NAME: Final = "gate.junit.xml"
SHOWN: Final = 1_000  # failures of one case; the rest is counted
UNJUDGED: Final = "the gate did not come to an end"

Element = ElementTree.Element


def render_verdict(verdict: Verdict) -> bytes:
    """Render the whole file. `failures` counts cases, as JUnit means it; a case may hold several."""
    rows = {row.cell: row for row in verdict.rows}
    cases = [_make_case(RUN, [r for r in verdict.reasons if r.cell not in rows])]
    cases += [_make_cell_case(row, [r for r in verdict.reasons if r.cell == row.cell]) for row in rows.values()]
    facts = {"policy": verdict.policy.title, "verdict": "GREEN" if verdict.green else "RED"}
    return _make_file(cases, facts, verdict.told)


def render_unjudged(why: str) -> bytes:
    """Render a file that reports that there is no verdict."""
    case = _make_case(RUN, ())
    ElementTree.SubElement(case, "error", message=defuse_line(why), type="unjudged")
    return _make_file([case], {"verdict": "NONE"}, ())


def write_verdict(verdict: Verdict, path: Path) -> None:
    """Write the verdict. Raises HostError: this path cannot be written."""
    _write_file(render_verdict(verdict), path)


def write_unjudged(path: Path, why: str = UNJUDGED) -> None:
    """Write that there is no verdict. Raises HostError: this path cannot be written."""
    _write_file(render_unjudged(why), path)


def _write_file(text: bytes, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    except OSError as error:
        raise HostError(
            f"{path}: the verdict's JUnit cannot be written: {error.strerror}. Name another place"
        ) from error


def _make_cell_case(row: CellRow, reasons: Sequence[Reason]) -> Element:
    case = _make_case(row.cell, reasons)
    if row.not_run and not reasons:
        ElementTree.SubElement(case, "skipped", message=defuse_line(f"did not run, as known: {row.why_not_run}"))
    return case


def _make_case(name: str, reasons: Sequence[Reason]) -> Element:
    # time="0": some CI systems refuse a case without a time.
    case = Element("testcase", classname=SUITE, name=defuse_line(name), time="0")
    for reason in reasons[:SHOWN]:
        ElementTree.SubElement(case, "failure", message=reason.text, type=reason.rule).text = str(reason)
    if len(reasons) > SHOWN:
        more = f"and {len(reasons) - SHOWN} more reasons."
        ElementTree.SubElement(case, "failure", message=more, type="more").text = more
    return case


def _make_file(cases: Sequence[Element], facts: dict[str, str], told: Sequence[str]) -> bytes:
    counts = {"tests": len(cases)}
    for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        counts[name] = sum(case.find(kind) is not None for case in cases)
    numbers: dict[str, str] = {name: str(count) for name, count in counts.items()}
    whole = Element("testsuites", {"name": SUITE, **numbers})
    suite = ElementTree.SubElement(whole, "testsuite", {"name": SUITE, "time": "0", **numbers})
    held = ElementTree.SubElement(suite, "properties")
    for name, value in facts.items():
        ElementTree.SubElement(held, "property", name=name, value=defuse_line(value))
    suite.extend(cases)
    if told:
        lines = [f"note: {defuse_line(line)}" for line in told]
        ElementTree.SubElement(suite, "system-out").text = "\n".join(lines)
    text: bytes = ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True)
    return text
