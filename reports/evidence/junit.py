"""pytest's JUnit file made fit for dashboards: one suite per launch group, the cell's identity on every test case.

pytest writes the cases (xunit2, properties from `user_properties`). `finish_junit` regroups and labels them,
`merge_junit` joins the files of several jobs, `find_problems` lists what a reader of the file would miss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import SubElement

from junitparser import Error, Failure, JUnitXml, Property, Skipped, TestCase, TestSuite

from matrix.errors import ConfigError, Problem
from matrix.judging.status import Status
from reports.evidence import files as evidence
from reports.evidence import redact
from reports.evidence.attempts import order_by_time
from reports.evidence.defuse import defuse_for_terminal
from reports.evidence.junit_attempts import label_attempts
from reports.evidence.junit_facts import tell_cells, tell_host, tell_launch
from reports.evidence.junit_findings import tell_findings
from reports.evidence.types import CellFacts, Expected, Launch, Lost, Record, Result, Run

IDENTITY = ("cell", "fingerprint", "test")
NO_CELL = "no cell"
GATE = "gate"  # the suite of a verdict (`reports.gate.junit`): a case a cell, a failure a reason


def load_junit(path: Path) -> JUnitXml:
    """Load a JUnit file, always with a `testsuites` root.

    Raises:
        ConfigError: it is not there or is not JUnit.
    """
    try:
        found = JUnitXml.fromfile(str(path))
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error.strerror}")]) from None
    except Exception as error:  # the parser's own, expat's and the file system's are one thing to a person
        raise ConfigError([Problem(str(path), 0, "", f"not a JUnit file: {error}")]) from None
    if isinstance(found, TestSuite):
        whole = JUnitXml()
        whole.add_testsuite(found)
        return whole
    return found


def finish_junit(path: Path, evidence_path: Path) -> None:
    """Regroup pytest's file by launch and label the suites from the evidence of the same run."""
    grouped = regroup_cases([load_junit(path)], evidence.read_records(evidence_path))
    _write_junit(grouped, path)


def merge_junit(paths: Sequence[Path], records: Sequence[Record], out: Path) -> None:
    """Join the files of several jobs; suites of the same launch group become one."""
    _write_junit(regroup_cases([load_junit(p) for p in paths], records), out)


def regroup_cases(files: Iterable[JUnitXml], records: Sequence[Record]) -> JUnitXml:
    """Regroup the cases of all files: one suite per launch group (fingerprint), with the launch's facts as
    properties."""
    records = order_by_time(records)
    groups: dict[str, list[TestCase]] = {}
    stamps: list[str] = []
    every: list[TestCase] = []
    for suite in (s for f in files for s in f):
        stamps += [suite.timestamp] if suite.timestamp else []
        every += suite
    _identify_crashes(every, records)
    for case in every:
        groups.setdefault(read_properties(case).get("fingerprint", NO_CELL), []).append(case)
    whole = JUnitXml()
    tell_findings(every, records)
    label_attempts(every, records)
    for fingerprint, cases in groups.items():
        whole.add_testsuite(_make_suite(fingerprint, cases, records, min(stamps, default="")))
    whole.update_statistics()  # type: ignore[no-untyped-call]
    return whole


def _identify_crashes(cases: Iterable[TestCase], records: Iterable[Record]) -> None:
    """Add the identity to the case of a test whose worker died: the controller that wrote the case knew a name only."""
    crashed: dict[str, list[Result]] = {}
    for r in records:
        if isinstance(r, Result) and r.cell and r.status is Status.TEST_ERROR:
            crashed.setdefault(r.nodeid.partition("::")[2], []).append(r)
    for case in cases:
        if read_properties(case) or len(own := crashed.get(case.name or "", [])) != 1:
            continue
        holder = SubElement(case._elem, "properties")
        said = {"cell": own[0].cell, "fingerprint": own[0].fingerprint, "test": own[0].test, "run": own[0].run}
        for name, value in {**said, "status": str(own[0].status)}.items():
            SubElement(holder, "property", name=name, value=value)


