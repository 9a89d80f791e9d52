"""The file: whole lines, one writer, typed both ways, sealed."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import ConfigError, EngineReplyMalformed, HostError
from reports.evidence import files as evidence
from reports.evidence import types as record
from reports.evidence.files import EvidenceWriter
from reports.evidence.outbox import Evidence, Outbox
from reports.evidence.types import End, Found, Lost, Run, Unknown
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
    first, finding, end = evidence.read_records(path)
    assert isinstance(first, Run)
    assert isinstance(finding, Found)
    assert (finding.check, finding.ok, finding.run) == ("needle.found", False, "r1")
    assert isinstance(end, End)
    assert (end.records, end.exit_code) == (2, 1)


def test_a_written_run_is_sealed_and_no_other_one_is(path: Path) -> None:
    run(path)
    records = evidence.read_records(path)
    assert evidence.is_sealed(records)
    assert not evidence.is_sealed(records[:-1])
    assert not evidence.is_sealed([records[0], records[-1]])
    assert not evidence.is_sealed([records[0], replace(records[1], cell="other"), records[-1]])
    assert not evidence.is_sealed([])


def test_lines_are_on_disk_before_append_returns(path: Path) -> None:
    with EvidenceWriter(path, "r1") as writer:
        writer.append([FINDING])
        assert json.loads(path.read_bytes())["check"] == "needle.found"


def test_launches_that_worked_are_counted(path: Path) -> None:
    with EvidenceWriter(path, "r1") as writer:
        writer.append([{"kind": "launch", "outcome": "ok"}, {"kind": "launch", "outcome": "EngineExited"}])
        writer.end(exit_code=0, interrupted=False, duration_s=1)
    assert [r.launches for r in evidence.read_records(path) if isinstance(r, End)] == [1]


def test_a_second_writer_is_told_what_to_do(path: Path) -> None:
    script = (
        "import sys, pathlib as p; from reports.evidence import files as e; e.EvidenceWriter(p.Path(sys.argv[1]), 'r2')"
    )
    with EvidenceWriter(path, "r1") as writer:
        writer.append([FINDING])
        with pytest.raises(HostError, match="--evidence"):
            EvidenceWriter(path, "r2", fresh=True)
        second = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=False)
        assert "HostError" in second.stderr
        assert len(evidence.read_records(path)) == 1  # and the first writer's file is where it was


def test_the_lock_goes_with_the_writer(path: Path) -> None:
    run(path)
    run(path, "r2")


def test_a_fresh_run_keeps_the_previous_one_aside(path: Path) -> None:
    run(path, "r1")
    run(path, "r2")
    assert {r.run for r in evidence.read_records(path)} == {"r2"}
    assert {r.run for r in evidence.read_records(path.with_name("evidence.previous.jsonl"))} == {"r1"}


def test_a_place_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    """A new run moves its predecessor aside; `--evidence /dev/null` moved the device of the machine."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "conftest.py").write_text("import os\n")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    before = sorted(p.name for p in tmp_path.iterdir())
    for name in (*before, "e.jsonl.gz"):
        with pytest.raises(HostError, match="Name"):
            EvidenceWriter(tmp_path / name, "r1", fresh=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    (tmp_path / "empty.jsonl").touch()
    EvidenceWriter(tmp_path / "empty.jsonl", "r1", fresh=True).close()


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
        (
            b'{"kind":"run","t":"2026-11-21T00:00:00","run":"r"}\n',
            "t: expected a time like 2027-01-31T09:00:00Z, got '2026-11-21T00:00:00'",
        ),
        (b'{"kind":"run","run":"r"}\n', "missing key 't'"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_place_and_costs_itself(
    tmp_path: Path, line: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(world.write(world.typed([{"kind": "run"}])) + line)
    first, lost = evidence.read_records(file)
    assert isinstance(first, Run)
    assert isinstance(lost, Lost)
    assert (lost.run, lost.line) == (first.run, 2)
    assert message in lost.why
    assert "e.jsonl:2: this line is lost: " in caplog.text


def test_every_line_but_the_damaged_is_read_wherever_it_is(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    whole = world.write(world.seal([{"kind": "run"}, FINDING, FINDING]))
    lines = whole.splitlines(keepends=True)
    for place in range(len(lines)):
        damaged = [*lines[:place], b"\xff" + lines[place], *lines[place + 1 :]]
        file.write_bytes(b"".join(damaged))
        found = evidence.read_records(file)
        assert [isinstance(r, Lost) for r in found] == [i == place for i in range(len(lines))]
        assert len({r.run for r in found}) == 1
        assert not evidence.is_sealed(found)


NEWER = record.SCHEMA + 1


def test_what_a_newer_writer_says_is_kept_and_sealed(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    stamp = {"t": "2026-11-21T00:00:00.000+00:00", "run": "r"}
    fields: list[dict[str, Any]] = [
        {**stamp, "kind": "run", "schema": NEWER, "mood": "fine"},
        {**stamp, **FINDING, "why": ["x"]},
        {**stamp, "kind": "weather", "sky": {"blue": True}},
    ]
    lines = [evidence.format_line(f) for f in fields]
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    end = {"exit_code": 0, "interrupted": False, "duration_s": 1.0, "launches": 0, "records": 3, "sha256": digest}
    file.write_bytes(b"".join([*lines, evidence.format_line({**stamp, "kind": "end", **end})]))
    first, finding, unknown, _ = found = evidence.read_records(file)
    assert (first.more, finding.more) == ({"mood": "fine"}, {"why": ["x"]})
    assert isinstance(unknown, Unknown)
    assert evidence.is_sealed(found)


def test_what_the_same_writer_does_not_know_is_a_lost_line(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    line = b'{"kind":"run","t":"2026-11-21T00:00:00Z","run":"r","schema":%d,"mood":1}\n' % record.SCHEMA
    file.write_bytes(world.write(world.typed([{"kind": "run"}])) + line)
    assert isinstance(evidence.read_records(file)[1], Lost)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from matrix.errors import HostError
from reports.evidence.files import EvidenceWriter
writer = EvidenceWriter(Path(sys.argv[1]), "r1")
writer.append([{"kind": "run"}])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + int(sys.argv[2]),) * 2)
try:
    writer.append([{"kind": "result", "nodeid": "n", "status": "PASS", "message": "x" * 9000}])
except HostError as error:
    print(error)
writer.close()
"""


@pytest.mark.parametrize("room", [0, 1, 2000])
def test_a_disk_that_fills_up_leaves_whole_lines_and_the_reason_where_it_fits(path: Path, room: int) -> None:
    command = [sys.executable, "-c", LIMITED, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "evidence cannot be written: File too large" in done.stdout
    assert "--evidence FILE" in done.stdout
    first, *rest = evidence.read_records(path)
    assert isinstance(first, Run)
    assert [r.status for r in rest if isinstance(r, record.Result)] == (["HOST_ERROR"] if room == 2000 else [])
    assert path.read_bytes().endswith(b"\n")


def test_a_disk_that_is_nearly_full_is_said_before_anything_starts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5 << 20))
    with pytest.raises(HostError, match="only 5 MiB are free"):
        EvidenceWriter(path, "r1")


def test_a_place_that_cannot_be_written_to_is_the_hosts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="evidence cannot be written"):
        EvidenceWriter(tmp_path / "file" / "e.jsonl", "r1")


def test_every_bad_line_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(b"1\n2\n")
    with pytest.raises(ConfigError) as caught:
        evidence.read_records(file)
    assert len(caught.value.problems) == 2


def test_a_file_of_damaged_lines_is_no_evidence(tmp_path: Path) -> None:
    """Each costs memory and a line on the terminal, and a megabyte of gzip holds a thousand million of them."""
    lines = world.write(world.seal(world.green()))
    for name, packed in (("e.jsonl", lambda data: data), ("e.jsonl.gz", gzip.compress)):
        file = tmp_path / name
        file.write_bytes(packed(lines + b"\n" * evidence.MOST_LOST))
        assert sum(isinstance(r, Lost) for r in evidence.read_records(file)) == evidence.MOST_LOST
        file.write_bytes(packed(lines + b"\n" * (evidence.MOST_LOST + 1)))
        with pytest.raises(ConfigError, match=f"more than {evidence.MOST_LOST} of its lines are damaged, the first"):
            evidence.read_records(file)


def test_a_missing_file_asks_whether_anything_ran(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did anything run"):
        evidence.read_records(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
@pytest.mark.parametrize("target", ["a pipe", "/dev/zero"])
def test_evidence_that_never_ends_is_refused(tmp_path: Path, name: str, target: str) -> None:
    file = tmp_path / name
    os.mkfifo(file) if target == "a pipe" else file.symlink_to(target)
    with pytest.raises(ConfigError, match="cannot be read: no plain file"):
        evidence.read_records(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_measurement_that_is_no_number_is_the_engines_fault(value: float) -> None:
    with pytest.raises(EngineReplyMalformed, match=f"tok_s is {value}"):
        Evidence(Outbox("run"), {}).measurement("tok_s", value, "tok/s")


def test_what_is_no_number_is_text_in_a_findings_data() -> None:
    told = record.as_json_data({"a": float("nan"), "b": [float("inf"), float("-inf"), 1.5]})
    assert told == {"a": "NaN", "b": ["inf", "-inf", 1.5]}


def test_two_halves_of_a_character_that_meet_are_sealed_as_what_a_reader_makes_of_them(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(world.write(world.seal([{**FINDING, "got": "\ud83d" + "\ude00, \ud83d"}])))
    back = evidence.read_records(file)
    assert evidence.is_sealed(back)
    assert isinstance(back[0], record.Found)
    assert back[0].got == "\U0001f600, \ud83d"


texts = st.text(st.characters(exclude_categories=()), max_size=40)  # surrogates too: models say anything


@world.LAW
@given(got=texts, data=st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none() | st.lists(texts)))
def test_any_reply_survives_the_file_unchanged_and_sealed(got: str, data: dict[str, object]) -> None:
    records = world.seal([{**FINDING, "got": got, "data": data}])
    lines = world.write(records).splitlines(keepends=True)
    assert all(line.endswith(b"\n") for line in lines)
    back = [record.parse_record(json.loads(line)) for line in lines]
    assert len(back) == 2
    assert evidence.is_sealed(back)
    assert isinstance(back[0], Found)
    assert back[0].got == got
