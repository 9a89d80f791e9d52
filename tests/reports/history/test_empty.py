"""A directory, or evidence, that cannot answer a question is refused: its empty answer would read like good news."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import __main__ as cli
from reports.history.command import NO_FAILURE
from tests.reports.history.test_history import run_fields, write

HISTORY = ("trend", "flakes", "bisect-start", "baseline", "add")


def ask(verb: str, folder: Path, *more: str) -> int:
    out = ["--out", str(folder.parent / "out.jsonl")] if verb == "baseline" else []
    return cli.main(["history", verb, str(folder), *out, *more])


@pytest.mark.parametrize("unsealed", [False, True], ids=["empty", "nothing sealed"])
@pytest.mark.parametrize("verb", HISTORY)
def test_a_history_without_a_run_is_refused(
    tmp_path: Path, verb: str, unsealed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    if unsealed:
        write(folder, 0, run_fields(), cut=True)
    assert ask(verb, folder) == 2
    said = capsys.readouterr().err
    assert f"{folder}: no run with results is there" in said and "history add" in said
    assert ("1 left out" in said) is unsealed
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("verb", "words", "said"),
    [
        ("trend", ("--cells", "nothing.*"), "no cell of these runs fits"),
        ("trend", ("--name", "wave_output_throughptu"), "did you mean 'wave_output_throughput'"),
        ("flakes", ("--cells", "nothing.*"), "no cell of these runs fits"),
        ("baseline", ("--cells", "nothing.*"), "no cell of these runs fits"),
        ("bisect-start", ("--test", "test_finds_it"), "no test of these runs fits"),
        ("bisect-start", (), "no engine answered in these runs (HOST_ERROR)"),
        ("baseline", (), "nothing to hold speed against"),
    ],
)
def test_a_question_that_no_run_is_about_is_refused(
    tmp_path: Path, verb: str, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, 0, run_fields("HOST_ERROR"))
    assert ask(verb, tmp_path, *words) == 2
    assert said in capsys.readouterr().err


def test_that_no_test_fails_is_said_where_each_was_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, 0, run_fields("PASS"))
    assert ask("bisect-start", tmp_path) == 0
    assert capsys.readouterr().out == NO_FAILURE


@pytest.mark.parametrize("verb", ["repro", "issue", "table", "html", "predictions", "ablation", "replay"])
@pytest.mark.parametrize("begun", [False, True], ids=["empty", "no result"])
def test_evidence_without_a_result_is_refused(
    tmp_path: Path, verb: str, begun: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, 0, run_fields()[: 3 if begun else 0], cut=not begun)
    words = {"html": ["--out", str(tmp_path / "x.html")]}.get(verb, [])
    given = [str(path)] if verb == "replay" else ["--evidence", str(path)]
    assert cli.main([verb, *given, *words]) == 2
    said = capsys.readouterr().err
    assert str(path) in said and ("no test has a result" if begun else "it holds no run") in said
    assert not (tmp_path / "x.html").exists()
