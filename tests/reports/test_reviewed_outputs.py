"""What a hostile reviewer gave to every output, with the answer that was written down before, by the one command and in
this process: the cases that had another answer, and those whose siblings may have one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cli.program import main
from reports.evidence.archive import pack_evidence
from tests.reports import world
from tests.reports.world import PLAIN, Json

NEEDLE = world.nodeid("needle", PLAIN)
WHO: Json = {"cell": PLAIN, "fingerprint": "f0", "nodeid": NEEDLE, "test": "test_finds_the_needle"}
EVIL = "\x1b[2J\u202eevil @team #1 <img src=x onerror=alert(1)> ```\n## head\n::error::x"
Fields = list[Json]
Make = Callable[[Path], Path]
Said = tuple[str, ...]  # what the answer says, and what it does not


def write(fields: Fields, name: str = "e.jsonl", *, run: str = "r1", begun: Any = world.BEGUN, cut: int = 0) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        data = world.write(world.seal(fields, run, begun))
        path.write_bytes(data[:-cut] if cut else data)
        return path

    return make


def change(kind: str, **values: Any) -> Fields:
    return [{**f, **values} if f["kind"] == kind else f for f in world.green()]


def fail(detail: str = "it is not in the reply", got: str = "a") -> Fields:
    own = {**WHO, "check": "needle.found", "ok": False, "expected": "b", "got": got, "detail": detail}
    fields = [f for f in world.green() if not (f["kind"] == "finding" and f["nodeid"] == NEEDLE)]
    red = {"status": "FAIL", "message": detail, "at": "test", "how": "wrong_answer"}
    fields = [{**f, **red} if f["kind"] == "result" and f["nodeid"] == NEEDLE else f for f in fields]
    return [*fields, {"kind": "finding", **own}]


def measure(*values: float, unit: str = "tok/s") -> Fields:
    own = {**WHO, "name": "wave_output_throughput", "unit": unit, "conditions": {"concurrency": 1}}
    return [*world.green(), *({"kind": "measurement", **own, "value": v} for v in values)]


def both(folder: Path) -> Path:
    """Write two runs as one file, line by line: one passed a test, the later one failed it."""
    runs = (world.seal(world.green(), "r1"), world.seal(fail(), "r2", world.BEGUN + timedelta(minutes=5)))
    lines = [world.write(run).splitlines(keepends=True) for run in runs]
    mixed = [line for pair in zip(*lines, strict=False) for line in pair]
    rest = [line for own in lines for line in own[min(map(len, lines)) :]]
    path = folder / "both.jsonl"
    path.write_bytes(b"".join([*mixed, *rest]))
    return path


def packed(folder: Path) -> Path:
    pack_evidence(GREEN(folder), folder / "run.tar.xz")
    return folder / "run.tar.xz"


def zipped(cut: int = 0) -> Make:
    def make(folder: Path) -> Path:
        data = gzip.compress(GREEN(folder).read_bytes())
        (folder / "run.jsonl.gz").write_bytes(data[:-cut] if cut else data)
        return folder / "run.jsonl.gz"

    return make


def linked(folder: Path) -> Path:
    entry = tarfile.TarInfo("run.jsonl")
    entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(folder / "link.tar.xz", "w:xz") as file:
        file.addfile(entry, io.BytesIO())
    return folder / "link.tar.xz"


def raw(data: bytes, name: str = "e.jsonl") -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def beside(folder: Path) -> Path:
    write(world.green(), "night.jsonl")(folder)
    return folder / "nigth.jsonl"


GREEN = write(world.green(), "green.jsonl")
RENAMED = write(json.loads(json.dumps(world.green()).replace("llamacpp", "llamacpp_2")))
PRETTY = raw(json.dumps([{"kind": "run"}], indent=1).encode())
YES, NO, UNKNOWN = "YES", "NO", "UNKNOWN"
CODES = {YES: 0, NO: 1, UNKNOWN: 3}


@pytest.mark.parametrize(
    ("new", "answer", "said"),
    [
        (GREEN, YES, ("nothing changed",)),
        (packed, YES, ("nothing changed",)),
        (zipped(), YES, ("nothing changed",)),
        (write([{"kind": "run"}]), UNKNOWN, ("NEW holds no cell",)),
        (write(change("result", status="SKIP_NO_HW")), UNKNOWN, ("PASS -> SKIP_NO_HW",)),
        (write(world.green(), cut=40), UNKNOWN, ("it has no end: it was killed",)),
        (RENAMED, UNKNOWN, ("--map llamacpp=llamacpp_2",)),
        (
            write(world.green(), begun=world.BEGUN - timedelta(days=9)),
            YES,
            ("NEW ran on 2026-11-12 11:00 UTC, before",),
        ),
        (both, NO, ("flaky", "broken")),
        (both, NO, ("PASS in run r1; FAIL in run r2",)),
        (write(fail(EVIL, EVIL)), NO, ("\\x1b[2J", "\x1b")),
        (write(fail(EVIL, EVIL)), NO, ("broken", "\n::error")),
        (write(change("launch", launch_s=125.0)), YES, ("125 s", "nothing changed")),
        (write(change("launch", attached=True)), YES, ("started by somebody else now", "nothing changed")),
        (write(change("launch", stub=True)), UNKNOWN, ("a stub engine answered now",)),
        (write(change("proof", outcome="refuted")), NO, ("mtp: proven -> refuted",)),
        (write([f for f in world.green() if f["kind"] != "proof"]), UNKNOWN, ("mtp: proven -> not looked at",)),
    ],
)
def test_may_i_upgrade(tmp_path: Path, capsys: Any, new: Make, answer: str, said: Said) -> None:
    assert main(["diff", str(GREEN(tmp_path)), str(new(tmp_path))]) == CODES[answer]
    text = capsys.readouterr().out
    assert text.startswith(f"{answer}: ") and said[0] in text
    assert not any(word in text for word in said[1:])


@pytest.mark.parametrize("now", [world.green(), measure(6000.0, unit="tok/min")])
def test_a_speed_that_is_gone_or_has_another_unit_is_not_unchanged(tmp_path: Path, capsys: Any, now: Fields) -> None:
    old = write(measure(*(100.0 + n for n in range(6))), "old.jsonl")(tmp_path)
    main(["diff", str(old), str(write(now)(tmp_path))])
    assert "nothing changed" not in capsys.readouterr().out


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_what_a_model_said_is_inert_in_every_form(tmp_path: Path, capsys: Any, form: str) -> None:
    main(["diff", str(GREEN(tmp_path)), str(write(fail(EVIL, EVIL))(tmp_path)), "--format", form])
    text = capsys.readouterr().out
    assert "<img src=x" not in text and "\x1b" not in text and "\u202e" not in text and "\n## head" not in text
    assert form == "html" or "@team" not in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (PRETTY, "this is JSON over several lines; expected evidence, one JSON object a line"),
        (raw(b"<testsuites>\n" + b"<a/>\n" * 300, "j.xml"), "this is JUnit XML"),
        (raw(b"<?xml version='1.0'?>\n<a/>\n"), "this is XML"),
        (raw(b"\xff\xfe\0x" * 999), "this is no text"),
        (raw(b"PK\x03\x04\0\0"), "this is a zip file"),
        (raw(b"what\never\n" * 40), "and 77 more lines, none of which is a record"),
        (raw(b""), "it holds no run"),
        (beside, "did you mean"),
        (zipped(cut=20), "no whole gzip file"),
        (linked, "link.tar.xz"),
    ],
)
def test_a_file_that_is_no_evidence_is_one_error_that_says_what_it_is(
    tmp_path: Path, capsys: Any, given: Make, said: str
) -> None:
    assert main(["table", "--evidence", str(given(tmp_path))]) == 2
    text = capsys.readouterr().err
    assert said in text and len(text) < 1_000 and "root:" not in text


def test_answers_of_two_plans_are_no_answer_about_one_launch(tmp_path: Path, capsys: Any) -> None:
    other = json.loads(json.dumps(world.green()).replace('"f0"', '"f9"'))
    again = write(other, "other.jsonl", run="r2", begun=world.BEGUN + timedelta(minutes=9))(tmp_path)
    main(["table", "--evidence", str(GREEN(tmp_path)), str(again)])
    assert f"{PLAIN}: its answers are of 2 plans (f0, f9)" in capsys.readouterr().out


@pytest.mark.parametrize(("failure", "said"), [("99", "1"), ("0", "1"), ("test_nedle", "test_finds_the_needle")])
def test_a_failure_that_is_not_there_is_refused(tmp_path: Path, capsys: Any, failure: str, said: str) -> None:
    assert main(["issue", failure, "--evidence", str(write(fail())(tmp_path))]) == 2
    assert said in capsys.readouterr().err


def test_a_text_for_upstream_is_short_and_says_what_was_not_recorded(tmp_path: Path, capsys: Any) -> None:
    assert main(["issue", "1", "--evidence", str(write(fail(got="z" * 3_000_000))(tmp_path))]) == 0
    text = capsys.readouterr().out
    assert len(text) < 10_000 and text.startswith("# [llamacpp] it is not in the reply\n")
    assert "The launch script was not recorded." in text and "None" not in text.split("## Releases")[1].split("##")[0]


def test_times_of_a_history_are_instants_and_no_texts(tmp_path: Path, capsys: Any) -> None:
    for n, hours in enumerate((0, 14, -11)):
        begun = (world.BEGUN + timedelta(hours=n)).astimezone(timezone(timedelta(hours=hours)))
        write(measure(float(n + 1)), f"{n}.jsonl", run=f"r{n}", begun=begun)(tmp_path)
    assert main(["history", "trend", str(tmp_path), "--name", "wave*", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [p["value"] for p in found["points"]] == [1.0, 2.0, 3.0]
