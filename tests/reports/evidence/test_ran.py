"""Evidence -> what ran: the last run of a cell, its counts, proofs and best speed; damage costs a line."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from matrix.recommending.ran import read_ran
from reports.evidence.ran import list_committed, summarise_files

FACTS = {"rig": "r", "release": "e", "checkpoint": "c", "features": ["mtp"]}


def record(kind: str, run: str = "1", **fields: Any) -> str:
    return json.dumps({"kind": kind, "run": run, "cell": "r.e.c.mtp", **fields}, separators=(",", ":"), sort_keys=True)


def run(number: str, day: int, status: str) -> list[str]:
    speed = {"name": "output_throughput", "unit": "tok/s"}
    return [
        record("run", number, host={"description": "a host"}),
        record("cell", number, facts=FACTS, fingerprint="f"),
        record("expected", number, tests=["a", "b"]),
        record("result", number, nodeid="a", status="FAIL", t=f"2026-11-{day}T00"),
        record("result", number, nodeid="a", status=status, t=f"2026-11-{day}T01"),
        record("result", number, nodeid="b", status="PASS", t=f"2026-11-{day}T01"),
        record("proof", number, feature="mtp", outcome="proven"),
        record("measurement", number, value=50.04, conditions={"concurrency": 1}, **speed),
        record("measurement", number, value=900, conditions={"concurrency": 64}, **speed),
    ]


def test_the_last_run_counts(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join([*run("1", 20, "FAIL"), "{torn", *run("2", 21, "PASS")]) + "\n")
    [found] = summarise_files([path, tmp_path / "absent.jsonl"]).values()
    assert (found.date, found.counts, found.proven) == ("2026-11-21", {"PASS": 2}, ("mtp",))
    assert (found.speed, found.host, found.worked) == (50.0, "a host", True)


SPEED = "suites/test_throughput.py::test_single_stream_speed"
ASKED = [record("expected", "2", tests=["a", "b", SPEED])]
CUT = [record("expected", "2", tests=["a", "b", "c", SPEED])]


@pytest.mark.parametrize(
    ("status", "owed", "day"),
    [("PASS", CUT, 20), ("PASS", ASKED, 20), ("FAIL", CUT, 21), ("PASS", [], 21)],
    ids=["cut", "without speeds", "cut and red", "whole"],
)
def test_a_later_run_that_asked_less_takes_nothing_back_unless_it_was_red(
    tmp_path: Path, status: str, owed: list[str], day: int
) -> None:
    path = tmp_path / "e.jsonl"
    later = run("2", 21, status)
    path.write_text("\n".join([*run("1", 20, "PASS"), *later[:2], *owed, *later[2:]]) + "\n")
    [found] = summarise_files([path]).values()
    assert found.date == f"2026-11-{day}" and found.worked is (status == "PASS")


def test_a_cut_run_alone_is_told_and_did_not_work(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join([*run("2", 21, "PASS")[:2], *CUT, *run("2", 21, "PASS")[2:]]) + "\n")
    [found] = summarise_files([path]).values()
    assert (found.missing, found.cut, found.worked) == (2, True, False)


@pytest.mark.parametrize(("owed", "day"), [(CUT, 20), (ASKED, 21), ([], 21)], ids=["cut", "no speed", "whole"])
def test_a_cut_run_does_not_answer_for_what_an_earlier_one_saw_fail(tmp_path: Path, owed: list[str], day: int) -> None:
    path = tmp_path / "e.jsonl"
    later = run("2", 21, "PASS")
    path.write_text("\n".join([*run("1", 20, "FAIL"), *later[:2], *owed, *later[2:]]) + "\n")
    [found] = summarise_files([path]).values()
    assert (found.date, found.failed) == (f"2026-11-{day}", day == 20)
    path.write_text(
        path.read_text().replace(
            '"fingerprint":"f","kind":"cell","run":"1"', '"fingerprint":"g","kind":"cell","run":"1"'
        )
    )
    [found] = summarise_files([path]).values()
    assert found.date == "2026-11-21", "what failed was another plan"


@pytest.mark.parametrize(("silent", "cut"), [("suites/test_needle.py::t", True), (SPEED, False)])
def test_a_test_that_said_nothing_is_one_that_was_not_asked(tmp_path: Path, silent: str, cut: bool) -> None:
    """Seen: two runs of ten passed measurements and one without evidence each were told as failed launches."""
    nothing = record("result", "2", nodeid=silent, status="NOT_EVIDENCE", t="2026-11-21T02")
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join([*run("2", 21, "PASS"), nothing]) + "\n")
    [found] = summarise_files([path]).values()
    assert (found.cut, found.worked, found.failed) == (cut, not cut, False)
    path.write_text("\n".join([*run("1", 20, "PASS"), *run("2", 21, "PASS"), nothing]) + "\n")
    [found] = summarise_files([path]).values()
    assert found.worked


def test_an_archive_is_read_as_the_file_in_it_and_a_damaged_one_adds_nothing(tmp_path: Path) -> None:
    plain = tmp_path / "e.jsonl"
    plain.write_text("\n".join(run("1", 20, "PASS")) + "\n")
    archive = tmp_path / "e.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(plain, "e.jsonl")
    [of_archive], [of_file] = summarise_files([archive]).values(), summarise_files([plain]).values()
    assert replace(of_archive, file="") == replace(of_file, file="")
    archive.write_bytes(archive.read_bytes()[:60])
    assert summarise_files([archive]) == {}


def list_odd(kind: str, field: str, *values: Any) -> list[tuple[str, str, Any]]:
    return [(kind, field, value) for value in values]


ODD = [
    *list_odd("cell", "facts", 1e308, None, [], {}, {**FACTS, "rig": 1}, {"features": []}, {**FACTS, "features": None}),
    *list_odd("cell", "cell", None, [], 7),
    *list_odd("run", "host", "x", None, [1]),
    *list_odd("expected", "tests", "x", None, [1], {}, 7),
    *list_odd("measurement", "conditions", "x", None, [1]),
    *list_odd("measurement", "value", 10**400, "x", None, float("nan"), float("inf"), True),
    *(odd for k in ("cell", "run", "proof") for odd in list_odd(k, "kind", [1], None, 1)),
    *(odd for f in ("t", "nodeid", "status", "run", "cell") for odd in list_odd("result", f, None, [1], 1)),
    *(odd for f in ("feature", "outcome") for odd in list_odd("proof", f, None, [1], 1)),
]


@pytest.mark.parametrize(("kind", "field", "value"), ODD, ids=range(len(ODD)))
def test_a_record_of_another_shape_adds_nothing_and_costs_no_other(
    tmp_path: Path, kind: str, field: str, value: object
) -> None:
    """The file may be anybody's: what one of its lines holds must not end `recommend` or `list`."""
    lines = [json.loads(line) for line in run("2", 21, "PASS")]
    odd = [{**line, field: value} if line["kind"] == kind else line for line in lines]
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join([*run("1", 20, "PASS"), *map(json.dumps, odd), "[" * 100_000]) + "\n")
    found = summarise_files([path])
    assert {r.date for r in found.values()} <= {"2026-11-20", "2026-11-21"} and found
    assert all(r.speed in (None, 50.0, 1.0) for r in found.values())


def test_a_stub_is_no_run(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join([*run("1", 20, "PASS"), record("launch", stub=True)]) + "\n")
    assert summarise_files([path]) == {}


def test_the_generated_file_names_files_that_exist() -> None:
    names = {path.as_posix().partition("/docs/")[2] for path in list_committed()}
    assert {ran.file.removeprefix("docs/") for ran in read_ran().values()} <= names
