"""The file: whole lines, one writer, typed both ways, sealed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ConfigError, EngineReplyMalformed, HostError
from reports import evidence, record
from reports.collector import Evidence, Outbox
from reports.evidence import EvidenceWriter
from reports.record import End, Found, Run
from tests.reports import world

FINDING = {"kind": "finding", "cell": "c", "check": "needle.found", "ok": False, "expected": "7", "got": "8"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "evidence.jsonl"


def run(path: Path, run_id: str = "r1") -> None:
    with EvidenceWriter(path, run_id, fresh=True) as writer:
        writer.append([{"kind": "run"}, FINDING])
        writer.end(exit_code=1, interrupted=False, duration_s=1.5)


def test_what_is_written_is_read_back_typed(path: Path) -> None:
    run(path)
    first, finding, end = evidence.read(path)
    assert isinstance(first, Run)
    assert isinstance(finding, Found)
    assert (finding.check, finding.ok, finding.run) == ("needle.found", False, "r1")
    assert isinstance(end, End)
    assert (end.records, end.exit_code) == (2, 1)


def test_a_written_run_is_sealed_and_no_other_one_is(path: Path) -> None:
    run(path)
    records = evidence.read(path)
    assert evidence.sealed(records)
    assert not evidence.sealed(records[:-1])
    assert not evidence.sealed([records[0], records[-1]])
    assert not evidence.sealed([records[0], replace(records[1], cell="other"), records[-1]])
    assert not evidence.sealed([])


def test_lines_are_on_disk_before_append_returns(path: Path) -> None:
    with EvidenceWriter(path, "r1") as writer:
        writer.append([FINDING])
        assert json.loads(path.read_bytes())["check"] == "needle.found"


def test_launches_that_worked_are_counted(path: Path) -> None:
    with EvidenceWriter(path, "r1") as writer:
        writer.append([{"kind": "launch", "outcome": "ok"}, {"kind": "launch", "outcome": "EngineExited"}])
        writer.end(exit_code=0, interrupted=False, duration_s=1)
    assert [r.launches for r in evidence.read(path) if isinstance(r, End)] == [1]


def test_a_second_writer_is_told_what_to_do(path: Path) -> None:
    script = "import sys, pathlib as p; from reports import evidence as e; e.EvidenceWriter(p.Path(sys.argv[1]), 'r2')"
    with EvidenceWriter(path, "r1") as writer:
        writer.append([FINDING])
        with pytest.raises(HostError, match="--evidence"):
            EvidenceWriter(path, "r2", fresh=True)
        second = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
        assert "HostError" in second.stderr
        assert len(evidence.read(path)) == 1  # and the first writer's file is where it was


def test_the_lock_goes_with_the_writer(path: Path) -> None:
    run(path)
    run(path, "r2")


def test_a_fresh_run_keeps_the_previous_one_aside(path: Path) -> None:
    run(path, "r1")
    run(path, "r2")
    assert {r.run for r in evidence.read(path)} == {"r2"}
    assert {r.run for r in evidence.read(path.with_name("evidence.previous.jsonl"))} == {"r1"}


def test_nothing_is_appended_to_a_torn_file(path: Path) -> None:
    run(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(HostError, match="torn"):
        EvidenceWriter(path, "r2")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"kind":"run","t":"2026', "torn line"),
        (b"not json\n", "not JSON"),
        (b"[1]\n", "expected a JSON object"),
        (b'{"kind":"resolt"}\n', "did you mean 'result'"),
        (
            b'{"kind":"run","t":"2026-11-21T00:00:00Z","run":"r","comit":"x"}\n',
            "unknown key 'comit'; did you mean 'commit'",
        ),
        (
            b'{"kind":"finding","t":"2026-11-21T00:00:00Z","run":"r","ok":true,"expected":"","got":""}\n',
            "missing key 'check'",
        ),
        (
            b'{"kind":"result","t":"2026-11-21T00:00:00Z","run":"r","status":"PASSED"}\n',
            "status: 'PASSED' is not valid here; did you mean 'PASS'?",
        ),
        (
            b'{"kind":"run","t":"yesterday","run":"r"}\n',
            "t: expected a time like 2027-01-31T09:00:00Z, got 'yesterday'",
        ),
        (b'{"kind":"run","run":"r"}\n', "missing key 't'"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_place(tmp_path: Path, line: bytes, message: str) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(world.write(world.typed([{"kind": "run"}])) + line)
    with pytest.raises(ConfigError, match=r"e\.jsonl:2: ") as caught:
        evidence.read(file)
    assert message in str(caught.value)


def test_every_bad_line_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(b"1\n2\n")
    with pytest.raises(ConfigError) as caught:
        evidence.read(file)
    assert len(caught.value.problems) == 2


def test_a_missing_file_asks_whether_anything_ran(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did anything run"):
        evidence.read(tmp_path / "none.jsonl")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_measurement_that_is_no_number_is_the_engines_fault(value: float) -> None:
    with pytest.raises(EngineReplyMalformed, match=f"tok_s is {value}"):
        Evidence(Outbox("run"), {}).measurement("tok_s", value, "tok/s")


def test_what_is_no_number_is_text_in_a_findings_data() -> None:
    told = record.plain({"a": float("nan"), "b": [float("inf"), float("-inf"), 1.5]})
    assert told == {"a": "NaN", "b": ["inf", "-inf", 1.5]}


def test_two_halves_of_a_character_that_meet_are_sealed_as_what_a_reader_makes_of_them(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(world.write(world.seal([{**FINDING, "got": "\ud83d" + "\ude00, \ud83d"}])))
    back = evidence.read(file)
    assert evidence.sealed(back)
    assert isinstance(back[0], record.Found)
    assert back[0].got == "\U0001f600, \ud83d"


texts = st.text(st.characters(exclude_categories=()), max_size=40)  # surrogates too: models say anything


@world.LAW
@given(got=texts, data=st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none() | st.lists(texts)))
def test_any_reply_survives_the_file_unchanged_and_sealed(got: str, data: dict[str, object]) -> None:
    records = world.seal([{**FINDING, "got": got, "data": data}])
    lines = world.write(records).splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    back = [record.parse(json.loads(line)) for line in lines]
    assert len(back) == 2
    assert evidence.sealed(back)
    assert isinstance(back[0], Found)
    assert back[0].got == got
