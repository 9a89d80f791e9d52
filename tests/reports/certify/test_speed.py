"""A certificate may say that no speed was asked, with who says so; it excuses nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from matrix.errors import ConfigError
from reports import __main__ as cli
from reports.certify.speed import UnaskedSpeed, parse_unasked_speed
from reports.certify.statement import NotCertifiable, format_statement, make_statement, tell_result
from reports.certify.verify import find_problems, read_certificate
from tests.reports import world
from tests.reports.world import PLAIN, WITH_MTP, Json

TODAY = date(2026, 11, 30)
LATER = TODAY + timedelta(days=90)
SAID = UnaskedSpeed(owner="somebody", why="engines shared the GPU")
FAST = [f"suites/test_throughput.py::{name}[{WITH_MTP}]" for name in ("test_decodes", "test_prefills")]
Change = Callable[[list[Json]], list[Json]]


def owing(fields: list[Json], *more: str) -> list[Json]:
    """Return the green run, whose cell with MTP also owes both tests of throughput and `more`."""
    owed = [f for f in fields if f["kind"] == "expected" and f["cell"] == WITH_MTP]
    others = [f for f in fields if f not in owed]
    return [*others, *({**f, "tests": [*f["tests"], *FAST, *more]} for f in owed)]


def of_speed(kind: str, test: str = FAST[0], **values: Any) -> Json:
    return {"kind": kind, "cell": WITH_MTP, "fingerprint": "f1", "test": "t", "nodeid": test, **values}


def asked(status: str) -> Json:
    return of_speed("result", status=status, duration_s=0.5, **(world.FITS if status == "XFAIL" else {}))


NUMBER = of_speed("measurement", name="output_throughput", value=1.0, unit="tok/s")
FINDING: Json = {"check": "x.ok", "ok": True, "expected": "a", "got": "a"}
UNTOUCHED: Change = lambda fields: fields  # noqa: E731


def statement(change: Change = UNTOUCHED, said: UnaskedSpeed | None = SAID, **when: date) -> Json:
    records = world.seal(change(owing(world.green())))
    made = make_statement(records, WITH_MTP, **{"issued": TODAY, "expires": LATER, **when}, unasked=said)
    return dict(json.loads(format_statement(made)))


def test_a_speed_that_was_not_asked_is_said_by_name_and_is_no_failure() -> None:
    made = statement()
    own, predicate = made["predicate"]["glmMatrix"], made["predicate"]
    assert own["speedUnasked"] == {"owner": "somebody", "why": "engines shared the GPU", "tests": FAST}
    assert (predicate["result"], predicate["failedTests"], predicate["warnedTests"]) == ("WARNED", [], FAST)
    assert {own["statuses"][test] for test in FAST} == {"MISSING"}
    assert tell_result(made) == "WARNED (speed not asked)"


def test_nobody_says_it_unless_somebody_does() -> None:
    made = statement(said=None)
    assert "speedUnasked" not in made["predicate"]["glmMatrix"]
    assert tell_result(made) == "FAILED (2 MISSING)"
    assert made["predicate"]["glmMatrix"]["schema"] < statement()["predicate"]["glmMatrix"]["schema"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda f: owing(f, f"suites/test_tools.py::t[{WITH_MTP}]"), "1 MISSING, ", id="another_suite"),
        pytest.param(lambda f: owing(f, "test_throughput"), "1 MISSING, ", id="a_name_like_it"),
        pytest.param(
            lambda f: [r for r in f if r["kind"] != "result" or "boot" in r["nodeid"]], "1 MISSING, ", id="cut"
        ),
        pytest.param(
            lambda f: [{**r, "status": "FAIL"} if r["kind"] == "result" else r for r in f], "2 FAIL, ", id="failed"
        ),
        pytest.param(
            lambda f: [{**r, "outcome": "refuted"} if r["kind"] == "proof" else r for r in f], "", id="refuted"
        ),
        pytest.param(
            lambda f: [{**r, "data": {"after": "crash"}} if r["kind"] == "launch" else r for r in f], "", id="crashed"
        ),
    ],
)
def test_it_excuses_nothing_but_speed(change: Change, told: str) -> None:
    assert tell_result(statement(change)).startswith(f"FAILED ({told}speed not asked")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param([asked("FAIL"), of_speed("finding", **{**FINDING, "ok": False})], "1 FAIL, 1 MISSING", id="slow"),
        pytest.param([asked("HOST_ERROR")], "1 HOST_ERROR, 1 MISSING", id="no_answer"),
        pytest.param([asked("MEASURED"), NUMBER], "1 MISSING", id="half_of_it"),
        pytest.param([NUMBER], "2 MISSING", id="a_number_of_a_run_that_was_cut"),
        pytest.param([of_speed("finding", **{**FINDING, "ok": False})], "2 MISSING", id="a_failure_that_was_cut"),
        pytest.param([of_speed("kept", sha256="ab" * 32)], "2 MISSING", id="replies_without_a_result"),
    ],
)
def test_a_speed_of_which_anything_was_asked_is_no_speed_that_was_not(more: list[Json], told: str) -> None:
    made = statement(lambda f: [*f, *more])
    assert tell_result(made) == f"FAILED ({told})"
    assert "speedUnasked" not in made["predicate"]["glmMatrix"]


def test_a_speed_that_was_asked_is_none_the_less_for_the_clause() -> None:
    whole = [*(of_speed("result", t, status="MEASURED") for t in FAST), *({**NUMBER, "nodeid": t} for t in FAST)]
    made = statement(lambda f: [*f, *whole])
    assert made == statement(lambda f: [*f, *whole], said=None)
    assert tell_result(made) == "PASSED"


def test_it_ends_after_two_years_at_most() -> None:
    with pytest.raises(NotCertifiable, match="732 days at most"):
        statement(expires=TODAY + timedelta(days=733))
    statement(said=None, expires=TODAY + timedelta(days=733))


@pytest.mark.parametrize("text", ["somebody", "somebody:", ": engines shared it", "nobody: engines shared it", "a: ?"])
def test_nobody_and_no_reason_excuse_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="who answers for that, and why"):
        parse_unasked_speed(text)
    assert parse_unasked_speed("") is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "e.jsonl").write_bytes(world.write(world.seal(owing(world.green()))))
    return tmp_path


def problems(folder: Path, made: Json) -> list[str]:
    (folder / "c.json").write_bytes(format_statement(made))
    return find_problems(read_certificate(folder / "c.json"), [folder / "e.jsonl"], today=TODAY, replay=False)


def test_a_certificate_without_a_speed_is_derived_again(folder: Path) -> None:
    assert problems(folder, statement()) == []


@pytest.mark.parametrize(
    "clause",
    [
        None,
        "a word",
        {"owner": "somebody", "why": "", "tests": FAST},
        {"owner": "?", "why": "engines shared the GPU", "tests": FAST},
        {"owner": ["somebody"], "why": "engines shared the GPU", "tests": FAST},
        {"owner": "somebody", "why": "engines shared the GPU", "tests": FAST[:1]},
        {"owner": "somebody", "why": "engines shared the GPU", "tests": [*FAST, world.nodeid("needle", WITH_MTP)]},
        {"owner": "somebody", "why": "engines shared the GPU", "tests": FAST, "until": "2036-01-01"},
    ],
)
def test_a_clause_of_another_form_or_about_more_is_refused(folder: Path, clause: Any) -> None:
    made = statement()
    made["predicate"]["glmMatrix"]["speedUnasked"] = clause
    assert any("the evidence says otherwise" in p for p in problems(folder, made))


def test_the_clause_does_not_carry_a_cell_that_owes_more(folder: Path) -> None:
    cut = owing(owing(world.green()), f"suites/test_tools.py::t[{WITH_MTP}]")
    (folder / "e.jsonl").write_bytes(world.write(world.seal(cut)))
    assert any("predicate.result" in p for p in problems(folder, statement()))


def test_the_commands_say_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    made = ["certify", str(folder / "e.jsonl"), "--cells", WITH_MTP, "--out", str(out)]
    assert cli.main([*made, "--speed-unasked", "somebody: \x1b[31mengines shared the GPU"]) == 0
    assert "WARNED (speed not asked)" in capsys.readouterr().out
    (path,) = out.iterdir()
    assert cli.main(["certify", str(folder / "e.jsonl"), "--verify", str(path), "--no-replay"]) == 0
    said = capsys.readouterr().out
    assert "holds: WARNED" in said
    assert "; speed not asked, says somebody: " in said
    assert "\x1b" not in said
    assert cli.main(["certify", str(folder / "e.jsonl"), "--cells", PLAIN, "--out", str(out)]) == 0
    assert "PASSED /" in capsys.readouterr().out
