"""Replaces the text of a failed JUnit case by what the evidence says: the finding, and the command that shows it again.

pytest's own text begins with locals and source of the suites, and ends before the cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from junitparser import TestCase

from matrix.judging.status import Status
from reports.evidence.cause_line import find_cause
from reports.evidence.defuse import defuse_line
from reports.evidence.finding import Finding
from reports.evidence.junit_facts import tell_tests
from reports.evidence.types import Found, Record, Result

FAILED: Final = ("failure", "error")
SHOWN: Final = 10  # findings of one test
MESSAGE_CHARS: Final = 300
OURS: Final = frozenset({Status.HOST_ERROR, Status.TEST_ERROR})  # these need pytest's traceback
SHOWN_AGAIN: Final = frozenset({Status.FAIL, Status.CRASH, Status.HANG, Status.FLAKE})
Key = tuple[str, str, str]  # run, cell, node id


def tell_findings(cases: Iterable[TestCase], records: Sequence[Record]) -> None:
    """Write finding, proofs and numbers of the evidence into the cases of its tests; again changes nothing."""
    results = {(r.run, r.cell, _cut_test_name(r.nodeid)): r for r in records if isinstance(r, Result) and r.cell}
    findings: dict[Key, list[Found]] = {}
    for r in records:
        if isinstance(r, Found) and not r.ok:
            findings.setdefault((r.run, r.cell, r.nodeid), []).append(r)
    facts = tell_tests(records)
    for case in cases:
        element: Element = case._elem
        known = {p.get("name", ""): p.get("value", "") for p in element.iter("property")}
        result = _find_result(results, known, case.name or "")
        if result is not None:
            key = result.run, result.cell, result.nodeid
            _add_properties(element, facts.get(key, {}))
            if result.status not in OURS:
                _replace_text(element, result, findings.get(key, ()))


def _find_result(results: Mapping[Key, Result], known: Mapping[str, str], name: str) -> Result | None:
    """Find the result of a case: of its run, or of the only run where the case names none."""
    cell = known.get("cell", "")
    if "run" in known:
        return results.get((known["run"], cell, name))
    own = [r for (_, its_cell, its_name), r in results.items() if (its_cell, its_name) == (cell, name)]
    return own[0] if len(own) == 1 else None


def _add_properties(case: Element, facts: Mapping[str, str]) -> None:
    holder = case.find("properties")
    if holder is None or not facts:
        return
    known = {p.get("name"): p for p in holder}
    for name, value in facts.items():
        if value:
            (known[name] if name in known else SubElement(holder, "property", name=name)).set("value", value)


def _replace_text(case: Element, result: Result, findings: Sequence[Found]) -> None:
    for outcome in (each for kind in FAILED for each in case.findall(kind)):
        outcome.set("message", make_headline(result, findings))
        outcome.set("type", str(result.status))
        outcome.text = make_text(result, findings)


def make_headline(result: Result, findings: Sequence[Found]) -> str:
    """Make the one line that dashboards show: the first finding, or the cause of an exception."""
    if not findings:
        return defuse_line(f"{result.status}: {find_cause(result.message) or 'no message'}", MESSAGE_CHARS)
    first = findings[0]
    said = first.detail or f"expected {first.expected}, got {first.got}"
    more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
    return f"{defuse_line(f'{first.check}: {said}', MESSAGE_CHARS)}{more}"


def make_text(result: Result, findings: Sequence[Found]) -> str:
    """Make the text of a failure: every finding, or the message, then how to show it again."""
    told = [_as_finding(found).explain() for found in findings[:SHOWN]] or [result.message or str(result.status)]
    if len(findings) > SHOWN:
        told.append(f"and {len(findings) - SHOWN} more findings")
    if result.status in SHOWN_AGAIN:
        told.append(f"\nShow it again: glm-matrix repro '{result.nodeid}' --evidence EVIDENCE --out FOLDER")
    return "\n".join(told)


def _as_finding(found: Found) -> Finding:
    names = ("check", "ok", "expected", "got", "item", "detail", "sensitive", "note")
    return Finding(**{name: getattr(found, name) for name in names})


def _cut_test_name(nodeid: str) -> str:
    return nodeid.partition("::")[2]
