"""Runs that are read in one pass are sealed as `is_sealed` says of their records, whoever spelled the lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reports.evidence.attempts import split_runs
from reports.evidence.files import is_sealed, read_records
from reports.evidence.sealed import read_sealed, read_sealed_files
from tests.reports import world

Lines = list[str]
CHANGES: dict[str, tuple[Callable[[Lines], Lines], bool]] = {
    "as it was": (lambda lines: lines, True),
    "another spelling": (lambda lines: [json.dumps(json.loads(line)) for line in lines], True),
    "an edit": (lambda lines: [line.replace('"PASS"', '"FAIL"') for line in lines], False),
    "a line less": (lambda lines: [*lines[:3], *lines[4:]], False),
    "no end": (lambda lines: lines[:-1], False),
    "a damaged line": (lambda lines: [*lines[:3], "{", *lines[4:]], False),
    "one line more that is damaged": (lambda lines: [*lines[:3], "{", *lines[3:]], False),
}


@pytest.mark.parametrize(("change", "sealed"), CHANGES.values(), ids=CHANGES)
def test_a_run_is_sealed_as_its_records_say(tmp_path: Path, change: Callable[[Lines], Lines], *, sealed: bool) -> None:
    path = tmp_path / "e.jsonl"
    lines = change(world.write(world.seal(world.green())).decode().splitlines())
    path.write_text("".join(f"{line}\n" for line in lines))
    found, runs = read_sealed(path), split_runs(read_records(path))
    assert found.runs == runs and list(found.runs) == list(runs)
    assert found.sealed == {run for run, own in runs.items() if is_sealed(own)} == ({"r1"} if sealed else set())


def test_files_come_by_time_and_a_run_in_two_of_them_is_judged_by_all_its_records(tmp_path: Path) -> None:
    later, earlier, again = (tmp_path / f"{name}.jsonl" for name in ("a", "b", "c"))
    for path, run, hour in ((later, "r2", 12), (earlier, "r1", 9), (again, "r1", 9)):
        path.write_bytes(world.write(world.seal(world.green(), run, datetime(2026, 11, 21, hour, tzinfo=UTC))))
    records, sealed = read_sealed_files([later, earlier])
    assert records == [*read_records(earlier), *read_records(later)] and sealed == {"r1": True, "r2": True}
    records, sealed = read_sealed_files([later, earlier, again])
    assert sealed == {"r2": True} and len(split_runs(records)["r1"]) == 2 * len(read_records(again))