def _make_suite(fingerprint: str, cases: Sequence[TestCase], records: Sequence[Record], stamp: str) -> TestSuite:
    cells = sorted({read_properties(c).get("cell", "") for c in cases} - {""})
    suite = TestSuite(f"{cells[0]}{f' and {len(cells) - 1} more' if len(cells) > 1 else ''}" if cells else NO_CELL)
    if stamp:
        suite.timestamp = stamp
    for name, value in _gather_facts(fingerprint, cells, records).items():
        suite.add_property(name, redact.redact_text(str(value)))
    suite.add_testcases(list(cases))
    return suite


def _gather_facts(fingerprint: str, cells: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
    facts: dict[str, Any] = {"fingerprint": fingerprint, "cells": " ".join(cells)} if cells else {}
    launches = [r for r in records if isinstance(r, Launch) and _is_about(r, fingerprint, cells)]
    own = {r.run for r in (*launches, *(r for r in records if isinstance(r, Result) and r.cell in cells))}
    for run in (r for r in records if isinstance(r, Run)):
        if run.run in own or not own:
            facts |= tell_host(run)
    facts |= tell_cells(r for r in records if isinstance(r, CellFacts) and r.cell in cells)
    for launch in launches:
        facts |= tell_launch(launch)
    if missing := _count_not_run(cells, records):
        facts["cells_not_run_as_known"] = missing
    return {k: v for k, v in facts.items() if v not in ("", None)}


def _count_not_run(cells: Sequence[str], records: Sequence[Record]) -> int:
    return len({r.cell for r in records if isinstance(r, Result) and r.status is Status.NOT_RUN_AS_KNOWN} & set(cells))


def _is_about(launch: Launch, fingerprint: str, cells: Sequence[str]) -> bool:
    return launch.fingerprint == fingerprint or launch.cell in cells


def read_properties(case: TestCase) -> dict[str, str]:
    """Read a test case's properties; junitparser has them only for suites."""
    found = (Property.fromelem(e) for holder in case._elem.iter("properties") for e in holder)  # type: ignore[no-untyped-call]
    return {p.name: p.value for p in found}


def _write_junit(whole: JUnitXml, path: Path) -> None:
    for element in whole._elem.iter():
        element.text = _clean_text(element.text) if element.text else element.text
        for name, value in element.attrib.items():
            element.set(name, _clean_text(value))
    whole.write(str(path), pretty=False)


def _clean_text(text: str) -> str:
    return defuse_for_terminal(redact.redact_text(text))


def find_problems(path: Path, records: Sequence[Record] = ()) -> list[str]:
    """List what is wrong with a JUnit file: structure, counters, properties, expected cells and tests without a
    case."""
    whole = load_junit(path)
    found = [p for suite in whole for p in _find_suite_problems(suite)]
    cases = [case for suite in whole for case in suite]
    if not cases:
        found.append("it has no test case")
    found += [str(r) for r in records if isinstance(r, Lost)]
    seen = Counter(read_properties(c).get("cell", "") for c in cases)
    expected: Mapping[str, int] = {r.cell: len(r.tests) for r in records if isinstance(r, Expected)}
    named = {r.cell for r in records if isinstance(r, CellFacts)} | set(expected)
    found += [f"cell {c} has no test case" for c in sorted(named) if not seen[c]]
    found += [
        f"cell {c} has {seen[c]} test cases, {n} were expected" for c, n in sorted(expected.items()) if 0 < seen[c] < n
    ]
    return found


def _find_suite_problems(suite: TestSuite) -> Iterator[str]:
    cases = list(suite)
    outcomes = Counter(kind for c in cases for kind in {type(r) for r in c.result})
    counted = {
        "tests": len(cases),
        "failures": outcomes[Failure],
        "errors": outcomes[Error],
        "skipped": outcomes[Skipped],
    }
    for name, number in counted.items():
        if (said := getattr(suite, name)) != number:
            yield f"suite {suite.name!r} says {name}={said}, but holds {number}"
    for case in cases:
        where = f"test case {case.classname}::{case.name}"
        yield from (f"{where} has no {a}" for a in ("name", "classname", "time") if getattr(case, a) in (None, ""))
        if suite.name != GATE and (kinds := len(case.result)) > 1:
            yield f"{where} has {kinds} outcomes"
        known = read_properties(case)
        if known:
            yield from (f"{where} lacks the property {p!r}" for p in IDENTITY if not known.get(p))
        elif suite.name not in (NO_CELL, GATE):
            yield f"{where} has no properties"
