"""The one command: every verb starts, says what is wrong, and ends without a traceback."""

from __future__ import annotations

import argparse
import ast
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.console_script import make_script, write_console_script
from cli.markdown import render_reference, walk_parsers
from cli.program import explain_unusable, main
from cli.tree import build_parser, front_page, verb_parser
from cli.verb import EVERY_VERB, GROUPS, INNER
from cli.verbs import VERBS
from matrix.checkout import CHECKOUT
from tests.cli.exit_codes import list_codes, map_modules

PARSERS = [p for verb in VERBS.values() for p in walk_parsers(verb_parser(verb))]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    path = tmp_path / "glm-matrix"
    write_console_script(path)
    return path


@pytest.mark.parametrize("folder", ["a b", "it's", 'a"b', "$(x)", "plain"])
def test_the_command_runs_by_an_interpreter_in_any_folder(folder: str, tmp_path: Path) -> None:
    python = tmp_path / folder / "python"
    python.parent.mkdir()
    python.symlink_to("/bin/echo")
    script = tmp_path / "glm-matrix"
    script.write_text(make_script(str(python), CHECKOUT))
    script.chmod(0o755)
    done = subprocess.run([script, "list", "x y"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{script} list x y\n"
    ast.parse(script.read_text())


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (a for a in parser._actions if not isinstance(a, argparse._SubParsersAction))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda p: p.prog)
def test_every_option_of_every_verb_has_help(parser: argparse.ArgumentParser) -> None:
    assert parser.prog.startswith("glm-matrix ")
    assert [a.dest for a in options(parser) if not a.help] == []
    assert parser.description or parser.prog.count(" ") > 1


@pytest.mark.parametrize("name", VERBS)
def test_the_example_of_a_verb_is_accepted_by_its_parser(name: str) -> None:
    words = shlex.split(VERBS[name].example)
    words = words[: next((i for i, word in enumerate(words) if word in (">", "--")), None)]
    assert words[0] == name
    verb_parser(VERBS[name]).parse_args(words[1:])


@pytest.mark.parametrize("name", VERBS)
def test_help_shows_the_example_and_the_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert VERBS[name].example in shown
    assert all(meaning in shown for meaning in VERBS[name].exit_codes.values())


def test_the_front_page_names_every_verb_once_under_its_group() -> None:
    page = front_page(VERBS.values()).splitlines()
    assert [line.split()[0] for line in page if line.split()[:1] and line.split()[0] in VERBS] == list(VERBS)
    assert all(f"{title}:" in page for title in GROUPS.values())
    assert max(map(len, page)) <= 100


def test_the_reference_has_a_section_for_every_verb() -> None:
    page = render_reference()
    assert [name for name in VERBS if f"### glm-matrix {name}\n" not in page] == []


def test_every_exit_code_of_a_program_is_told_by_its_verbs() -> None:
    """A module may serve several verbs: what it returns must be a code of one of them, or of every verb."""
    returned = {path: (list_codes(path), verbs) for path, verbs in map_modules().items()}
    assert sum(len(codes) for codes, _ in returned.values()) > 40
    told = {
        path.relative_to(CHECKOUT).as_posix(): sorted(
            codes - {*EVERY_VERB, *(c for v in verbs for c in VERBS[v].exit_codes)}
        )
        for path, (codes, verbs) in returned.items()
    }
    assert {path: codes for path, codes in told.items() if codes} == {}


def test_a_returned_code_is_found_in_each_form(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text("RED = 7\ndef main() -> int:\n    if x:\n        return RED\n    return 0 if y else 9\n")
    assert list_codes(file) == {0, 7, 9}


def test_a_verb_that_does_not_exist_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explian", "x"]) == 2
    assert "'explian'; did you mean 'explain'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "whole"), [("badge", ["registry badge"]), ("trend", ["history trend"]), ("merge", ["junit merge"])]
)
def test_a_verb_of_a_verb_is_told_with_its_verb(
    name: str, whole: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert all(f"did you mean 'glm-matrix {each}'" in said for each in whole)


def test_the_verbs_of_verbs_are_those_that_their_programs_have() -> None:
    found = {}
    for verb in VERBS.values():
        for action in verb_parser(verb)._actions:
            if isinstance(action, argparse._SubParsersAction):
                found[verb.name] = frozenset(action.choices)
    assert found == INNER


@pytest.mark.parametrize(
    ("words", "place"), [(["--out", "x.md"], "x.md"), (["--out=x.md"], "x.md"), ([], "standard output")]
)
def test_a_full_disk_names_what_was_written(words: list[str], place: str) -> None:
    """The system's error names no file then, and `a file or folder` was all that was said."""
    assert explain_unusable(OSError(28, "No space left on device"), words).startswith(f"{place}: cannot be used")


def test_bad_input_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "sm120x4.nothing"]) == 2
    assert "no such cell 'sm120x4.nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(name in script for name in VERBS)
    assert "as-published" in script


def test_bash_accepts_the_completion_script(capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = capsys.readouterr().out
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_whole_tree_parses_like_the_verbs() -> None:
    assert build_parser(VERBS.values()).parse_args(["junit", "verify", "x.xml"]).file == Path("x.xml")


def test_the_command_works_from_any_directory_and_into_a_closed_pipe(command: Path, tmp_path: Path) -> None:
    line = f"set -o pipefail; {command} list --json | head -c 1"  # more than a pipe holds
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("{", "", 141)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_ends_without_a_traceback_and_runs_cleanup(command: Path, number: int, code: int) -> None:
    served = [str(command), "mock-server"]
    with subprocess.Popen(served, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().strip().isdigit()  # it serves
        os.kill(process.pid, number)
        said = process.stderr.read()
        assert process.wait(timeout=20) == code
    assert "Traceback" not in said


@pytest.mark.parametrize(("module", "words"), [("matrix", ["doctor", "--help"]), ("reports", ["gate", "--help"])])
def test_the_older_names_keep_working(module: str, words: list[str]) -> None:
    line = [sys.executable, "-m", module, *words]
    done = subprocess.run(line, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert f"usage: glm-matrix {words[0]}" in done.stdout
