"""Every option, verb and choice of every program, misspelt: the message names the nearest one, and exit is 2."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.program import main
from cli.tree import verb_parser
from cli.verbs import VERBS
from matrix.checkout import CHECKOUT
from matrix.collection.options import Misspelt
from matrix.output.command_line import CommandLine, find_unknown_options

PLAIN = frozenset({Path("fixtures/fleet/ray/driver.py")})  # copied to a cluster that has Ray and nothing of ours


def walk(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[tuple[argparse.ArgumentParser, list[str]]]:
    yield parser, list(path)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield from walk(verb, (*path, name))


def misspell(word: str) -> str:
    """Write a word's last two different letters the other way round."""
    for i in range(len(word) - 1, 1, -1):
        if word[i] != word[i - 1]:
            return word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]
    return word + "x"


PARSERS = {" ".join(path): (parser, path) for v in VERBS.values() for parser, path in walk(verb_parser(v), (v.name,))}


def read_error(parser: argparse.ArgumentParser, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("line", PARSERS)
def test_a_misspelt_option_is_told_first_and_with_the_nearest(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where something that is required is missing: the misspelling is why."""
    parser, _ = PARSERS[line]
    assert isinstance(parser, CommandLine)
    for option in [o for a in parser._actions for o in a.option_strings if len(o) > len("--xx")]:
        wrong = misspell(option)
        said = read_error(parser, [wrong], capsys)
        found = re.search(rf"unrecognized arguments: {wrong}; did you mean '(\S+)'\?", said)
        assert found and (found[1] == option or option.startswith(found[1])), said  # --gpsu is as near to --gpu


@pytest.mark.parametrize("line", PARSERS)
def test_a_misspelt_choice_is_told_with_the_nearest(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """That of an option, of a position, and of a verb of a verb."""
    parser, _ = PARSERS[line]
    before: list[str] = []  # what must stand before a positional choice
    for action in parser._actions:
        words = [str(c) for c in action.choices or ()]
        for wrong in (misspell(w) for w in words if len(w) > 2 and misspell(w) not in words):
            said = read_error(parser, [*(action.option_strings[-1:] or before), wrong], capsys)
            assert re.search(rf"invalid choice: '{re.escape(wrong)}' .*; did you mean '", said), said
        if not action.option_strings:
            before.append(words[0] if words else "x")


def test_a_verb_of_a_verb_answers_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["junit", "merge", "--evidnece"])
    assert "glm-matrix junit merge: error: unrecognized arguments: --evidnece; did you mean" in capsys.readouterr().err


def test_every_program_makes_its_line_of_the_one_class() -> None:
    files = [
        f
        for top in ("ci", "cli", "fixtures", "lab", "matrix", "reports", "suites")
        for f in (CHECKOUT / top).rglob("*.py")
    ]
    plain = {f.relative_to(CHECKOUT) for f in files if re.search(r"= argparse\.ArgumentParser\(", f.read_text())}
    assert plain == PLAIN


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dept", "full"], "--dept; did you mean '--depth'?"),
        (["--depth", "quik"], "--depth has no 'quik'; did you mean 'quick'?"),
        (["--depth=relaese", "--endpiont", "x"], "--endpiont; did you mean '--endpoint'?, --depth has no 'relaese'"),
        (["-qq", "-n2", "-x", "--", "--dept"], "none"),
    ],
)
def test_pytest_names_the_nearest_of_its_options(words: list[str], said: str, request: pytest.FixtureRequest) -> None:
    assert said in str(Misspelt(request.config._parser, words))


def test_every_option_of_the_suites_is_near_to_its_misspelling(request: pytest.FixtureRequest) -> None:
    parser = request.config._parser.optparser
    own = next(g for g in request.config._parser._groups if g.name == "matrix")
    for option in (name for o in own.options for name in o.names()):
        assert list(find_unknown_options(parser, [misspell(option)])) == [
            f"{misspell(option)}; did you mean '{option}'?"
        ]


def test_pytest_prints_it(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert pytest.main(["--depth", "quik", "suites"]) == pytest.ExitCode.USAGE_ERROR
    assert "nearest: --depth has no 'quik'; did you mean 'quick'?" in capfd.readouterr().err


def test_what_looks_like_an_option_and_is_a_value_is_left_alone() -> None:
    line = CommandLine()
    line.add_argument("--seed", type=int)
    line.add_argument("-j", type=int)
    assert list(find_unknown_options(line, ["--se", "-1", "-j4", "-.5", "-", "a b"])) == []


@pytest.mark.parametrize("verb", ["gate", "html", "table", "predictions"])
def test_evidence_as_a_plain_word_names_the_option_for_it(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """diff, certify and replay take it plain; here it was an unrecognized argument, and nothing said what to write."""
    with pytest.raises(SystemExit):
        main([verb, "reports/out/night.jsonl"])
    assert "evidence stands behind --evidence" in capsys.readouterr().err
