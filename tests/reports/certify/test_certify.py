"""Certificates: derived from evidence alone, and refused by it where they say more."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from reports import __main__ as cli
from reports.certify import verify
from reports.certify.statement import NotCertifiable, format_statement, make_statement, tell_result
from reports.certify.verify import find_problems, read_certificate
from reports.evidence.signature import NotSigned
from reports.replay.differences import Disagreement, Replayed
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP, Json

TODAY, LATER = date(2026, 11, 29), date(2027, 2, 27)
Change = Callable[[list[Json]], list[Json]]


def statement(change: Change = lambda f: f, cell: str = WITH_MTP) -> Json:
    found = make_statement(world.seal(change(world.green())), cell, issued=TODAY, expires=LATER)
    return dict(json.loads(format_statement(found)))


def each(kind: str, **values: Any) -> Change:
    return lambda fields: [{**f, **values} if f["kind"] == kind else f for f in fields]


@pytest.mark.parametrize(
    ("change", "of", "result"),
    [
        (lambda f: f, WITH_MTP, "PASSED"),
        (each("result", status="FAIL"), WITH_MTP, "FAILED"),
        (each("result", status="NOT_EVIDENCE"), WITH_MTP, "FAILED"),
        (each("result", status="XFAIL", **world.FITS), WITH_MTP, "WARNED"),
        (each("launch", data={"after": "crash"}), WITH_MTP, "FAILED"),
        (each("proof", outcome="unproven"), WITH_MTP, "WARNED"),
        (each("proof", outcome="refuted"), WITH_MTP, "FAILED"),
        (each("proof", outcome="refuted"), PLAIN, "PASSED"),
        (lambda f: [r for r in f if r["kind"] != "result" or "boot" in r["nodeid"]], PLAIN, "FAILED"),
    ],
)
def test_the_result_is_the_worst_that_the_evidence_shows(change: Change, of: str, result: str) -> None:
    made = statement(change, of)
    assert made["predicate"]["result"] == result
    tests = [made["predicate"][f"{kind}Tests"] for kind in ("passed", "warned", "failed")]
    assert sum(map(len, tests)) == 2


def test_a_run_that_was_cut_is_told_from_one_that_failed() -> None:
    cut = statement(lambda f: [r for r in f if r["kind"] != "result" or "boot" in r["nodeid"]], PLAIN)
    assert tell_result(cut) == "FAILED (1 MISSING)"
    assert tell_result(statement(each("result", status="FAIL"), PLAIN)) == "FAILED (2 FAIL)"
    assert tell_result(statement(lambda f: f, PLAIN)) == "PASSED"


def test_a_statement_names_digests_numbers_and_expiry() -> None:
    def more(fields: list[Json]) -> list[Json]:
        fields = each("run", commit="c0ffee", matrix_sha256="ab")(fields)
        fields = each("launch", versions={"vllm": "1", "image_digest": "vllm@sha256:12"})(fields)
        who = {"cell": PLAIN, "fingerprint": "f0", "nodeid": world.nodeid("needle", PLAIN)}
        numbers = [{"kind": "measurement", **who, "name": "tok", "value": v, "unit": "tok/s"} for v in (1.0, 2.0, 9.0)]
        return [*fields, {"kind": "kept", **who, "sha256": "cd"}, *numbers]

    made = statement(more, PLAIN)
    names = {r["name"].partition(":")[0]: r["digest"] for r in (*made["subject"], *made["predicate"]["configuration"])}
    assert names.keys() == {"cell", "image", "source", "matrix", "replies"}
    own = made["predicate"]["glmMatrix"]
    assert own["numbers"] == [
        {"name": "tok", "unit": "tok/s", "conditions": {}, "value": 2.0, "low": 1.0, "high": 9.0, "n": 3}
    ]
    assert (own["expires"], made["_type"]) == ("2027-02-27", "https://in-toto.io/Statement/v1")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (each("launch", stub=True), "a stub engine answered"),
        (lambda f: [r for r in f if r["kind"] != "launch"], "no engine of"),
        (each("cell", fingerprint="f9"), "of 2 plans"),
        (lambda f: f[:1], "there is no evidence"),
        (each("run", dirty=True), "is of a dirty tree"),
        (each("run", diff_sha256="ab" * 32), "is of a dirty tree"),
        (each("run", depth="first"), "asked at depth first, at which another cell may answer for"),
    ],
)
def test_what_shows_nothing_is_not_certified(change: Change, why: str) -> None:
    with pytest.raises(NotCertifiable, match=why):
        statement(change)
    with pytest.raises(NotCertifiable, match="not sealed"):
        make_statement(world.seal(world.green())[:-1], PLAIN, issued=TODAY, expires=LATER)


@pytest.mark.parametrize(
    ("stop", "why"),
    [
        (
            {"outcome": "crash", "message": "it ended by SIGSEGV"},
            "crashed while it was being stopped: it ended by SIGSEGV",
        ),
        ({"outcome": "ended"}, "had ended by itself before it was stopped, and no test met that"),
        ({"outcome": "hang"}, ""),
        ({"outcome": "clean"}, ""),
    ],
)
def test_a_cell_whose_engine_died_where_no_test_met_it_is_not_certified(stop: Json, why: str) -> None:
    """The gate is red of it, and every test is PASS."""

    def add(fields: list[Json]) -> list[Json]:
        return [*fields, *({"kind": "stop", "fingerprint": plan, **stop} for plan in ("f0", "f1"))]

    if not why:
        assert statement(add)["predicate"]["result"] == "PASSED"
        return
    with pytest.raises(NotCertifiable, match=why):
        statement(add)


def test_an_end_that_is_not_recorded_is_not_certified() -> None:
    with pytest.raises(NotCertifiable, match="how its engine ended is not recorded"):
        statement(lambda fields: [{**f, **({"schema": 5} if f["kind"] == "run" else {})} for f in fields])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "e.jsonl").write_bytes(world.write(world.seal(world.green())))
    (tmp_path / "c.json").write_bytes(format_statement(statement()))
    return tmp_path


def problems(folder: Path, *, today: date = TODAY, **more: Any) -> list[str]:
    more.setdefault("replay", False)
    return find_problems(read_certificate(folder / "c.json"), [folder / "e.jsonl"], today=today, **more)


def test_a_certificate_holds_by_its_evidence_until_it_expires(folder: Path) -> None:
    assert problems(folder) == problems(folder, today=LATER) == []
    assert problems(folder, today=date(2027, 2, 28)) == ["it expired on 2027-02-27"]
    assert problems(folder, today=date(2026, 11, 28)) == ["it was issued in the future, on 2026-11-29"]


@pytest.mark.parametrize("word", ["PASSED", "proven", "PASS", "canary", "f1"])
def test_a_certificate_that_says_otherwise_is_refused(folder: Path, word: str) -> None:
    text = (folder / "c.json").read_text()
    (folder / "c.json").write_text(text.replace(f'"{word}"', '"other"', 1))
    assert any("the evidence says otherwise" in p for p in problems(folder))


def test_evidence_that_was_edited_or_shows_less_is_refused(folder: Path) -> None:
    failed = each("result", status="FAIL")(world.green())
    (folder / "e.jsonl").write_bytes(world.write(world.seal(failed)))
    assert any("predicate.result" in p or "failedTests" in p for p in problems(folder))
    (folder / "e.jsonl").write_bytes(world.write(world.seal(world.green())[:-1]))
    assert any("supports no certificate" in p for p in problems(folder))


def test_replies_that_say_otherwise_and_strangers_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Disagreement(cell=WITH_MTP, test="test_x", what="result status", recorded="PASS", derived="FAIL")
    mine = Replayed(disagreements=(other,), tests=1)
    monkeypatch.setattr(verify, "replay_evidence", lambda _: mine)
    assert any("judged again: test_x" in p for p in problems(folder, replay=True))
    monkeypatch.setattr(verify, "replay_evidence", lambda _: Replayed(tests=1))
    assert problems(folder, replay=True) == []

    def refuse(*_: Path) -> str:
        raise NotSigned("by nobody")

    monkeypatch.setattr(verify, "verify_evidence", refuse)
    assert problems(folder, signers=folder / "signers") == ["its signature does not hold: by nobody"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "[" * 200_000, '{"a": NaN}', '{"_type": "a", "_type": "b"}', "1" * 9_000, " " * (17 << 20)),
        '{"_type": "x", "predicateType": "y", "predicate": {"glmMatrix": {}}}',
    ],
    ids=["empty", "list", "object", "deep", "NaN", "twice", "digits", "long", "other"],
)
def test_what_is_no_certificate_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match="no certificate of this project"):
        read_certificate(tmp_path / "c.json")


NO_CERTIFICATES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pipe": (os.mkfifo, "no plain file"),
    "a folder": (Path.mkdir, "Is a directory"),
    "bytes": (lambda path: path.write_bytes(b"\xb6\x1b[31m" * 999), "not text in UTF-8"),
}


@pytest.mark.parametrize("make, told", NO_CERTIFICATES.values(), ids=NO_CERTIFICATES)
def test_what_cannot_be_a_certificate_is_told_in_words(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    make(tmp_path / "c.json")
    with pytest.raises(ConfigError, match=told) as caught:
        read_certificate(tmp_path / "c.json")
    assert "Error" not in caught.value.problems[0].message
    assert len(caught.value.problems[0].message) < 100


def test_evidence_without_a_cell_or_without_its_row_is_refused_in_words(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both ended in a traceback."""
    (folder / "empty.jsonl").write_text("")
    assert cli.main(["certify", str(folder / "empty.jsonl"), "--out", str(folder / "out")]) == 2
    assert "it holds no run" in capsys.readouterr().err
    odd = PLAIN.replace("canary", r"\u001b[2J")
    (folder / "odd.jsonl").write_text((folder / "e.jsonl").read_text().replace(PLAIN, odd))
    assert cli.main(["certify", str(folder / "odd.jsonl"), "--out", str(folder / "out")]) == 1
    said = capsys.readouterr().out
    assert "not certified" in said and "\x1b" not in said


def test_the_verb_writes_one_for_each_cell_and_verifies_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evidence, out = str(folder / "e.jsonl"), folder / "out"
    assert cli.main(["certify", evidence, "--out", str(out)]) == 0
    made = sorted(p.name for p in out.iterdir())
    assert made == [f"{PLAIN}.intoto.json", f"{WITH_MTP}.intoto.json"]
    assert cli.main(["certify", evidence, "--verify", str(out / made[0]), "--no-replay"]) == 0
    assert ": holds: PASSED for" in capsys.readouterr().out
    (out / made[0]).write_text((out / made[0]).read_text().replace("PASSED", "FAILED"))
    assert cli.main(["certify", evidence, "--verify", str(out / made[0]), "--no-replay"]) == 1
    assert cli.main(["certify", evidence, "--cells", "x*"]) == 2
    assert cli.main(["certify", evidence, "--days", "0", "--out", str(out)]) == 2
